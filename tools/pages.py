#!/usr/bin/env python3
"""Checks the pages of the documentation, and makes a site of them.

    tools/pages.py check            links and anchors of all pages; each page stands once in docs/SUMMARY.md (make check)
    tools/pages.py stage FOLDER     what mdBook makes the site of; REPOSITORY in the environment: where the sources can be seen,
                                    such as https://example.org/ngx-wasm/blob/main (otherwise the site has copies)
    tools/pages.py check-site FOLDER    links and anchors of what mdBook has made (both: tools/site.sh, make docs)

A page is a Markdown file that docs/SUMMARY.md names; all of docs/ and of the top folder must be there. Links are as the pages need
them where the repository is shown: relative, to pages and to any other file. On the site a page of docs/ and the top folder is at the
top, and README.md is its first page. Links to what is no page lead to REPOSITORY, or to a copy in the folder 'source' there.
"""
import collections
import html.parser
import os
import posixpath
import re
import shutil
import sys
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUMMARY = "docs/SUMMARY.md"
IMAGES = (".svg", ".png", ".jpg")
# What Markdown shows as it is: blocks between fences, code in a line, comments.
CODE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$|(?<!`)(`+)(?!`).*?(?<!`)\2(?!`)|<!--.*?-->", re.M | re.S)
# [text](target), ![text](target) and [name]: target.
INLINE = re.compile(r"(?<=\]\()([^()\s]+)(?=(?: \"[^\"]*\")?\))")
DEFINITION = re.compile(r"(?<=\]: )(\S+)(?=$)", re.M)
REFERENCE = re.compile(r"\]\[([^\]]+)\]")


class Problem(Exception):
    """Something on a page, or in docs/SUMMARY.md, that somebody has to put right."""


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def files_here():
    """All files of the repository."""
    found = set()
    for where, folders, names in os.walk(ROOT):
        here = os.path.relpath(where, ROOT)
        folders[:] = [name for name in folders if name != ".git" and not (here == "." and name in ("build", "target"))]
        found |= {posixpath.normpath(posixpath.join(here, name)) for name in names}
    return found


def without_code(text):
    """The same text, with blanks in place of what is no Markdown: places stay."""
    return CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def links(text):
    """(start, end, target) of each link, in order."""
    plain = without_code(text)
    found = [match for pattern in (INLINE, DEFINITION) for match in pattern.finditer(plain)]
    return [(match.start(1), match.end(1), match.group(1)) for match in sorted(found, key=lambda match: match.start(1))]


def anchors(text):
    """Names of all headings, as GitHub and mdBook make them."""
    names, seen = set(), collections.Counter()
    fenceless = re.sub(r"^ *(```+|~~~+).*?^ *\1 *$", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6} +(.*?)(?: +#+)?$", fenceless, re.M):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def is_outside(target):
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


def resolve(page, target):
    """(path in the repository, anchor) that a link of a page means."""
    path, _, anchor = target.partition("#")
    path = urllib.parse.unquote(path)
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page, anchor


def summary():
    """The pages in docs/SUMMARY.md, in order: {path: title}."""
    pages, text = {}, read(SUMMARY)
    for title, target in re.findall(r"^ *(?:[-*] )?\[([^\]]+)\]\(([^)\s]+)\)$", text, re.M):
        path, anchor = resolve(SUMMARY, target)
        if anchor or not path.endswith(".md") or path.startswith(".."):
            raise Problem(f"{SUMMARY}: {target}: it is no page")
        if path in pages:
            raise Problem(f"{SUMMARY}: {target}: it is there twice")
        pages[path] = title
    if len(pages) != len(links(text)):
        raise Problem(f"{SUMMARY}: a line with a link must have nothing else: - [TITLE](PATH)")
    return pages


def check():
    files, pages, wrong = files_here(), summary(), []
    folders = {posixpath.dirname(path) for path in files}
    folders |= {folder[:n] for folder in folders for n, char in enumerate(folder) if char == "/"}
    for path in sorted(files):
        if path.endswith(".md") and posixpath.dirname(path) in ("", "docs") and path not in pages and path != SUMMARY:
            wrong.append(f"{path}: the page is not in {SUMMARY}: add it to the part of those who read it")
    known = {}
    for page in sorted({*pages, *(path for path in files if path.endswith(".md") and path != SUMMARY)}):
        if page not in files:
            wrong.append(f"{SUMMARY}: {page} is not there")
            continue
        text = read(page)
        plain = without_code(text)
        defined = {name.lower() for name in re.findall(r"^\[([^\]]+)\]: ", plain, re.M)}
        for match in REFERENCE.finditer(plain):
            if match.group(1).lower() not in defined:
                wrong.append(f"{page}:{line(text, match.start())}: [{match.group(1)}] is not defined")
        for start, _, target in links(text):
            if is_outside(target):
                continue
            path, anchor = resolve(page, target)
            where = f"{page}:{line(text, start)}: {target}"
            if path.startswith("..") or target.startswith("/"):
                wrong.append(f"{where} leads out of the repository")
            elif path not in files and path not in folders:
                wrong.append(f"{where}: there is no such file")
            elif anchor and path.endswith(".md"):
                if path not in known:
                    known[path] = anchors(read(path))
                if anchor not in known[path]:
                    wrong.append(f"{where}: {path} has no such heading")
            elif anchor:
                wrong.append(f"{where}: only pages have anchors")
    return wrong


