"""Calls of filters to other services, by HTTP: what goes out, what comes back, and where the request waits meanwhile. The
service is the upstream itself."""

from cases import Case, guest
from clients import Request
from servers import Listener

LISTENERS = {
    "calls": Listener([(guest("rust-calls"), "brief")]),
    "go calls": Listener([(guest("go-calls"), "")]),
    "assemblyscript calls": Listener([(guest("assemblyscript-calls"), "")]),
    # The root calls, and answers for the streams that wait.
    "tick calls": Listener(
        [(guest("rust-calls"), "brief; tick 20; @tick brief; @tick call a h1 GET /text; answer-tick 200")], upstream=None
    ),
}

# Name: statements, and the request of the client unless it is GET /.
SCRIPTS = {
    "GET": ("call a h1 GET /text; answer 200", {}),
    "path, query, host, headers": (
        "call a h1 GET /some/path?a=1&b=%2520c authority:some.example h:x-one=1 h:X-Two=2 h:x-one=3; answer 200",
        {},
    ),
    "POST with a body": ("call a h1 POST /some body:a%20body; answer 200", {}),
    "PUT with an empty body": ("call a h1 PUT /some; answer 200", {}),
    "HEAD": ("call a h1 HEAD /text; answer 200", {}),
    "DELETE": ("call a h1 DELETE /some; answer 200", {}),
    "an answer in chunks": ("call a h1 GET /text-chunked; answer 200", {}),
    "a large answer": ("call a h1 GET /large; answer 200", {}),
    "an answer without body": ("call a h1 GET /empty; answer 200", {}),
    "trailers of the answer": ("call a h1 GET /trailers; answer 200", {}),
    "an answer that the end of the connection ends": ("call a h1 GET /close; answer 200", {}),
    **{f"status {status}": (f"call a h1 GET /status/{status}; answer 200", {}) for status in (204, 302, 404, 503)},
    "an unknown service": ("call a nowhere GET /; answer 200", {}),
    "a service that is not there": ("call a dead GET /text; answer 200", {}),
    "a service that does not answer in time": ("call a h1 GET /silent timeout:100; answer 200", {}),
    "a service that answers otherwise": ("call a h1 GET /garbage; answer 200", {}),
    "no method": ("bare a h1 h::path=/text h::authority=a; answer 200", {}),
    "no path": ("bare a h1 h::method=HEAD h::authority=a; answer 200", {}),
    "no authority": ("bare a h1 h::method=HEAD h::path=/text; answer 200", {}),
    **{
        f"the path {path}": (f"call a h1 HEAD {path.replace('%', '%25')}; answer 200", {})
        for path in ("http://h.example/p?q", "/a<b>`c", "/a?q=<>\\\"`", "/a#b?c#d", "a/path", "?q", "*", "/%2f%", "/\u00e9")
    },
    **{
        f"a header with {name}": (f"call a h1 HEAD /text h:x=a%{code}b; answer 200", {})
        for name, code in (("a tab", "09"), ("a bell", "07"), ("DEL", "7f"), ("a line break", "0a"), ("a NUL", "00"))
    },
    "a space in the path": ("call a h1 HEAD /a%20b; answer 200", {}),
    "from the callback of a call": ("call a h1 GET /text; @a call b h1 GET /status/404; @b call c h1 GET /empty; answer 200", {}),
    "the request goes on": ("call a h1 GET /text; wait; @a set request x-called yes", {}),
    "the request goes on, with a body": (
        "call a h1 GET /text; wait; @a set request x-called yes",
        {"method": "POST", "pieces": [b"of the client"]},
    ),
    "from the body of the request": (
        "@request-body call a h1 GET /text; @request-body wait",
        {"method": "POST", "pieces": [b"of the client"]},
    ),
    "from the headers of the response": (
        "@response-headers call a h1 GET /text; @response-headers wait; @a set response x-called yes",
        {},
    ),
    "from the body of the response": ("@response-body call a h1 GET /text; @response-body wait", {}),
    "an answer in place of the response": ("@response-headers call a h1 GET /text; @response-headers answer 202", {}),
    "proxy_get_status outside of a callback": ("status; answer 200", {}),
}

CASES = [
    Case(
        f"calls: {name}",
        "calls",
        "h1",
        Request(headers=[("x-calls", script), ("x-in", "in")], **request),
        # Envoy sends the head of a request while its body is held, nginx the whole one behind it.
        races=name == "from the body of the request",
    )
    for name, (script, request) in SCRIPTS.items()
]
CASES += [
    Case(
        f"calls: several at once ({language})",
        f"{language} calls",
        "h1",
        Request(headers=[("x-calls", "h1 GET /text;h1 GET /status/404;nowhere GET /;h1 GET /large;h1 POST /some")]),
        {"status": 200},
        races=True,
    )
    for language in ("go", "assemblyscript")
]
CASES += [Case("calls: from a tick", "tick calls", "h1", Request(), {"status": 200})]
