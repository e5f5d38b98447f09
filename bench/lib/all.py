"""Everything in one run: what filters cost beside nginx alone, nginx's own directives, Lua, and Envoy with the same .wasm;
named in nginx.conf, called from Lua, and with an instance for each request.

  bench/run all [installed | vendored | /path/to/configured/objs] [OPTION...]

  --short          a few minutes: fewer and shorter rounds, without large guests (and to build/bench/results)
  --works          only these works, as a list with commas (bench/lib/cases.py has them); the bases are always there
  --rounds         how many rounds of load (default 6), and of requests at a fixed rate (default half of them)
  --seconds        of load in a slice (default 0.5); a slice at a fixed rate is twice as long
  --requests       how many are counted for instructions (default 300), 0 to leave that out
  --no-life        leaves out start and reload
  --results        the folder for results.json and the plots (default bench/results)
  --write-docs     puts the tables into README.md and docs/performance.md

One server with one worker runs for each case, all at once, on a processor of its own; clients and the upstream have the
others. In each round every server gets a slice, so compare figures of one run only. Measured of each: microseconds of the
worker's processor time for a request, user and system; requests in a second at 50 connections (wrk); p50 and p99 at a fixed
rate, from when a request was due (a client of our own, since wrk has no fixed rate); memory; instructions for a request in
user space (callgrind; not Envoy's, which makes code while it runs); start and reload.
"""

import argparse
import datetime
import os
import subprocess
import sys
import time

import report
from callgrind import count_each
from cases import all_cases, usable
from fleet import Fleet, has_envoy, start_upstream
from life import measure_life
from measure import Figures, fixed_rate_rounds, memory, saturated_rounds
from nginx import BINARY, MODULE, PREFIX, ROOT, cache_folder
from processes import load_average, machine, output_of
from toolchain import rustc_of

MEASURED = ("src", "ngx_module", "Cargo.toml", "Cargo.lock")
LARGE = ("go", "transformer", "jwt", "coraza")


def options():
    parser = argparse.ArgumentParser(prog="bench/run all", add_help=False)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--works", default="")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--no-life", action="store_true")
    parser.add_argument("--results")
    parser.add_argument("--write-docs", action="store_true")
    chosen = parser.parse_args()
    usual = {"rounds": 2, "seconds": 0.25, "requests": 100} if chosen.short else {"rounds": 6, "seconds": 0.5, "requests": 300}
    for name, value in usual.items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    chosen.results = chosen.results or os.path.join(PREFIX if chosen.short else os.path.join(ROOT, "bench"), "results")
    return chosen


def chosen_cases(chosen):
    cases = all_cases()
    works = {case.work.name for case in cases}
    if chosen.works:
        names = chosen.works.split(",")
        if unknown := [name for name in names if name not in works]:
            sys.exit(f"there is no work '{unknown[0]}'; there are {', '.join(sorted(works))}")
    else:
        names = [name for name in works if not (chosen.short and name in LARGE)]
    wanted = [case for case in cases if case.work.name in names and (case.way != "envoy" or has_envoy())]
    bases = {case.base for case in wanted} | {"plain"}
    return usable([case for case in cases if case in wanted or case.name in bases])


def git(*arguments):
    result = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""


def about(chosen):
    """What the figures are figures of."""
    envoy = os.environ.get("BENCH_ENVOY", "")
    return {
        "date": datetime.date.today().isoformat(),
        # The last one that has changed what is measured.
        "commit": git("log", "-1", "--format=%h", "--abbrev=10", "--", *MEASURED),
        "changed_since": bool(git("status", "--porcelain", "--untracked-files=no", "--", *MEASURED)),
        "nginx": output_of(BINARY, "-v").removeprefix("nginx version: "),
        "envoy": os.path.basename(envoy.split("/envoy/_bin/")[0]) if envoy else None,
        "rustc": rustc_of(MODULE),
        "machine": machine(),
        "load_before": load_average(),
        "settings": {
            "rounds": chosen.rounds, "seconds": chosen.seconds, "requests": chosen.requests, "short": chosen.short,
        },
    }


def counted_pairs(cases, is_short):
    """Of what instructions are counted: cases with their forms. Not of what valgrind would take too long for: of the large
    guests once, as far as they are compiled in a minute."""
    for case in cases:
        is_large = case.work.name in LARGE
        if case.way == "envoy" or case.work.name in ("transformer", "coraza") or (is_large and case.way in ("from-lua", "request")):
            continue
        if not is_short:
            yield from ((case, form) for form in case.forms)
        elif case.way in ("lua", "wasm") or case.work.name == "plain":
            yield case, case.forms[0]


def count_instructions(cases, figures, chosen):
    upstream = start_upstream()
    try:
        for (case, form), figure in count_each(list(counted_pairs(cases, chosen.short)), upstream.port, chosen.requests):
            figures.form(case, form)["instructions"] = figure
    finally:
        upstream.stop()


def main():
    chosen = options()
    began = time.monotonic()
    cases = chosen_cases(chosen)
    results = {"about": about(chosen)}
    cache = cache_folder()
    figures = Figures(cases)
    with Fleet(cases, cache) as fleet:
        saturated_rounds(fleet, figures, chosen.rounds, chosen.seconds)
        fixed_rate_rounds(fleet, figures, (chosen.rounds + 1) // 2, 2 * chosen.seconds)
        memory(fleet, figures)
        complaints = fleet.errors()
        results["left_out"] = fleet.left_out
        cases = fleet.cases
    if chosen.requests:
        count_instructions(cases, figures, chosen)
    results["cases"] = {case.name: figures.of[case.name] for case in cases}
    results["life"] = {} if chosen.no_life else measure_life(results["cases"], cache)
    results["about"]["minutes"] = round((time.monotonic() - began) / 60, 1)

    os.makedirs(chosen.results, exist_ok=True)
    with open(os.path.join(chosen.results, "results.json"), "w") as out:
        out.write(report.as_json(results))
    report.write(results, chosen.results, chosen.write_docs)
    for name, line in complaints[:20]:
        print(f"the error log of {name} has: {line[:300]}", file=sys.stderr)
    if complaints:
        sys.exit("servers have complained, see above")


if __name__ == "__main__":
    main()
