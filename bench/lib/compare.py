"""Compares the CPU that one request costs: plain nginx, Lua adding a response header, and filters adding the same one.

  bench/run filters [installed | vendored | /path/to/configured/objs] [--rounds N] [--seconds N] [--cases NAME,NAME...]

  --rounds    how many rounds (default 8); each gives every case a slice, direct and proxied
  --seconds   how long wrk runs in a slice (default 1)
  --cases     only these; the first is what the others are compared with

One nginx with one worker runs for each case, all at once, on free ports of 127.0.0.1. What is counted is the time that
the worker was on a CPU, user and system, and not wall time; on a busy machine the figures move together, so compare
those of one run only. The names of the cases: bench/lib/servers.py.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

from servers import FORMS, Nginx, Wrk, cases, cpu_ns, find_case, free_ports, memory_kib, usable

CONNECTIONS = 50


def start_up(nginx, times):
    """Median of wall and CPU seconds of 'nginx -t'."""
    walls, cpus = [], []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.monotonic()
        result = subprocess.run(nginx.command("-t"), capture_output=True, text=True)
        walls.append(time.monotonic() - begin)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if result.returncode != 0:
            sys.exit(f"{nginx.name}: nginx -t failed:\n{result.stderr}")
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(walls), statistics.median(cpus)


def slice_cost(nginx, form, seconds):
    """Microseconds of the worker's CPU per request."""
    before = cpu_ns(nginx.pid)
    wrk = Wrk(nginx.url(form), CONNECTIONS, seconds)
    used = cpu_ns(nginx.pid) - before
    if wrk.problems or not wrk.requests:
        sys.exit(f"{nginx.name}, {form}: {wrk.problems or 'no answers'}\n{wrk.output}")
    return used / 1000 / wrk.requests


def quartiles(values):
    ordered = sorted(values)
    if len(ordered) < 4:
        return ordered[0], ordered[-1]
    low, _, high = statistics.quantiles(ordered, n=4)
    return low, high


def table(form, chosen, costs):
    """One line for each case. Differences are taken within a round, where the machine was about equally busy; the last
    two columns are of the slice that was disturbed least."""
    base = costs[chosen[0].name, form]
    differences = {
        case.name: [value - plain for value, plain in zip(costs[case.name, form], base)] for case in chosen
    }
    lua = statistics.median(differences["lua"]) if "lua" in differences else None
    title = {"direct": "direct (return 200)", "proxied": "proxied (proxy_pass, kept-alive upstream)"}[form]
    print(f"\n{title}: CPU of the worker per request, in microseconds")
    base_name = "less " + chosen[0].name
    print(f"  {'case':<16}{'median':>8}{base_name:>14}{'(quartiles)':>18}{'of Lua':>9}{'least':>9}{base_name:>12}")
    for case in chosen:
        line = f"  {case.name:<16}{statistics.median(costs[case.name, form]):>8.2f}"
        if case is not chosen[0]:
            difference = statistics.median(differences[case.name])
            low, high = quartiles(differences[case.name])
            line += f"{difference:>+14.2f}{f'{low:+.2f} to {high:+.2f}':>18}"
            line += f"{difference / lua:>8.2f}x" if lua and lua > 0 else f"{'-':>9}"
            least = min(costs[case.name, form])
            line += f"{least:>9.2f}{least - min(base):>+12.2f}"
        else:
            line += f"{'':>41}{min(base):>9.2f}"
        print(line)


def main():
    parser = argparse.ArgumentParser(prog="bench/run filters", add_help=False)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--cases")
    arguments = parser.parse_args()

    if arguments.cases:
        names = arguments.cases.split(",")
        chosen = [find_case(name) for name in names]
    else:
        chosen = usable(cases())

    ports = free_ports(len(chosen) + 1)
    upstream = Nginx("upstream", ports[-1])
    upstream.configure_upstream()
    servers = []
    try:
        upstream.start()
        start_ups = {}
        for case, port in zip(chosen, ports):
            nginx = Nginx(case.name, port)
            nginx.configure_case(case, upstream.port)
            start_ups[case.name] = start_up(nginx, 3)
            nginx.start()
            nginx.check(case)
            servers.append(nginx)

        seconds = (arguments.rounds * len(chosen) * len(FORMS) + len(chosen) * len(FORMS)) * arguments.seconds
        print(f"{len(chosen)} cases, {arguments.rounds} rounds: about {seconds} seconds", file=sys.stderr)
        for nginx in servers:  # warm-up, not counted
            for form in FORMS:
                slice_cost(nginx, form, arguments.seconds)
        costs = {(case.name, form): [] for case in chosen for form in FORMS}
        for number in range(arguments.rounds):
            for form in FORMS:
                # Another one is first in each round: none always runs after the same one.
                for place in range(len(servers)):
                    nginx = servers[(place + number) % len(servers)]
                    costs[nginx.name, form].append(slice_cost(nginx, form, arguments.seconds))
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)

        memory = {nginx.name: memory_kib(nginx.pid) for nginx in servers}
        complaints = [(nginx.name, line) for nginx in servers for line in nginx.errors()]
    finally:
        for nginx in [*servers, upstream]:
            nginx.stop()

    print(f"{os.environ['BENCH_NGINX_TITLE']}; one worker per case, {CONNECTIONS} kept-alive connections, "
          f"median of {arguments.rounds} rounds of {arguments.seconds} s")
    for case in chosen:
        print(f"  {case.name:<16}{case.explanation}")
    for form in FORMS:
        table(form, chosen, costs)
    print("\nstart-up and memory")
    print(f"  {'case':<16}{'nginx -t, s':>12}{'its CPU, s':>12}{'worker RSS, MiB':>17}{'of it private':>15}")
    for case in chosen:
        wall, cpu = start_ups[case.name]
        rss, private = memory[case.name]
        print(f"  {case.name:<16}{wall:>12.2f}{cpu:>12.2f}{rss / 1024:>17.1f}{private / 1024:>15.1f}")
    if complaints:
        print("\nthe error logs have:")
        for name, line in complaints[:20]:
            print(f"  {name}: {line}")
        sys.exit(1)


main()
