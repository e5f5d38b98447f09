"""Bodies and trailers."""

from differences.entry import ANY, BODIES, Difference

DIFFERENCES = [
    Difference(
        BODIES,
        "Request trailers",
        "shown to filters, and passed on",
        "dropped; over HTTP/2 nginx closes the connection",
        "nginx discards them over HTTP/1.1, and takes them for a mistake over HTTP/2; the map is never there",
        [
            ("*: *request trailers (h*)", "*", ANY, ANY),
            ("headers: trailer map*everywhere*", "*", ANY, ANY),
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
            ("headers: response trailers from HTTP/1.1*", "*", ANY, ANY),
            ("protocols: response trailers*", "*", ANY, ANY),
        ],
    ),
    Difference(
        BODIES,
        "Buffers that are not there now",
        "Ok, and empty",
        "NotFound",
        "a filter can tell an empty body from none",
        [
            ("statuses: buffers that are not there*", "a *: buffer* *", ANY, ANY),
            ("bodies: parts of the request*", "a *: buffer*", ANY, ANY),
            ("bodies: parts of the response*", "a *: buffer*", ANY, ANY),
            ("bodies: other buffers in body callbacks*", "a *: buffer *", "0", "1"),
            ("starts: no request", "*: buffer*", ANY, ANY),
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
            ("statuses: the plugin's configuration in a request*", "a *: buffer*", ANY, ANY),
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
            (f"bodies: *{change}*", aspect, ANY, ANY)
            for change in ("shrunk", "grown in the middle", "overwritten in the middle", "cut")
            for aspect in ("*body*: *set-buffer *", "*body*: buffer *", "*body")
        ],
    ),
    Difference(
        BODIES,
        "A message of length 0 whose end is not told with its headers",
        "the end of stream comes with an empty body, or with the headers",
        "the other of both",
        "HTTP/2 peers may end a message in two ways, and nginx tells them apart elsewhere",
        [("protocols: gRPC without a body*", aspect, ANY, ANY) for aspect in ("a response-*", "callbacks")],
    ),
]
