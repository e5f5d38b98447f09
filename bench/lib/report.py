"""The table of a run, its plots, and the tables on the pages.

  bench/run report [--results DIR] [--write-docs]

  --results      where results.json is, and the plots go (default bench/results)
  --write-docs   puts the tables into README.md and docs/performance.md
"""

import argparse
import json
import os
import re

from nginx import ROOT
from plots import Plots
from summary import WAY_TITLES, Summary
from svg import number

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
README_WORKS = ("noop", "wat", "hello", "headers", "body", "rust", "five")
README_WAYS = ("nginx", "lua", "envoy", "wasm", "from-lua", "request")
FORMS = {"direct": "the server answers by itself", "proxied": "in front of an upstream"}


def as_json(results):
    """Readable: figures of rounds in one line, with the digits that mean something."""
    rounded = json.loads(json.dumps(results), parse_float=lambda text: float(f"{float(text):.5g}"))
    text = json.dumps(rounded, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n"


def microseconds(value):
    return "–" if value is None else number(value.median)


def with_range(value):
    return "–" if value is None else f"{number(value.median)} ({number(value.low)} to {number(value.high)})"


# For the terminal.


def print_table(summary):
    about = summary.results["about"]
    print(f"{about['nginx']}, Envoy {about['envoy']}, rustc {about['rustc']}, commit {about['commit']}, {about['date']}")
    machine = about["machine"]
    print(f"{machine['processors']} processors {machine['processor']}, load before the run {about['load_before']:.1f}")
    print("\nµs: processor time for a request, median of the rounds (least to most); what it is beyond the base's; requests in a")
    print("second at 50 connections. Latency at a fixed rate (per second). Instructions beyond plain nginx's. Memory in MiB.\n")
    for form, title in FORMS.items():
        print(f"{form} ({title})")
        print(f"  {'case':<24}{'µs':>9}{'added':>9}{'least to most':>20}{'per second':>12}{'instructions':>14}")
        for name, case in summary.cases.items():
            if form not in case["forms"]:
                continue
            cpu, per_second = summary.figure(name, form, "cpu_us"), summary.figure(name, form, "per_second")
            added, instructions = summary.added(name, form), summary.instructions(name, form)
            span = f"{number(added.low)} to {number(added.high)}" if added else ""
            print(
                f"  {name:<24}{number(cpu.median):>9}{number(added.median) if added else '':>9}{span:>20}"
                f"{per_second.median:>12,.0f}{'' if instructions is None else f'{instructions:+,.0f}':>14}"
            )
        print()
    print(f"  {'case':<24}{'form':>9}{'rate':>7}{'p50, µs':>10}{'p99, µs':>10}{'RSS':>9}{'private':>9}")
    for name, case in summary.cases.items():
        form, rate, p50, p99 = summary.latency(name)
        memory = f"{case['rss_kib'] / 1024:>9.1f}{case['private_kib'] / 1024:>9.1f}"
        print(f"  {name:<24}{form:>9}{rate:>7}{p50.median:>10,.0f}{p99.median:>10,.0f}{memory}")
    if summary.results["life"]:
        print("\n".join(["", *(line.replace("|", " ") for line in life(summary) if "---" not in line)]))
    for name, why in summary.results["left_out"].items():
        print(f"left out: {name}: {why}")


# For pages.


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def by_ways(summary, works, ways, cell):
    """A row for each work, a column for each way; those of which nothing is known are left out."""
    titles = summary.works()
    cells = {}
    for work in works:
        if work in titles:
            names = [summary.name(work, way) for way in ways]
            cells[work] = [cell(name) if name else "–" for name in names]
    used = [n for n in range(len(ways)) if any(row[n] != "–" for row in cells.values())]
    rows = [[titles[work], *(row[n] for n in used)] for work, row in cells.items() if any(text != "–" for text in row)]
    return table(["", *(WAY_TITLES[ways[n]] for n in used)], rows)


def both_forms(of):
    """Cells of `direct / proxied`, from what `of` says of a name and a form."""

    def cell(name):
        texts = [of(name, form) for form in FORMS]
        return "–" if texts == ["–", "–"] else " / ".join(texts)

    return cell


def life(summary):
    def milliseconds(values, what):
        return number(values[what]) if what in values else "–"

    rows = [
        [f"`{name}`", *(milliseconds(values, what) for what in ("check_ms", "check_kept_ms", "start_ms", "reload_ms"))]
        for name, values in summary.results["life"].items()
    ]
    return table(["case", "`nginx -t`, ms", "with `cache_dir`", "start until an answer, ms", "reload until an answer, ms"], rows)


def origin(summary):
    about = summary.results["about"]
    machine = about["machine"]
    changed = " with changes" if about["changed_since"] else ""
    return (
        f"{about['date']}, commit {about['commit']}{changed}, {about['nginx']}, Envoy {about['envoy']}, rustc {about['rustc']}; "
        f"{machine['processors']} processors ({machine['processor']}{', virtual' if machine['virtual'] else ''}), "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['libc']}; "
        f"{about['settings']['rounds']} rounds, load average {about['load_before']:.1f} before the run."
    )


