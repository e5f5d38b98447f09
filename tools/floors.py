#!/usr/bin/env python3
"""Checks that the adapter's rooms import downwards only.

The table of floors stands in docs/development.md, between 'floors:begin' and 'floors:end': a row for each room of
ngx_module/src, lowest floor first. A room may use itself, and rooms on lower floors. What breaks that is printed with rule,
file and line.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(ROOT, "ngx_module/src")


def floors():
    text = open(os.path.join(ROOT, "docs/development.md")).read()
    table = text.split("<!-- floors:begin -->")[1].split("<!-- floors:end -->")[0]
    rows = re.findall(r"^\| *(\d+) *\| *`([a-z_]+)(?:/|\.rs)` *\| *(.*?) *\|", table, re.M)
    return {room: (int(floor), rule) for floor, room, rule in rows}


def arrows():
    """(file, line, room that is used) of each path that begins with 'crate::'."""
    for folder, _, names in sorted(os.walk(SOURCES)):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), SOURCES)
            for number, line in enumerate(open(os.path.join(SOURCES, path)), 1):
                code = line.split("//")[0]
                if re.search(r"\bcrate::[{*]", code):
                    sys.exit(f"ngx_module/src/{path}:{number}: begin each 'use' with one room: crate::ROOM::...")
                for room in re.findall(r"(?<!\$)\bcrate::([a-z_]+)", code):
                    yield path, number, room


def main():
    floor = floors()
    wrong = 0
    for path, number, room in arrows():
        own = path.split("/")[0].removesuffix(".rs")
        if own == "lib" or own == room:
            continue
        for name in own, room:
            if name not in floor:
                sys.exit(f"{path}:{number}: the room '{name}' has no row in docs/development.md's table of floors")
        if floor[room][0] >= floor[own][0]:
            wrong += 1
            print(f"ngx_module/src/{path}:{number}: '{own}' (floor {floor[own][0]}) uses '{room}' (floor {floor[room][0]}): "
                  f"{own}/ is: {floor[own][1]}", file=sys.stderr)
    return wrong > 0


sys.exit(main())
