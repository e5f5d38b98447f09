"""The deliberate differences between Envoy and this module, with their reasons. docs/differences.md is made of them.

Each has rules that say where it shows: case and aspect (with * as wild card), and what it is in Envoy and here (ANY: any
value, None: nothing). A difference that no rule covers fails the suite, and so does a rule that covers none any more.
"""

from dataclasses import dataclass, field

ANY = object()


@dataclass
class Difference:
    topic: str
    what: str
    envoy: str
    here: str
    why: str
    rules: list = field(default_factory=list)


HEADERS, CONTEXTS, BODIES, ANSWERS, WAITING, PROPERTIES, HTTP, LATER = (
    "Header maps", "Contexts", "Bodies and trailers", "Local responses", "Pauses and chains", "Properties", "HTTP", "Not there yet",
)

DIFFERENCES = [
    Difference(
        HEADERS, "Several lines of a header that is a list (`accept`, `cache-control`, ...)", "joined with commas into one",
        "as many lines as there were", "nginx keeps lines, and the meaning is the same",
        [
            ("*", "response header cache-control", ["no-store,private,max-age=1"], ["no-store", "private", "max-age=1"]),
            ("*", "response header cache-control", ["no-store,private"], ["no-store", "private"]),
            ("sdk: *: duplicate headers", "upstream header accept", ["text/html,text/plain"], ["text/html", "text/plain"]),
            ("protocols: *", "*. response header cache-control", ["no-store,private"], ["no-store", "private"]),
            ("*", "* response-headers: list 2: cache-control", ["no-store,private"], ["no-store", "private"]),
        ],
    ),
    Difference(
        HTTP, "A tab behind a header's value", "not part of the value", "part of the value", "so nginx reads header lines",
        [("sdk: * edits: blanks around values, an empty value", "upstream header x-copy", ["<blanks>"], ["<blanks \t>"])],
    ),
    Difference(
        HTTP, "Header names with an underscore", "passed on", "dropped, unless `underscores_in_headers` is on",
        "nginx's setting decides",
        [("sdk: *: names with underscore", "upstream header x_under", ["score"], None)],
    ),
    Difference(
        HTTP, "A method that is none of the usual ones", "400, before any filter", "passed on", "nginx does not judge methods",
        [("sdk: *: method of one's own", "*", ANY, ANY)],
    ),
    Difference(
        HTTP, "A request line with a host (`GET http://a/ HTTP/1.1`) that differs from the line Host",
        "the upstream gets the host of the request line", "the upstream gets what `proxy_set_header Host` says",
        "nginx's setting decides; `:authority` is the host of the request line on both sides",
        [("sdk: *: absolute form", "upstream header host", ["other.example"], ["test.example"])],
    ),
    Difference(
        HTTP, "content-length of a 204 that a filter answers", "sent", "not sent, and no content-type either",
        "RFC 9110 forbids the length, and nginx sends neither with a 204 of its own",
        [
            ("sdk: * edits: denied with 204", "response header content-type", ["text/x-filtered"], None),
            ("sdk: * edits: denied with 204", "response header content-length", ANY, None),
        ],
    ),
    Difference(
        HTTP, "A request body in chunks", "chunks to the upstream", "content-length to the upstream",
        "nginx reads the whole body first, unless `proxy_request_buffering` is off",
        [
            ("*", "upstream header content-length", None, ANY),
            ("*", "upstream header transfer-encoding", ["chunked"], None),
            ("protocols: pipelined*", "upstream's 2. header *", ANY, ANY),
        ],
    ),
    Difference(
        HTTP, "A request without a body whose method could have one", "`content-length: 0` to the upstream",
        "no length to the upstream", "so nginx proxies",
        [("*", "upstream header content-length", ["0"], None)],
    ),
    Difference(
        HEADERS, "Request headers in `proxy_on_response_headers` and after", "not there: no value, and NotFound",
        "there to the end", "filters need not keep copies",
        [
            ("sdk: go late: *", "response header x-late", ["<>"], ANY),
            ("sdk: go late: *", "response header x-late-path", [""], ANY),
            ("headers: request map everywhere*", "* get request :path", "2", "0 /text"),
            ("headers: response map everywhere*", "* get response :status", "2", "0 200"),
            ("headers: size of request map everywhere*", "* get request x-in", "2", "0 first"),
            ("statuses: effective contexts*", "a request-headers: get request :path again", "2", "1"),
            ("chains: contexts of the same VM*", "* request-headers: get request :path", "2", "1"),
        ],
    ),
    Difference(
        HEADERS, "Reading a map that is not there now", "BadArgument", "NotFound",
        "the Rust SDK panics on BadArgument here, which ends the whole VM",
        [
            ("headers: *everywhere*", "* get * x-none", "2", "1"),
            ("headers: response map everywhere*", "* get response :status", "2", "1"),
            ("starts: *", "*: get *", "2", "1"),
        ],
    ),
    Difference(
        CONTEXTS, "The end of a stream", "`proxy_on_log`, `proxy_on_done`, `proxy_on_delete`",
        "`proxy_on_done`, `proxy_on_log`, `proxy_on_delete`", "the order that the specification has",
        [
            ("*", "* ends", ["log", "done", "delete"], ["done", "log", "delete"]),
            ("protocols: *", "a ends", ["log", "done", "delete"] * 2, ["done", "log", "delete"] * 2),
        ],
    ),
    Difference(
        HEADERS, "Adding to a pseudo-header", "joins both values with a comma", "replaces the value",
        "a pseudo-header has one value",
        [("headers: add to path and method*", "*", ANY, ANY)],
    ),
    Difference(
        HEADERS, "Removing a pseudo-header", "removed: the request is answered with 404, the response with 502",
        "ignored", "nginx has no request without them",
        [
            ("headers: remove pseudo-headers*", "*", ANY, ANY),
            ("headers: remove authority*", "*", ANY, ANY),
            ("headers: remove status*", "*", ANY, ANY),
        ],
    ),
    Difference(
        HEADERS, "Writing to a map whose time has passed", "BadArgument", "Ok while it can still have an effect, else BadArgument",
        "nginx holds response headers back until the first piece of the body has passed the filters, and request headers until the "
        "request has been sent",
        [
            ("headers: writing to the request map everywhere*", "a *: add request x-w 1", "2", "0"),
            ("headers: writing to the request map everywhere*", "upstream header x-w", ["1"], ["1", "1"]),
            ("bodies: changed headers from the body callback*", "*x-late*", ANY, ANY),
            ("headers: writing to the response map everywhere*", "a response-body: add response x-w 1", "2", "0"),
            ("headers: writing to the response map everywhere*", "response header x-w", ["1"], ["1", "1"]),
            ("headers: removing from the response map everywhere*", "a response-body: remove response x-w", "2", "0"),
        ],
    ),
    Difference(
        HEADERS, "The size of a map that is not there", "BadArgument", "NotFound", "as for its values",
        [("headers: *sizes everywhere*", "a *: size *", ANY, "1 0"), ("headers: maps of calls and gRPC*", "a *: size *", "2 0", "1 0"), ("starts: *", "*: size *", "2 0", "1 0")],
    ),
    Difference(
        HEADERS, "Maps of calls and of gRPC, outside of their callbacks", "a value: BadArgument; pairs: Ok and none",
        "NotFound", "as for other maps that are not there",
        [("headers: maps of calls and gRPC*", "a *: get *", "2", "1"), ("headers: maps of calls and gRPC*", "a *: pairs *", "0", "1"), ("starts: *", "*: pairs *", "0", "1")],
    ),
    Difference(
        HEADERS, "A new `:scheme`", "taken", "ignored, with a warning", "nginx has no place for it; `proxy_pass` decides",
        [("headers: new scheme*", "a request-headers: get request :scheme", "0 https", "0 http")],
    ),
    Difference(
        HEADERS, "CR, LF or NUL in a value, or a name that is no token, in a request", "503 after the filters, with the reason as the body",
        "503, with nginx's page", "the same answer; the error log has the reason",
        [
            ("headers: line break in a request value*", "*", ANY, ANY),
            ("headers: name with a blank*", "*", ANY, ANY),
        ],
    ),
    Difference(
        HEADERS, "CR, LF or NUL in a value of the response", "sent as they are", "the response is refused with 503",
        "whoever controls the value would add headers to the response, or a whole response",
        [
            ("headers: line break in a response value*", "status", 200, 503),
            ("headers: line break in a response value*", "*", ANY, ANY),
            ("headers: NUL in a response value*", "status", 200, 503),
            ("headers: NUL in a response value*", "*", ANY, ANY),
        ],
    ),
    Difference(
        HEADERS, "An empty name", "ignored", "the request is refused with 503", "it is no name; see above",
        [("headers: empty name*", "status", 200, 503), ("headers: empty name*", "*", ANY, ANY)],
    ),
    Difference(
        HEADERS, "`transfer-encoding` of the upstream", "in the map of response headers", "not there",
        "nginx reads and makes the framing; filters have no part in it",
        [("*", "* response-headers: list 2: transfer-encoding", ["chunked"], None)],
    ),
    Difference(
        BODIES, "Request trailers", "shown to filters, and passed on", "dropped; over HTTP/2 the connection is closed by nginx before 1.23",
        "nginx discards request trailers, so the map is never there",
        [
            ("*: *request trailers (h*)", "*", ANY, ANY),
            ("headers: trailer map*everywhere*", "*", ANY, ANY),
            ("headers: *trailer maps everywhere*", "a *: * request-trailers *", "0", "2"),
        ],
    ),
    Difference(
        BODIES, "Response trailers of an HTTP/1.1 upstream", "shown to filters, and passed on", "dropped",
        "nginx discards them (1.27.2 has `proxy_pass_trailers`); those of gRPC upstreams are there",
        [
            ("headers: response trailers from HTTP/1.1*", "*", ANY, ANY),
            ("protocols: response trailers*", "*", ANY, ANY),
        ],
    ),
    Difference(
        BODIES, "Buffers that are not there now", "Ok, and empty", "NotFound", "a filter can tell an empty body from none",
        [
            ("statuses: buffers that are not there*", "a *: buffer* *", ANY, ANY),
            ("bodies: parts of the request*", "a *: buffer*", ANY, ANY),
            ("bodies: parts of the response*", "a *: buffer*", ANY, ANY),
            ("bodies: other buffers in body callbacks*", "a *: buffer *", "0", "1"),
            ("starts: no request", "*: buffer*", ANY, ANY),
        ],
    ),
    Difference(
        BODIES, "Writing to a buffer that cannot be written now",
        "BadArgument for those of HTTP, NotFound for those of calls and configurations",
        "NotFound for those of HTTP, BadArgument for those that nobody can write", "the meaning of these statuses",
        [
            ("statuses: writing to buffers that are not there*", "a *: set-buffer *", "2", "1"),
            ("bodies: other buffers in body callbacks*", "a *: set-buffer *", "2", "1"),
            ("starts: no request", "*: set-buffer *", "2", "1"),
            ("statuses: writing to buffers that are not there*", "a *: set-buffer *", "1", "2"),
        ],
    ),
    Difference(
        BODIES, "The plugin's configuration in a stream", "NotFound", "there", "it costs nothing, and saves copies",
        [
            ("statuses: the plugin's configuration in a request*", "a *: buffer*", ANY, ANY),
            ("statuses: pointers outside of the memory, buffers*", "a request-headers: raw get_buffer_* 7 *", "1", "6"),
        ],
    ),
    Difference(
        BODIES, "content-length of a body that a filter changes", "stays as it was, unless the filter removes it: the body is cut, or the other end "
        "waits for the rest", "put right, or left out", "a wrong length breaks the connection, or lets requests be smuggled",
        [
            ("bodies: request appended, its length left*", "upstream body", "0123456789", "0123456789-after"),
            ("bodies: request appended, its length left*", "upstream header content-length", ["10"], ["16"]),
            ("bodies: response appended, its length left*", "body", "0123456789\n", "0123456789\n-after"),
            ("bodies: response appended, its length left*", "response header content-length", ["11"], ["17"]),
        ],
    ),
    Difference(
        BODIES, "Changes in the middle of a buffer (`proxy_set_buffer_bytes` with a start inside)", "BadArgument", "work",
        "the specification has them",
        [
            (f"bodies: *{change}*", aspect, ANY, ANY)
            for change in ("shrunk", "grown in the middle", "overwritten in the middle", "cut")
            for aspect in ("*body*: *set-buffer *", "*body*: buffer *", "*body")
        ],
    ),
    Difference(
        ANSWERS, "A status outside of 200 to 599", "sent", "BadArgument, and no local response", "it is no status",
        [
            ("local: odd status*", "a request-headers: answer *", "0", "2"),
            ("local: odd status*", "*", ANY, ANY),
        ],
    ),
    Difference(
        ANSWERS, "Malformed pairs", "Ok; headers are left out, or the request loses all", "BadArgument", "the mistake shows where it is made",
        [
            ("statuses: malformed pairs*", "a request-headers: raw *", "0", "2"),
            ("statuses: malformed pairs*", "*", ANY, ANY),
        ],
    ),
    Difference(
        WAITING, "Streams of TCP (2 and 3) in an HTTP stream", "continue: Ok or Unimplemented; close: Ok", "BadArgument", "there are none",
        [("statuses: streams of TCP*", "a request-headers: c*", ANY, "2")],
    ),
    Difference(
        CONTEXTS, "`proxy_set_effective_context` with 0", "Ok", "BadArgument", "there is no such context",
        [
            ("statuses: effective contexts*", "a request-headers: effective 0", "0", "2"),
            ("starts: no stream", "*: effective 0", "0", "2"),
        ],
    ),
    Difference(
        CONTEXTS, "`proxy_on_done` that returns false, in a stream", "taken for true", "on_log and on_delete wait for `proxy_done`",
        "the specification has it",
        [
            ("waiting: done later*", "callbacks", ANY, ANY),
            ("waiting: done later*", "a tick*", None, ANY),
        ],
    ),
    Difference(
        CONTEXTS, "`proxy_continue_stream`, `proxy_close_stream`, `proxy_send_local_response` of a root context without a stream",
        "Ok", "BadArgument", "there is nothing to continue, to close or to answer",
        [("starts: no stream", f"*: {verb} *", "0", "2") for verb in ("continue", "close", "answer")],
    ),
    Difference(
        CONTEXTS, "A request that is refused before any filter runs", "makes contexts, and ends them", "makes none",
        "they would have nothing to do",
        [
            ("protocols: *", "a ends", ["log", "done", "delete"], None),
            ("protocols: *", "filters *", ["a"], []),
        ],
    ),
    Difference(
        HEADERS, "All request headers are set, without those that a route needs", "404", "pseudo-headers that are missing stay",
        "see removing a pseudo-header",
        [("headers: set all of the request*", "*", ANY, ANY)],
    ),
    Difference(
        HTTP, "The page of an error that the server makes", "a short text, or none", "nginx's page, or that of `error_page`", "nginx's settings decide",
        [
            ("protocols: *", "body", ANY, ANY),
            ("protocols: *", "response header content-*", ANY, ANY),
        ],
    ),
    Difference(
        HTTP, "`OPTIONS *`, and a path with `#`", "404, and 400", "400, and served", "nginx's parser decides",
        [
            ("protocols: asterisk form*", "*", ANY, ANY),
            ("protocols: fragment in the path*", "*", ANY, ANY),
        ],
    ),
    Difference(
        HTTP, "Headers of the connection (`connection`, what it names, `te`)", "removed before the filters; `te: trailers` goes to the upstream",
        "shown to filters; the upstream gets what `proxy_set_header` says", "nginx's settings decide",
        [
            ("protocols: connection close*", "a request-headers: get request connection", "1", "0 close"),
            ("protocols: hop-by-hop*", "a request-headers: get request x-hop", "1", "0 1"),
            ("protocols: hop-by-hop*", "upstream header te", ["trailers"], None),
            ("protocols: hop-by-hop*", "upstream header x-hop", None, ["1"]),
        ],
    ),
    Difference(
        HTTP, "The connection after a local response to a request whose body had been sent", "closed", "kept", "nginx reads the body, and goes on",
        [("protocols: a local response to a body that was sent*", "*", ANY, ANY)],
    ),
    Difference(
        HTTP, "content-length of an empty response over HTTP/2", "left out", "`content-length: 0`", "so nginx sends it",
        [("*(h2)", "response header content-length", None, ["0"])],
    ),
    Difference(
        HTTP, "content-type of a 204", "that of the upstream", "left out", "nginx sends none with a 204",
        [("*204*", "response header content-type", ["application/json"], None), ("bodies: *no* (h2)", "response header content-type", ["application/json"], None)],
    ),
    Difference(
        HTTP, "`transfer-encoding: chunked` in the answer to HEAD", "sent", "not sent", "there is no body to encode",
        [("protocols: HEAD of chunks (h1)", "response header transfer-encoding", ["chunked"], None)],
    ),
    Difference(
        ANSWERS, "A body with 204 and 304", "shown to filters, and the 204 has its length", "dropped", "there can be none",
        [
            (f"local: status {status} (h1)", aspect, ANY, ANY)
            for status in (204, 304) for aspect in ("a response-body *", "a response-headers *", "callbacks")
        ] + [
            ("local: status 204 (h1)", "response header content-length", ["4"], None),
            ("local: status 204 (h1)", "response header content-type", ["text/plain"], None),
        ],
    ),
    Difference(
        ANSWERS, "A line break in a header", "sent as it is", "the response is refused with 503", "as for other responses",
        [("local: line break in a header*", "*", ANY, ANY)],
    ),
    Difference(
        ANSWERS, "Its body, changed by a filter", "keeps the length that it had", "has its own length", "as for other bodies",
        [("local: its body is edited*", "*", ANY, ANY)],
    ),
    Difference(
        ANSWERS, "In place of a response that nginx makes by itself", "its body is shown to the filters over HTTP/2", "not shown", "the filters before have answered",
        [("local: replaces a direct answer (h2)", "a response-body *", ANY, None), ("local: replaces a direct answer (h2)", "callbacks", ANY, ANY)],
    ),
    Difference(
        ANSWERS, "Filters behind the one that answered", "do not see the answer", "see it", "they see all that the client gets",
        [
            (f"chains: {case}*", aspect, ANY, ANY)
            for case in ("the first answers", "the middle one answers") for aspect in ("callbacks", "* response-headers *", "* response-body *")
        ],
    ),
    Difference(
        WAITING, "`proxy_close_stream` in the response body", "headers are sent, then the connection is closed", "the connection is closed without an answer",
        "nginx holds headers back until the first piece of the body has passed the filters",
        [("waiting: close in the response body*", "*", ANY, ANY)],
    ),
    Difference(
        PROPERTIES, "Own properties", "any path, shared by the filters of a stream", "`ngx.VARIABLE` and `wasmx.NAME`", "one-segment names are nginx variables",
        [
            ("*", "*: set-property own*", "0", ANY), ("*", "*: property own*", ANY, "1"), ("*", "*: *property shared*", ANY, "1"),
        ],
    ),
    Difference(
        PROPERTIES, "Setting a property that the server has", "Ok, and no effect", "BadArgument or NotFound", "the mistake shows where it is made",
        [("statuses: setting what Envoy has*", "*: set-property *", "0", ANY)],
    ),
    Difference(
        PROPERTIES, "A path that is a part of others (`request`), and the empty path", "SerializationFailure", "the nginx variable of that name; NotFound",
        "bare names are nginx variables, as in other modules for nginx",
        [
            ("statuses: properties that are not there*", "a request-headers: property request", "3", ANY),
            ("statuses: properties that are not there*", "a request-headers: raw get_property 0 0 out out2", "3", "1"),
        ],
    ),
    Difference(
        PROPERTIES, "`plugin_vm_id`", "`vm_id` of the configuration", "the name of the module", "that is what chooses a VM here",
        [("properties: plugin*", "*: property plugin_vm_id", "0 one", "0 rust-conformance")],
    ),
    Difference(
        PROPERTIES, "Those of request headers in the response's callbacks", "NotFound until the end", "there", "as request headers are",
        [("properties: request in response-headers*", "*: property request|*", ANY, ANY)],
    ),
    Difference(
        PROPERTIES, "Names of the proxy's own parts (node, cluster, route, listener, metadata)", "what xDS says",
        "what nginx's configuration says: host name, location, upstream; empty metadata", "nginx has no xDS",
        [
            ("properties: plugin*", f"*: property {name}", ANY, ANY)
            for name in ("node", "xds|node|id", "cluster_name", "xds|cluster_name", "route_name", "xds|route_name", "listener_direction",
                         "listener_metadata", "route_metadata", "cluster_metadata")
        ],
    ),
    Difference(
        PROPERTIES, "`upstream.num_endpoints`", "there", "NotFound", "nginx does not tell it",
        [("properties: upstream*", "*: property upstream|num_endpoints", ANY, "1")],
    ),
    Difference(
        PROPERTIES, "`upstream.local_address` in the log phase", "there", "NotFound", "nginx has closed that connection",
        [("properties: upstream in log*", "*: property upstream|local_address", ANY, "1")],
    ),
    Difference(
        PROPERTIES, "`connection.subject_peer_certificate` of a client without certificate", "empty", "NotFound", "a filter can tell none from an empty one",
        [("properties: connection under TLS*", "*: property connection|subject_peer_certificate", "0", "1")],
    ),
    Difference(
        BODIES, "A message of length 0 whose end is not told with its headers", "the end of stream comes with an empty body, or with the headers",
        "the other of both", "HTTP/2 peers may end a message in two ways, and nginx tells them apart elsewhere",
        [
            ("protocols: gRPC without a body*", aspect, ANY, ANY) for aspect in ("a response-*", "callbacks")
        ],
    ),
    Difference(
        WAITING, "Bodies while a filter further on pauses at the headers", "the filters before it see the body at once",
        "they see it when the headers have passed all filters", "nginx reads a body when somebody wants it",
        [
            (f"chains: {case}*", "callbacks", ANY, ANY)
            for case in ("the middle one pauses with a body", "the middle one pauses the response", "all pause the response")
        ],
    ),
    Difference(
        HEADERS, "Response trailers before there are any, where the client can get them (HTTP/2)", "BadArgument", "can be added",
        "a filter can give trailers to a response that has none",
        [
            ("headers: writing to trailer maps everywhere (h2)", "a response-*: add response-trailers *", "2", "0"),
            ("headers: removing from trailer maps everywhere (h2)", "a response-*: remove response-trailers *", "2", "0"),
        ],
    ),
    Difference(
        LATER, "A response without a body that a filter holds with `proxy_wasm_headers_stop_iteration`", "no body callback",
        "`proxy_on_response_body` of size 0 with the end of the stream when it goes on", "to be mended: the end has been told",
        [
            ("bodies: response headers held, no body*", "a response-body is told", None, "passed=0 held=0 ends=1"),
            ("bodies: response headers held, no body*", "callbacks", ANY, ANY),
        ],
    ),
    Difference(
        LATER, "Response trailers, when a filter looks at them", "shown to filters, and passed on",
        "the stream is reset behind the body", "to be mended",
        [
            *(
                ("*", aspect, envoy, None)
                for aspect, envoy in (
                    ("? response-trailers*", ANY), ("response trailer x-up-trailer", ["up"]), ("response trailer x-up-trailer-old", ["old"]),
                    ("response trailer x-up-trailer-old", ["new"]), ("response trailer x-new", ["1"]),
                )
            ),
            ("*", "end", None, "reset"),
            ("waiting: response trailers*", "a tick*", ANY, None),
            ("headers: from response trailers on*", "a log: get response-trailers x-new", "0 1", "1"),
            ("headers: writing to trailer maps everywhere (h2)", "*body*", ANY, ANY),
            *(
                (case, "callbacks", ANY, ANY)
                for case in ("headers: from response trailers on*", "headers: removed response trailers*", "bodies: gRPC*", "protocols: gRPC (h2)", "properties: gRPC*",
                             "chains: order with trailers*", "waiting: response trailers*")
            ),
        ],
    ),
    Difference(
        LATER, "`proxy_get_status`", "Ok", "Unimplemented", "comes with calls out",
        [("statuses: *", "*: raw get_status *", ANY, "12")],
    ),
]

INTRODUCTION = """# Differences from Envoy

`make conformance` runs the same filters and the same requests through Envoy %s and through nginx with this module, and
compares what the client gets, what the upstream gets, the bytes of properties, the order of callbacks and the status of
each host call. They are the same, but for what is listed here. A difference that is not on this page fails the suite, and
so does an entry that is no longer true.

This page is made from `t/60-conformance/differences.py` by `make conformance CONFORMANCE=--write-docs`. What is supported at
all is in [proxy-wasm.md](proxy-wasm.md).
"""


def page(version):
    lines = [INTRODUCTION % version]
    for topic in dict.fromkeys(difference.topic for difference in DIFFERENCES):
        lines += [f"## {topic}", "", "| | Envoy | here | why |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {d.what} | {d.envoy} | {d.here} | {d.why} |" for d in DIFFERENCES if d.topic == topic
        ]
        lines.append("")
    return "\n".join(lines)
