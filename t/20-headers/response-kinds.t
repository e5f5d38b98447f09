# :status, when response headers can be reached, and filters on all the kinds of responses that nginx makes.

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

=== TEST 1: :status: get and replace
--- config
location /t {
    proxy_wasm probe '@response get response :status; @response replace response :status 201; @response get response :status';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 201
--- response_headers
x-probe-result: get response :status -> 0 200 | replace response :status 201 -> 0 | get response :status -> 0 201
--- response_body
ok



=== TEST 2: :status: the access log has the new one
--- config
location /t {
    proxy_wasm headers 'response.replace :status 418';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 418
--- access_log eval
qr{"GET /t HTTP/1\.1" 418 }



=== TEST 3: :status: of a proxied response, its reason phrase goes
--- config
location /t {
    proxy_wasm headers 'response.replace :status 404';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- error_code: 404
--- raw_response_headers_like eval
qr/\AHTTP\/1\.1 404 Not Found\r\n/
--- response_body
upstream



=== TEST 4: :status cannot be removed, and an addition replaces it
--- config
location /t {
    proxy_wasm probe '@response remove response :status; @response add response :status 202';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 202



=== TEST 5: the request headers can still be read, and what the filter changed is seen
--- config
location /t {
    proxy_wasm probe 'replace request x-one changed; @response get request x-one; @response get request :path';
    return 200 "ok\n";
}
--- request
GET /t
--- more_headers
x-one: 1
--- response_headers
x-probe-result: get request x-one -> 0 changed | get request :path -> 0 /t



=== TEST 6: there are no response headers in on_request_headers
--- config
location /t {
    proxy_wasm probe 'get response x-one; pairs response; size response; add response x-one 1; replace response x-one 1; remove response x-one; set-pairs response x-one=1; report';
    return 200;
}
--- request
GET /t
--- response_body
get response x-one -> 1
pairs response -> 1
size response -> 1 0
add response x-one 1 -> 2
replace response x-one 1 -> 2
remove response x-one -> 2
set-pairs response x-one=1 -> 2



=== TEST 7: maps that are not there now: NotFound to read, BadArgument to write
--- config
location /t {
    proxy_wasm probe 'get request-trailers a; get call a; pairs grpc-initial; add response-trailers a 1; replace call-trailers a 1; remove grpc-trailing a; report';
    return 200;
}
--- request
GET /t
--- response_body
get request-trailers a -> 1
get call a -> 1
pairs grpc-initial -> 1
add response-trailers a 1 -> 2
replace call-trailers a 1 -> 2
remove grpc-trailing a -> 2



=== TEST 8: a static file
--- config
proxy_wasm headers 'response.add x-one 1; response.replace content-type text/x-test';
--- user_files
>>> a.txt
content
--- request
GET /a.txt
--- response_headers
x-one: 1
Content-Type: text/x-test
Content-Length: 8
--- response_body
content



=== TEST 9: HEAD: the same headers and no body
--- config
proxy_wasm headers 'response.add x-one 1';
--- user_files
>>> a.txt
content
--- request
HEAD /a.txt
--- response_headers
x-one: 1
Content-Length: 8
--- response_body:



=== TEST 10: 304: the filter's header is there
--- config
proxy_wasm headers 'response.add x-one 1';
--- user_files
>>> a.txt 199801171935.33
content
--- request
GET /a.txt
--- more_headers
If-Modified-Since: Sat, 17 Jan 1998 19:35:33 GMT
--- error_code: 304
--- response_headers
x-one: 1
!Content-Length



=== TEST 11: 304: nginx has decided before the filters see it
--- config
proxy_wasm probe '@response get response :status; @response get response content-length';
--- user_files
>>> a.txt 199801171935.33
content
--- request
GET /a.txt
--- more_headers
If-Modified-Since: Sat, 17 Jan 1998 19:35:33 GMT
--- error_code: 304
--- response_headers
x-probe-result: get response :status -> 0 304 | get response content-length -> 1



=== TEST 12: 412: the filters see nginx's error page, once
--- config
proxy_wasm probe '@response get response :status';
--- user_files
>>> a.txt 199801171935.33
content
--- request
GET /a.txt
--- more_headers
If-Unmodified-Since: Sat, 17 Jan 1998 19:35:32 GMT
--- error_code: 412
--- response_headers
x-probe-result: get response :status -> 0 412



=== TEST 13: 204
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1';
    return 204;
}
--- request
GET /t
--- error_code: 204
--- response_headers
x-one: 1
--- response_body:



=== TEST 14: a redirect that nginx itself makes for a folder
--- config
proxy_wasm headers 'response.add x-one 1';
absolute_redirect off;
--- user_files
>>> folder/a.txt
--- request
GET /folder
--- error_code: 301
--- response_headers
x-one: 1
Location: /folder/



=== TEST 15: an error page of nginx
--- config
proxy_wasm headers 'response.add x-one 1';
--- request
GET /nothing-here
--- error_code: 404
--- response_headers
x-one: 1
--- response_body_like: 404 Not Found



=== TEST 16: an error of the upstream
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2;
}
--- request
GET /t
--- error_code: 502
--- response_headers
x-one: 1
--- error_log
Connection refused



=== TEST 17: a bad request of the client, before any location
--- config
proxy_wasm headers 'response.add x-one 1';
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"
--- error_code: 400
--- response_headers
!x-one



=== TEST 18: several requests on one connection, each with its own headers
--- config
location /a {
    proxy_wasm headers 'response.add x-one %{x-n}a';
    return 200 "a\n";
}
location /b {
    proxy_wasm headers 'response.add x-one %{x-n}b';
    return 200 "b\n";
}
location /c {
    return 200 "c\n";
}
--- pipelined_requests eval
["GET /a", "GET /b", "GET /c", "GET /a"]
--- more_headers
x-n: 7
--- response_headers eval
["x-one: 7a", "x-one: 7b", "!x-one", "x-one: 7a"]
--- response_body eval
["a\n", "b\n", "c\n", "a\n"]



=== TEST 19: add_header of nginx sees the status of the filter, and comes beside the filter's headers
--- config
location /t {
    proxy_wasm headers 'response.replace :status 201; response.add x-one filter';
    add_header x-one nginx;
    add_header x-status $status;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- error_code: 201
--- response_headers
x-one: filter, nginx
x-status: 201



=== TEST 20: $sent_http_NAME shows the filter's header
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1';
    add_header x-copy $sent_http_x_one;
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-copy: 1
