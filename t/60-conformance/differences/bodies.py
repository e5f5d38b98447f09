"""Bodies and trailers."""

from differences.entry import BODIES, BODY, TEXT_THERE, Difference, Like, only_there, request, rules, told

# What a filter gets of request trailers, the upstream of them, and, where it has one, of the answer.
ALL = ["a request-headers", "a request-body", "a request-trailers", "a response-headers", "a response-body"]
TRAILERS = {
    "a request-trailers is told": "counted",
    "a request-trailers: list 1": "0 well formed",
    "a request-trailers: list 1: x-t": ["1"],
    "upstream trailer x-t": ["1"],
}


def request_trailers(cases):
    return [
        # Over HTTP/1.1 the end comes with the body.
        (f"{cases} (h1)", "a request-body is told", "passed=4 held=0 ends=0", "passed=4 held=0 ends=1"),
        (f"{cases} (h1)", "callbacks", ALL, [name for name in ALL if name != "a request-trailers"]),
        *only_there(f"{cases} (h*)", TRAILERS),
        *no_answer(f"{cases} (h2)", ALL, "/text"),
        (f"{cases} (h2)", "response header content-length", ["11"], None),
        (f"{cases} (h2)", "a response-body is told", told(BODY), None),
    ]


def no_answer(cases, callbacks, target):
    """The connection is closed before the request has been sent."""
    return [
        *rules(
            cases,
            {
                "status": (200, 0),
                "body": (BODY, ""),
                "end": (None, "connection terminated"),
                "callbacks": (callbacks, ["a request-headers", "a request-body"]),
                "reached the upstream": (1, 0),
            },
        ),
        *only_there(cases, {**TEXT_THERE, "a response-headers is told": "eos=0 counted"}),
        *only_there(cases, request(target, "POST", "body")),
        # As the client sent it.
        (cases, "upstream header x-a", [Like("@request-.*")], None),
    ]


def nothing_collected(cases):
    """A checksum of nothing, and that of the answer."""
    seen = ("11 bytes, sum 7a9344d3a32bc8a8, 0123456789\\x0a", "0 bytes, sum cbf29ce484222325, ")
    return rules(cases, {"a log: collected 1": seen})

