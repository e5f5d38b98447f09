"""Local responses: from every callback, with all that they may have."""

from cases import scripted

GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
ANSWER = "answer 403 -1 x-h=1,x-h=2 denied"
SEEN = {"status": 403, "body": "denied", "response header x-h": ["1", "2"]}

CASES = [
    *scripted("local: from request headers", f"{ANSWER}; pause", expect=SEEN),
    *scripted("local: from request headers that then continue", ANSWER, expect=SEEN),
    *scripted(
        "local: and what is after it",
        f"{ANSWER}; answer 500 -1 - second; get request :path; add request x-n 1; "
        "@response-headers list 2; @response-headers get response :status",
        expect=SEEN,
    ),
    *scripted("local: with a request body", f"{ANSWER}; pause", method="POST", pieces=[b"body"], expect=SEEN),
    *scripted("local: HEAD", f"{ANSWER}; pause", method="HEAD"),
    *scripted("local: without body", "answer 200 -1 x-h=1; pause"),
    *scripted("local: without anything", "answer 200 -1 -; pause"),
    *scripted("local: content-type of its own", "answer 200 -1 content-type=application/json {}; pause"),
    *scripted("local: content-length of its own", "answer 200 -1 content-length=3,x-h=1 denied; pause"),
    *scripted("local: location", "answer 302 -1 location=http://a.example/b ; pause"),
    *scripted("local: relative location", "answer 302 -1 location=/b ; pause"),
    *scripted("local: cookies", "answer 200 -1 set-cookie=a,set-cookie=b ok; pause"),
    *scripted("local: name in capitals", "answer 200 -1 X-Capital=Value ok; pause"),
    *[
        case
        for status in (200, 201, 204, 304, 401, 404, 418, 429, 500, 503, 599, 600, 999)
        for case in scripted(f"local: status {status}", f"answer {status} -1 x-h=1 text; pause", protocols=("h1",))
    ],
    *scripted("local: status 204 and 304", "answer 204 -1 x-h=1 ; pause", protocols=("h2",)),
    *scripted("local: gRPC status, request not gRPC", "answer 200 7 x-h=1 denied; pause"),
    *scripted(
        "local: gRPC request", "answer 403 7 x-h=1 denied; pause", method="POST", headers=GRPC, pieces=[b"\0\0\0\0\0"]
    ),
    *scripted(
        "local: gRPC request without a gRPC status",
        "answer 403 -1 x-h=1 denied; pause",
        method="POST",
        headers=GRPC,
        pieces=[b"\0\0\0\0\0"],
    ),
    *scripted(
        "local: gRPC request, 404", "answer 404 -1 - ; pause", method="POST", headers=GRPC, pieces=[b"\0\0\0\0\0"]
    ),
    *scripted(
        "local: gRPC message with bytes to escape",
        "answer 200 3 - a%b; pause",
        method="POST",
        headers=GRPC,
        pieces=[b""],
    ),
    *scripted(
        "local: from the request body",
        f"@request-body-end {ANSWER}; @request-body pause",
        races=True,
        method="POST",
        pieces=[b"body"],
        expect=SEEN,
    ),
    *scripted(
        "local: from the first piece of the request body",
        f"@request-body-first {ANSWER}; @request-body pause",
        races=True,
        method="POST",
        pieces=[b"one", b"two"],
        paced=("request-body", None),
        protocols=("h1",),
        expect=SEEN,
    ),
    *scripted("local: from response headers", f"@response-headers {ANSWER}", expect=SEEN),
    *scripted(
        "local: from response headers that pause", f"@response-headers {ANSWER}; @response-headers pause", expect=SEEN
    ),
    *scripted(
        "local: from response headers, with other headers set before",
        f"@response-headers add response x-before 1; @response-headers {ANSWER}; @response-headers add response x-after 1",
        expect=SEEN,
    ),
    *scripted(
        "local: from response headers, long body dropped", f"@response-headers {ANSWER}", path="/large", expect=SEEN
    ),
    *scripted("local: from response headers of HEAD", f"@response-headers {ANSWER}", method="HEAD"),
    *scripted("local: from response headers of a 204", f"@response-headers {ANSWER}", path="/status/204"),
    *scripted("local: from response headers, with status 204", "@response-headers answer 204 -1 x-h=1 "),
    *scripted(
        "local: from the response body, headers held",
        f"@response-headers pause; @response-body-end {ANSWER}; @response-body-more pause",
        listener="held",
    ),
    *scripted("local: from a tick", f"pause; wait; @tick {ANSWER}", expect=SEEN),
    *scripted(
        "local: from a tick, with a request body",
        f"pause; wait; @tick {ANSWER}",
        method="POST",
        pieces=[b"body"],
        expect=SEEN,
    ),
    *scripted(
        "local: from a tick, while the body waits",
        f"@request-body-more pause; @request-body-end pause; @request-body-end wait; " f"@tick {ANSWER}",
        races=True,
        method="POST",
        pieces=[b"body"],
        expect=SEEN,
    ),
    # Not from on_done and on_log: Envoy calls itself there until it crashes.
    *scripted("local: on a direct answer", f"{ANSWER}; pause", listener="direct", expect=SEEN),
    *scripted("local: replaces a direct answer", f"@response-headers {ANSWER}", listener="direct", expect=SEEN),
    *scripted("local: odd status 0", "answer 0 -1 x-h=1 text", protocols=("h1",)),
    *scripted("local: odd status 1000", "answer 1000 -1 x-h=1 text", protocols=("h1",)),
    # One pair: "x" with "a", NUL, "b"; "x y" with "a".
    *scripted(
        "local: NUL in a header",
        "raw send_local_response 200 0 0 str:body hex:0100000001000000030000007800" "61006200 -1; pause",
        protocols=("h1",),
    ),
    *scripted(
        "local: name with a blank in a header",
        "raw send_local_response 200 0 0 str:body hex:010000000300000001000000782079006100 -1; pause",
        protocols=("h1",),
    ),
    # One pair: "x" with "a", CR, LF, "b".
    *scripted(
        "local: line break in a header",
        "raw send_local_response 200 0 0 str:body hex:01000000010000000400000078006" "10d0a6200 -1; pause",
        protocols=("h1",),
    ),
    *scripted(
        "local: its response headers are edited",
        f"{ANSWER}; pause; @response-headers add response x-edited 1; "
        "@response-headers replace response :status 404; @response-headers replace response x-h 3",
    ),
    *scripted("local: its body is edited", f"{ANSWER}; pause; @response-body-first set-buffer 1 0 100 changed"),
]
