"""Compares the instructions that a request costs in the worker with the figures of bench/expected.json, and fails when one
of them is more than 3 % above. It knows no clock, so it holds on a busy machine. Part of make test (t/90-build/instructions.t).

  bench/run guard [installed | vendored | /path/to/configured/objs] [--renew]

  --renew   writes the figures that are found into bench/expected.json: when a change is worth what it costs, when it saves
            more than 3 %, or for another compiler

The figures depend on compilers, nginx, the C library, valgrind (which says what the processor can do), and for
rust-request on the kernel. Where one of them is another, nothing is compared, and the output says so. The module has to be
what `make build` makes. Output is in TAP.
"""

import argparse
import json
import os
import platform
import re
import sys

from callgrind import Unseen, count_each
from cases import all_cases, bases
from fleet import start_upstream
from nginx import BINARY, MODULE, ROOT
from processes import output_of
from toolchain import go_of, rustc_of

FILE = os.path.join(ROOT, "bench/expected.json")
# Without filters: the whole request. Each of the others: what it adds to that.
BASE = "loaded"
CASES = (BASE, "wat", "rust", "go", "five", "rust-request")
FORM = "direct"
REQUESTS, WARM_UP = 400, 200
MOST_PERCENT = 3
# What of the surroundings matters to one case alone.
OWN = {"go": "go", "rust-request": "kernel"}


def surroundings():
    """What the figures depend on."""
    with open("/proc/cpuinfo") as cpuinfo:
        flags = next((line for line in cpuinfo if line.startswith("flags")), "").split()
    nginx = re.search(r"nginx/(\S+)", output_of(BINARY, "-v"))
    return {
        "nginx": f"{nginx[1] if nginx else '?'} ({os.environ.get('BENCH_NGINX_KIND', '?')})",
        "rustc": rustc_of(MODULE),
        "libc": " ".join(platform.libc_ver()),
        # By these the C library chooses its functions, in valgrind too.
        "processor": " ".join([platform.machine(), *(flag for flag in ("avx2", "bmi2", "erms", "fsrm") if flag in flags)]),
        "valgrind": output_of("valgrind", "--version"),
        "go": go_of(os.path.join(ROOT, "build/guests/go-headers.wasm")),
        "kernel": ".".join(platform.release().split(".")[:2]),
    }


def differences(expected, here, names):
    return [f"{name} is {here[name]}, not {expected[name]}" for name in names if here[name] != expected[name]]


def measure(names):
    """Figures by the names of cases."""
    chosen = {case.name: case for case in (*bases(), *all_cases()) if case.name in names}
    upstream = start_upstream()
    try:
        counted = count_each([(chosen[name], FORM) for name in names], upstream.port, REQUESTS, WARM_UP)
    finally:
        upstream.stop()
    totals = {case.name: total for (case, _), total in counted}
    return {name: round(total - (0 if name == BASE else totals[BASE])) for name, total in totals.items()}


def compare(name, found, expected):
    """A line of TAP, and what there is to say about it."""
    percent = (found - expected) / expected * 100
    line = f"{name}: {found} instructions, {percent:+.1f} % of the {expected} that are expected"
    if percent > MOST_PERCENT:
        return False, line, "if that is worth it, or the module is not what 'make build' makes: bench/run guard --renew"
    if percent < -MOST_PERCENT:
        return True, line, "fewer than expected: bench/run guard --renew, so that it stays so"
    return True, line, None


def renew(here):
    found = measure(CASES)
    with open(FILE, "w") as out:
        json.dump({"measured_with": here, "instructions": found}, out, indent=2)
        out.write("\n")
    for name, figure in found.items():
        print(f"# {name}: {figure}")


def main():
    parser = argparse.ArgumentParser(prog="bench/run guard", add_help=False)
    parser.add_argument("--renew", action="store_true")
    here = surroundings()
    if parser.parse_args().renew:
        renew(here)
        return
    with open(FILE) as file:
        expected = json.load(file)
    known, figures = expected["measured_with"], expected["instructions"]
    others = [name for name in known if name not in OWN.values()]
    if apart := differences(known, here, others):
        print(f"1..0 # SKIP bench/expected.json was measured elsewhere: {'; '.join(apart)}")
        return
    apart = {name: differences(known, here, [what]) for name, what in OWN.items()}
    try:
        found = measure([name for name in CASES if not apart.get(name)])
    except Unseen as error:
        print(f"1..0 # SKIP {error}")
        return
    print(f"1..{len(CASES)}")
    failed = False
    for number, name in enumerate(CASES, 1):
        if name not in found:
            print(f"ok {number} - {name} # skip {apart[name][0]}")
            continue
        good, line, remark = compare(name, found[name], figures[name])
        failed = failed or not good
        print(f"{'ok' if good else 'not ok'} {number} - {line}")
        if remark:
            print(f"# {name}: {remark}", file=sys.stdout if good else sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
