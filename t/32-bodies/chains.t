# Bodies through chains of filters: their order, and what one of them does to what the others see.

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

=== TEST 1: a request passes in the order of the chain
--- config
location /t {
    proxy_wasm one 'request-body append 1';
    proxy_wasm two 'request-body append 2';
    proxy_wasm three 'request-body append 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 7

body123



=== TEST 2: a response passes in reverse
--- config
location /t {
    proxy_wasm one 'response-body append 1';
    proxy_wasm two 'response-body append 2';
    proxy_wasm three 'response-body append 3';
    return 200 body;
}
--- request
GET /t
--- response_headers
Content-Length: 7
--- response_body chomp
body321



=== TEST 3: or as declared
--- config
location /t {
    proxy_wasm_response_order declared;
    proxy_wasm one 'response-body append 1; response-headers add response x-order 1';
    proxy_wasm two 'response-body append 2; response-headers add response x-order 2';
    proxy_wasm three 'response-body append 3; response-headers add response x-order 3';
    return 200 body;
}
--- request
GET /t
--- response_headers
x-order: 1, 2, 3
--- response_body chomp
body123



=== TEST 4: one in the middle holds a request: those before it see pieces, those behind it the whole
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm one 'request-body append 1';
    proxy_wasm two 'request-body hold-until-end';
    proxy_wasm three 'request-body append 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request eval
"POST /t\n" . ("x" x 3000)
--- response_body_like
^POST /echo HTTP/1.0
Content-Length: \d+

(?:x+1)+3$



=== TEST 5: one in the middle holds a response
--- config
location /t {
    proxy_wasm one 'response-body append 1';
    proxy_wasm two 'response-body hold-until-end';
    proxy_wasm three 'response-body append 3';
    proxy_buffering off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/10/4000;
}
--- request
GET /t
--- response_body_like eval
qr/^(?:[a-j]*3)+1\z/



=== TEST 6: one in the middle is resumed by a tick: the one behind it sees the body once
--- config
location /t {
    proxy_wasm one 'response-body append 1';
    proxy_wasm two 'tick 20; response-body hold; response-end at-tick append 2; response-end at-tick resume';
    proxy_wasm three 'response-body append 3';
    return 200 body;
}
--- request
GET /t
--- response_body chomp
body321
--- error_log
wasm "one": response-body 6 end



=== TEST 7: the same for a request
--- config
location /t {
    proxy_wasm one 'request-body append 1';
    proxy_wasm two 'tick 20; request-body hold; request-end at-tick append 2; request-end at-tick resume';
    proxy_wasm three 'request-body append 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 7

body123
--- error_log
wasm "three": request-body 6 end



=== TEST 8: two hold one after the other
--- config
location /t {
    proxy_wasm one 'tick 20; request-body hold; request-end at-tick append 1; request-end at-tick resume';
    proxy_wasm two 'tick 30; request-body hold; request-end at-tick append 2; request-end at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 6

body12



=== TEST 9: one in the middle answers a request: those behind it see nothing of it
--- config
location /t {
    proxy_wasm one 'request-body append 1';
    proxy_wasm two 'request-body respond 403 no';
    proxy_wasm three 'request-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- error_code: 403
--- response_body chomp
no
--- no_error_log
wasm "three": request-body



=== TEST 10: one in the middle answers in the place of a response: those behind it do not see the answer
--- config
location /t {
    proxy_wasm one 'response-body append 1';
    proxy_wasm two 'response-body respond 502 no';
    proxy_wasm three 'response-body append 3';
    return 200 body;
}
--- request
GET /t
--- error_code: 502
--- response_headers
Content-Length: 2
--- response_body chomp
no
--- no_error_log
wasm "one": response-body



=== TEST 11: one in the middle traps in a request: 503, which the others see
--- config
location /t {
    proxy_wasm one 'response-headers add response x-one 1';
    proxy_wasm two 'request-body trap';
    proxy_wasm three 'request-body append 3; response-headers add response x-three 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- error_code: 503
--- response_headers
x-one: 1
x-three: 3
--- error_log
panicked
--- no_error_log
wasm "three": request-body
--- expects_crit
wasm "two": panicked at
wasm filter "two": failed to call function: proxy_on_request_body



=== TEST 12: one in the middle traps in a response
--- config
location /t {
    proxy_wasm one 'response-body append 1';
    proxy_wasm two 'response-body trap';
    proxy_wasm three 'response-body append 3';
    return 200 secret;
}
--- request
GET /t
--- error_code: 503
--- response_body_unlike: secret
--- error_log
panicked
--- expects_crit
wasm "two": panicked at
wasm filter "two": failed to call function: proxy_on_response_body



=== TEST 13: headers held by one: the body waits for it, and the others see it afterwards
--- config
location /t {
    proxy_wasm one 'request-body append 1';
    proxy_wasm two 'tick 20; request-headers hold; request-headers at-tick set request x-late yes; request-headers at-tick resume; request-body append 2';
    proxy_wasm three 'request-headers get request x-late; request-body append 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 7
x-late: yes

body123
--- error_log
wasm "three": request-headers get request x-late: yes



=== TEST 14: headers of a response held by one
--- config
location /t {
    proxy_wasm one 'response-headers get response x-late; response-body append 1';
    proxy_wasm two 'tick 20; response-headers hold; response-headers at-tick set response x-late yes; response-headers at-tick resume; response-body append 2';
    proxy_wasm three 'response-body append 3';
    return 200 body;
}
--- request
GET /t
--- response_headers
x-late: yes
--- response_body chomp
body321
--- error_log
wasm "one": response-headers get response x-late: yes