def for_readme(summary):
    cell = both_forms(lambda name, form: microseconds(summary.added(name, form)))
    return [
        origin(summary), "",
        "Microseconds of the worker's processor time that a filter adds to a request, when the server answers by itself / in front "
        "of an upstream:", "",
        *by_ways(summary, README_WORKS, README_WAYS, cell),
    ]


def for_performance(summary):
    works = list(summary.works())
    ways = list(WAY_TITLES)

    def in_a_second(name, form):
        found = summary.figure(name, form, "per_second")
        return f"{found.median:,.0f}" if found else "–"

    lines = [
        origin(summary), "",
        "### Nothing to do", "",
        "Processor time for a request, in microseconds; requests in a second at 50 connections.", "",
        *table(
            ["", "form", "µs (least to most)", "per second"],
            [
                [f"`{name}`", form, with_range(summary.figure(name, form, "cpu_us")), in_a_second(name, form)]
                for name, case in summary.cases.items() if case["work"] in ("plain", "loaded") for form in case["forms"]
            ],
        ),
    ]
    for form, title in FORMS.items():
        lines += ["", f"### Processor time added, {title}", "", "Microseconds for a request: median (least to most).", ""]
        lines += [f"![](../bench/results/cpu-{form}.svg)", ""]
        lines += by_ways(summary, works, ways, lambda name: with_range(summary.added(name, form)))
    lines += ["", "![](../bench/results/cpu-large.svg)", "", "![](../bench/results/isolation.svg)", ""]
    lines += ["### Requests in a second", "", "At 50 connections, direct / proxied.", "", "![](../bench/results/throughput.svg)", ""]
    lines += by_ways(summary, works, ways, both_forms(in_a_second))
    lines += ["", "### Latency", "", "p50 / p99 in microseconds, and the rate in requests per second.", ""]
    lines += ["![](../bench/results/latency.svg)", ""]

    def latency(name):
        _, per_second, p50, p99 = summary.latency(name)
        return f"{p50.median:,.0f} / {p99.median:,.0f} at {per_second}"

    lines += by_ways(summary, works, ways, latency)
    instructions = both_forms(lambda name, form: "–" if (found := summary.instructions(name, form)) is None else f"{found:,.0f}")
    if any("instructions" in values for case in summary.cases.values() for values in case["forms"].values()):
        lines += ["", "### Instructions", "", "In user space, beyond those of plain nginx, direct / proxied.", ""]
        lines += ["![](../bench/results/instructions.svg)", ""]
        lines += by_ways(summary, works, ways, instructions)
    lines += ["", "### Memory", "", "MiB of the worker after the load (of Envoy: the process): all that is resident (RSS) / what it shares with nobody.", ""]
    lines += by_ways(
        summary, works, ways,
        lambda name: f"{summary.cases[name]['rss_kib'] / 1024:.1f} / {summary.cases[name]['private_kib'] / 1024:.1f}",
    )
    if summary.results["life"]:
        lines += ["", "### Start and reload", "", *life(summary)]
    if left_out := summary.results["left_out"]:
        lines += ["", "Left out, since Envoy does not run it: " + "; ".join(f"`{name}` ({why})" for name, why in left_out.items()) + "."]
    return lines


def put(path, lines):
    """Between the marks of a page."""
    with open(path) as page:
        before, _, rest = page.read().partition(BEGIN)
    _, _, after = rest.partition(END)
    with open(path, "w") as page:
        page.write(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after)


def write(results, folder, in_docs):
    summary = Summary(results)
    print_table(summary)
    Plots(summary, folder).all()
    if in_docs:
        put(os.path.join(ROOT, "README.md"), for_readme(summary))
        put(os.path.join(ROOT, "docs/performance.md"), for_performance(summary))


def main():
    parser = argparse.ArgumentParser(prog="bench/run report", add_help=False)
    parser.add_argument("--results", default=os.path.join(ROOT, "bench/results"))
    parser.add_argument("--write-docs", action="store_true")
    chosen = parser.parse_args()
    with open(os.path.join(chosen.results, "results.json")) as file:
        write(json.load(file), chosen.results, chosen.write_docs)


if __name__ == "__main__":
    main()
