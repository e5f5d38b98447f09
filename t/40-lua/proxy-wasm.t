# resty.proxy-wasm: filters called from Lua, in each phase where they can be, with the results that its users know.

use TestWasm 'no_plan';

needs('lua');

our $HttpConfig = q{
    lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
    wasm_vm wasmtime;
};

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value('http_config', $HttpConfig . ($block->http_config // ''));
});

run_tests();

__DATA__

=== TEST 1: load, configure and run in access_by_lua, then in header_filter_by_lua
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
        ngx.ctx.filter = assert(wasm.on_configure(plugin, "request.add x-seen yes; response.add x-filter lua"))
        assert(wasm.on_http_request_headers(ngx.ctx.filter) == true)
    }
    header_filter_by_lua_block {
        assert(require "resty.proxy-wasm".on_http_response_headers(ngx.ctx.filter) == true)
    }
    content_by_lua_block { ngx.say("seen: ", ngx.var.http_x_seen) }
}
--- request
GET /t
--- response_headers
x-filter: lua
--- response_body
seen: yes
--- error_log
init wasm vm: wasmtime
create plugin context 1
create http context 2
free http context 2



=== TEST 2: a plugin that init_by_lua loads works in requests, in the VM of this process
--- http_config
init_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
    filter = assert(wasm.on_configure(plugin, "request.add x-seen init"))
}
--- config
location /t {
    rewrite_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say("seen: ", ngx.var.http_x_seen) }
}
--- request eval
['GET /t', 'GET /t']
--- response_body eval
["seen: init\n", "seen: init\n"]



=== TEST 3: a plugin that init_worker_by_lua loads works in requests
--- http_config
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/go-headers.wasm"))
    filter = assert(wasm.on_configure(plugin, "request.add x-seen worker"))
}
--- config
location /t {
    rewrite_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say("seen: ", ngx.var.http_x_seen) }
}
--- request
GET /t
--- response_body
seen: worker



=== TEST 4: a local response ends the request, with its status, headers and body
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
        local filter = assert(wasm.on_configure(plugin, "deny /t 403"))
        wasm.on_http_request_headers(filter)
        ngx.log(ngx.ALERT, "the request went on")
    }
    content_by_lua_block { ngx.say("content") }
}
--- request
GET /t
--- error_code: 403
--- response_headers
x-denied-by: rust
Content-Type: text/plain
--- response_body
denied by rust
--- no_error_log
[alert]



=== TEST 5: a local response in header_filter_by_lua takes the response's place
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        ngx.ctx.filter = assert(wasm.on_configure(plugin, "@response respond 418 teapot"))
        assert(wasm.on_http_request_headers(ngx.ctx.filter))
    }
    header_filter_by_lua_block { assert(require "resty.proxy-wasm".on_http_response_headers(ngx.ctx.filter)) }
    content_by_lua_block { ngx.say("a longer body than the other") }
}
--- request
GET /t
--- error_code: 418
--- response_body: teapot



=== TEST 6: what load answers for a file that is not there, not a module, not a filter
--- user_files
>>> text.wasm
this is no module
>>> bare.wat
(module)
--- config
location /t {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local dir = "$TEST_NGINX_HTML_DIR"
        for _, file in ipairs { "gone.wasm", "text.wasm", "bare.wat" } do
            local plugin, err = wasm.load("x", dir .. "/" .. file)
            ngx.say(plugin, ", ", (err:gsub("^.*/", "")))
        end
    }
}
--- request
GET /t
--- response_body
nil, gone.wasm: No such file or directory
nil, failed to load wasm plugin
nil, failed to load wasm plugin
--- error_log
failed to load wasm plugin "x": not a WebAssembly module
failed to load wasm plugin "x": not a Proxy-Wasm module



=== TEST 7: what on_configure answers for bad arguments and for a configuration that the filter refuses
--- config
location /t {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
        local function show(ctx, err) ngx.say(ctx, ", ", err) end
        show(wasm.on_configure(nil, "x"))
        show(wasm.on_configure("plugin", "x"))
        -- Pointers, but not such.
        show(wasm.on_configure(assert(wasm.on_configure(plugin, "request.add x 1")), "x"))
        show(wasm.on_configure(require("ffi").new("int[64]"), "x"))
        show(wasm.on_configure(plugin))
        show(wasm.on_configure(plugin, ""))
        show(wasm.on_configure(plugin, 42))
        show(wasm.on_configure(plugin, "nonsense"))
    }
}
--- request
GET /t
--- response_body
nil, bad plugin
nil, bad plugin
nil, bad plugin
nil, bad plugin
nil, bad conf
nil, bad conf
nil, bad conf
nil, failed to run proxy_on_configure
--- error_log
the filter refuses its configuration



