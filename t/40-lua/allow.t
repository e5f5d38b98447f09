# proxy_wasm_allow for filters that Lua loads: what http { } says, for the name that Lua gives.

use TestWasm 'no_plan';

needs('lua');

$ENV{TEST_NGINX_DATA} = $ENV{TEST_NGINX_HTML_DIR};

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

=== TEST 1: what is not allowed does not happen
--- http_config
proxy_wasm_allow get_header_map_value;
--- config
location /t {
    proxy_wasm_allow header_maps;
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("probe", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        local filter = assert(wasm.on_configure(plugin, "get request x-a; add request x-b 1"))
        assert(wasm.on_http_request_headers(filter))
    }
    content_by_lua_block { ngx.say("b: ", ngx.var.http_x_b) }
}
--- request
GET /t
--- more_headers
x-a: here
--- response_body
b: nil
--- error_log
probe: get request x-a -> 0 here
probe: add request x-b 1 -> 10
"proxy_add_header_map_value" is not allowed; add "add_header_map_value" to "proxy_wasm_allow"



=== TEST 2: a directory
--- http_config
proxy_wasm_allow dir=$TEST_NGINX_DATA:/data;
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("files", "$TEST_NGINX_GUESTS/rust-files.wasm"))
        assert(wasm.on_configure(plugin, "read /data/here.txt; read /etc/passwd"))
        ngx.say("ok")
    }
}
--- user_files
>>> here.txt
from a file
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/at start: read: from a file\\nread: error 44/



=== TEST 3: a directory that is not there
--- http_config
proxy_wasm_allow dir=$TEST_NGINX_DATA/gone:/data;
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        ngx.say(wasm.load("files", "$TEST_NGINX_GUESTS/rust-files.wasm") and "loaded" or "not loaded")
    }
}
--- request
GET /t
--- response_body
not loaded
--- error_log eval
qr/failed to load wasm plugin "files": cannot open the directory "\S+\/gone": No such file/
