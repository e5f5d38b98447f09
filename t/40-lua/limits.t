# What limits and policies are for filters that Lua runs: what the level http says about all filters, or about the name that
# Lua gave the module. A failed call is nil and an error for Lua, or true where requests go on without the filter.

use TestWasm 'no_plan';

needs('lua');

our $Http = q{
    lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
    wasm_vm wasmtime;
    init_worker_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("faulty", "$TEST_NGINX_GUESTS/rust-faulty.wasm"))
        filter = assert(wasm.on_configure(plugin, "name lua; @request-headers tell; @response-headers tell"))
        local other = assert(wasm.load("other", "$TEST_NGINX_GUESTS/rust-faulty.wasm"))
        beside = assert(wasm.on_configure(other, "name beside; @request-headers tell"))
    }
};

our $Config = q{
    location /t {
        access_by_lua_block {
            local wasm = require "resty.proxy-wasm"
            local ok, err = wasm.on_http_request_headers(filter)
            ngx.ctx.result = tostring(ok) .. ", " .. tostring(err)
        }
        header_filter_by_lua_block {
            local ok, err = require "resty.proxy-wasm".on_http_response_headers(filter)
            ngx.header["x-response"] = tostring(ok) .. ", " .. tostring(err)
        }
        content_by_lua_block { ngx.say(ngx.ctx.result, ": ", ngx.var.http_x_lua or "none") }
    }
    location /other {
        access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(beside)) }
        content_by_lua_block { ngx.say(ngx.var.http_x_beside) }
    }
};

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => $Http . ($block->http_config // ''));
    $block->set_value(config => $Config) unless $block->config;
});

run_tests();

__DATA__

