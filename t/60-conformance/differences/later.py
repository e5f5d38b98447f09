"""Not there yet."""

from differences.entry import ANY, LATER, Difference

DIFFERENCES = [
    Difference(
        LATER,
        "A response without a body that a filter holds with `proxy_wasm_headers_stop_iteration`",
        "no body callback",
        "`proxy_on_response_body` of size 0 with the end of the stream when it goes on",
        "to be mended: the end has been told",
        [
            ("bodies: response headers held, no body*", "a response-body is told", None, "passed=0 held=0 ends=1"),
            ("bodies: response headers held, no body*", "callbacks", ANY, ANY),
        ],
    ),
    Difference(
        LATER,
        "Response trailers, when a filter looks at them",
        "shown to filters, and passed on",
        "the stream is reset behind the body",
        "to be mended",
        [
            *(
                ("*", aspect, envoy, None)
                for aspect, envoy in (
                    ("? response-trailers*", ANY),
                    ("response trailer x-up-trailer", ["up"]),
                    ("response trailer x-up-trailer-old", ["old"]),
                    ("response trailer x-up-trailer-old", ["new"]),
                    ("response trailer x-new", ["1"]),
                )
            ),
            ("*", "end", None, "reset"),
            ("waiting: response trailers*", "a tick*", ANY, None),
            ("headers: from response trailers on*", "a log: get response-trailers x-new", "0 1", "1"),
            ("headers: writing to trailer maps everywhere (h2)", "*body*", ANY, ANY),
            *(
                (case, "callbacks", ANY, ANY)
                for case in (
                    "headers: from response trailers on*",
                    "headers: removed response trailers*",
                    "bodies: gRPC*",
                    "protocols: gRPC (h2)",
                    "properties: gRPC*",
                    "chains: order with trailers*",
                    "waiting: response trailers*",
                )
            ),
        ],
    ),
    Difference(
        LATER,
        "`proxy_get_status`",
        "Ok",
        "Unimplemented",
        "comes with calls out",
        [("statuses: *", "*: raw get_status *", ANY, "12")],
    ),
]
