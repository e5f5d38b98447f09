"""Sends many requests through a chain of two filters, Rust then Go, in front of an upstream, and fails when a request
fails, or when the worker has grown by more than 2 MiB since it was warm.

  bench/run soak [installed | vendored | /path/to/configured/objs] [--seconds N] [--warm-up N] [--case NAME]

  --seconds   how long (default 30), with 50 connections
  --warm-up   how long before that (default 5)
  --case      another configuration than rust+go: bench/lib/cases.py
"""

import argparse
import os
import sys

from cases import find_case
from fleet import check
from load import Wrk
from nginx import Nginx
from processes import free_ports, memory_kib

CONNECTIONS = 50
GROWTH_KIB = 2048


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def main():
    parser = argparse.ArgumentParser(prog="bench/run soak", add_help=False)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--case", default="rust+go")
    arguments = parser.parse_args()

    case = find_case(arguments.case)
    ports = free_ports(2)
    upstream, nginx = Nginx("soak-upstream", ports[0]), Nginx("soak", ports[1])
    upstream.configure_upstream()
    nginx.configure_case(case, upstream.port)
    try:
        upstream.start()
        nginx.start()
        check(nginx, case)
        worker = nginx.pid
        warm = Wrk(nginx.url("proxied"), CONNECTIONS, arguments.warm_up)
        before = memory_kib(worker)
        before_descriptors = descriptors(worker)
        run = Wrk(nginx.url("proxied"), CONNECTIONS, arguments.seconds)
        after = memory_kib(worker)
        after_descriptors = descriptors(worker)
        check(nginx, case)
        same_worker = nginx.current_worker() == worker
        complaints = nginx.errors()
    finally:
        nginx.stop()
        upstream.stop()

    print(f"{os.environ['BENCH_NGINX_TITLE']}, {case.name}: {case.explanation}")
    print(f"  requests               {run.requests:>10} in {arguments.seconds} s, {CONNECTIONS} connections, proxied "
          f"(and {warm.requests} to warm up)")
    print(f"  errors, non-2xx        {'; '.join(warm.problems + run.problems) or 'none':>10}")
    print(f"  lines in the error log {len(complaints):>10} (warn and worse)")
    print(f"  worker RSS             {before[0]:>10} KiB warm, {after[0]} KiB at the end: {after[0] - before[0]:+} KiB")
    print(f"  private part of it     {before[1]:>10} KiB warm, {after[1]} KiB at the end: {after[1] - before[1]:+} KiB")
    print(f"  open descriptors       {before_descriptors:>10} warm, {after_descriptors} at the end")

    failures = warm.problems + run.problems + complaints[:20]
    if not run.requests:
        failures.append("no request was answered")
    if not same_worker:
        failures.append("the worker is another one than at the start")
    if after[0] - before[0] > GROWTH_KIB:
        failures.append(f"the worker has grown by more than {GROWTH_KIB} KiB")
    if after_descriptors > before_descriptors + CONNECTIONS:
        failures.append("the worker has many more descriptors open than after the warm-up")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


main()
