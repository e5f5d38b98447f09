"""nginx's features, each as a fragment of a server block. `@N@` is the feature's name, @HTTP@ and the like are addresses of
upstreams, @WWW@ is the folder of files. The fragment stands in servers whose filters differ, so its locations inherit the filter;
`proxy_wasm off` keeps it away from one.

`role` says what the filter is in front of:

    main        the response, and all that the feature does for it
    guard       a subrequest that decides whether the main request goes on
    part        a subrequest whose response becomes a part of the main one
    background  a subrequest of which the client sees nothing
    target      the location to which an internal redirect leads, not the one where it begins
    left        the location where the redirect begins, not the one to which it leads
"""

import re
from dataclasses import dataclass, field

import bodies

# What fits where there is an upstream, and where there are files.
UPSTREAM = ("small", "large", "chunked", "long-chunked", "empty", "missing")
FILES = bodies.OF_FILES
BODILESS = ("get", "head", "range", "range-late", "ranges", "since", "get-gzip", "get-1.0", "keep-1.0")


@dataclass
class Feature:
    name: str
    conf: str
    role: str = "main"
    contents: tuple = UPSTREAM
    # Names of requests; None: all of kind "plain".
    requests: tuple = None
    kind: str = "plain"
    # Bytes of another protocol follow the headers, past all filters.
    tunnel: bool = False
    # nginx refuses before it looks at the request's body.
    refuses: bool = False
    # It answers in the rewrite phase.
    is_early: bool = False
    # The request's body is there before the upstream is asked.
    buffers: bool = True
    # Once, in http {}.
    http: str = ""
    # In a server block of its own beside the filter.
    server: str = ""
    # Targets that are asked for before the case: on the server without filters, or on the same one.
    prime: int = 0
    prime_same: bool = False
    # Ranges are made of what several requests to the upstream bring.
    slices: bool = False
    # Ask again afterwards without filters: what the feature has kept must be right.
    again: bool = False
    # The path, if it is not the content's name; more arguments.
    path: str = "{content}"
    arguments: str = ""
    # The body as the client gets it, made of what the filter makes of the body before this feature changes it:
    # takes the twin's body and the change. None: the change applies to the whole of it.
    shape: object = None
    # Deeds that say nothing here, with the reason.
    without: dict = field(default_factory=dict)
    # The same for settings.
    settings_without: dict = field(default_factory=dict)
    # Requests, by name with * for any, that nginx and its other modules do not serve rightly here by themselves.
    without_requests: tuple = ()
    # Modules that it needs (file names without .so).
    needs: tuple = ()
    # Lines of the error log that it explains.
    lines: tuple = ()
    # What it puts behind any body, a filter's own answer too.
    tail: bytes = b""
    # None: all.
    protocols: tuple = None


def before(mark):
    """What the feature has added begins with this: filters do not see it."""

    def shape(body, change):
        at = body.find(mark)
        return change(body) if at < 0 else change(body[:at]) + body[at:]

    return shape


def between(first, last):
    def shape(body, change):
        start, end = body.find(first), body.find(last)
        if start < 0 or end < 0:
            return change(body)
        start += len(first)
        return body[:start] + change(body[start:end]) + body[end:]

    return shape


def around(pattern):
    """A part that filters do not see, in the middle."""

    def shape(body, change):
        found = re.search(pattern, body, re.S)
        if not found:
            return change(body)
        mark = b"\0the part\0"
        return change(body[: found.start()] + mark + body[found.end() :]).replace(mark.upper(), mark).replace(mark, found[0])

    return shape


# The Lua module does not read bodies and make subrequests over HTTP/2.
LUA_PROTOCOLS = ("h1", "pipelined", "tls")
PROXY = "location /@N@/ { %s proxy_pass http://@HTTP@; }"
GUARD_OF_UPSTREAM = """
    location = /@N@.guard {
        internal; %s
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://@HTTP@/allowed?case=$case;
    }"""
CACHE = """
        proxy_cache company;
        proxy_cache_key "@N@ $case $arg_content $slice_range";
        proxy_cache_valid 200 404 1h;
        proxy_cache_methods GET HEAD POST;
        proxy_ignore_headers Set-Cookie;
"""
SSI_SPOILT = "SSI commands are in the body when filters see it"
SSI_WITHOUT = {name: SSI_SPOILT for name in ("upper-response", "held-both-response")}
ZIPPED_WITHOUT = {
    name: "the body is compressed when filters see it"
    for name in ("upper-response", "append-response", "held-both-response")
}

