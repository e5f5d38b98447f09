"""What an entry of the table is."""

import re
from dataclasses import dataclass, field

HEADERS, HTTP, BODIES = "Header maps", "HTTP", "Bodies and trailers"
CONTEXTS, ANSWERS, WAITING = "Contexts", "Local responses", "Pauses and chains"
PROPERTIES, CALLS = "Properties", "Calls to other services"


@dataclass
class Difference:
    """Topic and texts are for the page. A rule is the case and the aspect (with * as wild card), and what it is in Envoy
    and here (None: nothing): the value, or what `fits` knows beside values."""

    topic: str
    what: str
    envoy: str
    here: str
    why: str
    rules: list = field(default_factory=list)


@dataclass(frozen=True)
class Like:
    """A text of which a part depends on the machine, or on the version of a server."""

    pattern: str


@dataclass(frozen=True)
class LengthOf:
    """The number of bytes of another aspect on the same side, a body, as the value of a header."""

    body: str


@dataclass(frozen=True)
class SameAs:
    """The value of another aspect on the same side, as the value of a header."""

    aspect: str


def fits(expected, value, aspects):
    """Whether a value of one side, whose aspects these are, is what a rule has for it."""
    if isinstance(expected, Like):
        return isinstance(value, str) and re.fullmatch(expected.pattern, value, re.DOTALL) is not None
    if isinstance(expected, LengthOf):
        # A long body is told with its length (comparison.py).
        body = aspects.get(expected.body, "")
        told = re.search(r"\.\.\. \((\d+) bytes, ", body)
        return value == [told[1] if told else str(len(body))]
    if isinstance(expected, SameAs):
        return value == [aspects.get(expected.aspect)]
    if isinstance(expected, list) and isinstance(value, list):
        return len(expected) == len(value) and all(fits(one, other, aspects) for one, other in zip(expected, value))
    return expected == value


def rules(cases, differing):
    """A rule for each aspect: {aspect: (in Envoy, here)}."""
    return [(cases, aspect, envoy, here) for aspect, (envoy, here) in differing.items()]


def only_there(cases, aspects):
    """What is in Envoy, and not here."""
    return rules(cases, {aspect: (value, None) for aspect, value in aspects.items()})


def only_here(cases, aspects):
    """What is here, and not in Envoy."""
    return rules(cases, {aspect: (None, value) for aspect, value in aspects.items()})


# What the answers of the upstream have beside their status and what tells of their body (upstream.FIELDS).
UPSTREAM_FIELDS = {
    "response header etag": ['"tag"'],
    "response header last-modified": ["Mon, 28 Sep 1970 06:00:00 GMT"],
    "response header set-cookie": ["one=1; Path=/", "two=2"],
    "response header vary": ["x-in"],
    "response header x-up-kept": ["Kept As It Is"],
    "response header x-up-removed": ["first", "second"],
    "response header x-up-replaced": ["old"],
    "response header x-up-twice": ["a", "b"],
}
# The same of the path /text, with the header that Envoy joins as each side has it.
TEXT = {**UPSTREAM_FIELDS, "response header content-type": ["text/plain"]}
TEXT_THERE = {**TEXT, "response header cache-control": ["no-store,private"]}
TEXT_HERE = {**TEXT, "response header cache-control": ["no-store", "private"]}
JSON_HERE = {**TEXT_HERE, "response header content-type": ["application/json"]}


def request(target, method="GET", body="", host="test.example", **headers):
    """What the upstream gets of a request that reaches it on one side only."""
    return {
        "upstream method": method,
        "upstream target": target,
        "upstream body": body,
        "upstream header host": [host],
        **{f"upstream header {name.replace('_', '-')}": [value] for name, value in headers.items()},
    }


def page(status):
    """nginx's page of an error; its last line has the version."""
    return Like(rf"<html>\r\n<head><title>{status}</title></head>\r\n.*<center>nginx/[\d.]+</center>\r\n</body>\r\n</html>\r\n")


# Its length depends on that.
PAGE_LENGTH = [Like(r"1\d\d")]


def told(body):
    """What a callback about the body is told when that passes."""
    return f"passed={len(body)} held=0 ends=1"


TOLD_OF_PAGE = Like(r"passed=1\d\d held=0 ends=1")

# The callbacks for a request and its answer, and for those without bodies.
ANSWERED = ["a request-headers", "a response-headers", "a response-body"]
WITHOUT_BODY = ["a request-headers", "a response-headers"]
BODY = "0123456789\n"


def answered_here_only(cases, got, body=BODY, fields=TEXT_HERE, protocols=("h1", "h2"), status=None):
    """Envoy answers without a body, such as for want of a route; here the upstream answers what it `got`."""
    found = rules(
        f"{cases} (h*)",
        {
            "body": ("", body),
            "reached the upstream": (0, 1),
            "callbacks": (WITHOUT_BODY, ANSWERED),
            "a response-headers is told": ("eos=1 counted", "eos=0 counted"),
            "a response-body is told": (None, told(body)),
        },
    )
    found += only_here(f"{cases} (h*)", {**fields, **got})
    # Envoy has none over HTTP/2.
    for protocol in protocols:
        found.append(
            (
                f"{cases} ({protocol})",
                "response header content-length",
                ["0"] if protocol == "h1" else None,
                [str(len(body))],
            )
        )
    if status:
        found.append((f"{cases} (h*)", "status", status, 200))
    return found
