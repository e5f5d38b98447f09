# Bodies that nginx has read before a filter looks at them: the filters of another location were there first. They are shown
# again, and can be changed.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module one $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module two $TEST_NGINX_GUESTS/rust-bodies.wasm;
}
CONF
    # The first location's filter has the body read, and sends the request on.
    $block->set_value(config => "location /t { proxy_wasm one 'request-body size'; rewrite ^ /u; }\n" . $block->config);
    $block->set_value(request => "POST /t\nbody") unless $block->request || $block->raw_request;
    $block->set_value(no_error_log => ['[crit]', '[alert]', '[emerg]']);
});

run_tests();

__DATA__

=== TEST 1: held, and replaced by a longer one
--- config
location /u {
    proxy_wasm two 'request-body hold-until-end; request-end replace something longer';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- response_body
POST /echo HTTP/1.0
Content-Length: 16

something longer



=== TEST 2: made empty
--- config
location /u {
    proxy_wasm two 'request-body replace';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- response_body eval
"POST /echo HTTP/1.0\nContent-Length: 0\n\n\n"



=== TEST 3: looked at, and left as it is
--- config
location /u {
    proxy_wasm two 'request-body show';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- response_body
POST /echo HTTP/1.0
Content-Length: 4

body
--- error_log
wasm "two": request-body 4 end
body "body"



=== TEST 4: refused for what is in it
--- config
location /u {
    proxy_wasm two 'request-body respond-if body 403 no';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- error_code: 403
--- response_body chomp
no



=== TEST 5: held until a tick lets it go
--- config
location /u {
    proxy_wasm two 'tick 10; request-body append !; request-body hold; request-body at-tick resume';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

body!



=== TEST 6: from nginx's temporary file, in pieces, and changed
--- config
location /u {
    proxy_wasm two 'quiet; request-body sum; request-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
client_body_in_file_only clean;
client_body_buffer_size 1k;
--- request eval
"POST /t\n" . "a" x 100000
--- response_body eval
"POST /echo HTTP/1.0\nContent-Length: 100000\n\n" . "A" x 100000 . "\n"



=== TEST 7: one that is larger than filters may hold can be looked at
--- config
location /u {
    proxy_wasm_request_body_buffer 1k;
    proxy_wasm two 'quiet; request-body sum';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request eval
"POST /t\n" . "a" x 5000
--- response_body eval
"POST /echo HTTP/1.0\nContent-Length: 5000\n\n" . "a" x 5000 . "\n"



=== TEST 8: but not be changed
--- config
location /u {
    proxy_wasm_request_body_buffer 1k;
    proxy_wasm two 'quiet; request-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request eval
"POST /t\n" . "a" x 5000
--- error_code: 413
--- error_log
(proxy_wasm_request_body_buffer)



=== TEST 9: a filter that sends the request on by its path, after it has seen the body
--- config
location /v {
    proxy_wasm one 'request-headers set request :path /w; request-body append 1';
}
location /w {
    proxy_wasm two 'request-body append 2';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /v
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 6

body12



=== TEST 10: a filter that holds the headers of a request without any body in its chunks is not got round
--- config
location /u {
    proxy_wasm_headers_stop_iteration on;
    proxy_wasm two 'request-headers hold; request-end respond 403 held';
    return 200 "not held\n";
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
--- error_code: 403
--- response_body chomp
held
