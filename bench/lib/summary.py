"""What the figures of all rounds come to: medians and ranges, and what a case adds to the server with nothing to do. For
report.py and plots.py."""

import statistics
from dataclasses import dataclass

from cases import WAYS

WAY_TITLES = {
    "nginx": "nginx's directives",
    "lua": "Lua",
    "envoy": "Envoy, same .wasm",
    "wasm": "ngx-wasm",
    "from-lua": "ngx-wasm from Lua",
    "request": "ngx-wasm, an instance for each request",
}


@dataclass
class Range:
    median: float
    low: float
    high: float


def over(values):
    return Range(statistics.median(values), min(values), max(values)) if values else None


class Summary:
    def __init__(self, results):
        self.results = results
        self.cases = results["cases"]

    def works(self):
        """Names and titles of works, in their order; without what the others are compared with."""
        found = {}
        for case in self.cases.values():
            if case["work"] not in ("plain", "loaded"):
                found.setdefault(case["work"], case["title"])
        return found

    def name(self, work, way):
        name = work + WAYS[way]
        return name if name in self.cases else None

    def form(self, name, form):
        return self.cases[name]["forms"].get(form) if name else None

    def figure(self, name, form, what):
        """A range of what each round has: cpu_us, per_second, p50_us, p99_us."""
        values = self.form(name, form)
        return over(values[what]) if values and values[what] else None

    def added(self, name, form):
        """Microseconds of processor time for a request, beyond those of the base beside it."""
        own = self.form(name, form)
        if not own or not own["base_us"]:
            return None
        return over([one - two for one, two in zip(own["cpu_us"], own["base_us"])])

    def instructions(self, name, form):
        """Those added to plain nginx."""
        own, base = self.form(name, form), self.form(self.cases[name]["base"] if name else None, form)
        if not own or not base or "instructions" not in own or "instructions" not in base:
            return None
        return own["instructions"] - base["instructions"]

    def latency(self, name):
        """Form, rate, p50 and p99."""
        for form, values in self.cases[name]["forms"].items() if name else ():
            if values["p50_us"]:
                return form, values["rate"], over(values["p50_us"]), over(values["p99_us"])
        return None
