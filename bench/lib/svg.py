"""Draws bars with their ranges as SVG, for pages in light and in dark. Used by plots.py."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 860, 250, 70
BAR, GAP, BETWEEN, LINE = 12, 2, 14, 16
FONT = "-apple-system,'Segoe UI','Helvetica Neue',Arial,sans-serif"

# The panel has its own ground: what a page says of light and dark need not be what the reader's system says.
STYLE = """
  .ground { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; } .grid { stroke: #d1d9e0; }
  .zero { stroke: #59636e; } .range { stroke: #1f2328; } .end { fill: #1f2328; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; } .grid { stroke: #3d444d; }
    .zero { stroke: #9198a1; } .range { stroke: #f0f6fc; } .end { fill: #f0f6fc; }
  }
"""


@dataclass
class Bar:
    key: str  # in the legend
    value: float
    low: float
    high: float


@dataclass
class Group:
    label: str
    bars: list


def steps(low, high):
    """Round numbers on an axis, about five, zero among them."""
    size = (high - low) / 5 or 1
    magnitude = 10 ** math.floor(math.log10(size))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= size)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def number(value):
    """With three digits that count, at most, and two behind the point."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


class Drawing:
    def __init__(self, title, note):
        self.parts = []
        self.y = 28
        self.text(16, self.y, title, size=15, weight=600)
        for line in note.split("\n"):
            self.y += LINE
            self.text(16, self.y, line, "faint")
        self.y += 10
        self.title = title

    def text(self, x, y, text, kind="text", size=12, weight=400, anchor="start"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(self, x1, y1, x2, y2, kind, width=1):
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}" stroke-width="{width}"/>'
        )

    def legend(self, colours, titles):
        """In the colours' order, in as many lines as it needs."""
        x = 16
        self.y += LINE
        for key, colour in colours.items():
            width = 24 + 6.6 * len(titles[key])
            if x + width > WIDTH - 16:
                x = 16
                self.y += LINE
            self.parts.append(f'<rect x="{x:.1f}" y="{self.y - 10}" width="12" height="12" rx="2" fill="{colour}"/>')
            self.text(x + 17, self.y, titles[key])
            x += width + 8
        self.y += 12

    def panel(self, groups, colours, unit):
        """Groups of bars over one axis, which has zero on it."""
        bars = [bar for group in groups for bar in group.bars]
        top = max([bar.value for bar in bars] + [0])
        # A range that one disturbed slice has made wide does not make all bars small: its end is marked then.
        high = max(top, min(max(bar.high for bar in bars), 1.5 * top)) or 1
        low = min([bar.value for bar in bars] + [max(min(bar.low for bar in bars), -0.2 * high), 0])
        marks = steps(low, high)
        low, high = marks[0], marks[-1]

        def x(value):
            return LEFT + (min(max(value, low), high) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

        height = sum(BETWEEN + len(group.bars) * (BAR + GAP) for group in groups)
        for mark in marks:
            self.line(x(mark), self.y, x(mark), self.y + height, "zero" if mark == 0 else "grid")
            label = f"{number(mark)} {unit}" if mark == marks[-1] else number(mark)
            self.text(x(mark), self.y + height + 14, label, "faint", 11, anchor="middle")
        for group in groups:
            self.y += BETWEEN / 2
            middle = self.y + len(group.bars) * (BAR + GAP) / 2 + 4
            for part, line in enumerate(lines := wrapped(group.label)):
                self.text(LEFT - 10, middle + (part - (len(lines) - 1) / 2) * 14, line, anchor="end")
            for bar in group.bars:
                self.bar(bar, x, colours[bar.key], high)
                self.y += BAR + GAP
            self.y += BETWEEN / 2
        self.y += 26

    def bar(self, bar, x, colour, most):
        begin, end = sorted((x(0), x(bar.value)))
        self.parts.append(
            f'<rect x="{begin:.1f}" y="{self.y:.1f}" width="{max(end - begin, 0.5):.1f}" height="{BAR}" fill="{colour}">'
            f"<title>{number(bar.value)} ({number(bar.low)} to {number(bar.high)})</title></rect>"
        )
        middle = self.y + BAR / 2
        self.line(x(bar.low), middle, x(bar.high), middle, "range", 1)
        if bar.high > most:
            at = x(most)
            self.parts.append(f'<path d="M{at - 4:.1f} {middle - 4} L{at + 3:.1f} {middle} L{at - 4:.1f} {middle + 4} Z" class="end"/>')
        self.text(max(x(bar.value), x(bar.high)) + 6, self.y + BAR - 2, number(bar.value), "text", 11)

    def write(self, path):
        height = self.y + 8
        with open(path, "w") as out:
            out.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="{FONT}" role="img">\n'
                f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n"
                f'<rect class="ground" width="{WIDTH}" height="{height:.0f}" rx="6"/>\n'
            )
            out.write("\n".join(self.parts) + "\n</svg>\n")


def wrapped(label, most=36):
    """A label in lines."""
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
