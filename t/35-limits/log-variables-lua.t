# Filters that Lua runs: the variables for logs, the status, and proxy_wasm_log_rate.

use TestWasm 'no_plan';

needs('lua');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => <<'CONF' . ($block->http_config // ''));
    lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
    log_format wasm '<$uri|$status|$wasm_error|$wasm_time>';
    access_log logs/access.log wasm;
CONF
    $block->set_value(config => ($block->config // '') . <<'CONF');
    location /status { wasm_status; }
CONF
});

run_tests();

__DATA__

=== TEST 1: a trap
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "abort")))
    }
    content_by_lua_block { ngx.say("ok: ", ngx.var.wasm_error) }
}
--- request
GET /t
--- response_body
ok: probe: trap
--- access_log eval
qr{</t\|200\|probe: trap\|0\.\d{6}>}
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 2: in a subrequest
--- config
location /t {
    content_by_lua_block {
        local result = ngx.location.capture("/sub")
        ngx.say(result.body, ngx.var.wasm_error)
    }
}
location /sub {
    rewrite_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "abort")))
    }
    content_by_lua_block { ngx.print("sub: ", ngx.var.wasm_error, ", main: ") }
}
--- request
GET /t
--- response_body
sub: probe: trap, main: probe: trap
--- access_log eval
qr{</t\|200\|probe: trap\|0\.\d{6}>}
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 3: the status shows what Lua has loaded, by name
--- http_config
init_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("from lua", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
    filter = assert(wasm.on_configure(plugin, "level"))
}
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        assert(wasm.on_http_request_headers(filter))
        assert(wasm.on_http_request_headers(filter))
    }
    content_by_lua_block { ngx.say("ok") }
}
--- request eval
["GET /t", "GET /t", "GET /status"]
--- response_body_like eval
["ok", "ok", qr/"instances": 1,.*"name": "from lua",.*"place": "lua",.*"requests": 2,.*"traps": 0\b/s]



=== TEST 4: proxy_wasm_log_rate in http
--- http_config
    proxy_wasm_log_rate 3;
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        local filter = assert(wasm.on_configure(plugin, "log info one; log info two; log info three; log info four"))
        wasm.on_http_request_headers(filter)
    }
    content_by_lua_block { ngx.say("ok") }
}
--- request
GET /t
--- error_log eval
['wasm "probe": one', qr/\[warn\] .*wasm "probe": dropped \d+ lines, more than 3 in a second \(proxy_wasm_log_rate\)/]
--- no_error_log
wasm "probe": four