=== TEST 8: what the callbacks answer without a plugin context, without a request, in a wrong phase
--- http_config
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
    filter = assert(wasm.on_configure(plugin, "request.add x 1"))
    in_init_worker = { wasm.on_http_request_headers(filter) }
}
--- config
location /t {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local function show(ok, err) ngx.say(ok, ", ", err) end
        show(wasm.on_http_request_headers(nil))
        show(wasm.on_http_response_headers({}))
        show(wasm.on_http_request_headers(assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))))
        show(wasm.on_http_request_headers(require("ffi").new("int[64]")))
        show(wasm.on_http_response_headers(filter))
        show(in_init_worker[1], in_init_worker[2])
    }
}
--- request
GET /t
--- response_body
nil, bad plugin ctx
nil, bad plugin ctx
nil, bad plugin ctx
nil, bad plugin ctx
nil, bad request
nil, bad request



=== TEST 9: a trap is an error for Lua, and the next request has a new VM
--- http_config
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
    filter = assert(wasm.on_configure(plugin, "level"))
}
--- config
location /t {
    access_by_lua_block {
        local ok, err = require "resty.proxy-wasm".on_http_request_headers(filter)
        ngx.ctx.result = tostring(ok) .. ", " .. tostring(err)
    }
    content_by_lua_block { ngx.say(ngx.ctx.result) }
}
--- request eval
['GET /t', 'GET /t', 'GET /t']
--- more_headers eval
['', 'x-probe: abort', '']
--- response_body eval
["true, nil\n", "nil, failed to run proxy_on_http_request_headers\n", "true, nil\n"]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 10: numbers of contexts that ended are given out again
--- http_config
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
    filter = assert(wasm.on_configure(plugin, "request.add x 1"))
}
--- config
location /t {
    access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say("ok") }
}
--- request eval
['GET /t', 'GET /t', 'GET /t']
--- response_body eval
["ok\n", "ok\n", "ok\n"]
--- error_log
create http context 2
--- no_error_log
create http context 3



=== TEST 11: a plugin without references is unloaded, after its contexts
--- config
location /t {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        do
            local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
            local filter = assert(wasm.on_configure(plugin, "request.add x 1"))
        end
        collectgarbage()
        collectgarbage()
        ngx.say("ok")
    }
}
--- request
GET /t
--- response_body
ok
--- error_log
free plugin context 1
unloaded wasm plugin



=== TEST 12: an endless loop in a callback ends with wasm_timeout, and the worker goes on
--- http_config
wasm_timeout 100ms;
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
    filter = assert(wasm.on_configure(plugin, "level"))
}
--- config
location /t {
    access_by_lua_block {
        local ok, err = require "resty.proxy-wasm".on_http_request_headers(filter)
        ngx.ctx.result = tostring(err)
    }
    content_by_lua_block { ngx.say(ngx.ctx.result) }
}
--- request eval
['GET /t', 'GET /t']
--- more_headers eval
['x-probe: loop', '']
--- response_body eval
["failed to run proxy_on_http_request_headers\n", "nil\n"]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 13: an endless loop in init_by_lua ends too, where no thread may run
--- http_config
wasm_timeout 100ms;
init_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
    filter, why = wasm.on_configure(plugin, "@configure loop")
}
--- config
location /t {
    content_by_lua_block { ngx.say(filter, ", ", why) }
}
--- request
GET /t
--- response_body
nil, failed to run proxy_on_configure
--- error_log
still running after 100 ms



