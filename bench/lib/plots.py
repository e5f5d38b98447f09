"""The plots of bench/run all, as SVG."""

import os

from summary import WAY_TITLES, Range
from svg import Bar, Drawing, Group

COLOURS = {
    "nginx": "#8c959f", "lua": "#4c8dff", "envoy": "#d9822b", "wasm": "#1a9850", "from-lua": "#7fbf3f", "request": "#a371f7",
}
SMALL = ("noop", "wat", "hello", "headers", "body", "five", "rust", "fault")
LARGE = ("json", "go", "transformer", "jwt", "coraza")
ISOLATED = ("wat", "rust", "large", "assemblyscript", "json")
SHARED = ("nginx", "lua", "envoy", "wasm", "from-lua")


def groups(summary, works, ways, figure):
    """`figure(name)` is a range, or None."""
    titles = summary.works()
    found = []
    for work in works:
        bars = []
        for way in ways:
            name = summary.name(work, way)
            value = figure(name) if name else None
            if value:
                bars.append(Bar(way, value.median, value.low, value.high))
        if bars:
            found.append(Group(titles[work], bars))
    return found


class Plots:
    def __init__(self, summary, folder):
        self.summary = summary
        self.folder = folder
        about = summary.results["about"]
        self.origin = f"{about['nginx']}, commit {about['commit']}, {about['date']}, {about['machine']['processor']}"

    def draw(self, name, title, note, found, unit, apart=False):
        """One axis for all groups, or (`apart`) one for each."""
        path = os.path.join(self.folder, f"{name}.svg")
        if not found:
            # None from an older run.
            if os.path.exists(path):
                os.remove(path)
            return
        drawing = Drawing(title, f"{note}\n{self.origin}")
        keys = {bar.key for group in found for bar in group.bars}
        colours = {key: colour for key, colour in COLOURS.items() if key in keys}
        drawing.legend(colours, WAY_TITLES)
        for panel in [[group] for group in found] if apart else [found]:
            drawing.panel(panel, colours, unit)
        drawing.write(path)

    def all(self):
        added = (
            "Processor time of the worker for a request, beyond that of the same server with nothing to do. "
            "Median, and least to most."
        )
        for form, title in (("direct", "the server answers by itself"), ("proxied", "in front of an upstream")):
            found = groups(self.summary, SMALL, SHARED, lambda name: self.summary.added(name, form))
            self.draw(f"cpu-{form}", f"What small filters add to a request, {title}", added, found, "µs")
        found = groups(self.summary, LARGE, SHARED, lambda name: self.summary.added(name, "proxied"))
        self.draw(
            "cpu-large", "What larger filters add to a request, in front of an upstream", f"{added}\nEach has its own axis.",
            found, "µs", True,
        )
        found = groups(self.summary, ISOLATED, ("wasm", "request"), lambda name: self.summary.added(name, "proxied"))
        self.draw("isolation", "An instance for each request, in front of an upstream", added, found, "µs")
        self.draw(
            "throughput", "Requests in a second at 50 connections, in front of an upstream",
            "One worker; more is better. Median, and least to most.",
            groups(self.summary, SMALL, SHARED, lambda name: self.summary.figure(name, "proxied", "per_second")), "1/s",
        )
        self.draw(
            "latency", "Latency at a fixed rate",
            "p50 as a bar, and a line to p99 (with an arrow: beyond the axis), from when a request was due. The rates are in the table.",
            groups(self.summary, (*SMALL, *LARGE), SHARED, self.latency), "µs", True,
        )
        self.draw(
            "instructions", "Instructions that a request costs more than with nginx alone, in user space",
            "The server answers by itself. Counted by callgrind; not Envoy's.",
            groups(self.summary, SMALL, ("lua", "wasm", "from-lua"), self.instructions), "",
        )

    def latency(self, name):
        found = self.summary.latency(name)
        if not found:
            return None
        _, _, p50, p99 = found
        return Range(p50.median, p50.median, p99.median)

    def instructions(self, name):
        value = self.summary.instructions(name, "direct")
        return None if value is None else Range(value, value, value)
