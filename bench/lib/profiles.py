"""Shows where a request's time goes in the worker, with perf or valgrind (Debian: linux-perf, valgrind).

  bench/run profile [--nginx NGINX] [--proxied] [--seconds N] [--top N] CASE...
      perf: the functions, user space and kernel, that were seen running most often, under wrk
  bench/run profile --callgrind [--nginx NGINX] [--proxied] [--requests N] [--top N] CASE...
      valgrind: instructions per request of each function in user space
  bench/run profile --instructions [--nginx NGINX] [--requests N] [CASE...]
      valgrind: instructions per request in total, of all cases or of these; the first is what the others are compared with

  --nginx     installed (default), vendored, or the path of a configured objs folder
  --proxied   with proxy_pass to an upstream instead of 'return 200'
  --requests  how many requests are counted (default 2000)
  --seconds   how long perf looks on (default 5)
  --top       how many functions (default 30)

The cases: bench/lib/cases.py. Counts of valgrind are the same on an idle and on a busy machine, but know nothing of
the kernel and of caches. --instructions leaves out what is chance (`total_of` in bench/lib/callgrind.py), --callgrind does
not. Guest code has no symbols: it shows without names.
"""

import argparse
import os
import re
import subprocess
import sys

from callgrind import Counted, count_each, need
from cases import bases, find_case, more_cases, usable, works, cases_of
from fleet import check, start_upstream
from load import Wrk
from nginx import FORMS, Nginx
from processes import free_ports

WARM_UP = 200


def callgrind(case, form, count, upstream):
    """Runs `count` requests in the worker under callgrind. Returns the file with the profile."""
    with Counted(case, upstream.port, form) as counted:
        counted.begin(form, WARM_UP)
        counted.send(form, count)
        return counted.dump()


def usual_cases():
    """Plain nginx, and each work as our filter does it, in both forms; without those that are long in compiling."""
    own = [case for row in works() for case in cases_of(*row) if case.way in ("wasm", "lua") and case.forms == FORMS]
    return usable([case for case in (*bases(), *own, *more_cases()) if case.way != "envoy" and case.forms == FORMS])


def annotate(profile, *options):
    result = subprocess.run(
        ["callgrind_annotate", "--auto=no", "--threshold=100", *options, profile],
        capture_output=True, text=True, check=True,
    )
    total, functions = None, []
    for line in result.stdout.splitlines():
        match = re.match(r"\s*([\d,]+) (?:\(\s*[\d.]+%\) )?\s*(.*)", line)
        if not match:
            continue
        count, rest = int(match[1].replace(",", "")), match[2]
        if rest.startswith("PROGRAM TOTALS"):
            total = count
        elif total is not None and rest:
            functions.append((count, tidy(rest)))
    if total is None:
        sys.exit(f"callgrind_annotate did not understand {profile}")
    return total, functions


def tidy(name):
    """'file:function [object]' as function and base name of the object."""
    match = re.match(r"[^:]*:(.*?)(?: \[(.*)\])?$", name)
    function, binary = (match[1], match[2]) if match else (name, None)
    if not binary or binary == "???":
        return "guest code", "guest"
    return function, os.path.basename(binary)


def merged(functions, key=lambda name: name):
    """Sums by name: callgrind lists a function once for each source file, and each piece of guest code."""
    sums = {}
    for count, name in functions:
        sums[key(name)] = sums.get(key(name), 0) + count
    return sorted(((count, name) for name, count in sums.items()), reverse=True)


def print_functions(title, functions, count, top):
    print(f"\n{title}, instructions per request")
    for cost, (function, binary) in functions[:top]:
        print(f"  {cost / count:>9.1f}  {function} [{binary}]")


def instructions(names, count):
    chosen = [find_case(name) for name in names] if names else usual_cases()
    upstream = start_upstream()
    try:
        pairs = [(case, form) for case in chosen for form in FORMS if form in case.forms]
        totals = {(case.name, form): total for (case, form), total in count_each(pairs, upstream.port, count, WARM_UP)}
    finally:
        upstream.stop()
    print(f"{os.environ['BENCH_NGINX_TITLE']}; instructions of the worker per request in user space, {count} requests")
    print(f"  {'case':<20}" + "".join(f"{form:>10}{'less ' + chosen[0].name:>13}" for form in FORMS))
    for case in chosen:
        cells = ""
        for form in FORMS:
            total, base = totals.get((case.name, form)), totals.get((chosen[0].name, form))
            cells += f"{'-' if total is None else round(total):>10}"
            cells += f"{'':>13}" if case is chosen[0] or not total or not base else f"{total - base:>+13.0f}"
        print(f"  {case.name:<20}{cells}")


def functions(case, form, count, top):
    upstream = start_upstream()
    try:
        profile = callgrind(case, form, count, upstream)
    finally:
        upstream.stop()
    total, exclusive = annotate(profile)
    _, inclusive = annotate(profile, "--inclusive=yes")
    print(f"{os.environ['BENCH_NGINX_TITLE']}; {case.name}, {form}: {total / count:.0f} instructions per request "
          f"in user space, {count} requests")
    print("\nby object, instructions per request")
    for cost, binary in merged(exclusive, lambda name: name[1]):
        print(f"  {cost / count:>9.1f}  {binary}")
    print_functions("exclusive", merged(exclusive), count, top)
    print_functions("inclusive (with what they call)", sorted(inclusive, reverse=True), count, top)


def sampled(case, form, seconds, top):
    """perf: samples user space and kernel by the CPU's clock, also where there are no hardware counters."""
    need(("perf", "linux-perf"))
    upstream = start_upstream()
    nginx = Nginx(f"perf-{case.name}", free_ports(1)[0])
    nginx.configure_case(case, upstream.port)
    data = os.path.join(nginx.prefix, "perf.data")
    try:
        nginx.start()
        check(nginx, case)
        Wrk(nginx.url(form), 50, 1)
        record = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-p", str(nginx.pid), "-o", data,
             "--", "sleep", str(seconds)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        wrk = Wrk(nginx.url(form), 50, seconds + 1)
        output = record.communicate()[0]
    finally:
        nginx.stop()
        upstream.stop()
    if record.returncode != 0:
        sys.exit(f"perf record does not work here; try bench/run profile {case.name} --callgrind:\n{output}")
    if wrk.problems:
        sys.exit(f"{case.name}: {wrk.problems}")
    for title, sort in (("by object", "dso"), ("by function", "dso,symbol")):
        report = subprocess.run(
            ["perf", "report", "-i", data, "--stdio", "--percent-limit", "0.1", "--sort", sort],
            capture_output=True, text=True,
        )
        lines = [line.rstrip() for line in report.stdout.splitlines() if line.strip() and not line.startswith("#")]
        print(f"\n{case.name}, {form}: {title}, share of the samples (guest code is in [JIT] or unknown)")
        print("\n".join(lines[:top]))


def main():
    parser = argparse.ArgumentParser(prog="bench/run profile", add_help=False)
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--callgrind", action="store_true")
    parser.add_argument("--proxied", action="store_true")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--top", type=int, default=30)
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    form = "proxied" if arguments.proxied else "direct"
    if arguments.instructions:
        instructions(arguments.cases, arguments.requests)
        return
    if not arguments.cases:
        sys.exit("which case? " + ", ".join(case.name for case in usual_cases()))
    for name in arguments.cases:
        if arguments.callgrind:
            functions(find_case(name), form, arguments.requests, arguments.top)
        else:
            sampled(find_case(name), form, arguments.seconds, arguments.top)


main()
