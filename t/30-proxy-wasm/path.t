# :path and request.path are what nginx would send now, whatever it has made of the request before: rewrites, error_page,
# X-Accel-Redirect, try_files, index. Writing the value back changes nothing, and a change goes on from it. What a change of
# it means for the location is in routing.t and reroute.t.

use TestWasm 'no_plan';

our $Callbacks = qr/"lifecycle": \Kon_request_headers(?= \d+.*, client:)/;

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
    # An upstream that shows what it gets, and others that fail, or send elsewhere.
    $block->set_value(http_config => ($block->http_config // '') . <<'CONF');
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    return 200 "$request_uri\n";
}
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_2;
    access_log $TEST_NGINX_SERVER_ROOT/logs/app.log;
    location /to-path { add_header X-Accel-Redirect "/inside/a%20b?c=d"; return 200; }
    location /to-name { add_header X-Accel-Redirect @inside; return 200; }
    location / { return 502; }
}
CONF
    $block->set_value(no_error_log => ['[error]', '[crit]', '[alert]', '[emerg]']) unless $block->no_error_log;
});

run_tests();

__DATA__

=== TEST 1: rewrite of the server: the path is the new one, encoded as the upstream gets it, with its query
--- config
rewrite ^/old/(.*)$ /new/$1?d=e last;
location /new/ {
    proxy_wasm probe 'get request :path; property request|path; property request|url_path; property request|query; pairs request; report';
}
location /new/up {
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request eval
["GET /old/a%20%25%c3%a9?b=c", "GET /old/up%20%25%c3%a9?b=c"]
--- response_body_like eval
[
    qr{\Aget request :path -> 0 /new/a%20%25%C3%A9\?d=e&b=c
property request\|path -> 0 /new/a%20%25%C3%A9\?d=e&b=c
property request\|url_path -> 0 /new/a%20%25%C3%A9
property request\|query -> 0 d=e&b=c
pairs request -> 0 :authority=localhost,:path=/new/a%20%25%C3%A9\?d=e&b=c,},
    qr{\A/new/up%20%25%C3%A9\?d=e&b=c\n\z},
]



=== TEST 2: rewrite of a location, to another one
--- config
location /old {
    rewrite ^/old/(.*)$ /new/$1 last;
}
location /new {
    proxy_wasm probe 'get request :path; report';
}
--- request
GET /old/x%3fy?q
--- response_body
get request :path -> 0 /new/x%3Fy?q



=== TEST 3: rewrite ... break in the location: what comes with the response
--- config
location /t {
    proxy_wasm probe 'get request :path; @response get request :path; @response property request|query';
    rewrite ^/t/(.*)$ /up/$1 break;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t/a?b
--- response_headers
x-probe-result: get request :path -> 0 /up/a?b | property request|query -> 0 b
--- response_body
/up/a?b
--- error_log
probe: get request :path -> 0 /t/a?b



=== TEST 4: a query that nginx has made
--- config
set $args one=1;
location /t {
    proxy_wasm probe '@response get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t?b
--- response_headers
x-probe-result: get request :path -> 0 /t?one=1
--- response_body
/t?one=1



=== TEST 5: no query at all any more
--- config
set $args "";
location /t {
    proxy_wasm probe '@response get request :path; @response property request|query';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t%2fa?b
--- response_headers
x-probe-result: get request :path -> 0 /t/a | property request|query -> 0
--- response_body
/t/a



=== TEST 6: the target of error_page, a path
--- config
error_page 404 = /fallback?from=404;
location /none { return 404; }
location = /fallback {
    proxy_wasm probe '@response get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /none?b
--- response_headers
x-probe-result: get request :path -> 0 /fallback?from=404
--- response_body
/fallback?from=404



=== TEST 7: the target of error_page, a name: the path is still that of the client
--- config
error_page 404 = @fallback;
location /no/ { return 404; }
location @fallback {
    proxy_wasm probe '@response get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /no%2fne?b
--- response_headers
x-probe-result: get request :path -> 0 /no%2fne?b
--- response_body
/no%2fne?b



=== TEST 8: X-Accel-Redirect
--- config
location /to-path { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2; }
location /inside/ {
    internal;
    proxy_wasm probe '@response get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /to-path?x
--- response_headers
x-probe-result: get request :path -> 0 /inside/a%20b?c=d
--- response_body
/inside/a%20b?c=d



=== TEST 9: try_files, to another location and to a file
--- config
location /t {
    try_files $uri $uri.txt /u?from=$uri;
    proxy_wasm probe '@response get request :path';
}
location /u {
    proxy_wasm probe '@response get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- user_files
>>> t.txt
file
--- request eval
["GET /t", "GET /tt"]
--- response_headers eval
["x-probe-result: get request :path -> 0 /t", "x-probe-result: get request :path -> 0 /u?from=/tt"]
--- response_body eval
["file\n", "/u?from=/tt\n"]



=== TEST 10: the index of a folder
--- config
location /folder/ {
    proxy_wasm probe '@response get request :path';
}
--- user_files
>>> folder/index.html
index
--- request
GET /folder/?x
--- response_headers
x-probe-result: get request :path -> 0 /folder/index.html?x
--- response_body
index



=== TEST 11: a whole URL without a path
--- config
location = / {
    proxy_wasm probe '@response get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- raw_request eval
"GET http://localhost?q=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- response_headers
x-probe-result: get request :path -> 0 /?q=1
--- response_body
/?q=1



=== TEST 12: written back as it was read, alone and with all headers: nothing changes, and the filters run once
--- config
rewrite ^/old/(.*)$ /new/$1 last;
proxy_wasm lifecycle;
proxy_wasm headers 'request.replace :path %{:path}; request.replace :authority %{:authority}; request.replace :method %{:method}';
location /new/ {
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    add_header x-uri "$uri $args $request_uri";
}
--- request
GET /old/a%20b?c
--- response_body
/new/a%20b?c
--- response_headers
x-uri: /new/a b c /old/a%20b?c
--- error_log
on_request_headers
--- grep_error_log eval: $::Callbacks
--- grep_error_log_out
on_request_headers



=== TEST 13: written back in a named location, and in one that is internal: the request stays
--- config
location /to- { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2; }
location @inside {
    proxy_wasm headers 'request.replace :path %{:path}';
    return 200 "named $uri\n";
}
location /inside/ {
    internal;
    proxy_wasm headers 'request.replace :path %{:path}';
    return 200 "internal $uri\n";
}
--- request eval
["GET /to-name", "GET /to-path"]
--- response_body eval
["named /to-name\n", "internal /inside/a b\n"]



=== TEST 14: written back, or changed: captures of the location that stays are those that nginx has made
--- config
location ~ ^/t/(\w+) {
    proxy_wasm headers 'request.replace :path %{:path}';
    return 200 "$1\n";
}
location ~ ^/u/(\w+) {
    proxy_wasm headers 'request.replace :path %{:path}-changed';
    return 200 "$1 $uri\n";
}
--- request eval
["GET /t/one", "GET /u/one"]
--- response_body eval
["one\n", "one /u/one-changed\n"]



=== TEST 15: a change goes on from what was read: rewrite, error_page, X-Accel-Redirect, try_files
--- config
rewrite ^/old/(.*)$ /new/$1 last;
error_page 404 = /fallback;
location /new/ {
    proxy_wasm headers 'request.replace :path %{:path}?k=v';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /none { return 404; }
location = /fallback {
    proxy_wasm headers 'request.replace :path %{:path}?k=v';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /to-path { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2; }
location /inside/ {
    internal;
    proxy_wasm headers 'request.replace :path %{:path}&k=v';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /files { try_files /nothing /tried; }
location /tried {
    proxy_wasm headers 'request.replace :path %{:path}?k=v';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request eval
["GET /old/a", "GET /none", "GET /to-path", "GET /files"]
--- response_body eval
["/new/a?k=v\n", "/fallback?k=v\n", "/inside/a%20b?c=d&k=v\n", "/tried?k=v\n"]
--- error_code eval
[200, 200, 200, 200]



=== TEST 16: changed in a named location: no path leads there, so it stays, and the first upstream is asked once
--- config
location ~ ^/(to-name|other) { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2; proxy_intercept_errors on; error_page 502 = @failed; }
location @inside {
    proxy_wasm headers 'request.replace :path %{:path}?k=v';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location @failed {
    limit_except POST { allow all; }
    proxy_wasm headers 'request.replace :path %{:path}?k=v';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location = /asked {
    alias $TEST_NGINX_SERVER_ROOT/logs/app.log;
}
--- request eval
["GET /to-name", "GET /other", "GET /asked"]
--- response_body_like eval
[qr{\A/to-name\?k=v\n\z}, qr{\A/other\?k=v\n\z}, qr{\A\S+ [^\n]*GET /to-name [^\n]*\n\S+ [^\n]*GET /other [^\n]*\n\z}]
--- error_code eval
[200, 200, 200]



=== TEST 17: changed in the target of error_page for an upstream that fails: no loop
--- config
location /other { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2; proxy_intercept_errors on; error_page 502 = /failed; }
location = /failed {
    proxy_wasm headers 'request.replace :path /failed%{:path}';
}
location /failed/ {
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /other
--- response_body
/failed/failed
--- error_code: 200



=== TEST 18: a path that is none, behind a rewrite: the request is refused, and what nginx knew is as it was
--- config
rewrite ^/old/(.*)$ /new/$1 last;
error_page 503 = @refused;
location /new/ {
    proxy_wasm probe 'replace request :path /a%zz';
    return 200 "served\n";
}
location @refused {
    proxy_wasm off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /old/a%20%25
--- response_body
/new/a%20%25
--- no_error_log
[alert]
--- error_log
invalid :path "/a%zz"; the request is refused



=== TEST 19: a change with the response, in a location whose prefix nginx counts on: nothing is left of the prefix
--- config
location /long/prefix/ {
    proxy_wasm probe '@response replace request :path /a; @response get request :path; @log get request :path';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/up/;
    proxy_store on;
    alias $TEST_NGINX_SERVER_ROOT/html/stored/;
}
--- request
GET /long/prefix/x
--- response_body
/up/x
--- response_headers
x-probe-result: replace request :path /a -> 0 | get request :path -> 0 /a
--- error_log
[alert]
"alias" cannot be used in location "/long/prefix/" where URI was rewritten
--- no_error_log
[crit]
