# Bodies of requests and responses through filters that Lua runs.

use TestWasm 'no_plan';

needs('lua');

# Waits for the end of each body. Puts "<" before it, and answers a request whose body begins with "!"; a response that begins
# so it wants to answer too.
our $Guest = <<'WAT';
>>> body.wat
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "<no!")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func $body (param $buffer i32) (param $end i32) (result i32)
    (if (i32.eqz (local.get $end)) (then (return (i32.const 1))))
    (drop (call $get (local.get $buffer) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 33)) (then
      (drop (call $answer (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 17) (i32.const 2)
        (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (drop (call $set (local.get $buffer) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 1)))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (call $body (i32.const 0) (local.get 2)))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (call $body (i32.const 1) (local.get 2))))
WAT

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(user_files => $::Guest);
    $block->set_value(http_config => ($block->http_config // '') . <<'CONF');
lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
init_by_lua_block {
    wasm = require "resty.proxy-wasm"
    plugin = assert(wasm.load("body", "$TEST_NGINX_HTML_DIR/body.wat"))
}
init_worker_by_lua_block { ctx = assert(wasm.on_configure(plugin, "{}")) }
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / {
        content_by_lua_block {
            ngx.req.read_body()
            ngx.say(ngx.var.http_content_length, " ", ngx.req.get_body_data())
        }
    }
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a changed request body goes to the upstream, with its length
--- config
location /t {
    access_by_lua_block {
        ngx.req.read_body()
        local ok, changed = wasm.on_http_request_body(ctx, ngx.req.get_body_data(), true)
        ngx.header["x-changed"] = tostring(ok) .. " " .. tostring(changed)
    }
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
POST /t
hello
--- response_headers
x-changed: true <hello
--- response_body
6 <hello



=== TEST 2: pieces of a request body are held, and come back together
--- config
location /t {
    content_by_lua_block {
        for _, piece in ipairs { { "ab", false }, { "cd", false }, { "ef", true } } do
            ngx.print("[", select(2, wasm.on_http_request_body(ctx, piece[1], piece[2])), "]")
        end
    }
}
--- request
POST /t
x
--- response_body: [][][<abcdef]



=== TEST 3: an answer to a request body ends the request
--- config
location /t {
    access_by_lua_block {
        ngx.req.read_body()
        wasm.on_http_request_body(ctx, ngx.req.get_body_data(), true)
        ngx.log(ngx.ERR, "not reached")
    }
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
POST /t
!hello
--- error_code: 403
--- response_body: no
--- no_error_log
not reached



=== TEST 4: a response body is held to its end, and changed
--- config
location /t {
    header_filter_by_lua_block { ngx.header.content_length = nil }
    body_filter_by_lua_block { assert(wasm.on_http_response_body(ctx)) }
    content_by_lua_block {
        ngx.print("one ")
        ngx.flush(true)
        ngx.print("two ")
        ngx.flush(true)
        ngx.say("three")
    }
}
--- request
GET /t
--- response_body
<one two three



=== TEST 5: an answer in the middle of a response is refused, and nothing of it leaves (spoiled.t)
--- config
location /t {
    header_filter_by_lua_block { ngx.header.content_length = nil }
    body_filter_by_lua_block {
        local ok, err = wasm.on_http_response_body(ctx)
        if not ok then ngx.log(ngx.ERR, err) end
    }
    content_by_lua_block { ngx.say("!secret") }
}
--- request
GET /t
--- ignore_response
--- error_log
wasm plugin "body" answered after the headers of the response had gone
failed to run proxy_on_http_response_body



=== TEST 6: what cannot be is refused with a reason
--- config
location /t {
    content_by_lua_block {
        ngx.say(select(2, wasm.on_http_request_body(nil, "x", true)))
        ngx.say(select(2, wasm.on_http_request_body(ctx, {}, true)))
        ngx.say(select(2, wasm.on_http_response_body(ctx)))
    }
}
--- request
GET /t
--- response_body
bad plugin ctx
bad body
bad request



=== TEST 7: a filter holds no more than the location allows
--- config
location /t {
    proxy_wasm_request_body_buffer 8;
    content_by_lua_block {
        ngx.say(wasm.on_http_request_body(ctx, "12345678", false))
        ngx.say(wasm.on_http_request_body(ctx, "9", false))
    }
}
--- request
GET /t
--- response_body
true
nilfailed to run proxy_on_http_request_body
--- error_log
wasm plugin "body" holds more of a body than its buffer may have
--- expects_crit
wasm plugin "body" holds more of a body than its buffer may have
