# proxy_request_buffering off: filters see the body while it goes to the upstream.

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

=== TEST 1: chunks
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body upper; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"

--- response_body
POST /echo HTTP/1.1
Content-Length: 12

HELLO THERE!



=== TEST 2: a filter that takes bytes away
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body replace';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"

--- response_body eval
"POST /echo HTTP/1.1\nContent-Length: 0\n\n\n"



=== TEST 3: held to the end
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body hold-until-end; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"

--- response_body
POST /echo HTTP/1.1
Content-Length: 12

hello there!
--- error_log
request-body 11 end



=== TEST 4: a small body with content-length is read first, so that its length can change
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.1
Content-Length: 6

hello!



=== TEST 5: a large one with content-length passes
--- config
location /t {
    client_max_body_size 0;
    proxy_wasm_request_body_buffer 10k;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'quiet; request-body sum';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nConnection: close\r\n\r\n" . ("abcdefghij" x 200000)

--- response_body chomp
2000000
--- error_log
request-body sum 2000000



=== TEST 6: and can be changed when its length stays
--- config
location /t {
    client_max_body_size 0;
    proxy_wasm_request_body_buffer 20k;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'quiet; request-body upper; request-body sum';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nConnection: close\r\n\r\n" . ("abcdefghij" x 200000)

--- response_body chomp
2000000



=== TEST 7: and can be changed in length when the filter has removed content-length
--- config
location /t {
    client_max_body_size 0;
    proxy_wasm_request_body_buffer 20k;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'quiet; request-headers remove request content-length; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\nConnection: close\r\n\r\n" . ("abcdefghij" x 5000)

--- response_body chomp
50001



=== TEST 8: an answer in the middle
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body respond-if evil 403 no';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n4\r\nevil\r\n0\r\n\r\n"

--- error_code: 403
--- response_body chomp
no



=== TEST 9: a trap in the middle
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n4\r\nevil\r\n0\r\n\r\n"

--- error_code: 503
--- error_log
panicked
--- expects_crit
wasm "one": panicked at
wasm filter "one": failed to call function: proxy_on_request_body



=== TEST 10: more than may be held
--- config
location /t {
    proxy_wasm_request_body_buffer 5;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body hold';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n4\r\nevil\r\n0\r\n\r\n"

--- error_code: 413
--- error_log
more than 5 bytes (proxy_wasm_request_body_buffer)



=== TEST 11: held for ever
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body hold';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n4\r\nevil\r\n0\r\n\r\n"

--- error_code: 504
--- error_log
paused the request, and nothing resumed it within 50 ms



=== TEST 12: resumed by a tick
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n5\r\nthere\r\n0\r\n\r\n"

--- response_body
POST /echo HTTP/1.1
Transfer-Encoding: chunked

hellothere!



=== TEST 13: an upstream that answers early
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/early/200;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n5\r\nthere\r\n0\r\n\r\n"

--- response_body
early



=== TEST 14: close
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body close';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

--- ignore_response
--- raw_response_headers_unlike: HTTP



=== TEST 15: HTTP/2
--- http2
--- config
location /t {
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_wasm one 'request-body upper; request-headers remove request content-length; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request
POST /t
hello
--- response_body chomp
HELLO!
