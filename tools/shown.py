#!/usr/bin/env python3
"""Code that pages show is that of the file that they name, in the comment before it:

    <!-- shown: templates/rust/src/lib.rs -->              all of the file
    <!-- shown: templates/rust/README.md, Build -->        what the section of a page has for the shell
    <!-- part of: t/guests/template-calls/go/main.go -->   lines that stand in the file together

    tools/shown.py [--write]

Part of `make check`. With --write the page gets what the file has now; a part must be corrected by hand.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = re.compile(r"(?m)^<!-- (shown|part of): (\S+?)(?:, ([^\n]+?))? -->\n+(```+\w*\n)(.*?)(^```+$)", re.S)
# A comment that begins so and is nothing of the above is a mistake: nobody would look at its code.
MARKER = re.compile(r"(?m)^<!-- (?:shown|part of)\b.*$")


def commands(text, section):
    """What the section of a page has for the shell, or None."""
    found = re.search(rf"(?ms)^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text)
    block = found and re.search(r"(?ms)^```sh\n(.*?)^```$", found[1])
    return block and block[1]


def main():
    write = sys.argv[1:] == ["--write"]
    wrong, shown = [], 0
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        text = page.read_text()
        name = page.relative_to(ROOT)

        def check(match):
            nonlocal shown
            kind, file, section, fence, code, end = match.groups()
            shown += 1
            place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            try:
                source = (ROOT / file).read_text()
            except OSError as error:
                wrong.append(f"{place}: {file}: {error.strerror}")
                return match[0]
            if kind == "part of":
                if f"\n{code}" not in f"\n{source}":
                    wrong.append(f"{place}: these lines do not stand in {file}")
                return match[0]
            if section:
                source = commands(source, section)
                if source is None:
                    wrong.append(f"{place}: {file} has no commands in a section '{section}'")
                    return match[0]
            if code == source:
                return match[0]
            if not write:
                wrong.append(f"{place}: this is not what {file} has; tools/shown.py --write puts it there")
            return match[0].replace(fence + code + end, fence + source + end)

        renewed = SHOWN.sub(check, text)
        if len(MARKER.findall(text)) != len(SHOWN.findall(text)):
            wrong.append(f"{name}: a comment 'shown' or 'part of' has no code behind it")
        if write and renewed != text:
            page.write_text(renewed)
            print(f"{name}: renewed")
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    if not shown:
        sys.exit("no page shows the code of a file")
    sys.exit(1 if wrong else 0)


main()
