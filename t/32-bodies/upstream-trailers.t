# Trailers that an upstream sends: shown to the filters, changed, held. nginx takes them from upstreams since 1.27.2.

use TestWasm 'no_plan';
use Upstream;

needs('nginx 1.27.2');

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

=== TEST 1: they are shown
--- http2
--- config
location /t {
    proxy_wasm one 'response-trailers get response-trailers x-first; response-trailers get response-trailers x-none';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- response_body_like
^bodyx-first: 1\s+x-second: 2\s*$
--- error_log
wasm "one": response-trailers 2 end
get response-trailers x-first: 1
get response-trailers x-none: none



=== TEST 2: they can be added to, replaced, removed; HTTP/2
--- http2
--- config
location /t {
    proxy_wasm one 'response-trailers set response-trailers x-first one; response-trailers remove response-trailers x-second; response-trailers add response-trailers x-third 3';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- response_body_like
^bodyx-first: one\s+x-third: 3\s*$



=== TEST 3: with a body that changes
--- http2
--- config
location /t {
    proxy_wasm one 'response-body upper; response-trailers set response-trailers x-first one';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- response_body_like
^BODYx-second: 2\s+x-first: one\s*$



=== TEST 4: the body does not end before them
--- http2
--- config
location /t {
    proxy_wasm one 'response-body hold; response-trailers append !';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- response_body_like
^body!x-first: 1\s+x-second: 2\s*$
--- no_error_log
response-body 4 end



=== TEST 5: held until a tick
--- http2
--- config
location /t {
    proxy_wasm one 'tick 20; response-trailers hold; response-trailers at-tick set response-trailers x-first late; response-trailers at-tick resume';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- response_body_like
^bodyx-second: 2\s+x-first: late\s*$



=== TEST 6: held for ever: the response has begun, so the connection ends
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm one 'response-trailers hold';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\n\r\n"

--- ignore_response
--- error_log
paused the response, and nothing resumed it within 50 ms
a wasm filter stopped a response that is on its way



=== TEST 7: an answer in the place of a response whose headers wait for its end
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'response-headers hold; response-body hold; response-trailers respond 403 no';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
no



=== TEST 8: a trap
--- config
location /t {
    proxy_wasm one 'response-trailers trap';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\n\r\n"

--- ignore_response
--- error_log
panicked
a wasm filter stopped a response that is on its way
--- expects_crit
panicked
failed to call function



=== TEST 9: several filters, in reverse order
--- http2
--- config
location /t {
    proxy_wasm one 'response-trailers add response-trailers x-order 1';
    proxy_wasm two 'response-trailers add response-trailers x-order 2';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- request
GET /t
--- response_body_like
^body(?s:.*)x-order: 2\s+x-order: 1\s*$



=== TEST 10: the client of HTTP/1.0 gets none
--- config
location /t {
    proxy_wasm one 'response-trailers get response-trailers x-first';
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/trailers/x-first=1/x-second=2;
}
--- raw_request eval
"GET /t HTTP/1.0\r\n\r\n"

--- response_body chomp
body
--- error_log
wasm "one": response-trailers 2 end