FEATURES = [
    # Handlers.
    Feature("return", 'location /@N@/ { return 200 "GuArDeD-Main returned text\\n"; }', contents=("small",), is_early=True),
    Feature("return-redirect", "location /@N@/ { return 302 /elsewhere; }", contents=("small",), is_early=True),
    Feature("static", "location /@N@/ { alias @WWW@/main/; }", contents=FILES),
    Feature("static-in-pieces", "location /@N@/ { output_buffers 1 4k; sendfile off; alias @WWW@/main/; }", contents=FILES),
    Feature("autoindex", "location /@N@/ { autoindex on; alias @WWW@/main/; }", contents=("small",), path="",
        lines=("directory index of .* is forbidden",)),
    Feature("index", "location /@N@/ { index small; alias @WWW@/main/; }", contents=("small",), path=""),
    Feature("flv", "location /@N@/ { flv; alias @WWW@/main/; }", contents=FILES, arguments="&start=100",
        requests=("get", "head", "range", "since", "get-gzip", "get-1.0", "keep-1.0")),
    Feature("gzip-static", "location /@N@/ { gzip_static always; gunzip on; alias @WWW@/zipped/; }", contents=("small", "large"),
        without=ZIPPED_WITHOUT,
        # Filters see such a body decoded, and it goes on plain (t/32-bodies/decode.t).
        without_requests=("get-gzip",)),
    Feature("empty-gif", "location /@N@/ { empty_gif; }", contents=("small",)),
    # proxy_pass.
    Feature("proxy", PROXY % ""),
    Feature("proxy-unbuffered", PROXY % "proxy_buffering off;"),
    Feature("proxy-request-unbuffered", PROXY % "proxy_request_buffering off;", buffers=False),
    Feature(
        "proxy-both-unbuffered", PROXY % "proxy_request_buffering off; proxy_buffering off;", buffers=False
    ),
    Feature(
        "proxy-keepalive",
        "location /@N@/ { proxy_pass http://company_kept; }",
        http="upstream company_kept { server @HTTP@; keepalive 8; }",
    ),
    Feature("proxy-1.0", PROXY % "proxy_http_version 1.0;"),
    Feature("proxy-small-buffers", PROXY % "proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k;"),
    Feature("proxy-body-in-file", PROXY % "client_body_in_file_only clean;"),
    Feature("proxy-body-in-single-buffer", PROXY % "client_body_in_single_buffer on;"),
    Feature("proxy-no-body", PROXY % 'proxy_pass_request_body off; proxy_set_header Content-Length "";'),
    Feature(
        "proxy-next-upstream",
        "location /@N@/ { proxy_pass http://company_two; proxy_next_upstream error http_502 non_idempotent; }",
        http="upstream company_two { server @DEAD@ max_fails=0; server @HTTP@ max_fails=0; }",
        lines=(r"connect\(\) failed .* while connecting to upstream",),
    ),
    Feature("fastcgi", "location /@N@/ { include @FASTCGI_PARAMS@; fastcgi_pass @FASTCGI@; }"),
    Feature(
        "fastcgi-unbuffered",
        "location /@N@/ { include @FASTCGI_PARAMS@; fastcgi_pass @FASTCGI@; "
        "fastcgi_request_buffering off; fastcgi_buffering off; }",
        buffers=False,
    ),
    Feature("uwsgi", "location /@N@/ { include @UWSGI_PARAMS@; uwsgi_pass @UWSGI@; }"),
    Feature("scgi", "location /@N@/ { include @SCGI_PARAMS@; scgi_pass @SCGI@; }"),
    Feature(
        "memcached",
        'location /@N@/ { set $memcached_key "$uri?$args"; memcached_pass @MEMCACHED@; default_type text/plain; }',
        contents=("small", "large", "empty", "missing"),
        lines=("was not found by memcached",),
    ),
    Feature("grpc", "location /@N@/ { grpc_pass grpc://@GRPC@; }", contents=("small",), kind="grpc", buffers=False,
        without={name: "trailers follow, so no callback about the body is the last one"
            for name in ("append-response", "held-both-response", "denies-response-end")}
        | {name: "a pause for a body does not hold trailers, and these take the body with them"
            for name in ("denies-later-response-body", "never-resumes-response-body")}),
    Feature("websocket", PROXY.replace("@HTTP@", "@HTTP@/socket?$args") % (
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"),
        contents=("small",), kind="upgrade", tunnel=True),
    Feature("websocket-unbuffered", PROXY.replace("@HTTP@", "@HTTP@/socket?$args") % (
        "proxy_buffering off; proxy_request_buffering off; "
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"),
        contents=("small",), kind="upgrade", tunnel=True),
    # With TLS nginx keeps what it does not have to send at once until there is more.
    Feature("events", PROXY.replace("@HTTP@", "@HTTP@/events?$args") % "", contents=("small",), kind="events",
        protocols=("h1", "h2c")),
    Feature("events-unbuffered", PROXY.replace("@HTTP@", "@HTTP@/events?$args") % "proxy_buffering off;",
        contents=("small",), kind="events"),
    # Access.
    Feature("allow", PROXY % "allow 127.0.0.1; deny all;"),
    Feature("deny", PROXY % "deny all;", refuses=True, lines=("access forbidden by rule",)),
    Feature("deny-file", "location /@N@/ { deny all; alias @WWW@/main/; }", contents=FILES, refuses=True,
        lines=("access forbidden by rule",)),
    Feature("auth-basic", PROXY % 'auth_basic "company"; auth_basic_user_file @WWW@/users;'),
    Feature("auth-basic-refuses", PROXY % 'auth_basic "company"; auth_basic_user_file @WWW@/nobody;', refuses=True,
        lines=("was not found in",)),
    Feature("satisfy-any", PROXY % 'satisfy any; deny all; auth_basic "company"; auth_basic_user_file @WWW@/users;'),
    Feature("satisfy-any-refuses",
        PROXY % 'satisfy any; deny all; auth_basic "company"; auth_basic_user_file @WWW@/nobody;', refuses=True,
        lines=("was not found in", "access forbidden by rule")),
    Feature("limit-except", PROXY % "limit_except GET { deny all; }", refuses=True, lines=("access forbidden by rule",)),
    Feature(
        "limit-req",
        PROXY % "limit_req zone=company_once burst=5 nodelay;",
        http="limit_req_zone $case zone=company_once:1m rate=1r/m;",
    ),
    Feature(
        "limit-req-refuses",
        PROXY % "limit_req zone=company_refuses;",
        http="limit_req_zone $case zone=company_refuses:1m rate=1r/m;",
        prime=1,
        refuses=True,
        lines=("limiting requests",),
    ),
    Feature(
        "limit-req-delays",
        PROXY % "limit_req zone=company_delays burst=5;",
        http="limit_req_zone $case zone=company_delays:1m rate=20r/s;",
        prime=1,
        lines=("delaying request",),
    ),
    Feature("limit-conn", PROXY % "limit_conn company_conn 2;", http="limit_conn_zone $case zone=company_conn:1m;"),
    Feature(
        "auth-request",
        "location /@N@/ { auth_request /@N@.guard; proxy_pass http://@HTTP@; }" + GUARD_OF_UPSTREAM % "",
        settings_without={"access": "the subrequest comes before the filters of the main request, so it is theirs too"},
    ),
    Feature(
        "auth-request-guarded",
        "location /@N@/ { auth_request /@N@.guard; proxy_pass http://@HTTP@; }" + GUARD_OF_UPSTREAM % "proxy_wasm off;",
    ),
    Feature(
        "auth-request-guarded-local",
        "location /@N@/ { auth_request /@N@.guard; alias @WWW@/main/; }"
        " location = /@N@.guard { proxy_wasm off; return 204; }",
        contents=FILES,
    ),
    Feature(
        "auth-request-guarding",
        "location /@N@/ { proxy_wasm off; auth_request /@N@.guard; proxy_pass http://@HTTP@; }" + GUARD_OF_UPSTREAM % "",
        role="guard",
        lines=("auth request unexpected status: 50[34]",),
    ),
    Feature(
        "auth-request-guarding-return",
        "location /@N@/ { proxy_wasm off; auth_request /@N@.guard; alias @WWW@/main/; }"
        " location = /@N@.guard { return 204; }",
        role="guard",
        is_early=True,
        lines=("auth request unexpected status: 50[34]",),
        contents=FILES,
    ),
    Feature(
        "auth-request-refuses",
        "location /@N@/ { auth_request /@N@.guard; proxy_pass http://@HTTP@; }"
        + (GUARD_OF_UPSTREAM % "proxy_wasm off;").replace("allowed", "forbidden"),
        refuses=True,
    ),
    # Subrequests.
    Feature(
        "mirror",
        "location /@N@/ { mirror /@N@.mirror; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_pass http://@HTTP@/mirrored?case=$case; }",
    ),
    Feature(
        "mirror-off",
        "location /@N@/ { mirror /@N@.mirror; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_wasm off; proxy_pass http://@HTTP@/mirrored?case=$case; }",
    ),
    Feature(
        "mirror-only",
        "location /@N@/ { proxy_wasm off; mirror /@N@.mirror; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_pass http://@HTTP@/mirrored?case=$case; }",
        role="background",
    ),
    Feature(
        "ssi",
        "location /@N@/ { ssi on; ssi_types *; proxy_pass http://@HTTP@/page?part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        contents=("small", "large", "chunked"),
        shape=around(b"(GuArDeD-Part[^\n]*\n)+"),
        without=SSI_WITHOUT,
    ),
    Feature(
        "ssi-part",
        "location /@N@/ { proxy_wasm off; ssi on; ssi_types *; proxy_pass http://@HTTP@/page?part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        role="part",
        requests=BODILESS,
        contents=("small", "large", "chunked"),
    ),
    Feature(
        "ssi-page",
        "location /@N@/ { ssi on; ssi_types *; proxy_pass http://@HTTP@/page?part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_wasm off; proxy_pass http://@HTTP@/part?case=$case; }",
        contents=("small", "large", "chunked"),
        shape=around(b"(GuArDeD-Part[^\n]*\n)+"),
        without=SSI_WITHOUT,
    ),
    Feature(
        "addition",
        "location /@N@/ { add_before_body /@N@.before; add_after_body /@N@.after; addition_types *; proxy_pass http://@HTTP@; }"
        ' location = /@N@.before { return 200 "before\\n"; } location = /@N@.after { return 200 "after\\n"; }',
        shape=between(b"before\n", b"after\n"),
    ),
    Feature(
        "addition-part",
        "location /@N@/ { proxy_wasm off; add_after_body /@N@.part; addition_types *; proxy_pass http://@HTTP@; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        role="part",
        requests=BODILESS,
    ),
    Feature(
        "slice",
        "location /@N@/ { slice 16k; proxy_set_header Range $slice_range; proxy_pass http://@HTTP@; }",
        slices=True,
        contents=("small", "large"),
        requests=("get", "head", "range", "range-late", "get-gzip", "get-1.0", "keep-1.0"),
    ),
    Feature(
        "slice-cached",
        "location /@N@/ { slice 16k; proxy_set_header Range $slice_range; " + CACHE +
        " proxy_cache_valid 206 1h; proxy_pass http://@HTTP@; }",
        slices=True,
        contents=("small", "large"),
        requests=("get", "head", "range", "range-late", "get-gzip", "get-1.0", "keep-1.0"),
        again=True,
    ),
    # Bodies.
    Feature("sub-filter", PROXY % "sub_filter_types *; sub_filter_once off; sub_filter ': ' ' - ';"),
    Feature("gzip", PROXY % "gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0; gzip_proxied any;"),
    Feature("gunzip", "location /@N@/ { gunzip on; proxy_pass http://@HTTP@/zipped?$args; }", without=ZIPPED_WITHOUT,
        contents=("small", "large", "chunked", "missing"),
        # Filters see such a body decoded, and it goes on plain (t/32-bodies/decode.t).
        without_requests=("get-gzip",)),
    Feature("charset", PROXY % "charset utf-8; charset_types *;"),
    Feature("headers", PROXY % "add_header X-Added yes always; expires 1h; proxy_hide_header Set-Cookie;"),
    Feature("etag-conditions", PROXY % "etag on; if_modified_since before;"),
    Feature("limit-rate", PROXY % "limit_rate 50m;"),
    Feature("postpone-output", PROXY % "postpone_output 0; proxy_buffering off;"),
    Feature("chunked-off", PROXY % "chunked_transfer_encoding off;"),
    Feature("directio", "location /@N@/ { directio 512; alias @WWW@/main/; }", contents=FILES),
    Feature("aio-threads", "location /@N@/ { aio threads; sendfile on; alias @WWW@/main/; }", contents=FILES),
    # WebDAV and caches.
    Feature(
        "dav",
        "location /@N@/ { dav_methods PUT; create_full_put_path on; root @TEMP@/dav; }",
        contents=("small",),
        requests=("put-3000",),
        path="{case}",
        again=True,
    ),
    Feature("cache-miss", PROXY % CACHE, again=True),
    Feature("cache-hit", PROXY % CACHE, prime=1, again=True),
    Feature("cache-own-hit", PROXY % CACHE, prime=1, prime_same=True, again=True),
    Feature(
        "cache-stale",
        "location /@N@/ { " + CACHE + " proxy_cache_use_stale updating; proxy_cache_background_update on;"
        " proxy_pass http://@HTTP@/stale?$args; }",
        prime=1,
        again=True,
        requests=BODILESS,
    ),
    Feature("cache-lock", PROXY % (CACHE + "proxy_cache_lock on;"), again=True),
    Feature("cache-revalidate", "location /@N@/ { " + CACHE +
        " proxy_cache_revalidate on; proxy_pass http://@HTTP@/stale?$args; }", prime=1, again=True, requests=BODILESS),
    Feature(
        "store",
        "location /@N@/ { root @TEMP@/store; error_page 404 = @@N@; log_not_found off; }"
        " location @@N@ { internal; proxy_store @TEMP@/store/@N@/$arg_content-$case; proxy_pass http://@HTTP@; }",
        requests=("get", "get-1.0", "get-gzip"),
        contents=("small", "large", "chunked", "long-chunked"),
        path="{content}-{case}",
        again=True,
    ),
    # Internal redirects.
    Feature("rewrite-last",
        "location /@N@/ { rewrite ^ /@N@.there/x last; } location /@N@.there/ { proxy_pass http://@HTTP@; }"),
    Feature("rewrite-break", PROXY % "rewrite ^ /other/$arg_content break;"),
    Feature("rewrite-target",
        "location /@N@/ { proxy_wasm off; rewrite ^ /@N@.there/x last; } location /@N@.there/ { proxy_pass http://@HTTP@; }"),
    Feature("try-files", "location /@N@/ { root @WWW@/none; try_files $uri @@N@; } location @@N@ { proxy_pass http://@HTTP@; }"),
    Feature(
        "try-files-target",
        "location /@N@/ { proxy_wasm off; root @WWW@/none; try_files $uri @@N@; } location @@N@ { proxy_pass http://@HTTP@; }",
    ),
    Feature(
        "error-page",
        "location /@N@/ { error_page 404 502 = /@N@.page; proxy_intercept_errors on; proxy_pass http://@HTTP@/fails?case=$case; }"
        " location = /@N@.page { internal; proxy_pass http://@HTTP@/target?$args; }",
        contents=("small", "large", "chunked"),
    ),
    Feature(
        "error-page-target",
        "location /@N@/ { proxy_wasm off; error_page 502 = /@N@.page; proxy_intercept_errors on; "
        "proxy_pass http://@HTTP@/fails?case=$case; }"
        " location = /@N@.page { internal; proxy_pass http://@HTTP@/target?$args; }",
        role="target",
        contents=("small", "large", "chunked"),
    ),
    Feature(
        "x-accel",
        "location /@N@/ { proxy_pass http://@HTTP@/redirected?to=/@N@.file/$arg_content&case=$case; }"
        " location /@N@.file/ { internal; alias @WWW@/main/; }",
        contents=("small", "large"),
    ),
    Feature(
        "x-accel-target",
        "location /@N@/ { proxy_wasm off; proxy_pass http://@HTTP@/redirected?to=/@N@.file/$arg_content&case=$case; }"
        " location /@N@.file/ { internal; alias @WWW@/main/; }",
        role="target",
        contents=("small", "large"),
    ),
    Feature(
        "x-accel-left",
        "location /@N@/ { proxy_pass http://@HTTP@/redirected?to=/@N@.file/$arg_content&case=$case; }"
        " location /@N@.file/ { internal; proxy_wasm off; alias @WWW@/main/; }",
        role="left",
        contents=("small", "large"),
    ),
    Feature("if", PROXY % "if ($arg_case) { add_header X-If yes; }"),
    Feature("realip-location", PROXY % (
        "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; add_header X-Peer $remote_addr;"
        "proxy_set_header X-Peer $remote_addr;")),
    Feature("realip-server", PROXY % "add_header X-Peer $remote_addr; proxy_set_header X-Peer $remote_addr;",
        server="set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"),
    # Others' modules.
    Feature("lua-rewrite", PROXY % "rewrite_by_lua_block { ngx.req.set_header('X-Lua', 'yes') }", needs=("ngx_http_lua_module",)),
    Feature("lua-access", PROXY % "access_by_lua_block { ngx.req.read_body() ngx.sleep(0.001) }", protocols=LUA_PROTOCOLS, needs=("ngx_http_lua_module",)),
    Feature("lua-access-refuses", PROXY % "access_by_lua_block { ngx.exit(403) }", needs=("ngx_http_lua_module",), refuses=True),
    Feature("lua-content",
        "location /@N@/ { default_type text/plain; content_by_lua_block { for n = 1, 50 do ngx.say('GuArDeD-Main line ', n) ngx.flush(true) end } }",
        contents=("small",), needs=("ngx_http_lua_module",),
        # nginx finds "Expect" at the end, and puts "100 Continue" into the middle of the answer.
        without_requests=("expect-*",)),
    Feature("lua-content-body",
        "location /@N@/ { default_type text/plain; content_by_lua_block { ngx.req.read_body() "
        "local file, data = ngx.req.get_body_file(), ngx.req.get_body_data() or '' "
        "ngx.print('GuArDeD-Main ', file and io.open(file):seek('end') or #data, '\\n') } }",
        contents=("small",), needs=("ngx_http_lua_module",), protocols=LUA_PROTOCOLS,
        without={name: "the answer tells the length" for name in ("append-request", "held-both-request")}),
    Feature("lua-capture",
        "location /@N@/ { default_type text/plain; content_by_lua_block { "
        "local r = ngx.location.capture('/@N@.part?' .. ngx.var.args) ngx.print('GuArDeD-Main ', r.status, '\\n', r.body) } }"
        " location /@N@.part { proxy_pass http://@HTTP@; }",
        contents=("small", "large"), requests=BODILESS, protocols=LUA_PROTOCOLS, needs=("ngx_http_lua_module",)),
    Feature("lua-exec", "location /@N@/ { content_by_lua_block { ngx.exec('/@N@.there/x', ngx.var.args) } }"
        " location /@N@.there/ { proxy_pass http://@HTTP@; }", needs=("ngx_http_lua_module",)),
    Feature("lua-header-filter", PROXY % "header_filter_by_lua_block { ngx.header['X-Lua'] = 'yes' }", needs=("ngx_http_lua_module",)),
    Feature("lua-body-filter",
        PROXY % ("header_filter_by_lua_block { ngx.header.content_length = nil } "
        "body_filter_by_lua_block { if ngx.arg[2] then ngx.arg[1] = (ngx.arg[1] or '') .. '(lua)' end }"),
        tail=b"(lua)", shape=before(b"(lua)"), needs=("ngx_http_lua_module",),
        # Lua sends its bytes behind a 304 too.
        without_requests=("since",)),
    Feature("lua-log", PROXY % "log_by_lua_block { ngx.ctx.x = ngx.var.status }", needs=("ngx_http_lua_module",)),
    Feature("echo", "location /@N@/ { default_type text/plain; echo 'GuArDeD-Main one'; echo_flush; echo 'GuArDeD-Main two'; }",
        contents=("small",), needs=("ngx_http_echo_module",)),
    Feature("echo-location",
        "location /@N@/ { default_type text/plain; echo 'GuArDeD-Main page'; echo_location /@N@.part/x $args; echo 'GuArDeD-Main end'; }"
        " location /@N@.part/ { proxy_pass http://@HTTP@; }",
        contents=("small", "large"), requests=BODILESS, needs=("ngx_http_echo_module",)),
    Feature("echo-request-body",
        "location /@N@/ { default_type text/plain; echo_read_request_body; echo 'GuArDeD-Main'; }",
        contents=("small",), needs=("ngx_http_echo_module",)),
    Feature("headers-more", PROXY % "more_set_headers 'X-More: yes'; more_clear_headers ETag; more_set_input_headers 'X-More-In: yes';",
        needs=("ngx_http_headers_more_filter_module",)),
]
BY_NAME = {feature.name: feature for feature in FEATURES}
