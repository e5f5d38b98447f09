"""Header maps."""

from differences.entry import (
    ANSWERED,
    BODY,
    HEADERS,
    JSON_HERE,
    PAGE_LENGTH,
    TEXT_THERE,
    TOLD_OF_PAGE,
    UPSTREAM_FIELDS,
    WITHOUT_BODY,
    Difference,
    SameAs,
    answered_here_only,
    only_here,
    only_there,
    page,
    request,
    rules,
    told,
)

# What the requests of `sdk: go late` have as x-in, those that have it.
X_IN = {
    "query": "in",
    "encoded path": "in",
    "header to replace, to remove, to copy": "taken",
    "duplicate headers": "first",
    "names in capitals": "Value In Capitals",
    "blanks around values, an empty value": "blanks \t",
    "names with underscore": "in",
    "long value": "long" * 900,
    "bytes beyond ASCII": "caf\u00e9".encode().decode("latin-1"),
    "HEAD": "in",
    "denied": "in",
}
REFUSED = page("503 Service Temporarily Unavailable")


def refused_behind_filters(cases, reason):
    """Both sides refuse the request: Envoy says why, nginx has its page."""
    return rules(
        cases,
        {
            "a response-body is told": (told(reason), TOLD_OF_PAGE),
            "body": (reason, REFUSED),
            "response header content-length": ([str(len(reason))], PAGE_LENGTH),
            "response header content-type": (["text/plain"], ["text/html"]),
        },
    )


def refused_here_only(cases, script, reading=()):
    """The request never leaves nginx."""
    return [
        *rules(
            cases,
            {
                "status": (200, 503),
                "a response-body is told": (told(BODY), TOLD_OF_PAGE),
                "body": (BODY, REFUSED),
                "reached the upstream": (1, 0),
                "response header content-length": ([str(len(BODY))], PAGE_LENGTH),
                "response header content-type": (["text/plain"], ["text/html"]),
                **dict(reading),
            },
        ),
        *only_there(cases, {**UPSTREAM_FIELDS, "response header cache-control": ["no-store,private"]}),
        *only_there(cases, request("/text", x_a=script)),
    ]


def response_refused_here(cases):
    """The response does not leave nginx."""
    return [
        *rules(
            cases,
            {
                "status": (200, 503),
                "a response-body is told": (told(BODY), None),
                "body": (BODY, ""),
                "callbacks": (ANSWERED, WITHOUT_BODY),
                "response header content-length": ([str(len(BODY))], ["0"]),
            },
        ),
        *only_there(cases, TEXT_THERE),
    ]


