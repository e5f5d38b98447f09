"""The trace of the guest `conformance` in the log of a server: what was called, and with which result.

A trace is a list of callbacks in the order in which they ran. Servers cut bodies into other pieces, so what they told a
filter about one body becomes one entry.
"""

import re
import time
from dataclasses import dataclass, field

from servers import patience

LINE = re.compile(rb"trace\|([^|]*)\|([=+])([^|]*)\|\.")


@dataclass(eq=False)
class Callback:
    filter: str
    name: str
    # What follows the name, and the results of the statements.
    arguments: str
    results: list = field(default_factory=list)
    action: str = "0"


class Log:
    """The log file of a server, read as it grows."""

    def __init__(self, path):
        self.path = path
        self.at = 0
        self.lines = []
        # What filters that are named `start ...` trace when they are configured, by name.
        self.starts = {}

    def begin(self):
        """From here on another request's lines."""
        self.read()
        self.lines = []

    def read(self):
        try:
            with open(self.path, "rb") as log:
                log.seek(self.at)
                content = log.read()
        except FileNotFoundError:
            return
        content = content[: content.rfind(b"\n") + 1]
        self.at += len(content)
        for name, mark, text in LINE.findall(content):
            name, text = name.decode("latin-1"), text.decode("latin-1").replace("\\x7c", "|")
            lines = self.starts.setdefault(name, []) if name.startswith("start ") else self.lines
            if mark == b"+":
                lines[-1] = (name, lines[-1][1] + text)
            else:
                lines.append((name, text))

    def start(self, name):
        """What this filter traced in its first start: servers start filters in several threads or processes."""
        self.wait_for(lambda: self.read() or self.starts.get(name), f"the start of {name}")
        lines = self.starts.get(name, [])
        again = [n for n, (_, text) in enumerate(lines) if text.startswith("> configure")][1:]
        return lines[: again[0]] if again else lines

    def count(self, beginning):
        self.read()
        return sum(text.startswith(beginning) for _, text in self.lines)

    def wait_for(self, condition, what):
        end = time.monotonic() + patience()
        while not condition():
            if time.monotonic() > end:
                self.lines.append(("harness", f"> waited in vain for {what}"))
                return
            time.sleep(0.002)

    def wait_for_end(self, has_crashed):
        """Each context that was made has been deleted."""
        self.wait_for(
            lambda: self.count("> create") == self.count("> delete") or has_crashed(), "the end of all contexts"
        )


def callbacks(lines):
    """The trace that these lines are."""
    found = []
    latest = {}
    for name, text in lines:
        if text.startswith("> "):
            callback, _, arguments = text[2:].partition(" ")
            latest[name] = Callback(name, callback, arguments)
            found.append(latest[name])
        elif name not in latest:
            found.append(Callback(name, "no-callback", text))
        elif text.startswith("< "):
            latest[name].action = text[2:]
        else:
            latest[name].results.append(text)
    return merge_bodies(found)


def merge_bodies(found):
    merged = []
    for callback in found:
        if not callback.name.endswith("-body"):
            merged.append(callback)
            continue
        size, eos = (int(argument.split("=")[1]) for argument in callback.arguments.split())
        before = next((m for m in merged if (m.filter, m.name) == (callback.filter, callback.name)), None)
        if before is None:
            callback.sizes = [0, 0, 0]
            merged.append(before := callback)
        else:
            before.results += callback.results
            before.action = callback.action
        # What has passed, what waits in the buffer, and how often the end came.
        passed, _, ends = before.sizes
        before.sizes = [passed + size, 0, ends + eos] if callback.action == "0" else [passed, size, ends + eos]
        before.arguments = f"passed={before.sizes[0]} held={before.sizes[1]} ends={before.sizes[2]}"
    return merged
