"""What the same filters cost on Wasmtime, on its interpreter and on WasmEdge: processor time of requests, memory of the worker, `nginx -t`
without and with compiled code in the cache. The library of WasmEdge must be installed (docs/engines.md), or that engine left out.

  bench/run engines [installed | vendored | /path/to/configured/objs] [--engines NAME,NAME...] [--works NAME,NAME...] [--rounds N]
      [--seconds N] [--optimize auto|on|off,...]

In each round every server has a slice of so many seconds of load, beside one with nothing to do: *added* is the difference of both. Shown
are medians of rounds. Works are those of bench/run all that a filter can do on either engine.
"""

import argparse
import statistics
import sys
from dataclasses import replace

from cases import bases, cases_of, usable, works
from fleet import Fleet, make, start_upstream
from life import check_configuration
from measure import Figures, memory, saturated_rounds
from nginx import cache_folder

ENGINES = ("wasmtime", "pulley", "wasmedge")
WORKS = ("wat", "rust", "json")


def cases(names, engines, optimize):
    """Servers with nothing to do, and each work on each engine."""
    ways = [
        (engine if how == "auto" else f"{engine}-{how}", f"wasm_vm {engine};", f"optimize {how};") for engine in engines for how in optimize
    ]
    found = []
    for work, filter_, nginx, lua in works():
        if work.name not in names:
            continue
        (ours,) = [case for case in cases_of(work, filter_, nginx, lua) if case.way == "wasm"]
        found += [replace(ours, name=f"{ours.name}-{way}", http=f"{http} {ours.http}", wasm=wasm) for way, http, wasm in ways]
    wanted = {case.base for case in found}
    return usable([case for case in bases() if case.name in wanted] + found)


def checks(chosen):
    """Milliseconds of processor time of `nginx -t` by case, with nothing in the cache and with all in it."""
    upstream = start_upstream()
    try:
        found = {}
        for case in chosen:
            print(f"nginx -t: {case.name}", file=sys.stderr)
            cold = check_configuration(make(case, upstream.port, None, "check"))[1]
            warm = make(case, upstream.port, cache_folder(), "check")
            check_configuration(warm)
            found[case.name] = (cold * 1000, statistics.median(check_configuration(warm)[1] for _ in range(5)) * 1000)
        return found
    finally:
        upstream.stop()


def main():
    parser = argparse.ArgumentParser(prog="bench/run engines", add_help=False)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--optimize", default="auto")
    arguments = parser.parse_args()
    if cache_folder() is None:
        sys.exit("others can write to build/bench, or to a folder that it is in: nginx would keep no compiled code there")
    chosen = cases(arguments.works.split(","), arguments.engines.split(","), arguments.optimize.split(","))
    ours = [case for case in chosen if case.way == "wasm"]
    if not ours:
        sys.exit(f"no such works; there are {', '.join(row[0].name for row in works())}")
    figures, took = Figures(chosen), checks(ours)
    with Fleet(chosen, cache_folder()) as fleet:
        saturated_rounds(fleet, figures, arguments.rounds, arguments.seconds)
        memory(fleet, figures)
        errors = [(name, line) for name, line in fleet.errors() if "for guests that you trust" not in line]
    print("| case | form | µs a request | added | private memory, MiB | nginx -t, ms | from the cache, ms |\n| --- | --- | --- | --- | --- | --- | --- |")
    for case in ours:
        for form in case.forms:
            kept = figures.form(case, form)
            added = statistics.median(one - base for one, base in zip(kept["cpu_us"], kept["base_us"]))
            cold, warm = took[case.name]
            print(
                f"| {case.name} | {form} | {statistics.median(kept['cpu_us']):.1f} | {added:.1f} | "
                f"{figures.of[case.name]['private_kib'] / 1024:.1f} | {cold:.0f} | {warm:.0f} |"
            )
    if errors:
        sys.exit("\n".join(f"{name}: {line}" for name, line in errors))


main()
