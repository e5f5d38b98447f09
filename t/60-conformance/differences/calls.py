"""Calls of filters to other services."""

from differences.entry import ANY, CALLS, Difference

DIFFERENCES = [
    Difference(
        CALLS,
        "An HTTP call that fails or takes too long",
        "the callback gets a response 502, 503 or 504 that Envoy makes up",
        "it gets no headers, and `proxy_get_status` tells why",
        "so a filter can tell it from an answer; SDKs give 0 headers for it",
        [("calls: a service that is not there", "*", ANY, ANY)],
    ),
    Difference(
        CALLS,
        "Buffer 9",
        "BadArgument",
        "NotFound outside of the callback that has it",
        "it is the reply of a Redis server, for the plugins of Higress",
        [("statuses: unknown buffers*", "*: buffer 9 *", "2", "1")],
    ),
]
