"""Who has compiled a module or a guest, as the file itself says. For bench/run all and the guard of instructions."""

import re


def rustc_of(path):
    """The version of the rustc that has compiled a shared object."""
    with open(path, "rb") as file:
        found = re.search(rb"rustc version (\d+\.\d+\.\d+[^\s(]*)", file.read())
    return found[1].decode() if found else None


def go_of(path):
    """The version of Go in a guest."""
    with open(path, "rb") as file:
        found = re.search(rb"\bgo(1\.\d+(?:\.\d+)?)\b", file.read())
    return found[1].decode() if found else None
