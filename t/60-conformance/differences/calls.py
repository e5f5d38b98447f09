"""Calls of filters to other services."""

import json

from differences.entry import CALLS, Difference


def report(kind, headers=(), body=""):
    """What the guest `calls` tells of its one call."""
    event = {"name": "a", "kind": kind, "counts": [], "headers": headers, "body": body, "trailers": [], "status": [0, ""]}
    return json.dumps({"events": [event], "open": 0}, separators=(",", ":")).replace("\\n", "\\u000a") + "\n"


REFUSED, FAILED, MADE_UP = report("refused", body="BadArgument"), report("response"), report("response", [[":status", "503"]])
OF_UPSTREAM = [
    [":status", "200"],
    ["x-up-kept", "Kept As It Is"],
    ["x-up-replaced", "old"],
    ["x-up-removed", "first"],
    ["x-up-removed", "second"],
    ["x-up-twice", "a"],
    ["x-up-twice", "b"],
]


def answered(body=""):
    return report("response", OF_UPSTREAM, body)


def reports(case, envoy, here):
    """The rules for a case whose reports differ."""
    length = "response header content-length"
    return [(case, "body", envoy, here), (case, length, [str(len(envoy))], [str(len(here))])]


def arrives(case, method, target, host, **headers):
    """The rules for a call that arrives here only."""
    seen = {"reached the upstream": (0, 1), "upstream method": (None, method), "upstream target": (None, target)}
    seen |= {"upstream body": (None, ""), "upstream header host": (None, [host])}
    seen |= {f"upstream header {name}": (None, [value]) for name, value in headers.items()}
    return [(case, aspect, envoy, here) for aspect, (envoy, here) in seen.items()]


BROKEN = "upstream connect error or disconnect/reset before headers. reset reason: "
# For how a call can fail, the answer that Envoy makes up.
ANSWERS = {
    "is not there": (503, f"{BROKEN}remote connection failure"),
    "answers otherwise": (502, f"{BROKEN}protocol error"),
    "does not answer in time": (504, "upstream request timeout"),
}


def failures():
    here = report("response")
    for how, (status, body) in ANSWERS.items():
        there = report("response", [[":status", str(status)]], body)
        yield f"calls: a service that {how}", "body", there, here
        yield f"calls: a service that {how}", "response header content-length", [str(len(there))], [str(len(here))]


DIFFERENCES = [
    Difference(
        CALLS,
        "An HTTP call without `:method`, `:path` or `:authority`",
        "BadArgument",
        "it is made with GET, `/`, the name of the service",
        "filters of other hosts rely on that, and take a status for a reason to let the request pass",
        [
            *reports("calls: no method", REFUSED, answered("0123456789\n")),
            *arrives("calls: no method", "GET", "/text", "a"),
            *reports("calls: no path", REFUSED, answered()),
            *arrives("calls: no path", "HEAD", "/", "a"),
            *reports("calls: no authority", REFUSED, answered()),
            *arrives("calls: no authority", "HEAD", "/text", "h1"),
        ],
    ),
    Difference(
        CALLS,
        "Control bytes in headers of an HTTP call",
        "the callback gets a response 503 that Envoy makes up",
        "they go out, but for CR, LF and NUL",
        "nginx takes them from clients, and passes them on in the same way",
        [
            rule
            for name, code in (("a bell", "\x07"), ("DEL", "\x7f"))
            for case in [f"calls: a header with {name}"]
            for rule in reports(case, MADE_UP, answered()) + arrives(case, "HEAD", "/text", "h1", x=f"a{code}b")
        ],
    ),
    Difference(
        CALLS,
        "A space in the path of an HTTP call",
        "it goes out, where it ends the path",
        "it goes out as `%20`",
        "what follows it would be another part of the request line; filters hand on paths that they have decoded",
        [("calls: a space in the path", "upstream target", "/a", "/a%20b")],
    ),
    Difference(
        CALLS,
        "An HTTP call that fails or takes too long",
        "the callback gets a response 502, 503 or 504 that Envoy makes up",
        "it gets no headers, and `proxy_get_status` tells why",
        "so a filter can tell it from an answer; SDKs give 0 headers for it",
        [
            *failures(),
            *reports("calls: a header with a line break", MADE_UP, FAILED),
            *reports("calls: a header with a NUL", MADE_UP, FAILED),
        ],
    ),
    Difference(
        CALLS,
        "Buffer 9",
        "BadArgument",
        "NotFound outside of the callback that has it",
        "it is the reply of a Redis server, for the plugins of Higress",
        [("statuses: unknown buffers*", "*: buffer 9 *", "2", "1")],
    ),
]
