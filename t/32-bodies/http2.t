# Bodies and pauses over HTTP/2, where nginx reads and writes in other ways.

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

=== TEST 1: a request is held until a tick
--- http2
--- config
location /t {
    proxy_wasm one 'tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request
POST /t
hello
--- response_body chomp
hello!



=== TEST 2: a large request is held until a tick
--- http2
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm one 'tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count;
}
--- request eval
"POST /t\n" . ("x" x 200000)
--- response_body chomp
200001



=== TEST 3: a large request in pieces, changed
--- http2
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm one 'quiet; request-body upper; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request eval
"POST /t\n" . ("x" x 200000)
--- response_body eval
("X" x 200000) . "!"



=== TEST 4: headers of a request with a body are held until a tick
--- http2
--- config
location /t {
    proxy_wasm one 'tick 20; request-headers hold; request-headers at-tick resume; request-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request eval
"POST /t\n" . ("x" x 100000)
--- response_body eval
"X" x 100000



=== TEST 5: a request is held for ever
--- http2
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm one 'request-body hold';
    return 200 ok;
}
--- request
POST /t
hello
--- error_code: 504



=== TEST 6: more of a request than may be held
--- http2
--- config
location /t {
    proxy_wasm_request_body_buffer 3;
    proxy_wasm one 'request-body hold';
    return 200 ok;
}
--- request
POST /t
hello
--- error_code: 413



=== TEST 7: a tick answers a request
--- http2
--- config
location /t {
    proxy_wasm one 'tick 20; request-body hold; request-end at-tick respond 403 no';
    return 200 ok;
}
--- request
POST /t
hello
--- error_code: 403
--- response_body chomp
no



=== TEST 8: streamed to the upstream, held until a tick
--- http2
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm_request_body_buffer 300k;
    proxy_wasm one 'request-headers remove request content-length; tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count;
}
--- request eval
"POST /t\n" . ("x" x 200000)
--- response_body chomp
200001



=== TEST 9: a response is held until a tick
--- http2
--- config
location /t {
    proxy_wasm one 'tick 20; response-body hold; response-end at-tick append !; response-end at-tick resume';
    return 200 hello;
}
--- request
GET /t
--- response_body chomp
hello!



=== TEST 10: headers of a response are held until a tick
--- http2
--- config
location /t {
    proxy_wasm one 'tick 20; response-headers hold; response-headers remove response content-length; response-headers at-tick resume; response-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/26/2000;
}
--- request
GET /t
--- response_body eval
CORE::join('', map { $_ x 2000 } 'a' .. 'z') . "!"



=== TEST 11: a response of an upstream, not buffered, is held until a tick
--- http2
--- config
location /t {
    proxy_buffering off;
    proxy_wasm one 'tick 20; response-body hold; response-end at-tick append !; response-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/chunked/26/2000;
    proxy_http_version 1.1;
}
--- request
GET /t
--- response_body eval
CORE::join('', map { $_ x 2000 } 'a' .. 'z') . "!"



=== TEST 12: a response is held for ever
--- http2
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm one 'response-headers hold';
    return 200 secret;
}
--- request
GET /t
--- error_code: 504
--- response_body_unlike: secret



=== TEST 13: a large response, changed
--- http2
--- config
location /t {
    proxy_wasm one 'quiet; response-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/260/20000;
}
--- request
GET /t
--- response_body eval
CORE::join("", map { chr(ord("A") + $_ % 26) x 20000 } 0 .. 259)



=== TEST 14: what is about a connection of HTTP/1.1 does not leave in HTTP/2, and what stands beside it does
--- http2
--- config
location /t {
    proxy_wasm one 'response-headers add response upgrade h2c; response-headers add response proxy-connection close; response-headers add response te trailers; response-headers add response keep-alive 5; response-headers add response connection x-b; response-headers add response transfer-encoding chunked; response-headers add response x-a 1';
    return 200 body;
}
--- request
GET /t
--- response_headers
!upgrade
!proxy-connection
!te
!keep-alive
!connection
!transfer-encoding
x-a: 1
--- response_body chomp
body
--- error_log
response header "upgrade" is not for HTTP/2 and was not set
response header "proxy-connection" is not for HTTP/2 and was not set
response header "te" is not for HTTP/2 and was not set
--- no_error_log
[error]



=== TEST 15: neither in a response of a filter's own
--- http2
--- config
location /t {
    proxy_wasm one 'request-headers respond 403 no; response-headers add response Proxy-Connection close; response-headers add response x-a 1';
    return 200 body;
}
--- request
GET /t
--- error_code: 403
--- response_headers
!proxy-connection
x-a: 1
--- response_body chomp
no



=== TEST 16: nor in trailers
--- http2
--- config
location /t {
    proxy_wasm one 'response-headers remove response content-length; response-end add response-trailers te trailers; response-end add response-trailers Upgrade h2c; response-end add response-trailers proxy-connection close; response-end add response-trailers keep-alive 5; response-end add response-trailers x-sum 1';
    return 200 body;
}
--- request
GET /t
--- response_body_like
^bodyx-sum: 1\s*$
--- error_log
"te" cannot be a trailer and was not set
"Upgrade" cannot be a trailer and was not set
"proxy-connection" cannot be a trailer and was not set
"keep-alive" cannot be a trailer and was not set



=== TEST 17: in HTTP/1.1 they are a filter's to set
--- config
location /t {
    proxy_wasm one 'response-headers add response upgrade h2c';
    return 200 body;
}
--- request
GET /t
--- response_headers
upgrade: h2c
--- response_body chomp
body
