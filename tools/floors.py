#!/usr/bin/env python3
"""Checks who uses whom: the adapter's rooms downwards only, the library's files and rooms in no circle.

The adapter's table of floors stands in docs/development.md, between 'floors:begin' and 'floors:end': a row for each room of
ngx_module/src, lowest floor first. A room may use itself, and rooms on lower floors. What breaks that is printed with rule,
file and line.

In src/ a file uses another one when a path in it leads to something that stands there, through re-exports too: whoever only
passes on what stands elsewhere is not used, and uses nothing. Code for tests and fuzzing is left out. Methods have no paths,
so calls of them are not seen; the type that they belong to is. 'tools/floors.py arrows' prints all uses.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(ROOT, "ngx_module/src")
LIBRARY = os.path.join(ROOT, "src")

# Circles of the library that are known, as 'user.rs -> used.rs'. Each must be in a circle still: the list only gets shorter.
KNOWN = ()


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


def adapter():
    """How many uses go up."""
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
    return wrong


# What is no code: comments, then texts and characters (not lifetimes).
NO_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])'""", re.S)
FOR_TESTS = re.compile(r"""#\[cfg\((?:any\()?(?:test\b|feature = "fuzzing")[^\n]*\]\s*""")
USE = re.compile(r"(?<![\w:])(pub(?:\([^)]*\))?\s+)?use\s+([^;]*);")
MOD = re.compile(r"((?:#\[[^\n]*\]\s*)*)(?:pub(?:\([^)]*\))?\s+)?\bmod\s+(\w+)\s*([;{])")
PATH = re.compile(r"(?<![\w:$.'])(?:\w+\s*::\s*)+\w+")


class Module:
    """A module: its names, and places in its file. Several may stand in one file, inside of each other."""

    def __init__(self, path, file):
        self.path, self.file = path, file
        self.children = {}
        self.imports = {}
        self.uses = []


def blanked(text):
    """The text with spaces instead of what a pattern found: places stay what they are."""
    return re.sub(r"[^\n]", " ", text)


def closing(code, start):
    """Where the brace that opens at `start` is closed."""
    depth = 0
    for place in range(start, len(code)):
        depth += {"{": 1, "}": -1}.get(code[place], 0)
        if depth == 0:
            return place
    sys.exit("a brace is not closed")


