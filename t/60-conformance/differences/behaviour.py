"""Contexts, local responses, pauses and chains."""

from differences.entry import (
    ANSWERED,
    ANSWERS,
    CONTEXTS,
    TEXT_THERE,
    WAITING,
    WITHOUT_BODY,
    Difference,
    answered_here_only,
    only_here,
    only_there,
    request,
    rules,
    told,
)


# Where a filter holds headers further on, the bodies come before or behind them: ... of whom, as it is in Envoy, and here.
OVERTAKING = {
    "the middle one pauses with a body": (
        "a req, b req, a req-body, b tick, c req, b req-body, c req-body, c res, b res, a res, c res-body, b res-body, a res-body",
        "a req, b req, b tick, c req, a req-body, b req-body, c req-body, c res, b res, a res, c res-body, b res-body, a res-body",
    ),
    "the middle one pauses the response": (
        "a req, b req, c req, c res, b res, c res-body, b tick, a res, b res-body, a res-body",
        "a req, b req, c req, c res, b res, b tick, a res, c res-body, b res-body, a res-body",
    ),
    "all pause the response": (
        "a req, b req, c req, c res, c tick, b res, c res-body, b tick, a res, b res-body, a tick, a res-body",
        "a req, b req, c req, c res, c tick, b res, b tick, a res, a tick, c res-body, b res-body, a res-body",
    ),
}


def callbacks(short):
    names = {"req": "request-headers", "res": "response-headers", "req-body": "request-body", "res-body": "response-body"}
    return [f"{filter} {names.get(name, name)}" for filter, name in (one.split(" ") for one in short.split(", "))]

