# Pseudo-headers of requests (:authority, :path, :method, :scheme): what filters read and write, and what nginx makes of a
# change: variables, locations, the upstream's request. What a changed method means for the response is in framing.t.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module probe   $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
}
CONF
    # An upstream that shows what it gets.
    $block->set_value(http_config => <<'CONF') unless $block->http_config;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location ~ ^/ {
        return 200 "$request_method $request_uri $http_host\n";
    }
    location /headers {
        proxy_wasm probe 'pairs request; report';
        return 200;
    }
}
CONF
});

run_tests();

__DATA__

=== TEST 1: host: :authority and host are one; $host and $http_host follow
--- config
location /t {
    proxy_wasm probe 'get request :authority; get request host; replace request :authority Other.example:8080; get request host; get request :authority';
    return 200 "$host $http_host\n";
}
--- request
GET /t
--- more_headers
Host: First.example:81
--- response_body
other.example Other.example:8080
--- error_log
probe: get request :authority -> 0 First.example:81
probe: get request host -> 0 First.example:81
probe: get request host -> 0 Other.example:8080
probe: get request :authority -> 0 Other.example:8080



=== TEST 2: host: an IPv6 address with and without a port
--- config
location /port {
    proxy_wasm probe 'replace request host [::1]:8080';
    return 200 "$host\n";
}
location /none {
    proxy_wasm probe 'replace request host [::1]';
    return 200 "$host\n";
}
--- request eval
["GET /port", "GET /none"]
--- response_body eval
["[::1]\n", "[::1]\n"]