def leaves(tree, prefix=()):
    """(path, name in scope) of each part of what a 'use' names; the name of a glob is '*'."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if brace:
        prefix += tuple(part for part in re.split(r"\s*::\s*", head.strip()) if part)
        depth, begin, inner = 0, 0, rest[:rest.rindex("}")]
        for place, sign in enumerate(inner + ","):
            depth += {"{": 1, "}": -1}.get(sign, 0)
            if sign == "," and depth == 0:
                if inner[begin:place].strip():
                    yield from leaves(inner[begin:place], prefix)
                begin = place + 1
        return
    path, _, alias = tree.partition(" as ")
    path = prefix + tuple(re.split(r"\s*::\s*", path.strip()))
    if path[-1] == "self" and len(path) > 1:
        path = path[:-1]
    yield path, alias.strip() or path[-1]


def load(modules, path, file):
    """Reads a file and those of the modules that it declares."""
    # The one text that says something about uses.
    code = NO_CODE.sub(lambda found: found[0] if found[0] == '"fuzzing"' else blanked(found[0]),
                       open(os.path.join(LIBRARY, file)).read())
    fill(modules, Module(path, file), code, 0, len(code))


def fill(modules, module, code, begin, end):
    modules[module.path] = module
    part = blanked(code[:begin]) + code[begin:end]
    # Tests, and other things that are there for them only.
    for found in FOR_TESTS.finditer(part):
        if MOD.match(part, found.start()):
            continue
        stop = re.compile(r"[;{]").search(part, found.end()).start()
        stop = closing(part, stop) if part[stop] == "{" else stop
        part = part[:found.start()] + blanked(part[found.start():stop + 1]) + part[stop + 1:]
    while found := MOD.search(part):
        name = found[2]
        stop = closing(part, found.end() - 1) + 1 if found[3] == "{" else found.end()
        if not FOR_TESTS.search(found[1]):
            inside = module.path + (name,)
            module.children[name] = inside
            if found[3] == "{":
                fill(modules, Module(inside, module.file), code, found.end(), stop - 1)
            else:
                folder = os.path.join(*module.path) if module.path else ""
                files = [os.path.join(folder, name + ".rs"), os.path.join(folder, name, "mod.rs")]
                load(modules, inside, next(file for file in files if os.path.exists(os.path.join(LIBRARY, file))))
        part = part[:found.start()] + blanked(part[found.start():stop]) + part[stop:]
    rest = USE.sub(lambda found: blanked(found[0]), part)
    words = set(re.findall(r"\w+", rest))
    for found in USE.finditer(part):
        for path, name in leaves(found[2]):
            if name == "*" and path[0] in ("crate", "super", "self", *module.children):
                sys.exit(f"src/{module.file}: name what is used of {'::'.join(path)}")
            if name not in "*_":
                module.imports[name] = path
            # What is passed on is used if the module has it in its own code, too.
            if not found[1] or name in words:
                module.uses.append((path, found.start(2) + found[2].find(path[-1])))
    module.uses += [(tuple(re.split(r"\s*::\s*", found[0])), found.start()) for found in PATH.finditer(rest)]
    module.lines = lambda place: code.count("\n", 0, place) + 1


def resolve(modules, module, path, seen=()):
    """(module, whether the path ends at it) of where something stands; None if that is in no file of ours."""
    key = module.path, path
    if key in seen:
        return None
    seen += (key,)
    if path[0] == "crate":
        at, rest = (), path[1:]
    elif path[0] in ("super", "self"):
        at, rest = module.path, path
        while rest and rest[0] in ("super", "self"):
            at, rest = at[:-1] if rest[0] == "super" else at, rest[1:]
    elif path[0] in module.children:
        at, rest = module.children[path[0]], path[1:]
    elif path[0] in module.imports:
        return resolve(modules, module, module.imports[path[0]] + path[1:], seen)
    else:
        return None
    while rest and at in modules:
        here = modules[at]
        if rest[0] in here.children:
            at, rest = here.children[rest[0]], rest[1:]
        elif rest[0] in here.imports:
            return resolve(modules, here, here.imports[rest[0]] + rest[1:], seen)
        else:
            return at, False
    return (at, True) if at in modules else None


def library():
    """{(user, used): line of the first use}, files below src/."""
    modules = {}
    load(modules, (), "lib.rs")
    found = {}
    for module in modules.values():
        for path, place in module.uses:
            target = resolve(modules, module, path)
            # A module that is only named, to say more paths through it, is not used yet.
            if target and not target[1] and modules[target[0]].file != module.file:
                pair = module.file, modules[target[0]].file
                found[pair] = min(found.get(pair, 1 << 30), module.lines(place))
    return found


def circles(pairs):
    """Sets of files, each of which uses all others of its set in the end."""
    used = {}
    for user, other in pairs:
        used.setdefault(user, set()).add(other)

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for other in used.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen
    reached = {file: reach(file) for file in used}
    return {frozenset(other for other in reached[file] if file in reached.get(other, ())) for file in used
            if file in reached[file]}


def room_of(file):
    return file.split("/")[0].removesuffix(".rs")


def shortest(circle, pairs):
    """The shortest way from one of these, through the others, back to itself."""
    best = None
    for start in sorted(circle):
        ways, todo = {start: [start]}, [start]
        while todo:
            at = todo.pop(0)
            for user, used in sorted(pairs):
                if user == at and used in circle and used not in ways:
                    ways[used] = ways[at] + [used]
                    todo.append(used)
        back = [ways[user] for user, used in pairs if used == start and user in ways]
        best = min([best] * (best is not None) + back, key=len)
    return best


def report(kind, circle, found, of=lambda file: file):
    way = shortest(circle, {(of(user), of(used)) for user, used in found if of(user) != of(used)})
    print(f"src/: a circle of {kind}: {', '.join(way)}", file=sys.stderr)
    for user, used in zip(way, way[1:] + way[:1]):
        for (file, other), line in sorted(found.items()):
            if (of(file), of(other)) == (user, used):
                print(f"  src/{file}:{line} uses {other}", file=sys.stderr)
    if len(circle) > len(way):
        rest = ', '.join(sorted(circle - set(way)))
        print(f"  In circles with these, too: {rest}", file=sys.stderr)


def main():
    wrong = adapter()
    found = library()
    if sys.argv[1:] == ["arrows"]:
        for (user, used), line in sorted(found.items()):
            print(f"src/{user}:{line} uses {used}")
    known = {tuple(entry.split(" -> ")) for entry in KNOWN}
    all_circles = circles(found)
    for user, used in sorted(known):
        if not any({user, used} <= circle for circle in all_circles) or (user, used) not in found:
            wrong += 1
            print(f"tools/floors.py: '{user} -> {used}' is in no circle any more: remove it from KNOWN", file=sys.stderr)
    found = {pair: line for pair, line in found.items() if pair not in known}
    for circle in sorted(circles(found), key=sorted):
        wrong += 1
        report("files", circle, found)
    for circle in circles({tuple(map(room_of, pair)) for pair in found if room_of(pair[0]) != room_of(pair[1])}):
        wrong += 1
        report("rooms", circle, found, room_of)
    return wrong > 0


sys.exit(main())