=== TEST 1: by default a call that traps is an error, and the next has a new VM
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t", "GET /other"]
--- more_headers eval
["", "x-faulty: abort", "", "", ""]
--- response_body eval
["true, nil: start 1 stream 1\n", "nil, failed to run proxy_on_http_request_headers: start 1 stream 2\n",
 "true, nil: start 2 stream 1\n", "true, nil: start 2 stream 2\n", "start 1 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers
wasm plugin "faulty" was replaced during the request



=== TEST 2: the log has the failure, and what follows
--- request
GET /t
--- more_headers
x-faulty: abort
--- response_body
nil, failed to run proxy_on_http_request_headers: start 1 stream 1
--- error_log eval
qr/\[crit\] .*wasm filter "faulty": failed to call function: proxy_on_request_headers trapped in context \d+: .*proxy_wasm_on_error: the next call gets a new VM/



=== TEST 3: a loop ends with wasm_timeout
--- http_config
wasm_timeout 50ms;
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["x-faulty: loop", ""]
--- response_body eval
["nil, failed to run proxy_on_http_request_headers: start 1 stream 1\n", "true, nil: start 2 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers
wasm plugin "faulty" was replaced during the request



=== TEST 4: closed: no other VM
--- http_config
proxy_wasm_on_error closed;
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t", "GET /other"]
--- more_headers eval
["", "x-faulty: abort", "", "", ""]
--- response_body_like eval
["true, nil: start 1 stream 1\n", "nil, failed to run proxy_on_http_request_headers: start 1 stream 2\n", "^nil, .+: none\n", "^nil, .+: none\n", "start 1 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers
wasm plugin "faulty" was replaced during the request



=== TEST 5: open: calls are true, and the filter does nothing
--- http_config
proxy_wasm_on_error open;
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t", "GET /other"]
--- more_headers eval
["", "x-faulty: abort", "", "", ""]
--- response_body eval
["true, nil: start 1 stream 1\n", "true, nil: start 1 stream 2\n", "true, nil: none\n", "true, nil: none\n", "start 1 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 6: open: the call whose request was in the VM that is gone
--- http_config
proxy_wasm_on_error open;
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["x-faulty: abort", "x-faulty: log info x"]
--- response_headers eval
["x-response: true, nil", "x-response: true, nil"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 7: a trap in the response, open
--- http_config
proxy_wasm_on_error open;
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["x-faulty: \@response-headers abort", ""]
--- response_headers eval
["x-response: true, nil", "x-response: true, nil"]
--- response_body eval
["true, nil: start 1 stream 1\n", "true, nil: none\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_response_headers



=== TEST 8: reload open: the call that traps fails, the next has a new VM
--- http_config
proxy_wasm_on_error reload open;
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "x-faulty: abort", ""]
--- response_body eval
["true, nil: start 1 stream 1\n", "nil, failed to run proxy_on_http_request_headers: start 1 stream 2\n", "true, nil: start 2 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 9: by name
--- http_config
proxy_wasm_on_error filter=faulty open;
proxy_wasm_on_error closed;
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "x-faulty: abort", ""]
--- response_body eval
["true, nil: start 1 stream 1\n", "true, nil: start 1 stream 2\n", "true, nil: none\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 10: by another's name
--- http_config
proxy_wasm_on_error filter=other open;
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "x-faulty: abort", ""]
--- response_body eval
["true, nil: start 1 stream 1\n", "nil, failed to run proxy_on_http_request_headers: start 1 stream 2\n", "true, nil: start 2 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers
wasm plugin "faulty" was replaced during the request



=== TEST 11: after failures in a row calls fail until the next start may be
--- http_config
proxy_wasm_restart_delay 1h 1h after=1;
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t", "GET /other"]
--- more_headers eval
["", "x-faulty: abort", "x-faulty: abort", "", "", ""]
--- response_body_like eval
["true, nil: start 1 stream 1\n", "^nil, failed to run proxy_on_http_request_headers: start 1 ", "^nil, failed to run proxy_on_http_request_headers: start 2 ",
 "^nil, .+: none\n", "^nil, .+: none\n", "start 1 stream 1\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers
wasm plugin "faulty" was replaced during the request



=== TEST 12: or are true
--- http_config
proxy_wasm_on_error reload open;
proxy_wasm_restart_delay 1h 1h after=1;
--- request eval
["GET /t", "GET /t", "GET /t", "GET /t", "GET /t"]
--- more_headers eval
["", "x-faulty: abort", "x-faulty: abort", "", ""]
--- response_body_like eval
["true, nil: start 1 stream 1\n", "^nil, failed to run proxy_on_http_request_headers: start 1 ", "^nil, failed to run proxy_on_http_request_headers: start 2 ",
 "^true, nil: none\n", "^true, nil: none\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 13: a VM that leaks is replaced before its limit
--- http_config
wasm_memory_limit 16m;
--- request eval
[("GET /t") x 40]
--- more_headers
x-faulty: leak 1048576
--- response_body_like eval
[("^true, nil: start \\d+ stream \\d+\n") x 40]
--- no_error_log
failed to call function



=== TEST 14: off: it traps
--- http_config
wasm_memory_limit 16m;
proxy_wasm_recycle off;
--- request eval
[("GET /t") x 16]
--- more_headers eval
[("x-faulty: leak 1048576") x 15, "x-faulty: leak 16777216"]
--- response_body_like eval
[("^(?:true, nil: start|nil, failed)") x 15, "^nil, failed to run proxy_on_http_request_headers"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers
wasm plugin "faulty" was replaced during the request



=== TEST 15: levels below http do not count for Lua
--- config
proxy_wasm_on_error closed;
location /t {
    proxy_wasm_on_error closed;
    access_by_lua_block {
        local ok, err = require "resty.proxy-wasm".on_http_request_headers(filter)
        ngx.say(tostring(ok))
    }
    content_by_lua_block { ngx.exit(200) }
}
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["x-faulty: abort", ""]
--- response_body eval
["nil\n", "true\n"]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 16: a timer that traps puts off ticks, and no call
--- http_config
proxy_wasm_restart_delay 1h 1h after=0;
--- config
location /wait {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("ticker", "$TEST_NGINX_GUESTS/rust-faulty.wasm"))
        package.loaded.ticker = assert(wasm.on_configure(plugin, "name ticker; @configure tick 10; @tick abort; @request-headers tell"))
        local what
        while not what do
            ngx.sleep(0.01)
            local log = io.open(ngx.config.prefix() .. "logs/error.log")
            what = log:read("*a"):match("proxy_on_tick trapped.-proxy_wasm_on_error: ([^%d]+)")
            log:close()
        end
        ngx.say(what)
    }
}
location /t {
    access_by_lua_block {
        local ok, err = require "resty.proxy-wasm".on_http_request_headers(package.loaded.ticker)
        ngx.ctx.result = tostring(ok) .. ", " .. tostring(err)
    }
    content_by_lua_block { ngx.say(ngx.ctx.result, ": ", ngx.var.http_x_ticker or "none") }
}
--- request eval
["GET /wait", "GET /t", "GET /t", "GET /t"]
--- response_body eval
["the next call gets a new VM, whose timers, queues and calls of its own wait for \n", "true, nil: start 2 stream 1\n", "true, nil: start 2 stream 2\n", "true, nil: start 2 stream 3\n"]
--- expects_crit
wasm filter "ticker": failed to call function: proxy_on_tick



=== TEST 17: a VM that has grown goes on for the requests that it has, and new ones get another
--- http_config
wasm_memory_limit 16m;
--- config
location /t {
    access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block {
        ngx.print(ngx.var.http_x_lua, ", ", ngx.location.capture("/new").body)
    }
    header_filter_by_lua_block {
        local ok, err = require "resty.proxy-wasm".on_http_response_headers(filter)
        ngx.header["x-response"] = tostring(ok) .. ", " .. tostring(err)
    }
}
location /new {
    rewrite_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say(ngx.var.http_x_lua) }
}
location /status { wasm_status; }
--- request eval
["GET /t", "GET /status"]
--- more_headers eval
["x-faulty: leak 14155776", ""]
--- response_headers eval
["x-response: true, nil", ""]
--- response_body_like eval
["^start 1 stream 1, start 2 stream 1\n", '"name": "faulty",[^}]*"recycled": 1,']



=== TEST 18: the status has a VM that there was before the worker had a request
--- config
location /other {
    access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(beside)) }
    content_by_lua_block { ngx.say(ngx.var.http_x_beside) }
}
location /status { wasm_status; }
--- request eval
["GET /other", "GET /status"]
--- response_body_like eval
["^start 1 stream 1\n", '"instances": 1,[^{}]*(?:\{[^{}]*\}[^{}]*)*"memory": [1-9][^{}]*"name": "other",']



=== TEST 19: isolation of nginx.conf's filters is nothing to Lua's, which share a VM
--- http_config
proxy_wasm_isolation request;
--- config
location /t {
    access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say(ngx.var.http_x_lua) }
}
location /status { wasm_status; }
--- request eval
["GET /t", "GET /t", "GET /status"]
--- response_body_like eval
["^start 1 stream 1\n", "^start 1 stream 2\n", '"instances": 1,[^{}]*(?:\{[^{}]*\}[^{}]*)*"name": "faulty",']



=== TEST 20: a VM that leaks with each configuration is replaced, too
--- http_config
wasm_memory_limit 16m;
--- config
location /t {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("leaks", "$TEST_NGINX_GUESTS/rust-faulty.wasm"))
        for n = 1, 40 do
            assert(wasm.on_configure(plugin, "@configure leak 65536"))
            collectgarbage()
            collectgarbage()
        end
        ngx.say("configured")
    }
}
location /kept {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("kept", "$TEST_NGINX_GUESTS/rust-faulty.wasm"))
        local kept = {}
        for n = 1, 40 do
            kept[n] = assert(wasm.on_configure(plugin, "@configure leak 65536"))
        end
        ngx.say("configured ", #kept)
    }
}
--- request eval
["GET /t", "GET /kept"]
--- response_body eval
["configured\n", "configured 40\n"]
