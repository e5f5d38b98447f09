# proxy_wasm_env for filters that Lua runs: the level http counts, with the name that Lua gave.

use TestWasm 'no_plan';

needs('lua');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(http_config => "lua_package_path '\$TEST_NGINX_LUA_DIR/?.lua;;';\n" . ($block->http_config // ''));
    $block->set_value(config => "location /t {\n" . ($block->in_location // '') . <<'CONF');
        content_by_lua_block {
            local wasm = require "resty.proxy-wasm"
            local plugin = assert(wasm.load("own", "$TEST_NGINX_GUESTS/rust-files.wasm"))
            assert(wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "env WHERE"))))
        }
    }
CONF
    $block->set_value(request => "GET /t\n");
});

run_tests();

__DATA__

=== TEST 1: what is said in http for the name
--- http_config
proxy_wasm_env filter=own WHERE 'http, by name';
proxy_wasm_env WHERE http;
--- response_body
env: http, by name



=== TEST 2: what is said in http for all
--- http_config
proxy_wasm_env filter=other WHERE 'http, by another name';
proxy_wasm_env WHERE http;
--- response_body
env: http



=== TEST 3: what a location says is not for them
--- in_location
proxy_wasm_env WHERE location;
--- response_body
env: error environment variable not found
--- error_log eval
qr/\[warn\] .*"proxy_wasm_env" in \S+nginx\.conf:\d+ has no effect: it is for what is declared on its level or further in, and none is; what Lua runs goes by http \{ \}$/
