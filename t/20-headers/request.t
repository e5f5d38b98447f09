# Request headers: what filters read and write, what nginx itself makes of a change (variables, the upstream's request).
# Lists of many headers are in request-list.t, pseudo-headers in request-pseudo.t, values that nginx must not send in
# refused.t.

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
    location / {
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

=== TEST 1: get: the name is compared without regard to case
--- config
location /t {
    proxy_wasm probe 'get request X-One; get request x-one; get request x-ONE; report';
    return 200;
}
--- request
GET /t
--- more_headers
x-One: 1
--- response_body
get request X-One -> 0 1
get request x-one -> 0 1
get request x-ONE -> 0 1



=== TEST 2: get: of several values the first
--- config
location /t {
    proxy_wasm probe 'get request x-one; report';
    return 200;
}
--- request
GET /t
--- more_headers
x-one: first
x-one: second
--- response_body
get request x-one -> 0 first



=== TEST 3: get: a header that is not there
--- config
location /t {
    proxy_wasm probe 'get request x-one; get request ; report';
    return 200;
}
--- request
GET /t
--- response_body
get request x-one -> 1
get request -> 1



=== TEST 4: get: a header without a value
--- config
location /t {
    proxy_wasm probe 'get request x-one; report';
    return 200;
}
--- request
GET /t
--- more_headers
x-one:
--- response_body
get request x-one -> 0



=== TEST 5: get: bytes that are no UTF-8
--- config
location /t {
    proxy_wasm probe 'get request x-one; report';
    return 200;
}
--- request
GET /t
--- more_headers eval
"x-one: \xff\xfe\x80"
--- response_body
get request x-one -> 0 \xff\xfe\x80



=== TEST 6: a name of which another is the beginning
--- config
location /t {
    proxy_wasm probe 'get request x-on; get request x-one-more; report';
    return 200;
}
--- request
GET /t
--- more_headers
x-one: 1
--- response_body
get request x-on -> 1
get request x-one-more -> 1



=== TEST 7: pairs: pseudo-headers first, names in lower case, values of one name in order, no host beside :authority
--- config
location /t {
    proxy_wasm probe 'pairs request; report';
    return 200;
}
--- raw_request eval
"GET /t?a=1 HTTP/1.1\r\nX-One: 1\r\nHost: localhost\r\nX-Two: 2\r\nx-one: 3\r\nConnection: close\r\n\r\n"
--- response_body
pairs request -> 0 :authority=localhost,:path=/t?a=1,:method=GET,:scheme=http,x-one=1,x-two=2,x-one=3,connection=close



=== TEST 8: pairs: the size is that of the pairs
--- config
location /t {
    proxy_wasm probe 'size request; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- response_body eval
my @pairs = (':authority', 'localhost', ':path', '/t', ':method', 'GET', ':scheme', 'http', 'connection', 'close');
my $size = 4;
$size += length($_) + 5 for @pairs;
"size request -> 0 $size\n"



=== TEST 9: HTTP/1.0 without Host: :authority is there, and empty
--- config
location /t {
    proxy_wasm probe 'pairs request; get request :authority; get request host; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.0\r\nX-One: 1\r\n\r\n"
--- response_body
pairs request -> 0 :authority=,:path=/t,:method=GET,:scheme=http,x-one=1
get request :authority -> 0
get request host -> 0



=== TEST 10: add: one more value; the upstream gets both
--- config
location /t {
    proxy_wasm probe 'add request x-one 2';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/headers;
}
--- request
GET /t
--- more_headers
x-one: 1
--- response_body_like
,x-one=1,x-one=2$



=== TEST 11: replace: one value instead of all
--- config
location /t {
    proxy_wasm probe 'replace request X-One 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/headers;
}
--- request
GET /t
--- more_headers
x-one: 1
x-one: 2
--- response_body_like
^(?!.*x-one=[12]).*,x-one=3$



=== TEST 12: replace: a header that was not there
--- config
location /t {
    proxy_wasm probe 'replace request x-one 3';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/headers;
}
--- request
GET /t
--- response_body_like
,x-one=3$



=== TEST 13: remove: all values; a header that is not there is no error
--- config
location /t {
    proxy_wasm probe 'remove request X-ONE; remove request x-two; pairs request';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/headers;
}
--- request
GET /t
--- more_headers
x-one: 1
x-one: 2
--- response_body_unlike
x-one
--- error_log
probe: remove request X-ONE -> 0
probe: remove request x-two -> 0



=== TEST 14: set-pairs: these headers alone
--- config
location /t {
    proxy_wasm probe 'set-pairs request x-new=1,x-new=2,x-two=3; pairs request; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nX-Two: 2\r\nConnection: close\r\n\r\n"
--- response_body
set-pairs request x-new=1,x-new=2,x-two=3 -> 0
pairs request -> 0 :authority=localhost,:path=/t,:method=GET,:scheme=http,x-new=1,x-new=2,x-two=3



=== TEST 15: set-pairs: pseudo-headers among them
--- config
location /t {
    proxy_wasm probe 'set-pairs request :path=/u?b=2,:method=PUT,:authority=other,x-new=1; pairs request; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- response_body
set-pairs request :path=/u?b=2,:method=PUT,:authority=other,x-new=1 -> 0
pairs request -> 0 :authority=other,:path=/u?b=2,:method=PUT,:scheme=http,x-new=1



=== TEST 16: set-pairs: no pairs at all
--- config
location /t {
    proxy_wasm probe 'set-pairs request ; pairs request; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nConnection: close\r\n\r\n"
--- response_body
set-pairs request -> 0
pairs request -> 0 :authority=localhost,:path=/t,:method=GET,:scheme=http



=== TEST 17: a filter sees what the one before it did
--- config
location /t {
    proxy_wasm probe 'replace request x-one changed; remove request x-two';
    proxy_wasm probe 'get request x-one; get request x-two; report';
    return 200;
}
--- request
GET /t
--- more_headers
x-one: 1
x-two: 2
--- response_body
get request x-one -> 0 changed
get request x-two -> 1



=== TEST 18: variables of nginx show the change
--- config
location /t {
    proxy_wasm probe 'replace request x-one changed; replace request user-agent nobody; add request referer here; remove request x-two';
    return 200 "$http_x_one, $http_user_agent, $http_referer, [$http_x_two]\n";
}
--- request
GET /t
--- more_headers
x-one: 1
x-two: 2
User-Agent: somebody
--- response_body
changed, nobody, here, []



=== TEST 19: Cookie: $http_cookie and $cookie_NAME follow every change
--- config
location /add {
    proxy_wasm probe 'add request cookie c=3';
    return 200 "$http_cookie, $cookie_a$cookie_b$cookie_c\n";
}
location /replace {
    proxy_wasm probe 'replace request cookie c=3';
    return 200 "$http_cookie, $cookie_a$cookie_b$cookie_c\n";
}
location /remove {
    proxy_wasm probe 'remove request cookie';
    return 200 "[$http_cookie], $cookie_a$cookie_b$cookie_c\n";
}
location /again {
    proxy_wasm probe 'remove request cookie; add request cookie d=4; add request cookie e=5';
    return 200 "$http_cookie, $cookie_a$cookie_b$cookie_d$cookie_e\n";
}
--- more_headers
Cookie: a=1
Cookie: b=2
--- request eval
["GET /add", "GET /replace", "GET /remove", "GET /again"]
--- response_body eval
["a=1; b=2; c=3, 123\n", "c=3, 3\n", "[], \n", "d=4; e=5, 45\n"]



=== TEST 20: X-Forwarded-For: $proxy_add_x_forwarded_for follows every change
--- config
location /add {
    proxy_wasm probe 'add request x-forwarded-for 192.0.2.3';
    return 200 "$proxy_add_x_forwarded_for\n";
}
location /replace {
    proxy_wasm probe 'replace request X-Forwarded-For 192.0.2.3';
    return 200 "$proxy_add_x_forwarded_for\n";
}
location /remove {
    proxy_wasm probe 'remove request x-forwarded-for';
    return 200 "$proxy_add_x_forwarded_for\n";
}
--- more_headers
X-Forwarded-For: 192.0.2.1
X-Forwarded-For: 192.0.2.2
--- request eval
["GET /add", "GET /replace", "GET /remove"]
--- response_body eval
["192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1\n", "192.0.2.3, 127.0.0.1\n", "127.0.0.1\n"]



=== TEST 21: Authorization: basic authentication takes the filter's word
--- user_files
>>> users
user:{PLAIN}pass
--- config
location /t {
    proxy_wasm probe 'replace request authorization Basic dXNlcjpwYXNz';
    auth_basic test;
    auth_basic_user_file $TEST_NGINX_HTML_DIR/users;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;
}
--- request
GET /t
--- error_code: 200



=== TEST 22: If-None-Match and Range: a filter that removes them gets the whole file
--- config
location /t.txt {
    proxy_wasm probe 'remove request range; remove request if-modified-since';
}
--- user_files
>>> t.txt
0123456789
--- request
GET /t.txt
--- more_headers
Range: bytes=0-3
If-Modified-Since: Fri, 31 Dec 2099 00:00:00 GMT
--- response_body
0123456789
--- error_code: 200



=== TEST 23: headers of a body: content-length and content-type are those of the request
--- config
location /t {
    proxy_wasm probe 'get request content-length; get request content-type; report';
    return 200;
}
--- request
POST /t
hello
--- more_headers
Content-Type: text/x-test
--- response_body
get request content-length -> 0 5
get request content-type -> 0 text/x-test



=== TEST 24: the body passes unchanged beside a changed header
--- config
location /t {
    proxy_wasm probe 'add request x-one 1';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/echo;
}
location /echo {
    client_body_in_single_buffer on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/last;
    add_header x-body $request_body;
}
location /last { return 200; }
--- request
POST /t
hello
--- response_headers
x-body: hello



=== TEST 25: nothing of one request stays for the next of the connection
--- config
location /t {
    proxy_wasm probe 'get request x-left; add request x-left over; replace request :path /x; replace request :method PUT; get request x-left';
}
location /x {
    return 200 "$uri\n";
}
location /u {
    proxy_wasm probe 'get request x-left; get request :path; get request :method; report';
    return 200;
}
--- pipelined_requests eval
["GET /t", "GET /u"]
--- response_body eval
["/x\n", "get request x-left -> 1\nget request :path -> 0 /u\nget request :method -> 0 GET\n"]



=== TEST 90: set-pairs: what has no effect does not keep the other pairs from theirs
--- config
location /t {
    proxy_wasm probe 'set-pairs request :scheme=https,:protocol=websocket,:path=/u,x-new=1; pairs request; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nConnection: close\r\n\r\n"
--- response_body
set-pairs request :scheme=https,:protocol=websocket,:path=/u,x-new=1 -> 0
pairs request -> 0 :authority=localhost,:path=/u,:method=GET,:scheme=http,x-new=1
--- error_log eval
[qr/\[warn\] .*a change of :scheme has no effect .* \(and 1 more\)/]
