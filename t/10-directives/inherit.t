# 'proxy_wasm inherit;': the filters of the level around a level run before its own. What hides an outer chain without saying so
# is in hidden-chain.t.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: the outer filters come first, and then those of the level
--- config
proxy_wasm headers 'request.add x-path a';
proxy_wasm headers 'request.replace x-path %{x-path}b';
location /t {
    proxy_wasm inherit;
    proxy_wasm headers 'request.replace x-path %{x-path}c';
    proxy_wasm headers 'request.replace x-path %{x-path}d';
    return 200 "$http_x_path\n";
}
--- request
GET /t
--- response_body
abcd
--- no_error_log
[warn]



=== TEST 2: a filter of the outer level that refuses does so on the inner one
--- config
proxy_wasm headers 'deny /img 403';
location /img {
    proxy_wasm inherit;
    proxy_wasm headers 'response.add x-own 1';
    return 200 "a picture\n";
}
--- request
GET /img/a
--- error_code: 403
--- response_body
denied by rust



=== TEST 3: through all levels, each of which says so
--- http_config
proxy_wasm headers 'request.add x-path http';
--- config
proxy_wasm inherit;
proxy_wasm headers 'request.replace x-path %{x-path},server';
location /t {
    proxy_wasm inherit;
    proxy_wasm headers 'request.replace x-path %{x-path},location';
    location /t/nested {
        proxy_wasm inherit;
        proxy_wasm headers 'request.replace x-path %{x-path},nested';
        return 200 "$http_x_path\n";
    }
    return 200 "$http_x_path\n";
}
location /u {
    return 200 "$http_x_path\n";
}
--- request eval
["GET /t/nested", "GET /t", "GET /u"]
--- response_body eval
["http,server,location,nested\n", "http,server,location\n", "http,server\n"]



=== TEST 4: a level that says nothing passes on what it inherits
--- http_config
proxy_wasm headers 'request.add x-path http';
--- config
location /t {
    location /t/nested {
        proxy_wasm inherit;
        proxy_wasm headers 'request.replace x-path %{x-path},nested';
        return 200 "$http_x_path\n";
    }
}
--- request
GET /t/nested
--- response_body
http,nested



=== TEST 5: behind "off" there is nothing to inherit
--- config
proxy_wasm headers 'response.add x-server 1';
location /t {
    proxy_wasm off;
    location /t/nested {
        proxy_wasm inherit;
        proxy_wasm headers 'response.add x-nested 1';
        return 200 "ok\n";
    }
}
--- request
GET /t/nested
--- response_headers
!x-server
x-nested: 1



=== TEST 6: alone, it is what a level has that says nothing
--- http_config
proxy_wasm inherit;
proxy_wasm headers 'response.add x-http 1';
--- config
location /t {
    proxy_wasm inherit;
    return 200 "ok\n";
}
--- request
GET /t
--- raw_response_headers_like eval
qr/\A(?!.*x-http.*x-http).*^x-http: 1\r$/msi



=== TEST 7: without an outer chain it is no mistake
--- config
location /t {
    proxy_wasm inherit;
    proxy_wasm headers 'response.add x-own 1';
    return 200 "ok\n";
}
location /u {
    proxy_wasm inherit;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /u"]
--- response_headers eval
["x-own: 1", "!x-own"]



=== TEST 8: limits of the inner level hold for its own filters alone
--- config
proxy_wasm headers 'response.add x-outer 1';
location /t {
    wasm_memory_limit 64k;
    proxy_wasm inherit;
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-outer: 1



=== TEST 9: an "if" block has the chain of its location
--- config
proxy_wasm headers 'response.add x-outer 1';
location /t {
    proxy_wasm inherit;
    proxy_wasm headers 'response.add x-own 1';
    if ($arg_a) {
        return 200 "if\n";
    }
    return 200 "ok\n";
}
--- request
GET /t?a=1
--- response_body
if
--- raw_response_headers_like eval
qr/\A(?!.*x-own.*x-own)(?!.*x-outer.*x-outer)(?=.*^x-outer: 1\r$).*^x-own: 1\r$/msi



=== TEST 10: a "limit_except" block has the chain of its location
--- config
proxy_wasm headers 'response.add x-outer 1';
location /t {
    proxy_wasm inherit;
    proxy_wasm headers 'response.add x-own 1';
    limit_except GET {
        deny all;
    }
    return 200 "ok\n";
}
--- request
DELETE /t
--- raw_response_headers_like eval
qr/\A(?!.*x-own.*x-own)(?!.*x-outer.*x-outer)(?=.*^x-outer: 1\r$).*^x-own: 1\r$/msi
--- response_body_like: .
--- error_code: 403
--- error_log
access forbidden by rule



=== TEST 11: a filter that leads to a location which inherits it runs once, and the location's own with it
--- config
proxy_wasm headers 'request.replace :path /b; request.replace x-path %{x-path}outer; response.add x-outer 1';
location /a {
    return 200 "a\n";
}
location /b {
    proxy_wasm inherit;
    proxy_wasm headers 'request.replace x-path %{x-path},own; response.add x-own 1';
    return 200 "$uri $http_x_path\n";
}
--- request
GET /a
--- response_body
/b outer,own
--- raw_response_headers_like eval
qr/\A(?!.*x-own.*x-own)(?!.*x-outer.*x-outer)(?=.*^x-outer: 1\r$).*^x-own: 1\r$/msi



=== TEST 12: an internal redirect to a level with another chain begins anew, with all filters of that chain
--- config
proxy_wasm headers 'request.replace x-path %{x-path}outer,; response.add x-outer 1';
location /a {
    error_page 404 /b;
    return 404;
}
location /b {
    proxy_wasm inherit;
    proxy_wasm headers 'request.replace x-path %{x-path}own; response.add x-own 1';
    return 200 "$http_x_path\n";
}
--- request
GET /a
--- response_body
outer,outer,own
--- raw_response_headers_like eval
qr/\A(?!.*x-own.*x-own)(?!.*x-outer.*x-outer)(?=.*^x-outer: 1\r$).*^x-own: 1\r$/msi
--- error_code: 404



=== TEST 13: not behind a filter of the level: filters run in the order in which they are written
--- config
proxy_wasm headers;
location /t {
    proxy_wasm headers;
    proxy_wasm inherit;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm inherit" must stand before the other "proxy_wasm" of its level in \S+nginx\.conf:\d+$/



=== TEST 14: beside "off"
--- config
location /t {
    proxy_wasm inherit;
    proxy_wasm off;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm off" and "proxy_wasm inherit" cannot stand on one level in \S+nginx\.conf:\d+$/



=== TEST 15: beside "off", the other way round
--- config
location /t {
    proxy_wasm off;
    proxy_wasm inherit;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm off" and "proxy_wasm inherit" cannot stand on one level in \S+nginx\.conf:\d+$/



=== TEST 16: with something behind it
--- config
location /t { proxy_wasm inherit '{}'; }
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm inherit" takes nothing more; .* in \S+nginx\.conf:\d+$/



=== TEST 17: two locations whose own filters send a request to each other end as nginx ends such cycles
--- config
proxy_wasm headers 'response.add x-outer 1';
location /a {
    proxy_wasm inherit;
    proxy_wasm headers 'request.replace :path /b';
    return 200 "a\n";
}
location /b {
    proxy_wasm inherit;
    proxy_wasm headers 'request.replace :path /a';
    return 200 "b\n";
}
--- request
GET /a
--- error_code: 500
--- response_body_like: 500 Internal
--- error_log
rewrite or internal redirection cycle
