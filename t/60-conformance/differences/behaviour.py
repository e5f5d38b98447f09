"""Contexts, local responses, pauses and chains."""

from differences.entry import ANY, ANSWERS, CONTEXTS, WAITING, Difference

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
            ("waiting: done later*", "callbacks", ANY, ANY),
            ("waiting: done later*", "a tick*", None, ANY),
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
        "A status outside of 200 to 599",
        "sent",
        "BadArgument, and no local response",
        "it is no status",
        [
            ("local: odd status*", "a request-headers: answer *", "0", "2"),
            ("local: odd status*", "*", ANY, ANY),
        ],
    ),
    Difference(
        ANSWERS,
        "Malformed pairs",
        "Ok; headers are left out, or the request loses all",
        "BadArgument",
        "the mistake shows where it is made",
        [
            ("statuses: malformed pairs*", "a request-headers: raw *", "0", "2"),
            ("statuses: malformed pairs*", "*", ANY, ANY),
        ],
    ),
    Difference(
        ANSWERS,
        "A body with 204 and 304",
        "shown to filters, and the 204 has its length",
        "dropped",
        "there can be none",
        [
            (f"local: status {status} (h1)", aspect, ANY, ANY)
            for status in (204, 304)
            for aspect in ("a response-body *", "a response-headers *", "callbacks")
        ]
        + [
            ("local: status 204 (h1)", "response header content-length", ["4"], None),
            ("local: status 204 (h1)", "response header content-type", ["text/plain"], None),
        ],
    ),
    Difference(
        ANSWERS,
        "A line break in a header",
        "sent as it is",
        "the response is refused with 503",
        "as for other responses",
        [("local: line break in a header*", "*", ANY, ANY)],
    ),
    Difference(
        ANSWERS,
        "Its body, changed by a filter",
        "keeps the length that it had",
        "has its own length",
        "as for other bodies",
        [("local: its body is edited*", "*", ANY, ANY)],
    ),
    Difference(
        ANSWERS,
        "In place of a response that nginx makes by itself",
        "its body is shown to the filters over HTTP/2",
        "not shown",
        "the filters before have answered",
        [
            ("local: replaces a direct answer (h2)", "a response-body *", ANY, None),
            ("local: replaces a direct answer (h2)", "callbacks", ANY, ANY),
        ],
    ),
    Difference(
        WAITING,
        "Streams of TCP (2 and 3) in an HTTP stream",
        "continue: Ok or Unimplemented; close: Ok",
        "BadArgument",
        "there are none",
        [("statuses: streams of TCP*", "a request-headers: c*", ANY, "2")],
    ),
    Difference(
        WAITING,
        "`proxy_close_stream` in the response body",
        "headers are sent, then the connection is closed",
        "the connection is closed without an answer",
        "nginx holds headers back until the first piece of the body has passed the filters",
        [("waiting: close in the response body*", "*", ANY, ANY)],
    ),
    Difference(
        WAITING,
        "Bodies while a filter further on pauses at the headers",
        "the filters before it see the body at once",
        "they see it when the headers have passed all filters",
        "nginx reads a body when somebody wants it",
        [
            (f"chains: {case}*", "callbacks", ANY, ANY)
            for case in (
                "the middle one pauses with a body",
                "the middle one pauses the response",
                "all pause the response",
            )
        ],
    ),
]
