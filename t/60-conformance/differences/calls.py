"""Calls of filters to other services."""

from differences.entry import CALLS, Difference


def report(headers, body):
    """What the filter of the cases answers, a call having come to this."""
    return (
        '{"events":[{"name":"a","kind":"response","counts":[],"headers":['
        + headers
        + f'],"body":"{body}","trailers":[],"status":[0,""]}}],"open":0}}\n'
    )


BROKEN = "upstream connect error or disconnect/reset before headers. reset reason: "
# For how a call can fail, the answer that Envoy makes up.
MADE_UP = {
    "is not there": (503, f"{BROKEN}remote connection failure"),
    "answers otherwise": (502, f"{BROKEN}protocol error"),
    "does not answer in time": (504, "upstream request timeout"),
}


def failures():
    here = report("", "")
    for how, (status, body) in MADE_UP.items():
        there = report(f'[":status","{status}"]', body)
        yield f"calls: a service that {how}", "body", there, here
        yield f"calls: a service that {how}", "response header content-length", [str(len(there))], [str(len(here))]


DIFFERENCES = [
    Difference(
        CALLS,
        "An HTTP call that fails or takes too long",
        "the callback gets a response 502, 503 or 504 that Envoy makes up",
        "it gets no headers, and `proxy_get_status` tells why",
        "so a filter can tell it from an answer; SDKs give 0 headers for it",
        list(failures()),
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
