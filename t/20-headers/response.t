# Response headers: what filters read and write, for those that nginx keeps in its list and for those that it keeps
# elsewhere or writes itself. :status and the ways in which nginx makes a response are in response-kinds.t.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module probe   $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
}
CONF
    $block->set_value(http_config => <<'CONF') unless $block->http_config;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / {
        add_header x-up 1;
        add_header x-up 2;
        add_header Cache-Control no-cache;
        add_header Set-Cookie a=1;
        add_header Set-Cookie b=2;
        add_header ETag '"up"';
        return 200 "upstream\n";
    }
}
CONF
});

run_tests();

__DATA__

=== TEST 1: add: one more value
--- config
location /t {
    proxy_wasm headers 'response.add x-up 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- raw_response_headers_like eval
qr/x-up: 1\r\n(?:.*\r\n)*?x-up: 2\r\n(?:.*\r\n)*?x-up: 3\r\n/
--- response_body
upstream



=== TEST 2: replace: one value instead of all
--- config
location /t {
    proxy_wasm headers 'response.replace X-Up 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- raw_response_headers_unlike: x-up: [12]
--- response_headers
x-up: 3



=== TEST 3: remove: all values
--- config
location /t {
    proxy_wasm headers 'response.remove X-UP; response.remove x-nobody';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_headers
!x-up
--- error_code: 200



=== TEST 4: get: without regard to case, the first value; a missing one is NotFound
--- config
location /t {
    proxy_wasm probe '@response get response X-UP; @response get response x-nobody; @response get response :nobody';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_headers
x-probe-result: get response X-UP -> 0 1 | get response x-nobody -> 1 | get response :nobody -> 1



=== TEST 5: pairs: :status first, then all that nginx will send and knows already
--- config
location /t {
    proxy_wasm probe '@response pairs response';
    default_type text/x-test;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_headers_like
x-probe-result: pairs response -> 0 :status=200,content-type=text/plain,content-length=9,(?:server=\S+,date=.*GMT,)?x-up=1,x-up=2,cache-control=no-cache,set-cookie=a=1,set-cookie=b=2,etag="up"



=== TEST 6: set-pairs: these headers alone, the body stays
--- config
location /t {
    proxy_wasm probe '@response set-pairs response x-new=1,x-new=2,content-length=9,content-type=text/x-test';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- raw_response_headers_like eval
qr/x-new: 1\r\nx-new: 2\r\n/
--- response_headers
Content-Type: text/x-test
Content-Length: 9
!x-up
!set-cookie
!etag
!cache-control
--- response_body
upstream



=== TEST 7: set-pairs with what get-pairs gave changes nothing
--- config
location /t {
    proxy_wasm probe '@response set-pairs response :status=200,content-type=text/plain,content-length=9,x-up=1,x-up=2,etag="up"';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- raw_response_headers_like eval
qr/x-up: 1\r\n(?:.*\r\n)*?x-up: 2\r\n/
--- response_headers
Content-Type: text/plain
Content-Length: 9
ETag: "up"
--- response_body
upstream



=== TEST 8: content-type: get, replace, remove
--- config
default_type text/x-old;
location /get {
    proxy_wasm probe '@response get response Content-Type';
    return 200 "ok\n";
}
location /replace {
    proxy_wasm headers 'response.replace Content-Type text/x-new';
    return 200 "ok\n";
}
location /add {
    proxy_wasm headers 'response.add content-type text/x-new';
    return 200 "ok\n";
}
location /remove {
    proxy_wasm headers 'response.remove content-type';
    return 200 "ok\n";
}
--- request eval
["GET /get", "GET /replace", "GET /add", "GET /remove"]
--- response_headers eval
["x-probe-result: get response Content-Type -> 0 text/x-old", "Content-Type: text/x-new", "Content-Type: text/x-new", "!Content-Type"]



=== TEST 9: content-type: the filter sees the charset that nginx adds for a static file
--- config
location ~ \.txt$ {
    charset utf-8;
    proxy_wasm probe '@response get response content-type';
}
location ~ \.html$ {
    charset utf-8;
    proxy_wasm headers 'response.replace content-type text/html';
}
--- user_files
>>> a.txt
a
>>> a.html
a
--- request eval
["GET /a.txt", "GET /a.html"]
--- response_headers eval
["Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8"]



=== TEST 10: content-length: get, and a wrong one from the guest does not change the framing
--- config
location /get {
    proxy_wasm probe '@response get response content-length';
    return 200 "four";
}
location /remove {
    proxy_wasm headers 'response.remove content-length';
    return 200 "four";
}
--- request eval
["GET /get", "GET /remove"]
--- response_headers eval
["x-probe-result: get response content-length -> 0 4\nContent-Length: 4", "!Content-Length\nTransfer-Encoding: chunked"]
--- response_body eval
["four", "four"]



=== TEST 11: server: replaced, removed, and by default that of nginx
--- config
server_tokens off;
location /get {
    return 200 "ok\n";
}
location /replace {
    proxy_wasm headers 'response.replace server mine';
    return 200 "ok\n";
}
location /remove {
    proxy_wasm headers 'response.remove Server';
    return 200 "ok\n";
}
location /back {
    proxy_wasm headers 'response.remove server; response.add server again';
    return 200 "ok\n";
}
--- request eval
["GET /get", "GET /replace", "GET /remove", "GET /back"]
--- response_headers eval
["Server: nginx", "Server: mine", "!Server", "Server: again"]



=== TEST 12: date: replaced and removed
--- config
location /replace {
    proxy_wasm headers 'response.replace Date today';
    return 200 "ok\n";
}
location /remove {
    proxy_wasm headers 'response.remove date';
    return 200 "ok\n";
}
--- request eval
["GET /replace", "GET /remove"]
--- response_headers eval
["Date: today", "!Date"]



=== TEST 13: location: an absolute one, and one without a host, arrive as they are
--- config
location /absolute {
    proxy_wasm headers 'response.replace location http://other.example/x';
    return 302 http://first.example/;
}
location /relative {
    proxy_wasm headers 'response.replace location /login?a=1';
    return 302 http://first.example/;
}
location /added {
    proxy_wasm headers 'response.add location /login';
    return 201 "ok\n";
}
location /removed {
    proxy_wasm headers 'response.remove location';
    return 302 http://first.example/;
}
--- request eval
["GET /absolute", "GET /relative", "GET /added", "GET /removed"]
--- response_headers eval
["Location: http://other.example/x", "Location: /login?a=1", "Location: /login", "!Location"]
--- error_code eval
[302, 302, 201, 302]



=== TEST 14: etag: replaced and removed
--- config
location ~ replace {
    proxy_wasm headers 'response.replace etag "mine"';
}
location ~ remove {
    proxy_wasm headers 'response.remove ETag';
}
--- user_files
>>> replace.txt
a
>>> remove.txt
a
--- request eval
["GET /replace.txt", "GET /remove.txt"]
--- response_headers eval
["ETag: \"mine\"", "!ETag"]



=== TEST 15: last-modified: get, replace, remove
--- config
location ~ get {
    proxy_wasm probe '@response get response last-modified';
}
location ~ replace {
    proxy_wasm headers 'response.replace Last-Modified Thu, 01 Jan 1970 00:00:01 GMT';
}
location ~ remove {
    proxy_wasm headers 'response.remove last-modified';
}
--- user_files
>>> get.txt 199801171935.33
a
>>> replace.txt
a
>>> remove.txt
a
--- request eval
["GET /get.txt", "GET /replace.txt", "GET /remove.txt"]
--- response_headers eval
["x-probe-result: get response last-modified -> 0 Sat, 17 Jan 1998 19:35:33 GMT", "Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT", "!Last-Modified"]



=== TEST 16: cache-control: added, replaced, removed; from add_header of nginx and from an upstream
--- config
location /add {
    proxy_wasm headers 'response.add cache-control private';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /replace {
    proxy_wasm headers 'response.replace Cache-Control private';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /remove {
    proxy_wasm headers 'response.remove cache-control';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request eval
["GET /add", "GET /replace", "GET /remove"]
--- response_headers eval
["Cache-Control: no-cache, private", "Cache-Control: private", "!Cache-Control"]



=== TEST 17: cache-control: nginx' own "expires" goes after the filter
--- config
location /t {
    proxy_wasm headers 'response.replace cache-control no-store';
    expires 1h;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_headers
Cache-Control: max-age=3600



=== TEST 18: set-cookie: each stays a line of its own
--- config
location /add {
    proxy_wasm headers 'response.add set-cookie c=3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /add
--- raw_response_headers_like eval
qr/Set-Cookie: a=1\r\n(?:.*\r\n)*?Set-Cookie: b=2\r\n(?:.*\r\n)*?set-cookie: c=3\r\n/



=== TEST 19: set-cookie: all replaced, all removed
--- config
location /replace {
    proxy_wasm headers 'response.replace set-cookie c=3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
location /remove {
    proxy_wasm headers 'response.remove set-cookie';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request eval
["GET /replace", "GET /remove"]
--- response_headers eval
["Set-Cookie: c=3", "!Set-Cookie"]



=== TEST 20: link and www-authenticate: several values
--- config
location /t {
    proxy_wasm headers 'response.add link </a>; response.add link </b>; response.add www-authenticate Basic; response.add www-authenticate Bearer';
    return 401;
}
--- request
GET /t
--- error_code: 401
--- raw_response_headers_like eval
qr/link: <\/a>\r\n(?:.*\r\n)*?link: <\/b>\r\n(?:.*\r\n)*?www-authenticate: Basic\r\n(?:.*\r\n)*?www-authenticate: Bearer\r\n/



=== TEST 21: framing is nginx's own: transfer-encoding, keep-alive and connection of a guest are not sent
--- config
location /t {
    proxy_wasm headers 'response.replace transfer-encoding identity; response.add keep-alive timeout=99; response.add connection x-secret; response.add x-last 1';
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
!Transfer-Encoding
!Keep-Alive
x-last: 1
--- raw_response_headers_unlike: x-secret
--- response_body
ok
--- error_log eval
[qr/\[warn\] .*"transfer-encoding" is nginx's own/, qr/\[warn\] .*"connection" is nginx's own/]



=== TEST 22: connection: close ends the connection
--- config
location /t {
    proxy_wasm headers 'response.replace connection close';
    return 200 "ok\n";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\n\r\n"
--- response_headers
Connection: close



=== TEST 23: more headers than one part of nginx's list holds
--- config
location /t {
    proxy_wasm headers '
        response.add x-n a; response.add x-n b; response.add x-n c; response.add x-n d; response.add x-n e; response.add x-n f
        response.add x-n g; response.add x-n h; response.add x-n i; response.add x-n j; response.add x-n k; response.add x-n l
        response.add x-n m; response.add x-n n; response.add x-n o; response.add x-n p; response.add x-n q; response.add x-n r
        response.add x-n s; response.add x-n t; response.add x-n u; response.add x-n v; response.add x-n w; response.add x-n x
        response.add x-m 1; response.replace x-m 2; response.remove x-up';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_headers eval
"x-n: " . CORE::join(', ', 'a' .. 'x') . "\nx-m: 2\n!x-up\nETag: \"up\""



=== TEST 90: set-pairs: what has no effect does not keep the other pairs from theirs
--- config
location /t {
    proxy_wasm probe '@response set-pairs response connection=upgrade,:path=/x,x-new=1';
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-new: 1
--- response_body
ok
--- error_log eval
[qr/\[warn\] .*response header "connection" is nginx's own and was not set \(and 1 more\)/]
