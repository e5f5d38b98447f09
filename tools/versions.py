#!/usr/bin/env python3
"""Checks that all say the same version: tools/versions.py (make check).

Cargo.toml of the workspace is where the version is (wasm_status shows it). The newest version in CHANGELOG.md, the newest entry of
debian/changelog and the names of packages in docs/install.md must agree with it; 'tools/versions.py' alone prints it. CHANGELOG.md is
held to the form of Keep a Changelog: what is not released yet first, then versions from the newest on, each with its day.
"""
import datetime
import email.utils
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
PACKAGE = "libnginx-mod-http-wasm"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def cargo_version():
    found = re.search(r'^\[workspace\.package\]\n(?:(?!\[).*\n)*?version = "([^"]+)"$', read("Cargo.toml"), re.M)
    if not found:
        sys.exit("Cargo.toml: [workspace.package] has no version")
    return found.group(1)


def as_numbers(version):
    return tuple(int(part) for part in version.split("."))


def changelog(wrong):
    """(version, day) of each release in CHANGELOG.md, the newest first."""
    parts = re.split(r"^## (.*)\n", read("CHANGELOG.md"), flags=re.M)[1:]
    headings, texts = parts[::2], parts[1::2]
    if headings[:1] != ["[Unreleased]"]:
        wrong.append("CHANGELOG.md: the first heading must be '## [Unreleased]'")
    releases, entries = [], set()
    for heading, text in zip(headings, texts):
        kinds = re.findall(r"^### (.*)$", text, re.M)
        if kinds != [kind for kind in KINDS if kind in kinds]:
            wrong.append(f"CHANGELOG.md: {heading}: its parts are {kinds}; they must be some of {', '.join(KINDS)}, in this order, each once")
        for entry in re.findall(r"^- (.*(?:\n  .*)*)", text, re.M):
            # The same change, told again.
            begin = " ".join(entry.split())[:80]
            if begin in entries:
                wrong.append(f"CHANGELOG.md: {heading}: this is there twice: {begin}")
            entries.add(begin)
        if heading == "[Unreleased]":
            continue
        found = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading)
        if not found:
            wrong.append(f"CHANGELOG.md: '## {heading}' must be '## [VERSION] - YEAR-MONTH-DAY'")
            continue
        if not kinds:
            wrong.append(f"CHANGELOG.md: {heading} says nothing")
        releases.append((found.group(1), datetime.date.fromisoformat(found.group(2))))
    for newer, older in zip(releases, releases[1:]):
        if as_numbers(newer[0]) <= as_numbers(older[0]) or newer[1] < older[1]:
            wrong.append(f"CHANGELOG.md: {newer[0]} of {newer[1]} stands before {older[0]} of {older[1]}: the newest comes first")
    return releases


def debian_changelog():
    """(version without Debian's part, day) of each entry of debian/changelog, the newest first."""
    text = read("debian/changelog")
    versions = re.findall(rf"^{PACKAGE} \((\d+\.\d+\.\d+)-\d+\) ", text, re.M)
    days = [email.utils.parsedate_to_datetime(day).date() for day in re.findall(r"^ -- .*>  (.*)$", text, re.M)]
    if not versions or len(versions) != len(days):
        sys.exit(f"debian/changelog: each entry must begin with '{PACKAGE} (VERSION-NUMBER) ' and end with its date")
    return list(zip(versions, days))


def check(version):
    wrong = []
    releases, packages = changelog(wrong), debian_changelog()
    if not releases or releases[0][0] != version:
        wrong.append(f"CHANGELOG.md: the newest version is {releases[0][0] if releases else 'missing'}, and Cargo.toml has {version}")
    if packages[0][0] != version:
        wrong.append(f"debian/changelog: the newest entry is about {packages[0][0]}, and Cargo.toml has {version}")
    days = dict(releases)
    for packaged, day in packages:
        if packaged not in days:
            wrong.append(f"debian/changelog: {packaged} is not in CHANGELOG.md")
        elif day < days[packaged]:
            wrong.append(f"debian/changelog: {packaged} is of {day}, before its release of {days[packaged]}")
    for shown in re.findall(r"`(\d+\.\d+\.\d+)-\d+(?:~deb\d+u\d+)?`", read("docs/install.md")):
        if shown != version:
            wrong.append(f"docs/install.md: it shows a package of version {shown}, and Cargo.toml has {version}")
    return wrong


if __name__ == "__main__":
    version = cargo_version()
    wrong = check(version)
    if wrong:
        sys.exit("\n".join(wrong))
    print(version)
