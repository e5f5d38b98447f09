"""The deliberate differences between Envoy and this module, with their reasons: a file for each subject. docs/differences.md
is made of them.

A difference that no rule covers fails the suite, and so does a rule that covers none any more.
"""

from differences import behaviour, bodies, calls, header_maps, http, properties

DIFFERENCES = [
    difference
    for subject in (header_maps, bodies, http, behaviour, properties, calls)
    for difference in subject.DIFFERENCES
]

INTRODUCTION = """# Differences from Envoy

`make conformance` runs the same filters and the same requests through Envoy %s and through nginx with this module, and
compares what the client gets, what the upstream gets, the bytes of properties, the order of callbacks and the status of
each host call. They are the same, but for what is listed here. A difference that is not on this page fails the suite, and
so does an entry that is no longer true.

This page is made from `t/60-conformance/differences/` by `make conformance CONFORMANCE=--write-docs`. What is supported at
all is in [proxy-wasm.md](proxy-wasm.md).
"""


def page(version):
    lines = [INTRODUCTION % version]
    for topic in dict.fromkeys(difference.topic for difference in DIFFERENCES):
        lines += [f"## {topic}", "", "| | Envoy | here | why |", "| --- | --- | --- | --- |"]
        lines += [f"| {d.what} | {d.envoy} | {d.here} | {d.why} |" for d in DIFFERENCES if d.topic == topic]
        lines.append("")
    return "\n".join(lines)
