"""What the benchmarks compare: works (what is done to a request) in several ways (who does it), each pair of them a case. For
bench/run all, profile, soak, and the guard of instructions."""

import base64
import hashlib
import hmac
import json
import os
import sys
from dataclasses import dataclass, field

from nginx import BODY, FORMS, LUA_MODULES, MODULE, ROOT, escape

# The header that works add, to requests or to responses.
NAME, VALUE = "x-hello", "world"
HELLO = "hello world"

# Who does it, and how a case of it is called: the name of the work, and this.
WAYS = {
    "nginx": "-nginx",  # nginx's own directives
    "lua": "-lua",  # Lua
    "envoy": "-envoy",  # Envoy, with the same .wasm
    "wasm": "",  # we, with the filter named in nginx.conf
    "from-lua": "-from-lua",  # we, with Lua calling the filter
    "request": "-request",  # we, with an instance for each request
}


@dataclass(frozen=True)
class Request:
    """What clients send."""

    name: str = ""
    method: str = "GET"
    headers: tuple = ()
    body: bytes = b""


@dataclass
class Answer:
    """What must come."""

    body: str = BODY
    # How many x-hello the response has; whether the upstream gets one (in the form proxied).
    headers: int = 0
    is_seen: bool = False
    # What is sent to see that it is refused, and the status then.
    refused: tuple = ()


@dataclass
class Work:
    name: str
    title: str
    answer: Answer
    forms: tuple = FORMS
    request: Request = Request()


@dataclass
class Case:
    """A work in one way."""

    name: str
    work: Work
    way: str
    explanation: str
    modules: list = field(default_factory=list)  # for load_module
    guests: list = field(default_factory=list)  # (name, path)
    filters: list = field(default_factory=list)  # (name, configuration)
    http: str = ""  # directives in http {}
    wasm: str = ""  # directives in wasm {}
    direct: str = f'return 200 "{escape(BODY)}";'  # what the location /direct has
    forms: tuple = FORMS

    @property
    def base(self):
        """The name of the case that this one is compared with: its server, with nothing to do."""
        return ("envoy" if self.way == "envoy" else "plain") + self.work.request.name

    def missing(self):
        """What this case needs and this machine does not have; empty when all is there."""
        files = self.modules + [path for _, path in self.guests]
        return [path for path in files if not os.path.exists(path)]


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


SECRET = b"a secret that only these benchmarks know"
ISSUER = "bench"


