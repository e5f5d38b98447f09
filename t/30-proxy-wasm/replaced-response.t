# Responses that filters make in on_response_headers (proxy_send_local_response): they take the place of the response that is
# on its way, whoever made it.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: in on_response_headers: replaces what "return" says
--- config
location /t {
    add_header x-secret 1;
    proxy_wasm probe '@response respond 500 replaced';
    return 200 "secret and longer than the other\n";
}
--- request
GET /t
--- error_code: 500
--- response_headers
x-probe-local: 1
Content-Length: 8
--- response_body chomp
replaced



=== TEST 2: in on_response_headers: replaces a static file
--- config
proxy_wasm probe '@response respond 500 replaced';
--- user_files
>>> a.html
secret
--- request
GET /a.html
--- error_code: 500
--- response_headers
!Last-Modified
!ETag
!Accept-Ranges
Content-Type: text/plain
Content-Length: 8
--- response_body chomp
replaced



=== TEST 3: in on_response_headers: replaces a proxied response, and the connection goes on
--- config
location /t {
    proxy_wasm probe '@response respond 500 replaced';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    add_header x-secret 1;
    return 200 "secret and longer than the other\n";
}
location /u { return 200 "u\n"; }
--- pipelined_requests eval
["GET /t", "GET /u", "GET /t"]
--- error_code eval
[500, 200, 500]
--- response_headers eval
["!x-secret", "", "!x-secret"]
--- response_body eval
["replaced", "u\n", "replaced"]



=== TEST 4: in on_response_headers: replaces an unbuffered proxied response
--- config
location /t {
    proxy_buffering off;
    proxy_wasm probe '@response respond 500 replaced';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    return 200 "secret and longer than the other\n";
}
--- pipelined_requests eval
["GET /t", "GET /t"]
--- error_code eval
[500, 500]
--- response_body eval
["replaced", "replaced"]



=== TEST 5: in on_response_headers: replaces an error page of nginx
--- config
proxy_wasm probe '@response respond 200 replaced';
--- request
GET /nothing-here
--- error_code: 200
--- response_body chomp
replaced



=== TEST 6: in on_response_headers: HEAD
--- config
location /t {
    proxy_wasm probe '@response respond 500 replaced';
    return 200 "secret\n";
}
--- request
HEAD /t
--- error_code: 500
--- response_headers
Content-Length: 8
--- response_body:



=== TEST 7: in on_response_headers: it leaves at once, as in Envoy; filters before it have no say
--- config
location /t {
    proxy_wasm headers 'response.add x-before 1';
    proxy_wasm probe '@response respond 500 replaced';
    proxy_wasm probe '@response get response :status';
    return 200 "secret\n";
}
--- request
GET /t
--- error_code: 500
--- response_headers
!x-before
--- error_log
probe: get response :status -> 0 200



=== TEST 8: in on_response_headers: a status without a body
--- config
location /t {
    proxy_wasm probe '@response respond 204';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up { return 200 "secret\n"; }
--- request
GET /t
--- error_code: 204
--- response_body:
