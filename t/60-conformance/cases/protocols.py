"""HTTP itself: framing, connections and what has no body, with filters in between."""

from cases import Case, scripted

SEE = "@request-body collect 0; @response-body collect 1; @log collected 0; @log collected 1"

PING_PONG = {
    "path": "/echo",
    "protocols": ("h2",),
    "method": "POST",
    "pieces": [b"one, ", b"two, ", b"three"],
    "sized": False,
    "answered": True,
    "headers": [("content-type", "application/grpc"), ("te", "trailers")],
}
FRAMES = {"path": "/upgrade", "protocols": ("h1",), "pieces": [b"one, ", b"two, ", b"end"], "upgrade": True}


def raw(name, text, listener="one", **options):
    return [Case(f"{name} (h1)", listener, "h1", text.replace("\n", "\r\n").encode("latin-1"), **options)]


CASES = [
    *raw(
        "protocols: two requests on one connection",
        "GET /text HTTP/1.1\nHost: a\nx-a: get request :path\n\nGET /status/404 HTTP/1.1\nHost: b\n"
        "x-a: get request :path\nConnection: close\n\n",
    ),
    *raw(
        "protocols: pipelined with bodies",
        "POST /text HTTP/1.1\nHost: a\nContent-Length: 4\nx-a: @request-body collect 0; @log collected 0\n\nbody"
        "POST /text HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nx-a: @request-body collect 0; @log collected 0\n\n3\none\n0\n\n",
    ),
    *raw(
        "protocols: a local response, and the next request",
        "GET /text HTTP/1.1\nHost: a\nx-a: answer 403 -1 - no; pause\n\n" "GET /text HTTP/1.1\nHost: a\n\n",
    ),
    *raw(
        "protocols: a local response to a body that was sent, and the next request",
        "POST /text HTTP/1.1\nHost: a\nContent-Length: 4\n"
        "x-a: answer 403 -1 - no; pause\n\nbodyGET /text HTTP/1.1\nHost: a\n\n",
    ),
    *raw(
        "protocols: HTTP/1.0", "GET /text HTTP/1.0\nHost: a\nx-a: get request :authority; property request|protocol\n\n"
    ),
    *raw("protocols: HTTP/1.0 without Host", "GET /text HTTP/1.0\nx-a: get request :authority; property request|host\n\n"),
    *raw("protocols: HTTP/0.9", "GET /text\n"),
    *raw("protocols: no Host", "GET /text HTTP/1.1\n\n"),
    *raw("protocols: bad request line", "GET\n\n"),
    *raw(
        "protocols: chunk extensions",
        "POST /x HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nx-a: " + SEE + "\n\n4;a=b\nbody\n0\n\n",
    ),
    *raw(
        "protocols: length and chunks",
        "POST /x HTTP/1.1\nHost: a\nContent-Length: 4\nTransfer-Encoding: chunked\nConnection: close\n\n4\nbody\n0\n\n",
    ),
    *raw(
        "protocols: connection close",
        "GET /text HTTP/1.1\nHost: a\nConnection: close\nx-a: get request connection; list 0\n\n",
    ),
    *raw(
        "protocols: hop-by-hop headers",
        "GET /text HTTP/1.1\nHost: a\nTE: trailers\nConnection: x-hop\nx-hop: 1\nx-a: get request x-hop; get request te\n\n",
    ),
    *raw("protocols: asterisk form", "OPTIONS * HTTP/1.1\nHost: a\nx-a: get request :path\n\n"),
    *raw("protocols: fragment in the path", "GET /text#frag HTTP/1.1\nHost: a\nx-a: get request :path\n\n"),
    *raw("protocols: double slashes", "GET //text//x HTTP/1.1\nHost: a\nx-a: get request :path\n\n"),
    *scripted("protocols: HEAD", SEE + "; get request :method; @response-headers list 2", method="HEAD"),
    *scripted("protocols: HEAD of chunks", SEE, method="HEAD", path="/text-chunked"),
    *scripted("protocols: 204", SEE + "; @response-headers list 2", path="/status/204"),
    *scripted("protocols: 304", SEE + "; @response-headers list 2", path="/status/304"),
    *scripted("protocols: DELETE with a body", SEE, method="DELETE", pieces=[b"body"]),
    *scripted("protocols: OPTIONS", SEE, method="OPTIONS"),
    *scripted("protocols: GET with a body", SEE, method="GET", pieces=[b"body"]),
    *scripted(
        "protocols: Expect",
        SEE,
        method="POST",
        pieces=[b"body"],
        headers=[("Expect", "100-continue")],
        protocols=("h1",),
    ),
    *scripted(
        "protocols: Expect, and the filter holds the body",
        "remove request content-length; @request-body-more pause; @request-body-end set-buffer 0 0 100 new",
        method="POST",
        pieces=[b"body"],
        headers=[("Expect", "100-continue")],
        protocols=("h1",),
    ),
    *scripted(
        "protocols: Expect, and a filter answers",
        "answer 403 -1 - no; pause",
        method="POST",
        pieces=[b"body"],
        headers=[("Expect", "100-continue")],
        protocols=("h1",),
    ),
    *scripted(
        "protocols: request trailers",
        SEE + "; @request-trailers list 1",
        method="POST",
        pieces=[b"body"],
        trailers=[("x-t", "1")],
        paced=("request-body", None),
    ),
    *scripted("protocols: response trailers", SEE + "; @response-trailers list 3", path="/trailers"),
    *scripted(
        "protocols: gRPC",
        SEE + "; @response-trailers list 3; @response-headers list 2",
        path="/trailers",
        listener="grpc",
        protocols=("h2",),
        method="POST",
        pieces=[b"body"],
        headers=[("content-type", "application/grpc"), ("te", "trailers")],
    ),
    *scripted(
        "protocols: gRPC request trailers",
        SEE + "; @request-trailers list 1",
        path="/trailers",
        listener="grpc",
        protocols=("h2",),
        method="POST",
        pieces=[b"body"],
        trailers=[("x-t", "1")],
        paced=("request-body", None),
    ),
    *scripted("protocols: gRPC ping-pong", SEE, listener="grpc", **PING_PONG, expect={"body": "one, two, three"}),
    *scripted(
        "protocols: gRPC ping-pong behind a filter that holds the body until its end",
        "@request-body-more pause",
        listener="grpc short",
        **PING_PONG,
    ),
    *scripted(
        "protocols: gRPC ping-pong behind a filter that holds the answer until its end",
        "@response-body-more pause",
        listener="grpc short",
        **PING_PONG,
    ),
    *scripted("protocols: upgrade", SEE + "; @response-headers list 2", **FRAMES, expect={"body": "one, two, end"}),
    *scripted(
        "protocols: upgrade, and the response is held",
        "@response-headers pause; @response-headers wait; @tick continue 1",
        **FRAMES,
        expect={"body": "one, two, end"},
    ),
    *scripted("protocols: upgrade that a filter refuses", "answer 403 -1 - no; pause", **FRAMES, expect={"status": 403}),
    *scripted(
        "protocols: upgrade that a filter refuses at the response",
        "@response-headers answer 403 -1 - no",
        **FRAMES,
        expect={"status": 403},
    ),
    *scripted("protocols: gRPC with an empty body", SEE, path="/empty-chunked", listener="grpc", protocols=("h2",)),
    *scripted("protocols: gRPC without a body", SEE, path="/empty", listener="grpc", protocols=("h2",)),
    *scripted("protocols: TLS", SEE + "; get request :scheme", listener="tls"),
]