DIFFERENCES = [
    Difference(
        HEADERS,
        "Several lines of a header that is a list (`accept`, `cache-control`, ...)",
        "joined with commas into one",
        "as many lines as there were",
        "nginx keeps lines, and the meaning is the same",
        [
            (
                "*",
                "response header cache-control",
                ["no-store,private,max-age=1"],
                ["no-store", "private", "max-age=1"],
            ),
            ("*", "response header cache-control", ["no-store,private"], ["no-store", "private"]),
            (
                "sdk: *: duplicate headers",
                "upstream header accept",
                ["text/html,text/plain"],
                ["text/html", "text/plain"],
            ),
            ("protocols: *", "*. response header cache-control", ["no-store,private"], ["no-store", "private"]),
            ("*", "* response-headers: list 2: cache-control", ["no-store,private"], ["no-store", "private"]),
        ],
    ),
    Difference(
        HEADERS,
        "Headers in other callbacks than the one about them and `proxy_on_log`",
        "not there: BadArgument",
        "there from then on, to the end",
        "filters need not keep copies",
        [
            ("sdk: go late: *", "response header x-late-path", [""], SameAs("upstream target")),
            *[
                (f"sdk: go late: {name}", "response header x-late", ["<>"], [f"<{value}>"])
                for name, value in X_IN.items()
            ],
            ("headers: request map everywhere*", "* get request :path", "2", "0 /text"),
            ("headers: response map everywhere*", "* get response :status", "2", "0 200"),
            ("headers: size of request map everywhere*", "* get request x-in", "2", "0 first"),
            ("headers: from response trailers on*", "*: get response x-up-kept", "2", "0 Kept As It Is"),
        ],
    ),
    Difference(
        HEADERS,
        "Reading a map that is not there now",
        "BadArgument",
        "NotFound",
        "the Rust SDK panics on BadArgument here, which ends the whole VM",
        [
            ("headers: *everywhere*", "* get * x-none", "2", "1"),
            ("headers: response map everywhere*", "* get response :status", "2", "1"),
            ("headers: trailer maps everywhere*", "* get re*-trailers x", "2", "1"),
            ("statuses: effective contexts*", "a request-headers: get request :path again", "2", "1"),
            ("chains: contexts of the same VM*", "* request-headers: get request :path", "2", "1"),
            ("starts: *", "*: get *", "2", "1"),
        ],
    ),
    Difference(
        HEADERS,
        "Adding to a pseudo-header",
        "joins both values with a comma",
        "replaces the value",
        "a pseudo-header has one value",
        rules(
            "headers: add to path and method (h*)",
            {
                "a request-headers: get request :method": ("0 GET,PUT", "0 PUT"),
                "a request-headers: get request :path": ("0 /text,/other", "0 /other"),
                "upstream method": ("GET,PUT", "PUT"),
                "upstream target": ("/text,/other", "/other"),
                # The answer tells of both.
                "body": (
                    '{"method": "GET,PUT", "target": "/text,/other", "body": ""}\n',
                    '{"method": "PUT", "target": "/other", "body": ""}\n',
                ),
                "a response-body is told": ("passed=60 held=0 ends=1", "passed=50 held=0 ends=1"),
                "response header content-length": (["60"], ["50"]),
            },
        ),
    ),
    Difference(
        HEADERS,
        "Removing a pseudo-header",
        "removed: 404 without `:path`, no host to the upstream without `:authority`, 502 without `:status`",
        "ignored",
        "nginx has no request without them",
        [
            *answered_here_only(
                "headers: remove pseudo-headers",
                request("/text", x_a="remove request :path; get request :path"),
                status=404,
            ),
            ("headers: remove pseudo-headers*", "a request-headers: get request :path", "1", "0 /text"),
            *rules(
                "headers: remove authority (h*)",
                {
                    "a request-headers: get request :authority": ("1", "0 test.example"),
                    "a request-headers: get request host": ("1", "0 test.example"),
                    "upstream header host": (None, ["test.example"]),
                },
            ),
            *rules(
                "headers: remove status (h1)",
                {
                    "a response-headers: get response :status": ("1", "0 200"),
                    "status": (502, 200),
                    "body": ("missing required header: :status", BODY),
                    "a response-body is told": (None, told(BODY)),
                    "callbacks": (WITHOUT_BODY, ANSWERED),
                    "response header content-length": (["32"], ["11"]),
                },
            ),
            *only_here(
                "headers: remove status (h1)",
                {**UPSTREAM_FIELDS, "response header cache-control": ["no-store", "private"]},
            ),
        ],
    ),
    Difference(
        HEADERS,
        "Writing to a map outside of the callback about it",
        "BadArgument",
        "Ok before the log phase, with a warning when response headers have been sent; BadArgument in it",
        "nginx holds response headers back until the first piece of the body has passed the filters, and request headers until the "
        "request has been sent",
        [
            ("headers: writing to the request map everywhere*", "a *: add request x-w 1", "2", "0"),
            ("headers: writing to the request map everywhere*", "upstream header x-w", ["1"], ["1", "1"]),
            *rules(
                "bodies: changed headers from the body callback (h*)",
                {
                    "a request-body: add request x-late 1": ("2", "0"),
                    "a request-body: get request x-late": ("2", "0 1"),
                    "upstream header x-late": (None, ["1"]),
                },
            ),
            ("headers: writing to the response map everywhere*", "a response-body: add response x-w 1", "2", "0"),
            ("headers: writing to the response map everywhere*", "response header x-w", ["1"], ["1", "1"]),
            ("headers: removing from the response map everywhere*", "a response-body: remove response x-w", "2", "0"),
        ],
    ),
    Difference(
        HEADERS,
        "The size of a map that is not there",
        "BadArgument",
        "NotFound",
        "as for its values",
        [
            ("headers: trailer map sizes everywhere*", "a *: size *", "2 0", "1 0"),
            ("headers: maps of calls and gRPC*", "a *: size *", "2 0", "1 0"),
            ("starts: *", "*: size *", "2 0", "1 0"),
        ],
    ),
    Difference(
        HEADERS,
        "Maps of calls and of gRPC, outside of their callbacks",
        "a value: BadArgument; pairs: Ok and none",
        "NotFound",
        "as for other maps that are not there",
        [
            ("headers: maps of calls and gRPC*", "a *: get *", "2", "1"),
            ("headers: maps of calls and gRPC*", "a *: pairs *", "0", "1"),
            ("starts: *", "*: pairs *", "0", "1"),
        ],
    ),
    Difference(
        HEADERS,
        "A new `:scheme`",
        "taken",
        "ignored, with a warning",
        "nginx has no place for it; `proxy_pass` decides",
        [("headers: new scheme*", "a request-headers: get request :scheme", "0 https", "0 http")],
    ),
    Difference(
        HEADERS,
        "CR, LF or NUL in a value, or a name that is no token, in a request",
        "503 after the filters, with the reason as the body",
        "503, with nginx's page",
        "the same answer; the error log has the reason",
        [
            *refused_behind_filters("headers: line break in a request value (h*)", "invalid header value for: x-break"),
            *refused_behind_filters("headers: name with a blank (h*)", "invalid header name: x y"),
        ],
    ),
    Difference(
        HEADERS,
        "CR, LF or NUL in a value of the response",
        "sent as they are",
        "the response is refused with 503",
        "whoever controls the value would add headers to the response, or a whole response",
        [
            *response_refused_here("headers: line break in a response value (h*)"),
            # Two headers, for a client of HTTP/1.1.
            *only_there(
                "headers: line break in a response value (h1)",
                {"response header x": ["y"], "response header x-break": ["a"]},
            ),
            ("headers: line break in a response value (h2)", "response header x-break", ["a\r\nx:y"], None),
            *response_refused_here("headers: NUL in a response value (h*)"),
            ("headers: NUL in a response value (h*)", "response header x-nul", ["a\0b"], None),
        ],
    ),
    Difference(
        HEADERS,
        "An empty name",
        "kept, and sent to the upstream",
        "the request is refused with 503",
        "it is no name; see above",
        [
            *refused_here_only("headers: empty name that stays (h*)", "raw add_header_map_value 0 0 0 str:v"),
            ("headers: empty name that stays (h*)", "upstream header ", ["v"], None),
            *refused_here_only(
                "headers: empty name (h*)",
                "raw add_header_map_value 0 0 0 str:v; raw get_header_map_value 0 0 0 out out2; "
                "raw remove_header_map_value 0 0 0",
                {"a request-headers: raw get_header_map_value 0 0 0 out out2": ("0", "1")}.items(),
            ),
        ],
    ),
    Difference(
        HEADERS,
        "`transfer-encoding` of the upstream",
        "in the map of response headers",
        "not there",
        "nginx reads and makes the framing; filters have no part in it",
        [("*", "* response-headers: list 2: transfer-encoding", ["chunked"], None)],
    ),
    Difference(
        HEADERS,
        "All request headers are set, without the pseudo-headers, or without `x-forwarded-proto`, which Envoy adds",
        "404: there is no route",
        "the request has the new headers; pseudo-headers that are missing stay",
        "see removing a pseudo-header",
        [
            *answered_here_only(
                "headers: set all of the request, without pseudo-headers",
                {
                    **request("/text"),
                    "a request-headers: list 0: :authority": ["test.example"],
                    "a request-headers: list 0: :method": ["GET"],
                    "a request-headers: list 0: :path": ["/text"],
                    "a request-headers: list 0: :scheme": ["http"],
                },
                status=404,
            ),
            *answered_here_only(
                "headers: set all of the request",
                {
                    **request("/set?x", "POST", host="set.example"),
                    "upstream header x-only": ["1", "2"],
                },
                body='{"method": "POST", "target": "/set?x", "body": ""}\n',
                fields=JSON_HERE,
                status=404,
            ),
        ],
    ),
    Difference(
        HEADERS,
        "Response trailers before there are any, where the client can get them (HTTP/2)",
        "BadArgument",
        "can be added",
        "a filter can give trailers to a response that has none",
        [
            ("headers: writing to trailer maps everywhere (h2)", "response trailer x", None, ["1", "1"]),
            *rules(
                "headers: writing to trailer maps everywhere (h2)",
                {
                    "callbacks": (
                        ["a request-headers", "a request-body", "a response-headers", "a response-body"],
                        [
                            "a request-headers",
                            "a request-body",
                            "a response-headers",
                            "a response-body",
                            "a response-trailers",
                        ],
                    ),
                    # The end comes with the trailers.
                    "a response-body is told": ("passed=11 held=0 ends=1", "passed=11 held=0 ends=0"),
                    "a response-trailers is told": (None, "counted"),
                },
            ),
            ("headers: writing to trailer maps everywhere (h2)", "a response-*: add response-trailers *", "2", "0"),
            (
                "headers: removing from trailer maps everywhere (h2)",
                "a response-*: remove response-trailers *",
                "2",
                "0",
            ),
        ],
    ),
]
