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

The cases: bench/lib/servers.py. Counts of valgrind are the same on an idle and on a busy machine, but know nothing of
the kernel and of caches. Guest code has no symbols: it shows without names.
"""

import argparse
import glob
import os
import re
import shutil
import socket
import subprocess
import sys

from servers import BODY, FORMS, PREFIX, Nginx, Wrk, cases, find_case, free_ports, usable

WARM_UP = 200


def need(*tools):
    for tool, package in tools:
        if not shutil.which(tool):
            sys.exit(f"there is no {tool}; as root: apt-get install --no-install-recommends {package}")


def requests(nginx, form, count):
    """Sends requests one after the other over one connection: the same work in every run."""
    with socket.create_connection(("127.0.0.1", nginx.port), 120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message = f"GET /{form} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        end = BODY.encode()
        for _ in range(count):
            connection.sendall(message)
            answer = b""
            while not answer.endswith(end):
                piece = connection.recv(65536)
                if not piece:
                    sys.exit(f"{nginx.name}: the connection was closed after {answer!r}")
                answer += piece


def control(pid, *arguments):
    result = subprocess.run(["callgrind_control", *arguments, str(pid)], capture_output=True, text=True)
    if result.returncode != 0 or "Error" in result.stdout + result.stderr:
        sys.exit(f"callgrind_control {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")


def callgrind(case, form, count, upstream):
    """Runs `count` requests in the worker under callgrind. Returns the file with the profile."""
    nginx = Nginx(f"callgrind-{case.name}", free_ports(1)[0])
    nginx.configure_case(case, upstream.port)
    profile = os.path.join(nginx.prefix, "profile")
    # Without instrumentation at the start: compiling the guests would take minutes and is not asked for.
    wrapper = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-instr=no", "--collect-jumps=no",
        "--smc-check=all-non-file", "--log-file=" + os.path.join(nginx.prefix, "valgrind.log"),
        "--callgrind-out-file=" + profile,
    ]
    try:
        nginx.start(wrapper, single_process=True, patience=300)
        nginx.check(case)
        control(nginx.pid, "--instr=on")
        requests(nginx, form, WARM_UP)
        control(nginx.pid, "--zero")
        requests(nginx, form, count)
        control(nginx.pid, "--dump")
    finally:
        nginx.stop()
    dumps = [path for path in glob.glob(profile + ".*") if re.search(r"\.1$", path)]
    if not dumps:
        sys.exit(f"callgrind left no profile in {nginx.prefix}")
    return dumps[0]


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
    need(("valgrind", "valgrind"))
    chosen = [find_case(name) for name in names] if names else usable(cases())
    upstream = start_upstream()
    totals = {}
    try:
        for case in chosen:
            for form in FORMS:
                print(f"{case.name}, {form}", file=sys.stderr)
                totals[case.name, form] = annotate(callgrind(case, form, count, upstream))[0] / count
    finally:
        upstream.stop()
    print(f"{os.environ['BENCH_NGINX_TITLE']}; instructions of the worker per request in user space, {count} requests")
    print(f"  {'case':<16}" + "".join(f"{form:>10}{'less ' + chosen[0].name:>13}" for form in FORMS))
    for case in chosen:
        cells = ""
        for form in FORMS:
            total, base = totals[case.name, form], totals[chosen[0].name, form]
            cells += f"{total:>10.0f}" + (f"{total - base:>+13.0f}" if case is not chosen[0] else f"{'':>13}")
        print(f"  {case.name:<16}{cells}")


def functions(case, form, count, top):
    need(("valgrind", "valgrind"))
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
        nginx.check(case)
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


def start_upstream():
    upstream = Nginx("profile-upstream", free_ports(1)[0])
    upstream.configure_upstream()
    upstream.start()
    return upstream


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
        sys.exit("which case? " + ", ".join(case.name for case in cases()))
    for name in arguments.cases:
        if arguments.callgrind:
            functions(find_case(name), form, arguments.requests, arguments.top)
        else:
            sampled(find_case(name), form, arguments.seconds, arguments.top)


main()
