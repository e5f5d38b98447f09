# proxy_wasm_on_error open is about callbacks that fail, and about nothing else: what a filter refuses, holds for too long, or
# writes wrongly is refused as ever. And whoever makes such a filter fail switches it off for all. SECURITY.md says it.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module bodies $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module faulty $TEST_NGINX_GUESTS/rust-faulty.wasm;
}
CONF
    $block->set_value(http_config => 'proxy_wasm_on_error open;');
});

run_tests();

__DATA__

=== TEST 1: a request that makes the filter fail gets past it, and so do those after it
A new instance would refuse the third request as the first one did.
--- config
location /t {
    proxy_wasm faulty 'name f; @request-headers nth:1 answer 403 -1 - refused';
    return 200 "passed\n";
}
--- request eval
[ "GET /t", "GET /t", "GET /t" ]
--- more_headers eval
[ "", "x-faulty: abort", "" ]
--- error_code eval
[ 403, 200, 200 ]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 2: a pause that nobody ends
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm bodies 'request-headers hold';
    return 200 "passed\n";
}
--- request
GET /t
--- error_code: 504



=== TEST 3: an answer of the filter
--- config
location /t {
    proxy_wasm bodies 'request-headers respond 403 refused';
    return 200 "passed\n";
}
--- request
GET /t
--- error_code: 403



=== TEST 4: a header that would break the message
--- config
location /t {
    proxy_wasm faulty 'name f; raw add_header_map_value 0 str:x-break hex:610d0a783a79';
    return 200 "passed\n";
}
--- request
GET /t
--- error_code: 503



=== TEST 5: a body that the filter may not hold
--- config
location /t {
    proxy_wasm_request_body_buffer 4;
    proxy_wasm bodies 'request-body hold';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/body;
}
--- request
POST /t
hello
--- error_code: 413



=== TEST 6: a filter that closes the stream
--- config
location /t {
    proxy_wasm bodies 'request-headers close';
    return 200 "passed\n";
}
--- request
GET /t
--- ignore_response
--- access_log eval
qr/"GET \/t HTTP\/1.1" 444 0 /
--- no_error_log
[crit]
