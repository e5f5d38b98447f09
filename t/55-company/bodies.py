"""What upstreams and files say. Each line of what a filter guards has a marker, so that a single line of it which gets past a
refusal is found, whatever else it is mixed with.
"""

import gzip
import re

# Of the main response, of a part that a subrequest brings, and of what an internal redirect leads to.
MARKERS = {"main": "GuArDeD-Main", "part": "GuArDeD-Part", "target": "GuArDeD-Target"}
# In a header of every answer of an upstream.
HEADER_MARKER = "GuArDeD-Header"
ANY_MARKER = re.compile(rb"guarded-(main|part|target|header)", re.I)

SIZES = {"small": 6, "large": 4500, "chunked": 40, "long-chunked": 4500, "empty": 0, "missing": 3}
CONTENTS = tuple(SIZES)
# What can be a file.
OF_FILES = ("small", "large", "empty")


def text(content, kind="main"):
    """The body of this name. Words that features change (`number`) are in each line once."""
    lines = (f"{MARKERS[kind]} {number:05d}: the Quick brown fox\n" for number in range(SIZES[content]))
    return "".join(lines).encode()


def zipped(content, kind="main"):
    return gzip.compress(text(content, kind), 6, mtime=0)


def of_request(size):
    """The body of a request."""
    line = b"Request line %07d, mixed Case.\n"
    whole = b"".join(line % number for number in range(size // 35 + 1))
    return whole[:size]
