"""HTTP itself."""

from differences.entry import ANY, HTTP, Difference

DIFFERENCES = [
    Difference(
        HTTP,
        "A tab behind a header's value",
        "not part of the value",
        "part of the value",
        "so nginx reads header lines",
        [
            (
                "sdk: * edits: blanks around values, an empty value",
                "upstream header x-copy",
                ["<blanks>"],
                ["<blanks \t>"],
            )
        ],
    ),
    Difference(
        HTTP,
        "Header names with an underscore",
        "passed on",
        "dropped, unless `underscores_in_headers` is on",
        "nginx's setting decides",
        [("sdk: *: names with underscore", "upstream header x_under", ["score"], None)],
    ),
    Difference(
        HTTP,
        "A method that is none of the usual ones",
        "400, before any filter",
        "passed on",
        "nginx does not judge methods",
        [("sdk: *: method of one's own", "*", ANY, ANY)],
    ),
    Difference(
        HTTP,
        "A request line with a host (`GET http://a/ HTTP/1.1`) that differs from the line Host",
        "the upstream gets the host of the request line",
        "the upstream gets what `proxy_set_header Host` says",
        "nginx's setting decides; `:authority` is the host of the request line on both sides",
        [("sdk: *: absolute form", "upstream header host", ["other.example"], ["test.example"])],
    ),
    Difference(
        HTTP,
        "content-length of a 204 that a filter answers",
        "sent",
        "not sent, and no content-type either",
        "RFC 9110 forbids the length, and nginx sends neither with a 204 of its own",
        [
            ("sdk: * edits: denied with 204", "response header content-type", ["text/x-filtered"], None),
            ("sdk: * edits: denied with 204", "response header content-length", ANY, None),
        ],
    ),
    Difference(
        HTTP,
        "A request body in chunks",
        "chunks to the upstream",
        "content-length to the upstream",
        "nginx reads the whole body first, unless `proxy_request_buffering` is off",
        [
            ("*", "upstream header content-length", None, ANY),
            ("*", "upstream header transfer-encoding", ["chunked"], None),
            ("protocols: pipelined*", "upstream's 2. header *", ANY, ANY),
        ],
    ),
    Difference(
        HTTP,
        "A request without a body whose method could have one",
        "`content-length: 0` to the upstream",
        "no length to the upstream",
        "so nginx proxies",
        [("*", "upstream header content-length", ["0"], None)],
    ),
    Difference(
        HTTP,
        "The page of an error that the server makes",
        "a short text, or none",
        "nginx's page, or that of `error_page`",
        "nginx's settings decide",
        [
            ("protocols: *", "body", ANY, ANY),
            ("protocols: *", "response header content-*", ANY, ANY),
        ],
    ),
    Difference(
        HTTP,
        "`OPTIONS *`, and a path with `#`",
        "404, and 400",
        "400, and served",
        "nginx's parser decides",
        [
            ("protocols: asterisk form*", "*", ANY, ANY),
            ("protocols: fragment in the path*", "*", ANY, ANY),
        ],
    ),
    Difference(
        HTTP,
        "Headers of the connection (`connection`, what it names, `te`)",
        "removed before the filters; `te: trailers` goes to the upstream",
        "shown to filters; the upstream gets what `proxy_set_header` says",
        "nginx's settings decide",
        [
            ("protocols: connection close*", "a request-headers: get request connection", "1", "0 close"),
            ("protocols: hop-by-hop*", "a request-headers: get request x-hop", "1", "0 1"),
            ("protocols: hop-by-hop*", "upstream header te", ["trailers"], None),
            ("protocols: hop-by-hop*", "upstream header x-hop", None, ["1"]),
        ],
    ),
    Difference(
        HTTP,
        "The connection after a local response to a request whose body had been sent",
        "closed",
        "kept",
        "nginx reads the body, and goes on",
        [("protocols: a local response to a body that was sent*", "*", ANY, ANY)],
    ),
    Difference(
        HTTP,
        "content-length of an empty response over HTTP/2",
        "left out",
        "`content-length: 0`",
        "so nginx sends it",
        [("*(h2)", "response header content-length", None, ["0"])],
    ),
    Difference(
        HTTP,
        "content-type of a 204",
        "that of the upstream",
        "left out",
        "nginx sends none with a 204",
        [
            ("*204*", "response header content-type", ["application/json"], None),
            ("bodies: *no* (h2)", "response header content-type", ["application/json"], None),
        ],
    ),
    Difference(
        HTTP,
        "`transfer-encoding: chunked` in the answer to HEAD",
        "sent",
        "not sent",
        "there is no body to encode",
        [("protocols: HEAD of chunks (h1)", "response header transfer-encoding", ["chunked"], None)],
    ),
]
