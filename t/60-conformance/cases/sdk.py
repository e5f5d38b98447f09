"""Filters made with the SDKs of three languages, and a published one of other people, on many kinds of requests."""

import json

from cases import Case, guest
from servers import Listener

EDITS = """
    request.add x-added one; request.add x-twice more; request.replace x-replaced new; request.remove x-removed;
    request.replace x-was-absent here-now; request.remove x-never-there; request.add X-Mixed-Case Mixed Value;
    request.add x-method %{:method}; request.add x-path %{:path}; request.add x-authority %{:authority};
    request.add x-host %{host}; request.add x-scheme %{:scheme}; request.add x-copy <%{x-IN}>;
    request.replace user-agent filter; request.remove referer;
    response.add x-resp-added yes; response.add x-up-twice c; response.replace x-up-replaced new;
    response.remove x-up-removed; response.add set-cookie three=3; response.replace x-resp-was-absent here-now;
    response.replace content-type text/x-filtered; response.remove etag;
    response.add cache-control max-age=1; response.replace location http://127.0.0.1/filtered;
    deny /private 403; deny /teapot 418; deny /empty 204
"""
PSEUDO = """
    request.replace :path /new%{:path}; request.replace :method PATCH; request.replace :authority other.example;
    response.replace :status 299
"""
LATE = "response.add x-late-path %{:path}; response.add x-late <%{x-in}>"
TRANSFORM = json.dumps(
    {
        "reqRules": [
            {"operate": "remove", "headers": [{"key": "x-removed"}]},
            {"operate": "replace", "headers": [{"key": "x-replaced", "newValue": "new"}]},
            {"operate": "add", "headers": [{"key": "x-added", "value": "one"}]},
        ],
        "respRules": [{"operate": "add", "headers": [{"key": "x-resp-added", "value": "yes"}]}],
    }
)


SCENARIOS = {
    **{f"{name} edits": (f"{name}-headers", EDITS) for name in ("rust", "go", "assemblyscript")},
    **{f"{name} pseudo": (f"{name}-headers", PSEUDO) for name in ("rust", "go", "assemblyscript")},
    # The Go guest, because the others trap when there is no request header to be had.
    "go late": ("go-headers", LATE),
    "higress transformer": ("higress-transformer", TRANSFORM),
}

# That the filters work at all: what must come of the request GET on both sides, by the last word of the scenario.
WORK = {
    "edits": {"upstream header x-added": ["one"]},
    "pseudo": {"upstream target": "/new/"},
    "late": {"response header x-late": ["<>"]},
    "transformer": {"upstream header x-added": ["one"]},
}

LISTENERS = {name: Listener([(guest(module), text)]) for name, (module, text) in SCENARIOS.items()}


def request(line, *headers, body=None, chunked=False):
    """The bytes of a request. Host comes first, unless the headers have one."""
    fields = list(headers)
    if not any(field.lower().startswith("host:") for field in fields):
        fields.insert(0, "Host: test.example")
    fields.append("Connection: close")
    content = b""
    if chunked:
        fields.append("Transfer-Encoding: chunked")
        content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body.encode())
    elif body is not None:
        fields.append(f"Content-Length: {len(body)}")
        content = body.encode()
    return "\r\n".join([f"{line} HTTP/1.1", *fields, "", ""]).encode() + content


REQUESTS = {
    "GET": request("GET /"),
    "query": request("GET /a?b=1&c=%20d&b=2", "x-in: in"),
    "encoded path": request("GET /a%20b/%C3%A4//c/./d?x=%2F", "x-in: in"),
    "header to replace, to remove, to copy": request(
        "GET /", "x-replaced: old", "x-removed: gone", "x-in: taken", "Referer: http://a.example/", "User-Agent: client"
    ),
    "duplicate headers": request(
        "GET /",
        "x-twice: a",
        "x-twice: b",
        "x-replaced: old",
        "x-other: between",
        "x-replaced: older",
        "x-removed: gone",
        "x-removed: too",
        "x-in: first",
        "x-in: second",
        "accept: text/html",
        "accept: text/plain",
    ),
    "names in capitals": request(
        "GET /", "X-TWICE: a", "X-Replaced: old", "X-REMOVED: gone", "X-In: Value In Capitals", "X-mixed-CASE: client's"
    ),
    "blanks around values, an empty value": request("GET /", "x-in:   blanks \t ", "x-empty:", "x-removed:"),
    "names with underscore": request("GET /", "x_under: score", "x-in: in"),
    "two cookie headers": request("GET /", "Cookie: a=1", "Cookie: b=2; c=3"),
    "long value": request("GET /", "x-in: " + "long" * 900),
    "bytes beyond ASCII": request("GET /", "x-in: caf\u00e9"),
    "Host in capitals with a port": request("GET /", "Host: Test.EXAMPLE:8080"),
    "absolute form": request("GET http://other.example/absolute?x", "Host: test.example"),
    "HEAD": request("HEAD /head", "x-in: in"),
    "POST": request("POST /post", "Content-Type: text/plain", body="the body\nof it"),
    "POST without a body": request("POST /post", body=""),
    "POST in chunks": request("POST /post", body="in chunks", chunked=True),
    "PUT": request("PUT /put?q", body="x" * 20000),
    "PATCH": request("PATCH /patch", body="{}"),
    "DELETE": request("DELETE /delete"),
    "OPTIONS": request("OPTIONS /options", "Origin: http://a.example"),
    "method of one's own": request("FROB /frob"),
    "denied": request("GET /private/page", "x-in: in"),
    "denied, prefix only": request("GET /privateer?x"),
    "denied HEAD": request("HEAD /private"),
    "denied POST": request("POST /private", body="not read"),
    "denied with 418": request("GET /teapot"),
    "denied with 204": request("GET /empty"),
    "response in chunks": request("GET /chunked"),
    "status 204": request("GET /status/204"),
    "status 302": request("GET /status/302"),
    "status 304": request("GET /status/304"),
    "status 404": request("GET /status/404"),
    "status 500": request("GET /status/500"),
    "status 299": request("GET /status/299"),
}

CASES = [
    Case(f"sdk: {scenario}: {name}", scenario, "h1", sent, WORK[scenario.split()[-1]] if name == "GET" else {})
    for scenario in SCENARIOS
    for name, sent in REQUESTS.items()
]