=== TEST 3: host: proxy_set_header Host $host takes the new one
--- config
location /t {
    proxy_wasm probe 'replace request :authority other.example';
    proxy_set_header Host $host;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_body
GET /t other.example



=== TEST 4: host: it cannot be removed as :authority, and leaves the upstream as a header
--- config
location /t {
    proxy_wasm probe 'remove request :authority; get request :authority; report';
    return 200;
}
--- request
GET /t
--- more_headers
Host: some.example
--- response_body
remove request :authority -> 0
get request :authority -> 0 some.example



=== TEST 5: :path: target of the upstream's request, $uri, $args and $request_uri
--- config
location ~ ^/ {
    proxy_wasm probe 'replace request :path /new/place?b=2';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    add_header x-uri "$uri $args $arg_b";
}
--- request
GET /t?a=1
--- response_body_like chomp
^GET /new/place\?b=2 127\.0\.0\.1:
--- response_headers
x-uri: /new/place b=2 2



=== TEST 6: :path: the location is that of the new one
--- config
location /t {
    proxy_wasm probe 'replace request :path /other';
    return 200 "t $uri\n";
}
location /other {
    return 200 "other\n";
}
--- request
GET /t
--- response_body
other



=== TEST 7: :path: with a URI in proxy_pass, what follows the location is passed on
--- config
location /t/ {
    proxy_wasm probe 'replace request :path /t/changed?b=2';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/up/;
}
--- request
GET /t/original?a=1
--- response_body_like chomp
^GET /up/changed\?b=2 127\.0\.0\.1:



=== TEST 8: :path: static files are taken by the new one
--- config
proxy_wasm probe 'replace request :path /b.txt';
--- user_files
>>> a.txt
a
>>> b.txt
b
--- request
GET /a.txt
--- response_body
b



=== TEST 9: :path: escapes and dots are decoded for $uri, and the upstream gets them as they are
--- config
location ~ ^/ {
    proxy_wasm probe 'replace request :path /a/./b/../%63%20d//e?x=%20%2F';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    add_header x-uri "$uri|$args";
}
--- request
GET /t
--- response_body_like chomp
^GET /a/\./b/\.\./%63%20d//e\?x=%20%2F 127\.0\.0\.1:
--- response_headers
x-uri: /a/c d/e|x=%20%2F



=== TEST 10: :path: without a query there are no arguments any more
--- config
location ~ ^/ {
    proxy_wasm probe 'replace request :path /plain; get request :path';
    return 200 "$uri [$args] $is_args $request_uri\n";
}
--- request
GET /t?a=1
--- response_body
/plain []  /plain



=== TEST 11: :path: a question mark with nothing behind it
--- config
location ~ ^/ {
    proxy_wasm probe 'replace request :path /plain?';
    return 200 "$uri [$args] $request_uri\n";
}
--- request
GET /t?a=1
--- response_body
/plain [] /plain?



=== TEST 12: :path: the file name's suffix decides the type of the response
--- config
proxy_wasm probe 'replace request :path /b.html';
types { text/html html; text/css css; }
--- user_files
>>> a.css
a
>>> b.html
b
--- request
GET /a.css
--- response_headers
Content-Type: text/html



=== TEST 13: :path: suffix of a path with escapes
--- config
proxy_wasm probe 'replace request :path /x/../%62.html';
types { text/html html; text/css css; }
--- user_files
>>> a.css
a
>>> b.html
b
--- request
GET /a.css
--- response_headers
Content-Type: text/html
--- response_body
b



=== TEST 14: :path: a rewrite of the location works on the new one
--- config
location /t {
    proxy_wasm probe 'replace request :path /t/new';
    rewrite ^/t/(.*)$ /r/$1 break;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t/old
--- response_body_like chomp
^GET /r/new 127\.0\.0\.1:



=== TEST 15: :path: reading it shows the client's target, escapes and all
--- config
location /t {
    proxy_wasm probe 'get request :path; report';
    return 200;
}
--- request
GET /t/%41/../b?q=%20&r
--- response_body
get request :path -> 0 /t/%41/../b?q=%20&r



=== TEST 16: :path: of an absolute URI
--- config
location /t {
    proxy_wasm probe 'get request :path; get request :authority; report';
    return 200;
}
--- raw_request eval
"GET http://abs.example/t/x?y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- response_body
get request :path -> 0 /t/x?y
get request :authority -> 0 abs.example



=== TEST 17: :path: replaced where the client sent an absolute URI without one
--- config
location ~ ^/ {
    proxy_wasm probe 'replace request :path /a/../b?x';
    return 200 "$uri $args\n";
}
--- raw_request eval
"GET http://abs.example?q HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- response_body
/b x



=== TEST 18: :method: the upstream gets the new one
--- config
location /t {
    proxy_wasm probe 'get request :method; replace request :method DELETE; get request :method';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    add_header x-method $request_method;
}
--- request
GET /t
--- response_body_like chomp
^DELETE /t 127\.0\.0\.1:
--- response_headers
x-method: DELETE
--- error_log
probe: get request :method -> 0 GET
probe: get request :method -> 0 DELETE



=== TEST 19: :method: one that nginx does not know
--- config
location /t {
    proxy_wasm probe 'replace request :method BREW';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- request
GET /t
--- response_body_like chomp
^BREW /t 127\.0\.0\.1:



=== TEST 20: :scheme is that of the connection, and cannot change
--- config
location /t {
    proxy_wasm probe 'get request :scheme; replace request :scheme http; replace request :scheme https; get request :scheme; report';
    return 200;
}
--- request
GET /t
--- response_body
get request :scheme -> 0 http
replace request :scheme http -> 0
replace request :scheme https -> 0
get request :scheme -> 0 http
--- error_log eval
qr/\[warn\] .*a change of :scheme has no effect/



=== TEST 21: a request with an unknown pseudo-header in a write does not break anything
--- config
location /t {
    proxy_wasm probe 'remove request :unknown; get request :unknown; report';
    return 200;
}
--- request
GET /t
--- response_body
remove request :unknown -> 0
get request :unknown -> 1



=== TEST 22: an absolute URI, by which nginx chooses the server, names the host for filters of subrequests too
--- config
location /t { auth_request /auth; try_files /none =204; }
location = /auth {
    proxy_wasm probe 'get request :authority; get request host; property ngx.host';
    return 204;
}
--- raw_request eval
"GET http://other.example:81/t HTTP/1.1\r\nHost: allowed.example\r\nConnection: close\r\n\r\n"
--- error_code: 204
--- error_log
get request :authority -> 0 other.example:81
get request host -> 0 other.example:81
property ngx.host -> 0 other.example



=== TEST 23: unless a filter of the subrequest says another
--- config
location /t { auth_request /auth; try_files /none =204; }
location = /auth {
    proxy_wasm probe 'replace request :authority own.example:82; get request :authority; property ngx.host';
    return 204;
}
--- raw_request eval
"GET http://other.example:81/t HTTP/1.1\r\nHost: allowed.example\r\nConnection: close\r\n\r\n"
--- error_code: 204
--- error_log
get request :authority -> 0 own.example:82
property ngx.host -> 0 own.example



=== TEST 24: or one of the request itself
--- config
location /t {
    proxy_wasm headers 'request.replace :authority own.example:82';
    auth_request /auth;
    try_files /none =204;
}
location = /auth {
    proxy_wasm probe 'get request :authority; property ngx.host';
    return 204;
}
--- raw_request eval
"GET http://other.example:81/t HTTP/1.1\r\nHost: allowed.example\r\nConnection: close\r\n\r\n"
--- error_code: 204
--- error_log
get request :authority -> 0 own.example:82
property ngx.host -> 0 own.example
