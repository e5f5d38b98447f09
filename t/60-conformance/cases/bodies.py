"""Bodies: what filters see of them, and what they make of them."""

from cases import scripted

POST = {"method": "POST", "pieces": [b"0123456789"]}
PIECES = {"method": "POST", "pieces": [b"one, ", b"two, ", b"three"]}
LARGE = {"method": "POST", "pieces": [b"%07d\n" % n * 128 for n in range(1024)]}
# All of a body at its end.
HELD = {n: f"@{m}-body-more pause; @{m}-body-end " for n, m in ((0, "request"), (1, "response"))}
CHANGES = {
    "replaced": "set-buffer {} 0 4294967295 new body",
    "replaced by exact size": "set-buffer {} 0 10 new body",
    "emptied": "set-buffer {} 0 4294967295",
    "prepended": "set-buffer {} 0 0 before-",
    "appended": "set-buffer {} 1000 0 -after",
    "appended with a size": "set-buffer {} 1000 5 -after",
    "shrunk": "set-buffer {} 2 6 x",
    "grown in the middle": "set-buffer {} 5 0 <middle>",
    "overwritten in the middle": "set-buffer {} 3 2 <>",
    "cut": "set-buffer {} 4 4294967295",
    "grown a lot": "fill-buffer {} 0 4294967295 300000 y",
}


def both(change, number):
    """The change, seen by the filter; without content-length, which Envoy would leave as it was."""
    of = ("request", "response")[number]
    return f"@{of}-headers remove {of} content-length; {HELD[number]}{change}; @{of}-body-end buffer {number} 0 40"


