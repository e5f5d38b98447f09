# proxy_wasm_log_level and proxy_wasm_trace for filters that Lua runs: the level http counts, with the name that Lua gave.

use TestWasm 'no_plan';

needs('lua');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => <<'CONF' . ($block->http_config // ''));
    lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
CONF
    $block->set_value(config => <<'CONF');
    location /t {
        proxy_wasm_log_level critical;
        access_by_lua_block {
            local wasm = require "resty.proxy-wasm"
            local plugin = assert(wasm.load("own", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
            assert(wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "log debug fine; log info plain; level"))))
        }
        content_by_lua_block { ngx.say("ok") }
    }
CONF
    $block->set_value(request => "GET /t\n") unless defined $block->request;
    $block->set_value(response_body => "ok\n");
});

run_tests();

__DATA__

=== TEST 1: what is said in http counts, not what the location says
--- http_config
proxy_wasm_log_level filter=own debug;
proxy_wasm_log_level error;
--- error_log eval
[qr/\[info\] .*wasm "own": debug: fine,/, qr/\[info\] .*wasm "own": plain,/, qr/wasm "own": probe: level -> 0 1,/]



=== TEST 2: nothing is said
--- error_log eval
[qr/\[info\] .*wasm "own": plain,/, qr/wasm "own": probe: level -> 0 2,/]
--- no_error_log
wasm "own": debug
wasm "own": fine



=== TEST 3: traces of callbacks
--- http_config
proxy_wasm_trace filter=own if=$arg_trace;
--- request
GET /t?trace=1
--- error_log eval
[
    qr/\[info\] .*wasm trace "own": context 2: proxy_on_context_create\(context=2, parent=1\), /,
    qr/\[info\] .*wasm trace "own": context 2: proxy_log\(Debug, 4 bytes\) = Ok, /,
    qr/\[info\] .*wasm trace "own": context 2: proxy_on_request_headers\(context=2, headers=\d+, end_of_stream=1\) = Continue, /,
]
--- no_error_log
proxy_on_configure



=== TEST 4: traces, without what the condition is about
--- http_config
proxy_wasm_trace if=$arg_trace;
--- error_log eval
qr/\[info\] .*wasm "own": plain,/
--- no_error_log
wasm trace