def line(text, place):
    return text.count("\n", 0, place) + 1


def on_site(page):
    """Where mdBook finds a page."""
    # What it makes of links to README.md leads nowhere.
    return re.sub(r"(^|/)README\.md$", r"\1index.md", page.removeprefix("docs/"))


def stage(folder, repository):
    pages = summary()
    places = collections.Counter(on_site(page) for page in pages)
    twice = [place for place, count in places.items() if count > 1]
    if twice:
        raise Problem(f"{SUMMARY}: two pages would be {', '.join(twice)} on the site: rename one")
    copied = set()

    def target_of(page, target):
        if is_outside(target):
            return target
        path, anchor = resolve(page, target)
        if path in pages:
            place = on_site(path)
        elif path.endswith(IMAGES):
            place = path
            copy(folder, path, place)
        elif repository:
            return f"{repository.rstrip('/')}/{path}"
        else:
            place = copy_source(folder, path, copied)
        relative = posixpath.relpath(place, posixpath.dirname(on_site(page)) or ".")
        return relative + (f"#{anchor}" if anchor else "")

    for page in pages:
        write(folder, on_site(page), changed(read(page), lambda target, page=page: target_of(page, target)))
    whole = changed(read(SUMMARY), lambda target: on_site(resolve(SUMMARY, target)[0]))
    write(folder, "SUMMARY.md", whole)


def changed(text, target_of):
    """The text with each link as the function gives it."""
    parts, done = [], 0
    for start, end, target in links(text):
        parts += [text[done:start], target_of(target)]
        done = end
    return "".join(parts) + text[done:]


def write(folder, place, text):
    path = os.path.join(folder, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def copy(folder, path, place):
    os.makedirs(os.path.dirname(os.path.join(folder, place)), exist_ok=True)
    shutil.copyfile(os.path.join(ROOT, path), os.path.join(folder, place))


def copy_source(folder, path, copied):
    """Where the site has a file that is no page: as plain text, which browsers show. Of a folder, what is in it, with a list."""
    if os.path.isfile(os.path.join(ROOT, path)):
        # What ends with .md, even in the middle, mdBook takes for a page.
        place = f"source/{path.removesuffix('.md')}.txt"
        if place not in copied:
            copied.add(place)
            copy(folder, path, place)
        return place
    place = f"source/{path}/index.html"
    if place not in copied:
        copied.add(place)
        names = sorted(name[len(path) + 1:] for name in files_here() if name.startswith(f"{path}/"))
        for name in names:
            copy_source(folder, f"{path}/{name}", copied)
        rows = "".join(f'<li><a href="{name.removesuffix(".md")}.txt">{name}</a></li>\n' for name in names)
        write(folder, place, f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>{path}</title>\n<h1>{path}</h1>\n<ul>\n{rows}</ul>\n')
    return place


class Made(html.parser.HTMLParser):
    """A page of the site: its ids, and where it leads."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets, self.base = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        if tag == "base":
            self.base = attrs.get("href", "")
            return
        self.targets += [attrs[name] for name in ("href", "src") if attrs.get(name)]


def check_site(folder):
    made, wrong = {}, []
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".html"):
                path = os.path.relpath(os.path.join(where, name), folder)
                with open(os.path.join(where, name), encoding="utf-8") as file:
                    made[path] = Made(file.read())
    # Written for wherever the site is found to be missing something.
    made.pop("404.html", None)
    for page in summary():
        place = on_site(page).removesuffix(".md") + ".html"
        if place not in made:
            wrong.append(f"{page}: the site has no {place}")
    for path, page in sorted(made.items()):
        for target in page.targets:
            if is_outside(target) or target.startswith("//"):
                continue
            to, _, anchor = target.partition("#")
            to = urllib.parse.unquote(to.partition("?")[0])
            at = posixpath.normpath(posixpath.join(posixpath.dirname(path), page.base, to)) if to else path
            if not os.path.isfile(os.path.join(folder, at)):
                wrong.append(f"{path}: {target}: the site has no {at}")
            elif anchor and at in made and urllib.parse.unquote(anchor) not in made[at].ids:
                wrong.append(f"{path}: {target}: {at} has no such place")
    return wrong + check_directives(folder, made)


def check_directives(folder, made):
    """Each directive can be linked to, and searched for, by its name."""
    names = re.findall(r'\b(?:row|inner|http)\(\s*c"(\w+)"', read("ngx_module/src/commands.rs"))
    index = [name for name in os.listdir(folder) if name.startswith("searchindex") and name.endswith(".js")]
    if not names or len(index) != 1 or "directives.html" not in made:
        return ["there are no directives, no index for the search, or no directives.html"]
    with open(os.path.join(folder, index[0]), encoding="utf-8") as file:
        searched = file.read()
    return [f"directives.html: no place for the directive {name}, or the search does not know it" for name in names
            if name not in made["directives.html"].ids or f'"directives.html#{name}"' not in searched]


def main(arguments):
    match arguments:
        case ["check"]:
            wrong = check()
        case ["stage", folder]:
            stage(folder, os.environ.get("REPOSITORY", ""))
            wrong = []
        case ["check-site", folder]:
            wrong = check_site(folder)
        case _:
            sys.exit(__doc__)
    if wrong:
        sys.exit("\n".join([*wrong, f"{len(wrong)} mistakes on the pages, see above"]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Problem as problem:
        sys.exit(f"pages.py: {problem}")
