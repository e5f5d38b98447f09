# Bodies through guests of the Go and AssemblyScript SDKs, which hold them until their end and change them.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module go $TEST_NGINX_GUESTS/go-bodies.wasm;
    module assemblyscript $TEST_NGINX_GUESTS/assemblyscript-bodies.wasm;
    module rust $TEST_NGINX_GUESTS/rust-bodies.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: go: a request
--- config
location /t {
    proxy_wasm go;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up { proxy_wasm rust 'request-body show'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body; }
--- request
POST /t
hello
--- response_body chomp
HELLO GO go



=== TEST 2: go: a large request in pieces
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm go;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request eval
"POST /t\n" . ("abcdefghij" x 5000)
--- response_body eval
("ABCDEFGHIJ" x 5000) . " GO go"



=== TEST 3: go: a response
--- config
location /t {
    proxy_wasm go;
    return 200 hello;
}
--- request
GET /t
--- response_headers
Content-Length: 8
--- response_body chomp
HELLO go



=== TEST 4: go: a response of an upstream, in pieces
--- config
location /t {
    proxy_wasm go;
    proxy_buffering off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/26/2000;
}
--- request
GET /t
--- response_body eval
uc(CORE::join "", map { $_ x 2000 } "a" .. "z") . " go"



=== TEST 5: assemblyscript: a request
--- config
location /t {
    proxy_wasm assemblyscript;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up { proxy_wasm rust 'request-body show'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body; }
--- request
POST /t
hello
--- response_body chomp
HELLO ASSEMBLYSCRIPT assemblyscript



=== TEST 6: assemblyscript: a large request in pieces
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm assemblyscript;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request eval
"POST /t\n" . ("abcdefghij" x 5000)
--- response_body eval
("ABCDEFGHIJ" x 5000) . " ASSEMBLYSCRIPT assemblyscript"



=== TEST 7: assemblyscript: a response
--- config
location /t {
    proxy_wasm assemblyscript;
    return 200 hello;
}
--- request
GET /t
--- response_headers
Content-Length: 20
--- response_body chomp
HELLO assemblyscript



=== TEST 8: assemblyscript: a response of an upstream, in pieces
--- config
location /t {
    proxy_wasm assemblyscript;
    proxy_buffering off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/26/2000;
}
--- request
GET /t
--- response_body eval
uc(CORE::join "", map { $_ x 2000 } "a" .. "z") . " assemblyscript"
