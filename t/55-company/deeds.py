"""What a filter does: statements for the guest `bodies` (t/guests/README.md), and what must come of it.

`place` is the callback in which it happens. `outcome`:

    same       the response is that of nginx without the filter
    answered   the filter's own response, 403 `no`, and nothing of what it guards
    failed     status `status`, and nothing of what it guards
    closed     the connection ends without a response
    response   the response with `change` applied to its body
    request    the upstream gets the request's body with `change` applied
"""

from dataclasses import dataclass

PLACES = ("request-headers", "request-body", "response-headers", "response-body")
ADDED = ("x-company", "yes")
TAIL = b"!tail!"
HEAD = b"!head!"


@dataclass
class Deed:
    name: str
    script: str
    outcome: str = "same"
    place: str = ""
    status: int = 0
    change: object = None
    # It keeps a whole response back, so what the upstream waits to be seen never is.
    holds_all: bool = False
    # Directives beside it.
    conf: str = ""
    # Lines of the error log that it explains, without regard to case.
    lines: tuple = ()
    # A failure takes the instance with it, and all other requests of that: one case at a time, unless each has its own.
    spoils: bool = False
    # It holds headers alone: in `stop` a body that goes on takes them with it.
    holds_headers: bool = False
    # It has the request's body read before nginx looks whether the request is allowed.
    reads_first: bool = False
    # It says something about requests with bodies only.
    needs_body: bool = False
    # "request" or "response" for a header that it adds.
    adds: str = ""

    def is_refusal(self):
        return self.outcome in ("answered", "failed", "closed")


def upper(body):
    return body.upper()


def append(body):
    return body + TAIL


def both(body):
    return HEAD + body.upper() + TAIL


STOPPED = "a wasm filter stopped a response that is on its way: the connection is closed"

DEEDS = [
    Deed("goes-on", ""),
    Deed("adds-response-header", "response-headers add response x-company yes", adds="response"),
    Deed("adds-request-header", "request-headers add request x-company yes", adds="request"),
    Deed("upper-response", "response-body upper", "response", "response-body", change=upper),
    Deed(
        "append-response",
        "response-headers remove response content-length; response-end append !tail!",
        "response",
        "response-body",
        change=append,
    ),
    Deed(
        "held-both-response",
        "response-body hold-until-end; response-end upper; response-end prepend !head!; response-end append !tail!",
        "response",
        "response-body",
        change=both,
        holds_all=True,
    ),
    Deed("upper-request", "request-body upper", "request", "request-body", change=upper),
    Deed(
        "append-request",
        "request-headers remove request content-length; request-end append !tail!",
        "request",
        "request-body",
        change=append,
    ),
    Deed(
        "held-both-request",
        "request-headers remove request content-length; request-body hold-until-end; request-end upper; "
        "request-end prepend !head!; request-end append !tail!",
        "request",
        "request-body",
        change=both,
    ),
    Deed("holds-request-until-end", "request-body hold-until-end"),
    Deed("holds-response-until-end", "response-body hold-until-end", holds_all=True),
]
for place in PLACES:
    DEEDS += [
        Deed(f"denies-{place}", f"{place} respond 403 no", "answered", place, 403, lines=(STOPPED,)),
        # As a filter does that asks somebody else.
        Deed(
            f"denies-later-{place}",
            f"tick 20; {place} hold; {place} #1 at-tick respond 403 no",
            "answered",
            place,
            403,
            lines=(STOPPED,),
            holds_headers=place.endswith("headers"),
        ),
        Deed(f"resumes-{place}", f"tick 20; {place} #1 hold; {place} #1 at-tick resume"),
        Deed(
            f"traps-{place}",
            f"{place} trap",
            "failed",
            place,
            503,
            lines=(
                "told to trap in",
                f"failed to call function: proxy_on_{place.replace('-', '_')} trapped",
                STOPPED,
            ),
            spoils=True,
        ),
        Deed(
            f"never-resumes-{place}",
            f"{place} hold",
            "failed",
            place,
            504,
            conf="wasm_pause_timeout 300ms;",
            lines=(r"paused the re(quest|sponse), and nothing resumed it within 300 ms", STOPPED),
            holds_all=True,
            holds_headers=place.endswith("headers"),
        ),
        Deed(f"closes-{place}", f"{place} close", "closed", place, lines=(STOPPED,)),
    ]
DEEDS += [
    # Of a body that was held.
    Deed(
        "denies-request-end",
        "request-body hold-until-end; request-end respond 403 no",
        "answered",
        "request-body",
        403,
    ),
    Deed(
        "denies-response-end",
        "response-body hold-until-end; response-end respond 403 no",
        "answered",
        "response-body",
        403,
        holds_all=True,
        lines=(STOPPED,),
    ),
    # While headers wait for the body (`proxy_wasm_headers_stop_iteration on`), as a WAF does.
    Deed(
        "denies-headers-by-body",
        "request-headers hold; request-body hold; request-end respond 403 no",
        "answered",
        "request-body",
        403,
        conf="proxy_wasm_headers_stop_iteration on;",
        needs_body=True,
        reads_first=True,
    ),
    Deed(
        "resumes-headers-by-body",
        "request-headers hold; request-body hold-until-end; request-end resume",
        conf="proxy_wasm_headers_stop_iteration on;",
        needs_body=True,
        reads_first=True,
    ),
]
NONE = Deed("none", None)
BY_NAME = {deed.name: deed for deed in DEEDS}

# What is around the filter: directives before and behind its own line. `{}` is the filter.
SETTINGS = {
    "alone": "{}",
    "stop": "proxy_wasm_headers_stop_iteration on;\n{}",
    "access": "proxy_wasm_phase access;\n{}",
    "own": "proxy_wasm_isolation request;\n{}",
    "first": "{}\nproxy_wasm company quiet;",
    "second": "proxy_wasm company quiet;\n{}",
}


def chain(deed, setting):
    """The directives of a server."""
    if deed is NONE:
        return ""
    filter = f"proxy_wasm company 'quiet; {deed.script}';"
    lines = SETTINGS[setting].format(filter)
    if deed.conf and deed.conf.split()[0] not in lines:
        lines = f"{deed.conf}\n{lines}"
    # A filter that fails on purpose must not have to wait for its next start.
    return f"{lines}\nproxy_wasm_restart_delay 1ms 1ms after=1000000;"
