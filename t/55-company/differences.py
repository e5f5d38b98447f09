"""Where what goes on is not byte for byte what nginx sends without the filter, by design. Each entry says why. An entry that no case
shows any more fails the suite.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass
class Difference:
    why: str
    # Patterns of case ids and of aspects.
    cases: str
    aspects: str
    # What is wanted and got, and the case's `Judge`: whether this is that difference.
    holds: object = lambda wanted, got, judge: True


def looks_like_chunks(wanted, got, judge):
    """The length is not known when the first piece leaves the filters."""
    return (wanted, got) in (("length", "chunked"), ("length", "close"))


def no_length(wanted, got, judge):
    return got == [] and judge.answer.framing in ("stream", "none")


def has_body_read(wanted, got, judge):
    """nginx may answer without the body; a filter that looks at it wants it."""
    return (wanted, got) == ([], [100]) and judge.happens("request-body")


DIFFERENCES = [
    Difference(
        "a filter that looks at request bodies has them read before the handler runs, also for handlers that do without; one that "
        "holds the headers until it has seen the body has it read before nginx looks whether the request is allowed",
        "*/*/expect-*/*",
        "interim responses",
        lambda wanted, got, judge: has_body_read(wanted, got, judge)
        and (not judge.is_refused_by_nginx() or judge.reads_first()),
    ),
    Difference(
        "a filter that looks at bodies may change their length",
        "*",
        "framing",
        looks_like_chunks,
    ),
    Difference(
        "a filter that looks at bodies may change their length",
        "*",
        "header content-length",
        no_length,
    ),
    Difference(
        "filters see bodies decoded (proxy_wasm_decode), and what they let go on is not compressed, but for clients that ask nginx for it",
        "*decode*",
        "header content-encoding",
        lambda wanted, got, judge: wanted in (["gzip"], ["deflate"]) and got == [],
    ),
    Difference(
        "filters see bodies decoded (proxy_wasm_decode), and what they let go on is not compressed, but for clients that ask nginx for it",
        "*decode*",
        "header etag",
        lambda wanted, got, judge: got == [f"W/{wanted[0]}"],
    ),
    Difference("a filter that looks at bodies sees whole ones, so ranges are not offered", "*/*/range*/*", "range"),
    Difference(
        "a filter that looks at bodies sees whole ones, so ranges are not offered",
        "*",
        "header accept-ranges",
        lambda wanted, got, judge: wanted == ["bytes"] and got == [],
    ),
]


@dataclass
class Whole:
    aspect: str = "range"
    wanted: int = 206
    got: int = 200


WHOLE = Whole()


class Table:
    def __init__(self):
        self.used = set()

    def whole(self, case):
        """Whether the case may have the whole content where its twin has a range of it."""
        return self.excuses(case, WHOLE, None)

    def excuses(self, case, wrong, judge):
        for number, entry in enumerate(DIFFERENCES):
            if (
                fnmatchcase(case.id, entry.cases)
                and fnmatchcase(wrong.aspect, entry.aspects)
                and entry.holds(wrong.wanted, wrong.got, judge)
            ):
                self.used.add(number)
                return True
        return False

    def unused(self):
        return [entry for number, entry in enumerate(DIFFERENCES) if number not in self.used]