DIFFERENCES = [
    Difference(
        BODIES,
        "Request trailers",
        "shown to filters, and passed on",
        "dropped; over HTTP/2 nginx closes the connection",
        "nginx discards them over HTTP/1.1, and takes them for a mistake over HTTP/2; the map is never there",
        [
            *request_trailers("headers: request trailers"),
            *only_there(
                "headers: request trailers (h*)",
                {
                    "a request-trailers: add request-trailers x-new 1": "0",
                    "a request-trailers: get request-trailers x-t": "0 1",
                    "upstream trailer x-new": ["1"],
                },
            ),
            *request_trailers("protocols: request trailers"),
            *nothing_collected("protocols: request trailers (h2)"),
            *only_there("protocols: gRPC request trailers (h2)", TRAILERS),
            *no_answer("protocols: gRPC request trailers (h2)", [*ALL, "a response-trailers"], "/trailers"),
            *nothing_collected("protocols: gRPC request trailers (h2)"),
            *only_there(
                "protocols: gRPC request trailers (h2)",
                {
                    "a response-body is told": "passed=11 held=0 ends=0",
                    "a response-trailers is told": "counted",
                    "response trailer x-up-trailer": ["up"],
                    "response trailer x-up-trailer-old": ["old"],
                },
            ),
            # In Envoy the map is there, and empty, when the body has come without trailers over HTTP/2.
            ("headers: trailer map sizes everywhere (h2)", "a *: size 1", "0 0", "1 0"),
            ("headers: *trailer maps everywhere*", "a *: * request-trailers *", "0", "2"),
        ],
    ),
    Difference(
        BODIES,
        "Response trailers of an HTTP/1.1 upstream",
        "shown to filters, and passed on",
        "dropped",
        "nginx discards them (1.27.2 has `proxy_pass_trailers`); those of gRPC upstreams are there",
        [
            *[
                rule
                for case in ("headers: response trailers from HTTP/1.1", "protocols: response trailers")
                for rule in [
                    *rules(
                        f"{case} (h*)",
                        {
                            "a response-body is told": ("passed=11 held=0 ends=0", "passed=11 held=0 ends=1"),
                            "callbacks": (
                                ["a request-headers", "a response-headers", "a response-body", "a response-trailers"],
                                ["a request-headers", "a response-headers", "a response-body"],
                            ),
                        },
                    ),
                    *only_there(
                        f"{case} (h*)",
                        {
                            "a response-trailers is told": "counted",
                            "a response-trailers: list 3": "0 well formed",
                            "a response-trailers: list 3: x-up-trailer": ["up"],
                            "a response-trailers: list 3: x-up-trailer-old": ["old"],
                            "response trailer x-up-trailer": ["up"],
                            "response trailer x-up-trailer-old": ["old"],
                        },
                    ),
                ]
            ],
            *only_there(
                "headers: response trailers from HTTP/1.1 (h*)",
                {"a response-trailers: add response-trailers x-new 1": "0", "response trailer x-new": ["1"]},
            ),
        ],
    ),
    Difference(
        BODIES,
        "Buffers that are not there now",
        "Ok, and empty",
        "NotFound",
        "a filter can tell an empty body from none",
        [
            *[
                rule
                for case in ("statuses: buffers that are not there*", "bodies: parts of the re*", "starts: no request")
                for rule in ((case, "*: buffer ? 0 1*", "0", "1"), (case, "*: buffer-status ?", "0 0 0", "1 0 0"))
            ],
            ("bodies: other buffers in body callbacks*", "a *: buffer *", "0", "1"),
        ],
    ),
    Difference(
        BODIES,
        "Writing to a buffer that cannot be written now",
        "BadArgument for those of HTTP, NotFound for those of calls and configurations",
        "NotFound for those of HTTP, BadArgument for those that nobody can write",
        "the meaning of these statuses",
        [
            ("statuses: writing to buffers that are not there*", "a *: set-buffer *", "2", "1"),
            ("bodies: other buffers in body callbacks*", "a *: set-buffer *", "2", "1"),
            ("starts: no request", "*: set-buffer *", "2", "1"),
            ("statuses: writing to buffers that are not there*", "a *: set-buffer *", "1", "2"),
        ],
    ),
    Difference(
        BODIES,
        "The plugin's configuration in a stream",
        "NotFound",
        "there",
        "it costs nothing, and saves copies",
        [
            *rules(
                "statuses: the plugin's configuration in a request*",
                {
                    "a request-headers: buffer 7 0 6": ("1", "0 name a"),
                    "a request-headers: buffer 7 5 1": ("1", "0 a"),
                    "a request-headers: buffer 7 0 0": ("1", "0"),
                    "a request-headers: buffer 7 1000 1": ("1", "0"),
                    "a request-headers: buffer 7 4294967295 4294967295": ("1", "0"),
                    "a request-headers: buffer-status 7": ("1 0 0", "0 54 0"),
                },
            ),
            ("statuses: pointers outside of the memory, buffers*", "a request-headers: raw get_buffer_* 7 *", "1", "6"),
        ],
    ),
    Difference(
        BODIES,
        "content-length of a body that a filter changes",
        "stays as it was, unless the filter removes it: the body is cut, or the other end " "waits for the rest",
        "put right, or left out",
        "a wrong length breaks the connection, or lets requests be smuggled",
        [
            ("bodies: request appended, its length left*", "upstream body", "0123456789", "0123456789-after"),
            ("bodies: request appended, its length left*", "upstream header content-length", ["10"], ["16"]),
            ("bodies: response appended, its length left*", "body", "0123456789\n", "0123456789\n-after"),
            ("bodies: response appended, its length left*", "response header content-length", ["11"], ["17"]),
        ],
    ),
    Difference(
        BODIES,
        "Changes in the middle of a buffer (`proxy_set_buffer_bytes` with a start inside)",
        "BadArgument",
        "work",
        "the specification has them",
        [
            rule
            for change, made in {
                "shrunk": "01x89",
                "grown in the middle": "01234<middle>56789",
                "overwritten in the middle": "012<>56789",
                "cut": "0123",
            }.items()
            for direction, side, end in (("request", "upstream body", ""), ("response", "body", "\n"))
            for rule in rules(
                f"bodies: {direction} {change} (h*)",
                {
                    f"a {direction}-body: set-buffer *": ("2", "0"),
                    f"a {direction}-body: buffer ? 0 40": (
                        "0 0123456789" + end.replace("\n", "\\x0a"),
                        "0 " + made + ("" if change == "cut" else end.replace("\n", "\\x0a")),
                    ),
                    side: ("0123456789" + end, made + ("" if change == "cut" else end)),
                },
            )
        ],
    ),
    Difference(
        BODIES,
        "A response over HTTP/2 with `content-length: 0`, and an empty frame as its body",
        "the end of stream comes with an empty body",
        "it comes with the headers",
        "nginx takes the length for the end, as both do over HTTP/1.1",
        rules(
            "protocols: gRPC without a body*",
            {
                "a response-headers is told": ("eos=0 counted", "eos=1 counted"),
                "a response-body is told": ("passed=0 held=0 ends=1", None),
                "callbacks": (
                    ["a request-headers", "a response-headers", "a response-body"],
                    ["a request-headers", "a response-headers"],
                ),
            },
        ),
    ),
]