CASES = [
    *scripted(
        "bodies: request seen",
        "@request-body collect 0; @log collected 0",
        **POST,
        expect={"upstream body": "0123456789"},
    ),
    *scripted("bodies: response seen", "@response-body collect 1; @log collected 1", expect={"body": "0123456789\n"}),
    *scripted(
        "bodies: none", "@request-body collect 0; @response-body collect 1; @log collected 0", path="/status/204"
    ),
    *scripted(
        "bodies: empty request body with length",
        "@request-body collect 0; @log collected 0",
        method="POST",
        pieces=[b""],
    ),
    *scripted(
        "bodies: empty request body without length",
        "@request-body collect 0; @log collected 0",
        method="POST",
        pieces=[b""],
        sized=False,
    ),
    *scripted(
        "bodies: empty response body in chunks", "@response-body collect 1; @log collected 1", path="/empty-chunked"
    ),
    *scripted("bodies: empty response body", "@response-body collect 1; @log collected 1", path="/empty"),
    *scripted("bodies: HEAD", "@response-body collect 1; @log collected 1", method="HEAD"),
    *scripted("bodies: HEAD that is changed", HELD[1] + "set-buffer 1 0 100 new", method="HEAD"),
    *scripted("bodies: 304", "@response-body collect 1", path="/status/304"),
    *scripted("bodies: request in chunks", "@request-body collect 0; @log collected 0", sized=False, **PIECES),
    *scripted(
        "bodies: request in pieces", "@request-body collect 0; @log collected 0", paced=("request-body", None), **PIECES
    ),
    *scripted("bodies: response in chunks", "@response-body collect 1; @log collected 1", path="/text-chunked"),
    *scripted(
        "bodies: response in pieces",
        "@response-body collect 1; @log collected 1",
        path="/pieces",
        paced=(None, "response-body"),
        expect={"body": "one, two, three\n"},
    ),
    *scripted(
        "bodies: response until the connection closes", "@response-body collect 1; @log collected 1", path="/close"
    ),
    *scripted("bodies: large request", "@request-body collect 0; @log collected 0", **LARGE),
    *scripted("bodies: large request in chunks", "@request-body collect 0; @log collected 0", sized=False, **LARGE),
    *scripted("bodies: large response", "@response-body collect 1; @log collected 1", path="/large"),
    *scripted("bodies: large response in chunks", "@response-body collect 1; @log collected 1", path="/large-chunked"),
    *scripted(
        "bodies: large in both directions",
        "@request-body collect 0; @response-body collect 1; @log collected 0; @log collected 1",
        path="/large",
        **LARGE,
    ),
    *scripted(
        "bodies: parts of the request",
        "@request-body-first buffer 0 0 4; @request-body-first buffer 0 4 100; @request-body-first buffer 0 9 1; "
        "@request-body-first buffer 0 10 1; @request-body-first buffer 0 11 1; @request-body-first buffer 0 4294967295 1; "
        "@request-body-first buffer 0 2 4294967295; @request-body-first buffer 0 3 0; @request-body-first buffer-status 0; "
        "@request-body-first buffer 1 0 1; @request-body-first buffer-status 1",
        **POST,
    ),
    *scripted(
        "bodies: parts of the response",
        "@response-body-first buffer 1 0 4; @response-body-first buffer 1 4 100; "
        "@response-body-first buffer 1 11 1; @response-body-first buffer 1 12 1; @response-body-first buffer-status 1; "
        "@response-body-first buffer 0 0 1; @response-body-first buffer-status 0",
    ),
    *[
        case
        for name, change in CHANGES.items()
        for case in scripted(f"bodies: request {name}", both(change.format(0), 0), **POST)
    ],
    *[
        case
        for name, change in CHANGES.items()
        for case in scripted(f"bodies: response {name}", both(change.format(1), 1))
    ],
    *[
        case
        for name in ("replaced", "prepended", "appended", "emptied")
        for case in scripted(f"bodies: chunked request {name}", both(CHANGES[name].format(0), 0), sized=False, **PIECES)
    ],
    *[
        case
        for name in ("replaced", "prepended", "appended", "emptied")
        for case in scripted(f"bodies: chunked response {name}", both(CHANGES[name].format(1), 1), path="/text-chunked")
    ],
    *scripted(
        "bodies: request appended, its length left", HELD[0] + CHANGES["appended"].format(0), protocols=("h1",), **POST
    ),
    *scripted("bodies: response appended, its length left", HELD[1] + CHANGES["appended"].format(1), protocols=("h1",)),
    *scripted("bodies: twice changed", both("set-buffer 0 0 0 a; @request-body-end set-buffer 0 0 1 bc", 0), **POST),
    *scripted(
        "bodies: request changed without a pause", "@request-body-first set-buffer 0 0 4 <new>", sized=False, **POST
    ),
    *scripted(
        "bodies: response changed without a pause",
        "@response-headers remove response content-length; " "@response-body-first set-buffer 1 0 4 <new>",
    ),
    *scripted(
        "bodies: response prepended and appended without a pause",
        "@response-headers remove response content-length; "
        "@response-body-first set-buffer 1 0 0 before-; @response-body-end set-buffer 1 100000 0 -after",
        path="/pieces",
        paced=(None, "response-body"),
    ),
    *scripted(
        "bodies: request held until its end",
        HELD[0] + "buffer 0 0 100; @request-body-end buffer-status 0",
        paced=("request-body", None),
        **PIECES,
    ),
    *scripted(
        "bodies: response held until its end",
        HELD[1] + "buffer 1 0 100; @response-body-end buffer-status 1",
        path="/pieces",
        paced=(None, "response-body"),
    ),
    *scripted(
        "bodies: large request held and replaced",
        "remove request content-length;" + HELD[0] + "set-buffer 0 0 4294967295 small",
        method="POST",
        pieces=[b"x" * 200000],
    ),
    *scripted(
        "bodies: large response held and replaced",
        "@response-headers remove response content-length;" + HELD[1] + "set-buffer 1 0 4294967295 small",
        path="/large",
    ),
    *scripted(
        "bodies: request held at its end, and a tick resumes",
        "@request-body pause; @request-body-end wait; @tick continue 0",
        **POST,
    ),
    *scripted(
        "bodies: response held at its end, and a tick resumes",
        "@response-body pause; @response-body-end wait; @tick continue 1",
    ),
    *scripted(
        "bodies: changed in the tick",
        "remove request content-length; @request-body pause; @request-body-end wait; @tick buffer 0 0 100; "
        "@tick set-buffer 0 0 4294967295 ticked; @tick continue 0",
        **POST,
    ),
    *scripted(
        "bodies: response changed in the tick",
        "@response-headers remove response content-length; @response-body pause; @response-body-end wait; @tick buffer 1 0 100; "
        "@tick set-buffer 1 0 4294967295 ticked; @tick continue 1",
    ),
    *scripted(
        "bodies: other buffers in body callbacks",
        "@request-body-first set-buffer 1 0 0 x; @response-body-first set-buffer 0 0 0 x; "
        "@response-body-first buffer 0 0 10; @request-body-first buffer 1 0 10",
        **POST,
    ),
    *scripted(
        "bodies: changed headers from the body callback",
        "@request-body-first add request x-late 1; " "@request-body-first get request x-late",
        **POST,
    ),
    *scripted(
        "bodies: headers held while the body is read, then changed",
        "pause; @request-body-more pause; "
        "@request-body-end add request x-size 10; @request-body-end replace request :path /routed",
        listener="held",
        **POST,
        expect={"upstream header x-size": ["10"], "upstream target": "/routed"},
    ),
    *scripted(
        "bodies: headers held, body replaced",
        "pause; " + both(CHANGES["replaced"].format(0), 0),
        listener="held",
        **POST,
    ),
    *scripted(
        "bodies: headers held, in pieces",
        "pause; " + both(CHANGES["appended"].format(0), 0),
        listener="held",
        paced=("request-body", None),
        **PIECES,
    ),
    *scripted(
        "bodies: response headers held while the body is read, then changed",
        "@response-headers pause; @response-body-more pause; "
        "@response-body-end add response x-size 11; @response-body-end replace response :status 299",
        listener="held",
        expect={"response header x-size": ["11"], "status": 299},
    ),
    *scripted(
        "bodies: response headers held, body replaced",
        "@response-headers pause; " + both(CHANGES["replaced"].format(1), 1),
        listener="held",
    ),
    *scripted(
        "bodies: response headers held, length put right",
        "@response-headers pause; " + HELD[1] + "set-buffer 1 0 4294967295 four; "
        "@response-body-end replace response content-length 4",
        listener="held",
        expect={"body": "four"},
    ),
    *scripted("bodies: headers held, no body", "pause; wait; @tick continue 0", listener="held"),
    *scripted(
        "bodies: response headers held, no body",
        "@response-headers pause; @response-headers wait; @tick continue 1",
        path="/status/204",
        listener="held",
    ),
    *scripted("bodies: direct answer", "@response-body collect 1; @log collected 1", listener="direct"),
    *scripted("bodies: direct answer replaced", both(CHANGES["replaced"].format(1), 1), listener="direct"),
    *scripted(
        "bodies: gRPC",
        "@request-body collect 0; @response-body collect 1; @log collected 0; @log collected 1",
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        **POST,
    ),
    *scripted(
        "bodies: gRPC in pieces",
        "@response-body collect 1; @log collected 1",
        listener="grpc",
        protocols=("h2",),
        path="/pieces",
        paced=(None, "response-body"),
        **POST,
    ),
    *scripted(
        "bodies: gRPC response changed",
        "@response-body-first set-buffer 1 0 4 <new>",
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        **POST,
    ),
    *scripted(
        "bodies: gRPC request changed",
        "@request-body-first set-buffer 0 0 4 <new>",
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        sized=False,
        **POST,
    ),
]
