"""HTTP itself."""

from differences.entry import (
    ANSWERED,
    BODY,
    Difference,
    HTTP,
    JSON_HERE,
    LengthOf,
    PAGE_LENGTH,
    TEXT_HERE,
    only_here,
    page,
    request,
    rules,
    told,
)

# What the upstream tells of the request of `sdk: *: method of one's own`.
FROB = '{"method": "FROB", "target": "/frob", "body": ""}\n'
NEW_FROB = '{"method": "PATCH", "target": "/new/frob", "body": ""}\n'
FRAGMENT = '{"method": "GET", "target": "/text#frag", "body": ""}\n'
BAD_REQUEST = page("400 Bad Request")


def passed_on_here_only(cases, body, kind="application/json", status=200):
    return rules(
        cases,
        {
            "status": (400, status),
            "body": ("Bad Request", body),
            "reached the upstream": (0, 1),
            "response header content-length": (["11"], [str(len(body))]),
            "response header content-type": (["text/plain"], [kind]),
        },
    )


# What the upstream adds to each answer, but for the type.
ADDED = {name: value for name, value in JSON_HERE.items() if name != "response header content-type"}
# The same, as the filters of `sdk: * edits` leave it.
EDITED = {
    **{name: value for name, value in ADDED.items() if name not in ("response header etag", "response header x-up-removed")},
    "response header cache-control": ["no-store", "private", "max-age=1"],
    "response header location": ["http://127.0.0.1/filtered"],
    "response header set-cookie": ["one=1; Path=/", "two=2", "three=3"],
    "response header x-resp-added": ["yes"],
    "response header x-resp-was-absent": ["here-now"],
    "response header x-up-replaced": ["new"],
    "response header x-up-twice": ["a", "b", "c"],
}

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
        [
            *passed_on_here_only("sdk: * edits: method of one's own", FROB, "text/x-filtered"),
            *only_here("sdk: * edits: method of one's own", EDITED),
            *only_here(
                "sdk: * edits: method of one's own",
                request(
                    "/frob",
                    "FROB",
                    user_agent="filter",
                    x_added="one",
                    x_authority="test.example",
                    x_copy="<>",
                    x_host="test.example",
                    x_method="FROB",
                    x_mixed_case="Mixed Value",
                    x_path="/frob",
                    x_replaced="new",
                    x_scheme="http",
                    x_twice="more",
                    x_was_absent="here-now",
                ),
            ),
            *passed_on_here_only("sdk: * pseudo: method of one's own", NEW_FROB, status=299),
            *only_here("sdk: * pseudo: method of one's own", {**ADDED, **request("/new/frob", "PATCH", host="other.example")}),
            *passed_on_here_only("sdk: go late: method of one's own", FROB),
            *only_here("sdk: go late: method of one's own", {**ADDED, **request("/frob", "FROB")}),
            *only_here(
                "sdk: go late: method of one's own",
                {"response header x-late": ["<>"], "response header x-late-path": ["/frob"]},
            ),
            *passed_on_here_only("sdk: higress transformer: method of one's own", FROB),
            *only_here(
                "sdk: higress transformer: method of one's own",
                {**ADDED, **request("/frob", "FROB", x_added="one"), "response header x-resp-added": ["yes"]},
            ),
        ],
    ),
    Difference(
        HTTP,
        "A request without a host (HTTP/1.0 without the line Host, HTTP/0.9)",
        "400, before any filter",
        "served; `:authority` is there, and empty",
        "nginx serves it, and a filter that reads it must see it",
        [
            ("protocols: HTTP/1.0 without Host*", "status", 400, 200),
            ("protocols: HTTP/1.0 without Host*", "a request-headers: *", None, "0"),
            ("protocols: HTTP/0.9*", "status", 400, 0),
            *(
                (f"protocols: HTTP/{form}*", *rule)
                for form in ("1.0 without Host", "0.9")
                for rule in (
                    ("reached the upstream", 0, 1),
                    ("callbacks", [], ["a request-headers", "a response-headers", "a response-body"]),
                    ("upstream target", None, "/text"),
                )
            ),
            *(
                rule
                for form in ("1.0 without Host", "0.9")
                for rule in only_here(
                    f"protocols: HTTP/{form}*",
                    {
                        "a request-headers is told": "eos=1 counted",
                        "a response-headers is told": "eos=0 counted",
                        "a response-body is told": told(BODY),
                        "upstream method": "GET",
                        "upstream body": "",
                    },
                )
            ),
            *only_here(
                "protocols: HTTP/1.0 without Host*",
                {**TEXT_HERE, "upstream header x-a": ["get request :authority; property request|host"]},
            ),
            ("protocols: HTTP/1.0 without Host*", "body", "", BODY),
            ("protocols: HTTP/1.0 without Host*", "response header content-length", ["0"], ["11"]),
            ("protocols: HTTP/0.9*", "response header content-length", ["0"], None),
            # An answer to HTTP/0.9 has no headers.
            ("protocols: HTTP/0.9*", "end", None, "closed before the headers were there"),
        ],
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
            *[
                (f"sdk: {language} edits: denied with 204", "response header content-length", [length], None)
                for language, length in (("rust", "15"), ("go", "13"), ("assemblyscript", "25"))
            ],
        ],
    ),
    Difference(
        HTTP,
        "A request body in chunks",
        "chunks to the upstream",
        "content-length to the upstream",
        "nginx reads the whole body first, unless `proxy_request_buffering` is off",
        [
            ("*", "upstream header content-length", None, LengthOf("upstream body")),
            ("*", "upstream header transfer-encoding", ["chunked"], None),
            ("protocols: pipelined*", "upstream's 2. header content-length", None, LengthOf("upstream's 2. body")),
            ("protocols: pipelined*", "upstream's 2. header transfer-encoding", ["chunked"], None),
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
            *[
                rule
                for case in ("bad request line", "length and chunks")
                for rule in rules(
                    f"protocols: {case} (h1)",
                    {
                        "body": ("Bad Request", BAD_REQUEST),
                        "response header content-length": (["11"], PAGE_LENGTH),
                        "response header content-type": (["text/plain"], ["text/html"]),
                    },
                )
            ],
            *[
                rule
                for case in ("no Host", "asterisk form")
                for rule in rules(
                    f"protocols: {case} (h1)",
                    {
                        "body": ("", BAD_REQUEST),
                        "response header content-length": (["0"], PAGE_LENGTH),
                        "response header content-type": (None, ["text/html"]),
                    },
                )
            ],
        ],
    ),
    Difference(
        HTTP,
        "`OPTIONS *`, and a path with `#`",
        "404, and 400",
        "400, and served",
        "nginx's parser decides",
        [
            ("protocols: asterisk form (h1)", "status", 404, 400),
            *rules(
                "protocols: fragment in the path (h1)",
                {
                    "status": (400, 200),
                    "body": ("", FRAGMENT),
                    "callbacks": ([], ANSWERED),
                    "reached the upstream": (0, 1),
                    "response header content-length": (["0"], [str(len(FRAGMENT))]),
                    "a request-headers is told": (None, "eos=1 counted"),
                    "a request-headers: get request :path": (None, "0 /text#frag"),
                    "a response-headers is told": (None, "eos=0 counted"),
                    "a response-body is told": (None, told(FRAGMENT)),
                },
            ),
            *only_here("protocols: fragment in the path (h1)", JSON_HERE),
            *only_here(
                "protocols: fragment in the path (h1)", request("/text#frag", host="a", x_a="get request :path")
            ),
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
        [
            *rules(
                "protocols: a local response to a body that was sent*",
                {
                    "2. status": (0, 200),
                    "2. body": ("", "0123456789\n"),
                    "2. end": ("closed before the headers were there", None),
                    "a ends": (["log", "done", "delete"], ["done", "log", "delete"] * 2),
                    "a response-body is told": ("passed=2 held=0 ends=1", "passed=13 held=0 ends=2"),
                    # The two bodies are one entry.
                    "callbacks": (ANSWERED, [*ANSWERED, *ANSWERED[:2]]),
                    "filters begin": (["a"], ["a", "a"]),
                    "filters end": (["a"], ["a", "a"]),
                    "reached the upstream": (0, 1),
                },
            ),
            *only_here(
                "protocols: a local response to a body that was sent*",
                {
                    **{f"2. {name}": value for name, value in TEXT_HERE.items()},
                    **request("/text", host="a"),
                    "2. response header content-length": ["11"],
                    "a request-headers 2 is told": "eos=1 counted",
                    "a response-headers 2 is told": "eos=0 counted",
                },
            ),
        ],
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
    Difference(
        HTTP,
        "`100 Continue` before the answer of a filter",
        "sent",
        "not sent",
        "the client need not send a body that nobody reads; so it is with nginx's own refusals",
        [("protocols: Expect, and a filter answers*", "interim responses", [100], None)],
    ),
    Difference(
        HTTP,
        "What follows an upgrade (WebSocket)",
        "shown to body callbacks as bodies of the request and the response",
        "not shown: a request to upgrade ends with its headers, and a 101 has no body",
        "nginx moves these bytes between the sockets, past all filters; see [proxy-wasm.md](proxy-wasm.md#upgraded-connections)",
        [
            ("protocols: upgrade*", "a request-headers is told", "eos=0 counted", "eos=1 counted"),
            *rules(
                "protocols: upgrade (h1)",
                {
                    "a request-body is told": ("passed=13 held=0 ends=0", None),
                    "a response-body is told": ("passed=13 held=0 ends=0", None),
                    "a log: collected [01]": (
                        "13 bytes, sum 16fa1ebfdbb0a574, one, two, end",
                        "0 bytes, sum cbf29ce484222325, ",
                    ),
                },
            ),
            *[
                rule
                for case, seen in (
                    ("upgrade", []),
                    ("upgrade, and the response is held", ["a tick"]),
                    ("upgrade that a filter refuses at the response", None),
                )
                for headers in [["a request-headers", "a response-headers"]]
                for here in [headers + (seen or [])]
                for rule in rules(
                    f"protocols: {case} (h1)",
                    {
                        "callbacks": (
                            [here[0], "a request-body", *here[1:], *([] if seen is None else ["a response-body"])],
                            here,
                        )
                    },
                )
            ],
            *rules(
                "protocols: upgrade, and the response is held (h1)",
                {
                    "a request-body is told": ("passed=13 held=0 ends=0", None),
                    "a response-body is told": ("passed=13 held=0 ends=0", None),
                },
            ),
            (
                "protocols: upgrade that a filter refuses at the response (h1)",
                "a request-body is told",
                "passed=0 held=0 ends=0",
                None,
            ),
        ],
    ),
]
