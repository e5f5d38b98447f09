"""Runs the same filters on the same requests in Envoy and in our nginx, and compares: the status, the headers and the body
that the client gets, and the request that the upstream gets. Prints TAP; headers.t starts it.

What may differ is in DIFFERENCES, with the reason. Another difference fails, and so does one that does not occur any more.
"""

import fnmatch
import json
import os
import subprocess
import sys

from servers import Envoy, Failure, Nginx, Upstream, send

ROOT = os.environ["TEST_WASM_ROOT"]
FOLDER = os.path.join(ROOT, "build/t/envoy")

# Headers that belong to the connection or to the server itself, and not to the filter or the other end.
IGNORED_IN_RESPONSE = {"server", "date", "connection", "keep-alive", "content-length", "transfer-encoding"}
IGNORED_IN_REQUEST = {"connection", "content-length", "transfer-encoding", "x-request-id", "x-forwarded-proto", "via"}
IGNORED_PREFIX = "x-envoy-"

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


def scenario(guest, configuration):
    return os.path.join(ROOT, "build/guests", guest + ".wasm"), configuration


SCENARIOS = {
    **{f"{name} edits": scenario(f"{name}-headers", EDITS) for name in ("rust", "go", "assemblyscript")},
    **{f"{name} pseudo": scenario(f"{name}-headers", PSEUDO) for name in ("rust", "go", "assemblyscript")},
    # The Go guest, because the others trap when there is no request header to be had.
    "go late": scenario("go-headers", LATE),
    "higress transformer": scenario("higress-transformer", TRANSFORM),
}

# That the filters work at all: what must come of the request GET on both sides, by the last word of the scenario.
WORK = {
    "edits": ("upstream header x-added", ["one"]),
    "pseudo": ("upstream target", "/new/"),
    "late": ("response header x-late", ["<>"]),
    "transformer": ("upstream header x-added", ["one"]),
}


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
        "GET /", "x-twice: a", "x-twice: b", "x-replaced: old", "x-other: between", "x-replaced: older", "x-removed: gone",
        "x-removed: too", "x-in: first", "x-in: second", "accept: text/html", "accept: text/plain",
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

ANY = object()

# Scenario, request and what differs, each with * as wild card; what it is in Envoy and here; the reason.
DIFFERENCES = [
    (
        "*", "*", "response header cache-control",
        ["no-store,private,max-age=1"], ["no-store", "private", "max-age=1"],
        "Envoy joins some headers that are lists; nginx keeps the lines",
    ),
    (
        "*", "*", "response header cache-control",
        ["no-store,private"], ["no-store", "private"],
        "Envoy joins some headers that are lists; nginx keeps the lines",
    ),
    (
        "*", "duplicate headers", "upstream header accept",
        ["text/html,text/plain"], ["text/html", "text/plain"],
        "Envoy joins some headers that are lists; nginx keeps the lines",
    ),
    (
        "* edits", "blanks around values, an empty value", "upstream header x-copy",
        ["<blanks>"], ["<blanks \t>"],
        "nginx takes a tab behind a value for a part of it",
    ),
    (
        "*", "names with underscore", "upstream header x_under",
        ["score"], None,
        "nginx drops such headers unless underscores_in_headers is on",
    ),
    (
        "*", "method of one's own", "*",
        ANY, ANY,
        "Envoy answers 400 to a method that it does not know; nginx passes it on",
    ),
    (
        "*", "absolute form", "upstream header host",
        ["other.example"], ["test.example"],
        "the $http_host of proxy_set_header is the line Host; :authority is the host of the request line on both sides",
    ),
    (
        "* edits", "denied with 204", "response header content-type",
        ["text/x-filtered"], None,
        "nginx sends no content-type with a 204 of its own",
    ),
    (
        "go late", "*", "response header x-late",
        ["<>"], ANY,
        "Envoy has no request headers for a filter in on_response_headers; here they stay",
    ),
    (
        "go late", "*", "response header x-late-path",
        [""], ANY,
        "Envoy has no request headers for a filter in on_response_headers; here they stay",
    ),
]


def exchange(server, scenario_name, name, upstream):
    """What became of a request, as a flat dictionary."""
    upstream.seen.clear()
    status, headers, body = send(server.ports[scenario_name], REQUESTS[name])
    result = {"status": status, "body": body, "reached the upstream": len(upstream.seen)}
    collect(result, "response", headers, IGNORED_IN_RESPONSE)
    for seen in upstream.seen[:1]:
        result["upstream method"] = seen["method"]
        result["upstream target"] = seen["target"]
        result["upstream body"] = seen["body"]
        collect(result, "upstream", seen["headers"], IGNORED_IN_REQUEST)
    return result


def collect(result, side, headers, ignored):
    """Values by lower-case name, in their order. The order of different names is up to a server."""
    for name, value in headers:
        if name not in ignored and not name.startswith(IGNORED_PREFIX):
            result.setdefault(f"{side} header {name}", []).append(value)


def short(value):
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "..."


def main():
    try:
        installed = subprocess.run(
            [os.path.join(ROOT, "tools/install-envoy.sh")], stdout=subprocess.PIPE, text=True, check=True
        )
    except subprocess.CalledProcessError:
        print("1..0 # SKIP Envoy cannot be had here: tools/install-envoy.sh failed (its output says why)")
        return
    os.makedirs(FOLDER, exist_ok=True)
    upstream = Upstream()
    nginx = Nginx(
        os.environ["TEST_NGINX_BINARY"], os.environ["TEST_NGINX_LOAD_MODULES"].split(), FOLDER, SCENARIOS, upstream.port
    )
    envoy = Envoy(installed.stdout.strip(), FOLDER, SCENARIOS, upstream.port)
    used = set()
    test = 0
    try:
        envoy.start()
        nginx.start()
        for scenario_name in SCENARIOS:
            for name in REQUESTS:
                there = exchange(envoy, scenario_name, name, upstream)
                here = exchange(nginx, scenario_name, name, upstream)
                unlisted = []
                what, value = WORK[scenario_name.split()[-1]]
                if name == "GET" and (there.get(what), here.get(what)) != (value, value):
                    unlisted.append(f"{what} should be {short(value)} on both sides: the filter does not work")
                for what in sorted(there.keys() | here.keys()):
                    values = there.get(what), here.get(what)
                    if values[0] == values[1]:
                        continue
                    listed = [
                        number
                        for number, (*patterns, in_envoy, in_nginx, _) in enumerate(DIFFERENCES)
                        if all(map(fnmatch.fnmatchcase, (scenario_name, name, what), patterns))
                        and in_envoy in (ANY, values[0])
                        and in_nginx in (ANY, values[1])
                    ]
                    used.update(listed)
                    if not listed:
                        unlisted.append(f"{what}: Envoy {short(values[0])}, here {short(values[1])}")
                test += 1
                print(f"{'not ok' if unlisted else 'ok'} {test} - {scenario_name}: {name}")
                for line in unlisted:
                    print(f"#   {line}")
    except (Failure, OSError) as failure:
        print("Bail out!", str(failure).replace("\n", "\n# "))
        sys.exit(1)
    finally:
        envoy.stop()
        nginx.stop()
    for number, (*patterns, _, _, reason) in enumerate(DIFFERENCES):
        test += 1
        print(f"{'ok' if number in used else 'not ok'} {test} - still differs: {': '.join(patterns)}: {reason}")
    print(f"1..{test}")
    sys.exit(0)


main()