DIFFERENCES = [
    Difference(
        CONTEXTS,
        "The end of a stream",
        "`proxy_on_log`, `proxy_on_done`, `proxy_on_delete`",
        "`proxy_on_done`, `proxy_on_log`, `proxy_on_delete`",
        "the order that the specification has",
        [
            ("*", "* ends", ["log", "done", "delete"], ["done", "log", "delete"]),
            ("protocols: *", "a ends", ["log", "done", "delete"] * 2, ["done", "log", "delete"] * 2),
        ],
    ),
    Difference(
        CONTEXTS,
        "`proxy_set_effective_context` with 0",
        "Ok",
        "BadArgument",
        "there is no such context",
        [
            ("statuses: effective contexts*", "a request-headers: effective 0", "0", "2"),
            ("starts: no stream", "*: effective 0", "0", "2"),
        ],
    ),
    Difference(
        CONTEXTS,
        "`proxy_on_done` that returns false, in a stream",
        "taken for true",
        "on_log and on_delete wait for `proxy_done`",
        "the specification has it",
        [
            ("waiting: done later*", "callbacks", ANSWERED, [*ANSWERED, "a tick"]),
            *only_here(
                "waiting: done later*",
                {
                    "a tick is told": "effective=0",
                    "a tick: get request :path": "1",
                    "a tick: end": "0",
                    "a tick: end again": "1",
                },
            ),
        ],
    ),
    Difference(
        CONTEXTS,
        "A request that is refused before any filter runs",
        "makes contexts, and ends them",
        "makes none",
        "they would have nothing to do",
        [
            ("protocols: *", "a ends", ["log", "done", "delete"], None),
            ("protocols: *", "filters *", ["a"], []),
        ],
    ),
    Difference(
        ANSWERS,
        "A status outside of 200 to 999",
        "sent",
        "500, and the error log says so",
        "it is no status of a response; the request is refused nevertheless",
        [(f"local: odd status {status} (h1)", "status", status, 500) for status in (0, 1000)],
    ),
    Difference(
        ANSWERS,
        "Malformed pairs for a header map",
        "Ok, and the request loses all",
        "BadArgument",
        "the mistake shows where it is made",
        [
            ("statuses: malformed pairs (h1)", "a request-headers: raw *", "0", "2"),
            *answered_here_only(
                "statuses: malformed pairs",
                request(
                    "/text",
                    x_a="raw set_header_map_pairs 0 hex:05000000; raw set_header_map_pairs 0 hex:010000000100; "
                    "get request :path",
                ),
                protocols=("h1",),
                status=404,
            ),
            ("statuses: malformed pairs (h1)", "a request-headers: get request :path", "1", "0 /text"),
        ],
    ),
    Difference(
        ANSWERS,
        "A body with 204 and 304",
        "shown to filters, and both have its length",
        "dropped",
        "there can be none",
        [
            rule
            for status in (204, 304)
            for rule in rules(
                f"local: status {status} (h1)",
                {
                    "a response-headers is told": ("eos=0 counted", "eos=1 counted"),
                    "a response-body is told": (told("text"), None),
                    "callbacks": (ANSWERED, WITHOUT_BODY),
                },
            )
        ]
        + [
            (f"local: status {status} (h1)", f"response header {name}", [value], None)
            for status in (204, 304)
            for name, value in (("content-length", "4"), ("content-type", "text/plain"))
        ],
    ),
    Difference(
        ANSWERS,
        "A line break or NUL in a header, or a name that is no token",
        "sent as it is",
        "the header is left out, and the error log says so",
        "whoever controls the value would add headers; the response goes, since it may be what refuses the request",
        [
            # Two headers, for the client.
            *only_there("local: line break in a header (h1)", {"response header x": ["a"], "response header b": [""]}),
            ("local: NUL in a header (h1)", "response header x", ["a\0b"], None),
            ("local: name with a blank in a header (h1)", "response header x y", ["a"], None),
        ],
    ),
    Difference(
        ANSWERS,
        "Its body, changed by a filter",
        "keeps the length that it had",
        "has its own length",
        "as for other bodies",
        [
            # What is more than that does not leave.
            ("local: its body is edited (h1)", "body", "change", "changed"),
            ("local: its body is edited (h1)", "response header content-length", ["6"], ["7"]),
            # The client takes a wrong length for an error, and stops.
            *rules(
                "local: its body is edited (h2)",
                {
                    "status": (0, 403),
                    "body": ("", "changed"),
                    "end": ("content-length is not that of the body, before the end of the response", None),
                    "response header content-length": (None, ["7"]),
                    "response header content-type": (None, ["text/plain"]),
                    "response header x-h": (None, ["1", "2"]),
                },
            ),
        ],
    ),
    Difference(
        ANSWERS,
        "In place of a response that nginx makes by itself",
        "its body is shown to the filters over HTTP/2",
        "not shown",
        "the filters before have answered",
        [
            ("local: replaces a direct answer (h2)", "a response-body is told", told("direct\n"), None),
            ("local: replaces a direct answer (h2)", "callbacks", ANSWERED, WITHOUT_BODY),
        ],
    ),
    Difference(
        WAITING,
        "Streams of TCP (2 and 3) in an HTTP stream",
        "continue: Ok or Unimplemented; close: Ok",
        "BadArgument",
        "there are none",
        rules(
            "statuses: streams of TCP*",
            {
                "a request-headers: continue 2": ("0", "2"),
                "a request-headers: continue 3": ("12", "2"),
                "a request-headers: close [23]": ("0", "2"),
            },
        ),
    ),
    Difference(
        WAITING,
        "`proxy_close_stream` in the response body",
        "headers are sent, then the connection is closed",
        "the connection is closed without an answer",
        "nginx holds headers back until the first piece of the body has passed the filters",
        [
            *only_there(
                "waiting: close in the response body (h*)", {**TEXT_THERE, "response header content-length": ["11"]}
            ),
            ("waiting: close in the response body (h*)", "status", 200, 0),
            (
                "waiting: close in the response body (h1)",
                "end",
                "closed before the end of the body",
                "closed before the headers were there",
            ),
        ],
    ),
    Difference(
        WAITING,
        "Bodies while a filter further on pauses at the headers",
        "the filters before it see the body at once",
        "they see it when the headers have passed all filters",
        "nginx reads a body when somebody wants it",
        [
            (f"chains: {case}*", "callbacks", callbacks(there), callbacks(here))
            for case, (there, here) in OVERTAKING.items()
        ],
    ),
]