=== TEST 14: filters of nginx.conf and of Lua in one request
--- main_config
wasm { module headers $TEST_NGINX_GUESTS/go-headers.wasm; }
--- config
location /t {
    proxy_wasm headers 'request.add x-first conf; response.add x-conf 1';
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("headers", "$TEST_NGINX_GUESTS/rust-headers.wasm"))
        ngx.ctx.filter = assert(wasm.on_configure(plugin, "request.add x-second %{x-first}; response.add x-lua 1"))
        assert(wasm.on_http_request_headers(ngx.ctx.filter))
    }
    header_filter_by_lua_block { assert(require "resty.proxy-wasm".on_http_response_headers(ngx.ctx.filter)) }
    content_by_lua_block { ngx.say(ngx.var.http_x_second) }
}
--- request
GET /t
--- response_headers
x-conf: 1
x-lua: 1
--- response_body
conf



=== TEST 15: the log tells which filter trapped where, and why
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "abort")))
    }
    content_by_lua_block { ngx.say("ok") }
}
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/\[crit\] .*wasm filter "probe": failed to call function: proxy_on_request_headers trapped in context 2: .*unreachable.*, client: 127\.0\.0\.1/



=== TEST 16: a loop in a request is reported with the limit that ended it
--- http_config
wasm_timeout 100ms;
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "loop")))
    }
    content_by_lua_block { ngx.say("ok") }
}
--- request
GET /t
--- response_body
ok
--- error_log
proxy_on_request_headers trapped in context 2: still running after 100 ms (wasm_timeout)
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 17: filters that Lua runs share metrics and data with the others
--- main_config
wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; }
--- config
location /other { proxy_wasm shared 'define counter c; add c 4; set k v'; }
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("shared", "$TEST_NGINX_GUESTS/rust-shared.wasm"))
        local filter = assert(wasm.on_configure(plugin, "define counter c; add c 3"))
        wasm.on_http_request_headers(filter)
    }
    content_by_lua_block { ngx.say("not answered") }
}
--- request
GET /t
--- more_headers
x-shared: define counter c; get c; read k; register q; push q x; pop q
--- response_body
define counter c -> 1
get c -> 7
read k -> v 1
register q -> 1
push q x -> ()
pop q -> x
--- error_log
registers a shared queue; filters run by Lua are not told of its messages, but can take them



=== TEST 18: they share among themselves without wasm { }; what init_by_lua does in the master is for itself
--- http_config
init_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("shared", "$TEST_NGINX_GUESTS/rust-shared.wasm"))
    filter = assert(wasm.on_configure(plugin, "define counter c; add c 3"))
}
--- config
location /t {
    access_by_lua_block { require "resty.proxy-wasm".on_http_request_headers(filter) }
    content_by_lua_block { ngx.say("not answered") }
}
location /metrics { wasm_metrics; }
--- request eval
["GET /t", "GET /metrics"]
--- more_headers
x-shared: define counter c; add c 1; get c
--- response_body_filters eval
# What follows is about filters: t/35-limits/status.t.
sub { $_[0] =~ s/^# HELP wasm_build_info .*//smr }
--- response_body eval
["define counter c -> 1\nadd c 1 -> ()\nget c -> 4\n", "# HELP c Metric c of a filter.\n# TYPE c counter\nc 4\n"]



=== TEST 19: such an answer takes the place of a response whose headers wait for the filters of nginx.conf, too
--- main_config
wasm { module bodies $TEST_NGINX_GUESTS/rust-bodies.wasm; }
--- user_files
>>> t
a longer body than the other, and it is a secret
--- config
location /t {
    proxy_wasm bodies 'response-body size';
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        ngx.ctx.filter = assert(wasm.on_configure(plugin, "@response respond 418 teapot"))
        assert(wasm.on_http_request_headers(ngx.ctx.filter))
    }
    header_filter_by_lua_block { assert(require "resty.proxy-wasm".on_http_response_headers(ngx.ctx.filter)) }
}
--- pipelined_requests eval
["GET /t", "GET /t"]
--- error_code eval
[418, 418]
--- response_body eval
["teapot", "teapot"]



=== TEST 20: requests of HTTP/0.9 are requests of clients, too
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        local filter = assert(wasm.on_configure(plugin, "add request x-b 1"))
        ngx.ctx.result = { wasm.on_http_request_headers(filter) }
    }
    content_by_lua_block { ngx.say(ngx.ctx.result[1], " ", ngx.ctx.result[2], " ", ngx.var.http_x_b) }
}
--- raw_request eval
"GET /t\r\n"
--- http09
--- response_body
true nil 1
