"""What clients send."""

from dataclasses import dataclass, field

import bodies


@dataclass
class Request:
    name: str
    method: str = "GET"
    headers: list = field(default_factory=list)
    body: bytes = None
    chunked: bool = False
    version: str = "1.1"
    # "plain" goes to every feature; "upgrade", "grpc", "events" to those that are about them.
    kind: str = "plain"
    # What the request must be alike but for, when a filter looks at bodies: then there are no ranges.
    whole: str = None

    @property
    def has_body(self):
        return bool(self.body)

    @property
    def is_nameless(self):
        """It has no header `Host`: with TLS the request line says which server, otherwise the address."""
        return self.version == "0.9" or self.name.startswith("nameless")


def post(size, name=None, **others):
    return Request(name or f"post-{size}", "POST", body=bodies.of_request(size), **others)


GRPC = b"\0\0\0\0\x20" + bodies.of_request(32)
SOCKET = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]

REQUESTS = [
    Request("get"),
    Request("head", "HEAD"),
    Request("range", headers=[("Range", "bytes=5-60")], whole="get"),
    Request("range-late", headers=[("Range", "bytes=100000-100050")], whole="get"),
    Request("ranges", headers=[("Range", "bytes=0-3,50-60")], whole="get"),
    Request("since", headers=[("If-Modified-Since", "Thu, 01 Jan 2037 00:00:00 GMT"), ("If-None-Match", '"tag"')]),
    Request("get-gzip", headers=[("Accept-Encoding", "gzip")]),
    post(0),
    post(500),
    post(3000),
    post(60000),
    post(5000000),
    post(500, "chunked-500", chunked=True),
    post(60000, "chunked-60000", chunked=True),
    Request("put-3000", "PUT", body=bodies.of_request(3000)),
    post(3000, "expect-3000", headers=[("Expect", "100-continue")]),
    post(60000, "expect-60000", headers=[("Expect", "100-continue")]),
    Request("get-1.0", version="1.0"),
    Request("keep-1.0", version="1.0", headers=[("Connection", "keep-alive")]),
    post(3000, "post-1.0", version="1.0"),
    Request("nameless-1.0", version="1.0"),
    post(3000, "nameless-post-1.0", version="1.0"),
    Request("get-0.9", version="0.9"),
    Request("upgrade", headers=SOCKET, kind="upgrade"),
    Request("events", kind="events"),
    Request("grpc", "POST", [("content-type", "application/grpc"), ("te", "trailers")], body=GRPC, kind="grpc"),
]

# Sent with every request: for auth_basic, realip.
COMMON = [("Authorization", "Basic dXNlcjpwYXNz"), ("X-Real-IP", "192.0.2.7"), ("X-Forwarded-For", "192.0.2.7")]
for request in REQUESTS:
    request.headers = [*COMMON, *request.headers]

BY_NAME = {request.name: request for request in REQUESTS}

# How they come. `pipelined`: with the next request right behind; `packet`: in the same write as that.
PROTOCOLS = ("h1", "pipelined", "packet", "tls", "h2", "h2c")


def fits(request, protocol):
    if protocol in ("h2", "h2c"):
        return request.version == "1.1" and request.kind != "upgrade" and not request.name.startswith("expect")
    if request.kind == "grpc":
        return False
    if protocol in ("pipelined", "packet"):
        # What comes behind a body that the server does not want is its own affair.
        return request.version == "1.1" and request.kind == "plain" and not request.name.startswith("expect")
    return True