def token():
    """A JSON web token that is good for the next centuries."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"iss": ISSUER, "sub": "somebody", "exp": 9999999999})
    signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return signed + "." + base64url(hmac.new(SECRET, signed.encode(), hashlib.sha256).digest())


SCHEMA = {
    "type": "object",
    "required": ["id", "name", "items"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "name": {"type": "string", "maxLength": 40},
        "items": {
            "type": "array",
            "items": {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}},
        },
    },
}
DOCUMENT = {"id": 17, "name": "somebody", "items": [{"what": f"thing {n}", "price": n + 0.5} for n in range(5)]}

GET = Request()
JSON = Request("-json", "POST", (("content-type", "application/json"),), json.dumps(DOCUMENT).encode())
# Like a browser's: a firewall takes what has less for a robot's.
WAF = Request("-waf", headers=(("Host", "bench.example"), ("user-agent", "bench/1.0"), ("accept", "*/*")))
JWT = Request("-jwt", headers=(("authorization", f"Bearer {token()}"),))

BAD_JSON = Request("-json", "POST", JSON.headers, JSON.body.replace(b'"id": 17', b'"id": "17"'))
BAD_JWT = Request("-jwt", headers=((JWT.headers[0][0], JWT.headers[0][1][:-4] + "AAAA"),))

JWT_CONFIGURATION = {
    "consumers": [
        {"name": "somebody", "issuer": ISSUER, "jwks": {"keys": [{"kty": "oct", "k": base64url(SECRET)}]}, "keep_token": True}
    ],
    "in_header": True,
}
FAULT = {"abort": {"http_status": 200, "body": HELLO}}
TRANSFORM = {
    "reqRules": [{"operate": "add", "headers": [{"key": NAME, "value": VALUE}]}],
    "respRules": [{"operate": "add", "headers": [{"key": NAME, "value": VALUE}]}],
}
# As docs/coraza.md has it.
CORAZA = {
    "directives_map": {
        "default": ["Include @recommended-conf", "SecRuleEngine On", "Include @crs-setup-conf", "Include @owasp_crs/*.conf"]
    },
    "default_directives": "default",
}

LUA_PATH = f"lua_package_path '{ROOT}/lua/?.lua;{ROOT}/bench/lua/?.lua;;';"
NGINX_ADDS = f"add_header {NAME} {VALUE};"
LUA_ADDS = f'header_filter_by_lua_block {{ ngx.header["{NAME}"] = "{VALUE}" }}'
# The phase of a server's rewriting comes before `return` in a location: so both forms can be asked.
ON_REQUEST = "server_rewrite_by_lua_block"


def lua_answer(code):
    return f"{LUA_PATH} {ON_REQUEST} {{ {code} }}"


class Filter:
    """A guest with its configuration, and which of its callbacks Lua has to call."""

    def __init__(self, guest, configuration="", callbacks=("request_headers", "response_headers"), count=1, http=""):
        self.name = guest.removesuffix(".wat")
        folder = "bench/guests" if guest.endswith(".wat") else "build/guests"
        self.path = os.path.join(ROOT, folder, guest if guest.endswith(".wat") else guest + ".wasm")
        self.configuration = configuration if isinstance(configuration, str) else json.dumps(configuration)
        self.callbacks = callbacks
        self.count = count  # so many in a chain
        self.http = http

    def from_lua(self):
        """Directives of http {}."""
        code = (
            f'{LUA_PATH} init_by_lua_block {{ require("filters").load("{self.name}", "{self.path}", '
            f"[==[{self.configuration or '-'}]==], {self.count}) }}\n"
        )
        # The headers of the request are where a filter gets its context.
        on_request = "request_body" if "request_body" in self.callbacks else "request_headers"
        code += f'    {ON_REQUEST} {{ require("filters").{on_request}() }}\n'
        for phase, callback in (("header_filter", "response_headers"), ("body_filter", "response_body")):
            if callback in self.callbacks:
                code += f'    {phase}_by_lua_block {{ require("filters").{callback}() }}\n'
        return code.rstrip()


def works():
    """All works: (work, filter, directives of nginx, directives of Lua, ways that there are not)."""
    adds = Answer(headers=1)
    answers = Answer(body=HELLO)
    direct, proxied = ("direct",), ("proxied",)
    yield (
        Work("noop", "does nothing", Answer()), Filter("noop.wat"), None,
        f"{ON_REQUEST} {{ }} header_filter_by_lua_block {{ }}",
    )
    yield (
        Work("wat", "adds a response header", adds), Filter("add-header.wat", callbacks=("response_headers",)),
        NGINX_ADDS, LUA_ADDS,
    )
    yield (
        Work("hello", "answers 'hello world'", answers, direct), Filter("hello.wat", callbacks=("request_headers",)),
        "", lua_answer(f'ngx.header.content_length = {len(HELLO)} ngx.print("{HELLO}") ngx.exit(200)'),
    )
    yield (
        Work("headers", "reads all request headers, sets one", Answer(is_seen=True)),
        Filter("read-headers.wat", callbacks=("request_headers",)),
        f"proxy_set_header {NAME} {VALUE};",
        f'{ON_REQUEST} {{ local all = ngx.req.get_headers() ngx.req.set_header("{NAME}", "{VALUE}") }}',
    )
    yield (
        Work("body", "replaces the response's body", Answer(body=BODY.upper())),
        Filter("body.wat", callbacks=("response_body",)),
        f"sub_filter '{HELLO}' '{HELLO.upper()}'; sub_filter_types text/plain;",
        f'body_filter_by_lua_block {{ if ngx.arg[1] ~= "" then ngx.arg[1] = "{escape(BODY.upper())}" end }}',
    )
    yield (
        Work("five", "five filters, each adds a response header", Answer(headers=5)),
        Filter("add-header.wat", callbacks=("response_headers",), count=5), NGINX_ADDS * 5,
        f'header_filter_by_lua_block {{ local add = require("ngx.resp").add_header '
        f'for _ = 1, 5 do add("{NAME}", "{VALUE}") end }}',
    )
    add = f"response.add {NAME} {VALUE}"
    yield Work("rust", "adds a response header, with the Rust SDK", adds), Filter("rust-headers", add), None, None
    yield Work("go", "adds a response header, with the Go SDK", adds), Filter("go-headers", add), None, None
    yield (
        Work("assemblyscript", "adds a response header, with the AssemblyScript SDK", adds),
        Filter("assemblyscript-headers", add), None, None,
    )
    yield (
        Work("large", "adds a response header, a Rust filter of 1 MiB", adds),
        Filter("rust-large", f"add {NAME} {VALUE}"), None, None,
    )
    yield (
        Work("fault", "fault injection: 'hello world', with the Rust SDK", answers, direct),
        Filter("rust-fault", FAULT, ("request_headers",)), "",
        lua_answer(f"""require("fault").run({{ http_status = 200, body = "{HELLO}" }})"""),
    )
    yield (
        Work("json", "checks a JSON body by a schema, with the Rust SDK", Answer(refused=(BAD_JSON, 400)), proxied, JSON),
        Filter("rust-json", SCHEMA, ("request_headers", "request_body")), None,
        f"{LUA_PATH} init_by_lua_block {{ schema = require('schema').read [==[{json.dumps(SCHEMA)}]==] }} "
        f"{ON_REQUEST} {{ require('schema').check_body(schema) }}",
    )
    yield (
        Work("transformer", "Higress' transformer: a request and a response header", Answer(headers=1, is_seen=True), proxied),
        Filter("higress-transformer", TRANSFORM), f"proxy_set_header {NAME} {VALUE}; {NGINX_ADDS}",
        f'{ON_REQUEST} {{ ngx.req.set_header("{NAME}", "{VALUE}") }} {LUA_ADDS}',
    )
    yield (
        Work("jwt", "checks a JSON web token (HS256), with the Go SDK", Answer(refused=(BAD_JWT, 401)), proxied, JWT),
        Filter("go-auth", JWT_CONFIGURATION, ("request_headers",)), None,
        f"{LUA_PATH} {ON_REQUEST} {{ require('jwt').check('{ISSUER}', '{SECRET.decode()}') }}",
    )
    yield (
        Work("coraza", "the Coraza WAF with the core rule set, for a GET", Answer(), proxied, WAF),
        Filter("coraza", CORAZA, http="wasm_timeout 60s;"), None, None,
    )


# With an instance for each request, these begin with all of their rules in each.
NOT_FOR_EACH_REQUEST = ("coraza",)


def cases_of(work, filter_, nginx, lua):
    """The cases of a work, by the ways that there are."""
    filters = [(filter_.name, filter_.configuration)] * filter_.count
    guests = [(filter_.name, filter_.path)]

    def case(way, **more):
        return Case(work.name + WAYS[way], work, way, work.title, **{"forms": work.forms, **more})

    if nginx is not None:
        if work.answer.body == HELLO:
            yield case("nginx", direct=f"return 200 '{HELLO}';")
        else:
            forms = work.forms if not work.answer.is_seen else ("proxied",)
            yield case("nginx", http=nginx, forms=forms)
    if lua is not None:
        yield case("lua", modules=LUA_MODULES, http=lua)
    yield case("envoy", guests=guests, filters=filters)
    yield case("wasm", modules=[MODULE], guests=guests, filters=filters, http=filter_.http)
    yield case("from-lua", modules=[*LUA_MODULES, MODULE], guests=guests, http=filter_.http + filter_.from_lua())
    if work.name not in NOT_FOR_EACH_REQUEST:
        isolated = filter_.http + "proxy_wasm_isolation request;"
        yield case("request", modules=[MODULE], guests=guests, filters=filters, http=isolated)


def bases():
    """Servers with nothing to do: what the others are compared with."""
    for request, forms in ((GET, FORMS), (JSON, ("proxied",)), (JWT, ("proxied",)), (WAF, ("proxied",))):
        work = Work("plain", "nothing to do", Answer(), forms, request)
        yield Case("plain" + request.name, work, "nginx", "nginx alone", forms=forms)
        yield Case("envoy" + request.name, work, "envoy", "Envoy alone", forms=forms)
    work = Work("loaded", "nothing to do", Answer())
    yield Case("loaded", work, "wasm", "our module is loaded and not used", modules=[MODULE])


def more_cases():
    """What bench/run all leaves out."""
    rust, go = Filter("rust-headers", f"response.add {NAME} {VALUE}"), Filter("go-headers", f"response.add {NAME} {VALUE}")
    work = Work("rust-fuel", "the Rust filter, with a budget", Answer(headers=1))
    both = [(one.name, one.path) for one in (rust, go)]
    yield Case(
        "rust-fuel", work, "wasm", work.title, modules=[MODULE], guests=both[:1], http="wasm_fuel 1000000000;",
        filters=[(rust.name, rust.configuration)],
    )
    work = Work("rust-latency", "the Rust filter, its callbacks measured", Answer(headers=1))
    yield Case(
        "rust-latency", work, "wasm", work.title, modules=[MODULE], guests=both[:1], http="wasm_latency on;",
        filters=[(rust.name, rust.configuration)],
    )
    work = Work("rust+go", "two filters in a chain, each adds a header", Answer(headers=2))
    yield Case(
        "rust+go", work, "wasm", work.title, modules=[MODULE], guests=both,
        filters=[(one.name, one.configuration) for one in (rust, go)],
    )


def all_cases():
    return [*bases(), *(case for row in works() for case in cases_of(*row))]


def usable(chosen):
    """The cases without those that cannot run here; says which."""
    here = []
    for case in chosen:
        missing = case.missing()
        if missing:
            print(f"left out: {case.name}, there is no {' '.join(missing)}", file=sys.stderr)
        else:
            here.append(case)
    return here


def find_case(name):
    known = [*all_cases(), *more_cases()]
    for case in known:
        if case.name == name:
            if case.missing():
                sys.exit(f"case {name} cannot run here, there is no {' '.join(case.missing())}")
            return case
    sys.exit(f"there is no case '{name}'; there are {', '.join(case.name for case in known)}")
