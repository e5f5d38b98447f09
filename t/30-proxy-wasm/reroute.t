# proxy_wasm_reroute off, and the property clear_route_cache=off of Higress: a new :path changes what the handler of the
# location gets, and not the location.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
    # An upstream that shows what it gets.
    $block->set_value(http_config => ($block->http_config // '') . <<'CONF');
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    return 200 "$request_uri\n";
}
CONF
    $block->set_value(no_error_log => ['[error]', '[crit]', '[alert]', '[emerg]']) unless $block->no_error_log;
});

run_tests();

__DATA__

=== TEST 1: out of a prefix and out of a regular expression: the upstream gets the new path as it was written
--- config
proxy_wasm_reroute off;
location /v1/ {
    proxy_wasm headers 'request.replace :path /upstream/x%2fy?q=%20';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location ~ \.chat$ {
    proxy_wasm headers 'request.replace :path /up';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request eval
["GET /v1/a", "GET /x.chat?y"]
--- response_body eval
["/upstream/x%2fy?q=%20\n", "/up\n"]



=== TEST 2: a level below says otherwise
--- config
proxy_wasm_reroute off;
location /new { return 200 "new\n"; }
location /on {
    proxy_wasm_reroute on;
    proxy_wasm headers 'request.replace :path /new';
    return 200 "on\n";
}
location /off {
    proxy_wasm headers 'request.replace :path /new';
    return 200 "off $uri\n";
}
--- request eval
["GET /on", "GET /off"]
--- response_body eval
["new\n", "off /new\n"]



=== TEST 3: proxy_pass with a URI: it takes the place of the prefix, and what has not the prefix goes out whole
--- config
proxy_wasm_reroute off;
location /v1/ {
    proxy_wasm headers 'request.replace :path %{x-path}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/base/;
}
location = /exact {
    proxy_wasm headers 'request.replace :path %{x-path}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/base;
}
--- request eval
[("GET /v1/a") x 5, ("GET /exact") x 3]
--- more_headers eval
["x-path: /v1/b?c", "x-path: /upstream/x%20y?c", "x-path: /v", "x-path: /v1", "x-path: /v1/../v2",
 "x-path: /exact?c", "x-path: /exactly", "x-path: /e"]
--- response_body eval
["/base/b?c\n", "/upstream/x%20y?c\n", "/v\n", "/v1\n", "/v2\n", "/base?c\n", "/exactly\n", "/e\n"]



=== TEST 4: two filters, the second of which leads back into the prefix
--- config
proxy_wasm_reroute off;
location /v1/ {
    proxy_wasm headers 'request.replace :path /away';
    proxy_wasm headers 'request.replace :path /v1%{:path}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/base/;
}
--- request
GET /v1/a
--- response_body
/base/away



=== TEST 5: proxy_pass with variables
--- config
proxy_wasm_reroute off;
proxy_wasm headers 'request.replace :path /new%20path?c=d';
set $backend 127.0.0.1:$TEST_NGINX_PORT_1;
location /plain { proxy_pass http://$backend; }
location /request-uri { proxy_pass http://$backend$request_uri; }
location /args { proxy_pass http://$backend/fixed$is_args$args; }
location /whole/ { proxy_pass http://$backend/fixed/; }
location ~ ^/captured/(.*) { proxy_pass http://$backend/c/$1; }
--- request eval
["GET /plain", "GET /request-uri", "GET /args", "GET /whole/x", "GET /captured/x"]
--- response_body eval
["/new%20path?c=d\n", "/new%20path?c=d\n", "/fixed?c=d\n", "/fixed/\n", "/c/x\n"]



=== TEST 6: rewrites of the location work on the new path
--- config
proxy_wasm_reroute off;
location /t/ {
    proxy_wasm headers 'request.replace :path /other/x';
    rewrite ^/other/(.*)$ /rewritten/$1 break;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t/a
--- response_body
/rewritten/x



=== TEST 7: files: root takes the new path, alias what follows the prefix
--- config
proxy_wasm_reroute off;
location /root/ {
    proxy_wasm headers 'request.replace :path /b.txt';
}
location /a/long/alias/ {
    proxy_wasm headers 'request.replace :path /a/long/alias/b.txt';
    alias $TEST_NGINX_HTML_DIR/;
}
--- user_files
>>> b.txt
b
--- request eval
["GET /root/a", "GET /a/long/alias/none"]
--- response_body eval
["b\n", "b\n"]



=== TEST 8: alias, where no prefix is left to replace: an error, as behind a rewrite
--- config
proxy_wasm_reroute off;
location /a/long/alias/ {
    proxy_wasm headers 'request.replace :path /b';
    alias $TEST_NGINX_HTML_DIR/;
}
--- user_files
>>> b
b
--- request
GET /a/long/alias/b.txt
--- error_code: 500
--- error_log
[alert]
"alias" cannot be used in location "/a/long/alias/" where URI was rewritten
--- no_error_log
[crit]



=== TEST 9: asking for another route has no effect either
--- config
proxy_wasm_reroute off;
location /t {
    proxy_wasm lifecycle;
    proxy_wasm probe 'raw clear_route_cache; foreign clear_route_cache; replace request :path /new';
    return 200 "t $uri\n";
}
--- request
GET /t
--- response_body
t /new
--- grep_error_log eval: qr/"lifecycle": \Kon_request_headers(?= \d+.*, client:)/
--- grep_error_log_out
on_request_headers



=== TEST 10: the rules of the location hold, and not those of the new path
--- config
proxy_wasm_reroute off;
location /open {
    proxy_wasm headers 'request.replace :path /closed';
    try_files /b.txt =404;
}
location /shut {
    deny all;
    proxy_wasm headers 'request.replace :path /open';
    try_files /b.txt =404;
}
location /closed { deny all; }
--- user_files
>>> b.txt
b
--- request eval
["GET /open", "GET /shut"]
--- error_code eval
[200, 403]
--- no_error_log
[crit]



=== TEST 11: the property of Higress does it for one request, wherever it is set
--- config
location = /new { return 404 "elsewhere\n"; }
location /before {
    proxy_wasm probe 'set-property clear_route_cache off; property clear_route_cache; replace request :path /new';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /after {
    proxy_wasm probe 'replace request :path /new; set-property clear_route_cache off';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/base;
}
location /on {
    proxy_wasm probe 'set-property clear_route_cache off; set-property clear_route_cache on; replace request :path /new';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /other {
    proxy_wasm probe 'replace request :path /new';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request eval
["GET /before", "GET /after", "GET /on", "GET /other"]
--- response_body eval
["/new\n", "/new\n", "elsewhere\n", "elsewhere\n"]
--- error_code eval
[200, 200, 404, 404]



=== TEST 12: FastCGI, uwsgi, SCGI and gRPC speak of the new path by their variables
--- config
proxy_wasm_reroute off;
location /t {
    proxy_wasm headers 'request.replace :path /new%20path?c=d';
    return 200 "$fastcgi_script_name $request_uri $document_uri $query_string\n";
}
--- request
GET /t
--- response_body
/new path /new%20path?c=d /new path c=d



=== TEST 13: on, and a new path with a prefix of its own: the URI of proxy_pass takes the place of that
--- config
location /away/ {
    proxy_wasm headers 'request.replace :path /x/y';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/never/;
}
location /x/ {
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/base/;
}
--- request
GET /away/a
--- response_body
/base/y
