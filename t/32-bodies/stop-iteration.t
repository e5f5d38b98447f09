# proxy_wasm_headers_stop_iteration on: a filter that holds headers sees the body, and decides on both.

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

=== TEST 1: a request: the body decides on the headers
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'request-headers hold; request-body hold-until-end; request-end show; request-end set request x-seen yes';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 4
x-seen: yes

body
--- error_log
request-body body "body"



=== TEST 2: a request: denied by its body
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'request-headers hold; request-body hold-until-end; request-end respond-if evil 403 no';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
evil
--- error_code: 403
--- response_body chomp
no



=== TEST 3: a request: the filter behind sees headers and body when the first lets them go
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'request-headers hold; request-end set request x-seen yes; request-body append 1';
    proxy_wasm two 'request-headers get request x-seen; request-body append 2';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 6
x-seen: yes

body12
--- error_log
wasm "two": request-headers get request x-seen: yes



=== TEST 4: a request: the path
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'request-headers hold; request-end set request :path /t/other';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5;
}
--- request
POST /t
body
--- response_body
POST /t/other HTTP/1.0
Content-Length: 4

body



=== TEST 5: a request without a body: a pause is one of everything
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    wasm_pause_timeout 50ms;
    proxy_wasm one 'request-headers hold';
    return 200 ok;
}
--- request
GET /t
--- error_code: 504



=== TEST 6: a request: the body in pieces, resumed by a tick
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    client_body_buffer_size 1k;
    proxy_wasm one 'tick 20; request-headers hold; request-body hold; request-end at-tick replace short; request-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request eval
"POST /t\n" . ("x" x 3000)
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

short



=== TEST 7: off: the headers are held, and no callback about the body comes
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm one 'request-headers hold; request-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- error_code: 504
--- no_error_log
request-body



=== TEST 8: a response: the body decides on the headers
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'response-headers hold; response-body hold-until-end; response-end set response x-seen yes; response-end set response :status 201; response-end append !';
    return 200 body;
}
--- request
GET /t
--- error_code: 201
--- response_headers
x-seen: yes
Content-Length: 5
--- response_body chomp
body!



=== TEST 9: a response of an upstream: denied by its body
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'response-headers hold; response-body hold-until-end; response-end respond-if aab 403 no';
    proxy_buffering off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/chunked/2/3000;
    proxy_http_version 1.1;
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
no



=== TEST 10: a response: resumed by a tick
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm one 'tick 20; response-headers hold; response-body hold; response-end at-tick set response x-tick 1; response-end at-tick append !; response-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/2/3;
}
--- request
GET /t
--- response_headers
x-tick: 1
Content-Length: 7
--- response_body chomp
aaabbb!



=== TEST 11: a response: HEAD
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    wasm_pause_timeout 50ms;
    proxy_wasm one 'response-headers hold';
    return 200 ok;
}
--- request
HEAD /t
--- error_code: 504



=== TEST 12: a response: nothing resumes it
--- config
location /t {
    proxy_wasm_headers_stop_iteration on;
    wasm_pause_timeout 50ms;
    proxy_wasm one 'response-headers hold; response-body hold';
    return 200 secret;
}
--- request
GET /t
--- error_code: 504
--- response_body_unlike: secret
