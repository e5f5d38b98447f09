#!/usr/bin/env python3
"""Counts how much of the adapter stands inside of 'unsafe { }': tools/unsafe-lines.py [--rooms].

Lines of code (no blank ones, no comments) of ngx_module/src that an unsafe block covers, and all of them. tools/unsafe-lines
has the share that there may be at most, in tenths of a percent: it may only fall, and 'make check' asks for that.
"""
import collections
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(ROOT, "ngx_module/src")
LIMIT = os.path.join(ROOT, "tools/unsafe-lines")
# Comments, strings and characters, in which braces and words mean nothing.
QUIET = re.compile(r'//[^\n]*|/\*.*?\*/|b?c?r(#*)".*?"\1|[bc]?"(?:\\.|[^"\\])*"|b?\'(?:\\.[^\']*|[^\'\\])\'', re.S)


def counts(text):
    text = QUIET.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    inside, depths, depth, before = [], [], 0, ""
    for line in text.split("\n"):
        is_unsafe = bool(depths)
        for part in re.findall(r"\w+|[{}]|[^\w\s{}]", line):
            if part == "{":
                depth += 1
                if before == "unsafe":
                    depths.append(depth)
                    is_unsafe = True
            elif part == "}":
                if depths and depths[-1] == depth:
                    depths.pop()
                depth -= 1
            before = part
        if line.strip():
            inside.append(is_unsafe)
    return sum(inside), len(inside)


def main():
    rooms = collections.defaultdict(lambda: [0, 0])
    for folder, _, names in os.walk(SOURCES):
        for name in names:
            path = os.path.join(folder, name)
            with open(path) as file:
                inside, lines = counts(file.read())
            room = os.path.relpath(path, SOURCES).split("/")[0]
            for key in room, "all":
                rooms[key][0] += inside
                rooms[key][1] += lines
    if "--rooms" in sys.argv:
        for room, (inside, lines) in sorted(rooms.items()):
            print(f"{room:12} {inside:6} of {lines:6}  {100 * inside / lines:5.1f} %")
    inside, lines = rooms["all"]
    share = 1000 * inside / lines
    limit = int(open(LIMIT).read())
    if share > limit:
        print(f"{inside} of {lines} lines of the adapter stand inside of 'unsafe' ({share / 10:.1f} %), more than before"
              f" ({limit / 10:.1f} %, tools/unsafe-lines): make handles of raw pointers at the edge", file=sys.stderr)
        return 1
    if share < limit - 5:
        print(f"note: tools/unsafe-lines can go down to {int(share) + 1}", file=sys.stderr)
    return 0


sys.exit(main())
