"""Header maps: reading and writing, in every callback, statuses included."""

from cases import scripted

DOUBLE = [("x-in", "first"), ("x-twice", "a"), ("X-Twice", "b"), ("x-empty", ""), ("accept", "text/html")]
EVERYWHERE = (
    "request-headers",
    "request-body-first",
    "response-headers",
    "response-body-first",
    "done",
    "log",
    "delete",
)


def everywhere(statement, callbacks=EVERYWHERE):
    return ";".join(f"@{callback} {statement}" for callback in callbacks)


def edits(map, when):
    """Statements that add, replace and remove, and then look."""
    return ";".join(
        f"@{when} {statement}"
        for statement in (
            f"add {map} x-added one",
            f"add {map} x-added two",
            f"add {map} X-Mixed Case Kept",
            f"replace {map} x-twice single",
            f"replace {map} x-absent now-there",
            f"add {map} x-in second",
            f"remove {map} x-never",
            f"remove {map} x-gone",
            f"add {map} x-blank",
            f"get {map} x-added",
            f"get {map} x-absent",
            f"get {map} x-gone",
            f"get {map} x-blank",
            f"size {map}",
            f"remove {map} x-blank",
        )
        if not statement.startswith("size")
    )


CASES = [
    *scripted(
        "headers: read one by one",
        """get request :method; get request :path; get request :authority; get request :scheme; get request host;
        get request Host; get request x-in; get request X-IN; get request x-twice; get request x-empty;
        get request x-missing; get request :status; get request :protocol; get request accept""",
        path="/text?q=1&r=%20",
        headers=DOUBLE,
        expect={"a request-headers: get request x-in": "0 first", "a request-headers: get request x-missing": "1"},
    ),
    *scripted("headers: read all", "list 0", headers=DOUBLE, expect={"a request-headers: list 0: x-twice": ["a", "b"]}),
    *scripted("headers: read all of the response", "@response-headers list 2; @response-headers get response :status"),
    *scripted("headers: read all of a 404", "@response-headers list 2", path="/status/404"),
    *scripted("headers: read all of a 304", "@response-headers list 2", path="/status/304"),
    *scripted("headers: read all of a 302", "@response-headers list 2", path="/status/302"),
    *scripted("headers: read all of a response in chunks", "@response-headers list 2", path="/text-chunked"),
    *scripted("headers: edit the request", edits("request", "request-headers"), headers=[*DOUBLE, ("x-gone", "x")]),
    *scripted(
        "headers: edit the response",
        edits("response", "response-headers") + """; @response-headers replace response x-up-twice single;
        @response-headers remove response x-up-removed; @response-headers replace response x-up-replaced new;
        @response-headers add response set-cookie three=3; @response-headers list 2""",
        expect={"response header x-up-twice": ["single"]},
    ),
    *scripted(
        "headers: the response has none of many",
        "@response-headers remove response "
        + "; @response-headers remove response ".join(
            ("set-cookie", "cache-control", "etag", "last-modified", "vary", "content-type")
        ),
    ),
    *scripted("headers: content-type of the response", "@response-headers replace response content-type text/x-new"),
    *scripted(
        "headers: content-type with a charset",
        "@response-headers replace response content-type text/x-new; " "@response-headers get response content-type",
    ),
    *scripted("headers: content-length of the response is removed", "@response-headers remove response content-length"),
    *scripted(
        "headers: new path",
        "replace request :path /new?query=1; get request :path",
        expect={"upstream target": "/new?query=1"},
    ),
    *scripted("headers: new path with bytes to escape", "replace request :path /a%20b/../c%2Fd?e=%zz"),
    *scripted("headers: new method", "replace request :method PUT", expect={"upstream method": "PUT"}),
    *scripted("headers: new method with a body", "replace request :method PATCH", method="POST", pieces=[b"body"]),
    # Not to HEAD: the client of Envoy waits for the body for ever.
    *scripted("headers: new authority", "replace request :authority new.example:81; get request host"),
    *scripted("headers: new host", "replace request host new.example:81; get request :authority"),
    *scripted(
        "headers: add to path and method",
        "add request :path /other; add request :method PUT; get request :path; " "get request :method",
    ),
    *scripted("headers: remove pseudo-headers", "remove request :path; get request :path"),
    *scripted(
        "headers: an unknown pseudo-header",
        "add request :unknown 1; replace request :status 200; add request x-new 1",
        protocols=("h1",),
        expect={"status": 200, "upstream header x-new": ["1"]}
    ),
    *scripted(
        "headers: an unknown pseudo-header of a response",
        "@response-headers add response :unknown 1; @response-headers replace response :path /x; "
        "@response-headers add response x-new 1",
        protocols=("h1",),
        expect={"status": 200, "response header x-new": ["1"]}
    ),
    *scripted("headers: remove authority", "remove request :authority; get request :authority; get request host"),
    *scripted("headers: new scheme", "replace request :scheme https; get request :scheme"),
    *scripted(
        "headers: new status",
        "@response-headers replace response :status 299; @response-headers get response :status",
        expect={"status": 299},
    ),
    *scripted("headers: status 404 from 200", "@response-headers replace response :status 404"),
    *scripted(
        "headers: remove status",
        "@response-headers remove response :status; " "@response-headers get response :status",
        protocols=("h1",),
    ),
    *scripted(
        "headers: set all of the request",
        "set-pairs request :method=POST,:path=/set?x,:authority=set.example,:scheme=http,x-only=1,x-only=2; list 0",
        headers=DOUBLE,
    ),
    *scripted(
        "headers: set all of the request, with what Envoy adds",
        "set-pairs request :method=POST,:path=/set?x,:authority=set.example,:scheme=http,x-forwarded-proto=http,x-only=1; list 0",
        headers=DOUBLE,
        expect={"upstream target": "/set?x"},
    ),
    *scripted("headers: set all of the request, without pseudo-headers", "set-pairs request x-forwarded-proto=http; list 0"),
    *scripted(
        "headers: set all of the response",
        "@response-headers set-pairs response :status=201,x-only=1,x-only=2,content-length=11; @response-headers list 2",
    ),
    *scripted(
        "headers: set cookies",
        "add request cookie c=3; get request cookie",
        headers=[("cookie", "a=1"), ("cookie", "b=2")],
    ),
    *scripted("headers: values of any bytes", "raw add_header_map_value 0 str:x-bytes hex:e4f6fc; get request x-bytes"),
    *scripted(
        "headers: values of any bytes in the response",
        "@response-headers raw add_header_map_value 2 str:x-bytes hex:e4f6fc; @response-headers get response x-bytes",
    ),
    *scripted("headers: a tab in a value", "raw add_header_map_value 0 str:x-tab hex:610962; get request x-tab"),
    *scripted("headers: line break in a request value", "raw add_header_map_value 0 str:x-break hex:610d0a783a79"),
    *scripted(
        "headers: line break in a response value",
        "@response-headers raw add_header_map_value 2 str:x-break hex:610d0a783a79",
    ),
    *scripted("headers: NUL in a response value", "@response-headers raw add_header_map_value 2 str:x-nul hex:610062"),
    *scripted("headers: name with a blank", "raw add_header_map_value 0 hex:782079 str:v"),
    *scripted(
        "headers: empty name",
        "raw add_header_map_value 0 0 0 str:v; raw get_header_map_value 0 0 0 out out2; "
        "raw remove_header_map_value 0 0 0",
    ),
    *scripted("headers: empty name that stays", "raw add_header_map_value 0 0 0 str:v"),
    *scripted("headers: many", ";".join(f"add request x-n{n} {n}" for n in range(60)) + "; get request x-n59"),
    *scripted(
        "headers: many in the response", ";".join(f"@response-headers add response x-n{n} {n}" for n in range(60))
    ),
    *scripted("headers: long value", "raw add_header_map_value 0 str:x-long buf 4096"),
    *scripted(
        "headers: long value in the response", "@response-headers raw add_header_map_value 2 str:x-long buf 4096"
    ),
    *scripted(
        "headers: request map everywhere",
        everywhere("get request :path") + ";" + everywhere("get request x-none"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted("headers: size of request map everywhere", everywhere("get request x-in"), headers=DOUBLE),
    *scripted(
        "headers: response map everywhere",
        everywhere("get response :status") + ";" + everywhere("get response x-none"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: trailer maps everywhere",
        everywhere("get request-trailers x") + ";" + everywhere("get response-trailers x"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: trailer map sizes everywhere",
        everywhere("size 1") + ";" + everywhere("size 3"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: writing to the request map everywhere",
        everywhere("add request x-w 1"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: writing to the response map everywhere",
        everywhere("add response x-w 1"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: removing from the response map everywhere",
        everywhere("remove response x-w"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: writing to trailer maps everywhere",
        everywhere("add request-trailers x 1") + ";" + everywhere("add response-trailers x 1"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: removing from trailer maps everywhere",
        everywhere("remove request-trailers x") + ";" + everywhere("remove response-trailers x"),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: maps of calls and gRPC",
        "get 4 x; get 5 x; get 6 x; get 7 x; size 4; size 6; pairs 4; pairs 6; add 4 x 1; "
        "add 6 x 1; remove 6 x; replace 7 x 1",
    ),
    *scripted(
        "headers: from response trailers on",
        "@response-trailers list 3; @response-trailers get response-trailers x-up-trailer; "
        "@response-trailers add response-trailers x-new 1; @response-trailers replace response-trailers x-up-trailer-old new; "
        "@response-trailers get response x-up-kept; @log get response-trailers x-new",
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        method="POST",
        pieces=[b"body"],
        expect={"response trailer x-new": ["1"], "response trailer x-up-trailer-old": ["new"]},
    ),
    *scripted(
        "headers: removed response trailers",
        "@response-trailers remove response-trailers x-up-trailer",
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "headers: response trailers from HTTP/1.1",
        "@response-trailers list 3; @response-trailers add response-trailers x-new 1",
        path="/trailers",
    ),
    *scripted(
        "headers: request trailers",
        "@request-trailers list 1; @request-trailers add request-trailers x-new 1; "
        "@request-trailers get request-trailers x-t",
        method="POST",
        pieces=[b"body"],
        trailers=[("x-t", "1")],
        paced=("request-body", None),
    ),
]
