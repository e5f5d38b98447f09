"""Modules that are not nginx's own."""

from feature import BODILESS, Feature, LUA_DEEDS, LUA_PROTOCOLS, PROXY, before

FEATURES = [
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
    # Filters that Lua runs.
    *(
        Feature(f"lua-runs{name}", "location /@N@/ { %s @LUA@ %s }" % conf, deeds=LUA_DEEDS, protocols=LUA_PROTOCOLS,
            settings_without={name: "it is about filters of nginx.conf" for name in ("stop", "access", "own", "first", "second")},
            # Lua's filters see the end of a body where none may be, and add to it.
            **{"contents": ("small", "large", "chunked", "long-chunked", "missing"), "without_requests": ("since",)} | others,
            needs=("ngx_http_lua_module",))
        for name, conf, others in (
            ("", ("", "proxy_pass http://@HTTP@;"), {}),
            ("-unbuffered", ("", "proxy_buffering off; proxy_pass http://@HTTP@;"), {}),
            ("-file", ("", "alias @WWW@/main/;"), {"contents": ("small", "large")}),
            ("-gzips", ("gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0; gzip_proxied any;",
                "proxy_pass http://@HTTP@;"), {}),
            # Behind a filter of nginx.conf, for which the body is decoded.
            ("-decoded", ("proxy_wasm_decode on;", "proxy_pass http://@HTTP@/zipped?$args;"),
                {"contents": ("small", "large", "chunked", "missing"), "without_requests": ("since", "get-0.9")}),
        )
    ),
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
