"""Rounds over a fleet of servers: in each, every server gets a slice of load, so that what else the machine does is spread
over all of them. What is kept are the figures of each round. For bench/run all."""

import statistics
import sys

from load import FixedRate, Wrk, message, wrk_script
from nginx import FORMS, PREFIX
from processes import cpu_ns, memory_kib, wake_up_precisely

CONNECTIONS = 50
# Requests per second at a fixed rate, the first one whose microseconds of processor time leave the server idle for four
# fifths of the time.
RATES = (1000, 500, 200, 100, 50, 20, 10, 5)


class Figures:
    """What has been measured of each case, form by form: lists, with a figure for each round."""

    def __init__(self, cases):
        self.of = {
            case.name: {
                "work": case.work.name, "way": case.way, "title": case.explanation, "base": case.base, "forms": {
                    form: {"cpu_us": [], "base_us": [], "per_second": [], "p50_us": [], "p99_us": []} for form in case.forms
                },
            }
            for case in cases
        }

    def form(self, case, form):
        return self.of[case.name]["forms"][form]


def fail(case, form, problems, output=""):
    sys.exit(f"{case.name}, {form}: {problems}\n{output}")


def saturate(server, case, form, seconds):
    """Microseconds of processor time for a request, and how many there were in a second."""
    script = wrk_script(case.work.request, PREFIX)
    for _ in range(10):
        before = cpu_ns(server.pid)
        wrk = Wrk(server.url(form), CONNECTIONS, seconds, script)
        used = cpu_ns(server.pid) - before
        if wrk.problems:
            fail(case, form, wrk.problems, wrk.output)
        if wrk.requests:
            return used / 1000 / wrk.requests, wrk.per_second()
        # On a machine with much else to do the server may not have had its turn.
    fail(case, form, "no answers", wrk.output)


def turns(items, number):
    """All items, another one first in each round: none always comes after the same one."""
    shift = number % len(items)
    return items[shift:] + items[:shift]


def progress(what, number, count):
    print(f"{what}: round {number + 1} of {count}", file=sys.stderr)


def groups_of(cases):
    """What gets its slices one after the other: the cases of a work in one form, with what they are compared with. (The
    machine may have become busier meanwhile: so a base is measured near to each work, and not once in a round.)"""
    known = {case.name: case for case in cases}
    found = {}
    for case in cases:
        for form in case.forms:
            group = found.setdefault((case.work.name, form), [])
            for one in (known[case.base], case):
                if one not in group:
                    group.append(one)
    # The bases by themselves only where nothing is compared with them.
    alone = {("plain", form) for form in FORMS} if len(found) > len(FORMS) else set()
    return [(form, group) for (work, form), group in found.items() if (work, form) not in alone]


def saturated_rounds(fleet, figures, rounds, seconds):
    groups = groups_of(fleet.cases)
    for case in fleet.cases:  # warm-up, not counted
        for form in case.forms:
            saturate(fleet.servers[case.name], case, form, max(0.5, seconds))
    for number in range(rounds):
        progress("50 connections", number, rounds)
        for form, group in turns(groups, number * 5):
            costs = {}
            for case in turns(group, number):
                costs[case.name], per_second = saturate(fleet.servers[case.name], case, form, seconds)
                kept = figures.form(case, form)
                kept["cpu_us"].append(costs[case.name])
                kept["per_second"].append(per_second)
            for case in group:
                if case.work.name != "plain":
                    figures.form(case, form)["base_us"].append(costs[case.base])


def latency_form(case):
    return "proxied" if "proxied" in case.forms else case.forms[0]


def rate_of(case, fleet, figures):
    """The same for all ways of a work, so that they can be compared; but for an instance in each request, which may be slow."""
    alike = [
        other for other in fleet.cases
        if other is case or other.work.name == case.work.name and "request" not in (other.way, case.way)
    ]
    cost = max(statistics.median(figures.form(one, latency_form(one))["cpu_us"]) for one in alike)
    return next((rate for rate in RATES if rate * cost <= 200_000), RATES[-1])


def fixed_rate_rounds(fleet, figures, rounds, seconds):
    wake_up_precisely()
    slices = []
    for case in fleet.cases:
        form = latency_form(case)
        figures.form(case, form)["rate"] = rate_of(case, fleet, figures)
        slices.append((case, form, message(case.work.request, f"/{form}")))
    for number in range(rounds):
        progress("fixed rate", number, rounds)
        for case, form, data in turns(slices, number * 7):
            kept = figures.form(case, form)
            run = FixedRate(fleet.servers[case.name].port, data, kept["rate"], seconds, CONNECTIONS)
            if run.problems:
                fail(case, form, run.problems)
            kept["p50_us"].append(run.percentile(0.50) * 1e6)
            kept["p99_us"].append(run.percentile(0.99) * 1e6)


def memory(fleet, figures):
    """KiB of each server's worker after all that load: all that is there of it (RSS), and what it shares with nobody. (Its share
    of what it has in common with others depends on how many servers there are.)"""
    for case in fleet.cases:
        figures.of[case.name]["rss_kib"], figures.of[case.name]["private_kib"] = memory_kib(fleet.servers[case.name].pid)
