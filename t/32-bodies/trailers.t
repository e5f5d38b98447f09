# Trailers that filters add to responses which have none.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module one $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module two $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module three $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: added in a callback about the body; HTTP/2
--- http2
--- config
location /t {
    proxy_wasm one 'response-headers remove response content-length; response-end add response-trailers x-sum 1';
    return 200 body;
}
--- request
GET /t
--- response_body_like
^bodyx-sum: 1\s*$



=== TEST 2: HTTP/1.1: the header "trailer" announces them, and the body comes in chunks
--- config
location /t {
    proxy_wasm one 'response-headers add response trailer x-sum; response-end add response-trailers x-sum 1';
    return 200 body;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
--- response_headers
Transfer-Encoding: chunked
trailer: x-sum
!Content-Length



=== TEST 3: a header that says how a message is read cannot be a trailer
--- http2
--- config
location /t {
    proxy_wasm one 'response-end add response-trailers content-length 3';
    return 200 body;
}
--- request
GET /t
--- response_body chomp
body
--- error_log
"content-length" cannot be a trailer and was not set



=== TEST 4: a response without trailers: no callback
--- config
location /t {
    proxy_wasm one 'response-trailers trap';
    return 200 body;
}
--- request
GET /t
--- response_body chomp
body
