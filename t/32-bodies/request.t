# Bodies of requests: whole, changed, in memory, in nginx's temporary file; what reaches the upstream.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module bodies    $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module go        $TEST_NGINX_GUESTS/go-headers.wasm;
    module as        $TEST_NGINX_GUESTS/assemblyscript-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a body with content-length is shown, and reaches the upstream as it is
--- config
location /t {
    proxy_wasm bodies 'request-body show';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

hello
--- error_log
wasm "bodies": request-headers 1,
wasm "bodies": request-body 5 end,
wasm "bodies": request-body body "hello"



=== TEST 2: a body in chunks
--- config
location /t {
    proxy_wasm bodies 'request-end show; request-body hold-until-end';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
--- response_body
POST /echo HTTP/1.0
Content-Length: 11

hello world
--- error_log
wasm "bodies": request-body body "hello world"



=== TEST 3: HTTP/2
--- http2
--- config
location /t {
    proxy_wasm bodies 'request-end show; request-body hold-until-end; request-end append  there';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 10

hellothere
--- error_log
wasm "bodies": request-body body "hello"



=== TEST 4: a request without a body: the headers end the stream, and there is no callback about a body
--- config
location /t {
    proxy_wasm bodies 'request-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
GET /t
--- response_body_like
^GET /echo HTTP/1.0
--- error_log
wasm "bodies": request-headers 1 end,
--- no_error_log
request-body



=== TEST 5: a body of no bytes
--- config
location /t {
    proxy_wasm bodies 'request-body append was empty';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
--- response_body
POST /echo HTTP/1.0
Content-Length: 9

was empty
--- error_log
wasm "bodies": request-body 0 end



=== TEST 6: a larger body: the upstream gets its length
--- config
location /t {
    proxy_wasm bodies 'request-body prepend <<; request-end append >>';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 9

<<hello>>



=== TEST 7: a smaller one
--- config
location /t {
    proxy_wasm bodies 'request-body range 1 3 -';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 3

h-o



=== TEST 8: no bytes left
--- config
location /t {
    proxy_wasm bodies 'request-body replace';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body eval
"POST /echo HTTP/1.0\nContent-Length: 0\n\n\n"



=== TEST 9: the filter itself removed content-length: the upstream still gets the length of what is sent
--- config
location /t {
    proxy_wasm bodies 'request-headers remove request content-length; request-body upper; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 6

HELLO!



=== TEST 10: a body that nginx keeps in its temporary file is changed on the way there
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm bodies 'request-body upper; request-body sum';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request eval
"POST /t\n" . ('abcdefghij' x 5000)
--- response_body eval
"POST /echo HTTP/1.0\nContent-Length: 50000\n\n" . ('ABCDEFGHIJ' x 5000) . "\n"
--- error_log
a client request body is buffered to a temporary file
request-body sum 50000



=== TEST 11: held to the end, then replaced by a smaller one: memory is enough
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm bodies 'request-body hold-until-end; request-end size; request-end replace small';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request eval
"POST /t\n" . ('abcdefghij' x 5000)
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

small
--- error_log
request-body holds 50000
--- no_error_log
temporary file



=== TEST 12: client_body_in_file_only: the file has what the filters made of the body
--- config
location /t {
    client_body_in_file_only clean;
    proxy_wasm bodies 'request-body upper; request-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 6

HELLO!



=== TEST 13: client_body_in_single_buffer and $request_body
--- config
location /t {
    client_body_in_single_buffer on;
    proxy_wasm bodies 'request-body upper; request-end append !';
    proxy_set_header x-body $request_body;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 6
x-body: HELLO!

HELLO!



=== TEST 14: return answers when the body has been shown
--- config
location /t {
    proxy_wasm bodies 'request-body show';
    return 200 "ok\n";
}
--- request
POST /t
hello
--- response_body
ok
--- error_log
wasm "bodies": request-body body "hello"



=== TEST 15: a static file too
--- config
location /t.txt {
    proxy_wasm bodies 'request-body show';
    error_page 405 =200 $uri;
}
--- user_files
>>> t.txt
file
--- request
POST /t.txt
hello
--- response_body
file
--- error_log
wasm "bodies": request-body body "hello"



=== TEST 16: a filter answers when it finds a word; the handler does not run
--- config
location /t {
    proxy_wasm bodies 'request-body hold-until-end; request-end respond-if evil 403 no';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
this is evil
--- error_code: 403
--- response_headers
x-answered: request-body
--- response_body chomp
no



=== TEST 17: and does not when it finds none
--- config
location /t {
    proxy_wasm bodies 'request-body hold-until-end; request-end respond-if evil 403 no';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
this is good
--- response_body
POST /echo HTTP/1.0
Content-Length: 12

this is good



=== TEST 18: headers can be changed in a callback about the body
--- config
location /t {
    proxy_wasm bodies 'request-end set request x-seen yes';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- response_body
POST /echo HTTP/1.0
Content-Length: 5
x-seen: yes

hello



=== TEST 19: a second request behind a body stays intact
--- config
location /t {
    proxy_wasm bodies 'request-body hold-until-end; request-end replace xx';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- pipelined_requests eval
["POST /t\nhello", "POST /t\nhello world", "GET /t"]
--- response_body eval
["POST /echo HTTP/1.0\nContent-Length: 2\n\nxx\n", "POST /echo HTTP/1.0\nContent-Length: 2\n\nxx\n", "GET /echo HTTP/1.0\n\n\n"]



=== TEST 20: and behind one that a filter answered when all of it had come
--- config
location /t {
    proxy_wasm bodies 'request-end respond 200 answered';
    return 200 "plain";
}
--- pipelined_requests eval
["POST /t\nhello", "POST /t\nhello", "GET /t"]
--- response_body eval
["answered", "answered", "plain"]



=== TEST 21: Expect: 100-continue
--- config
location /t {
    proxy_wasm bodies 'request-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
["POST /t HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "hello"]
--- raw_request_middle_delay: 0
--- ignore_response
--- error_log
wasm "bodies": request-body 5 end



=== TEST 22: a body larger than client_max_body_size is not for filters
--- config
location /t {
    client_max_body_size 10;
    proxy_wasm bodies 'request-body show';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello, this is too much
--- error_code: 413
--- no_error_log
request-body



=== TEST 23: a broken chunk
--- config
location /t {
    proxy_wasm bodies 'request-body show';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\nzz\r\n world\r\n0\r\n\r\n"
--- error_code: 400
--- error_log
wasm "bodies": log 0 end



=== TEST 24: a trap in on_request_body is 503
--- config
location /t {
    proxy_wasm bodies 'request-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- request
POST /t
hello
--- error_code: 503
--- error_log
panicked
told to trap in request-body
--- expects_crit
wasm "bodies": panicked at
wasm filter "bodies": failed to call function: proxy_on_request_body



=== TEST 25: trailers of a request are thrown away by nginx: there is no callback about them
--- config
location /t {
    proxy_wasm bodies 'request-trailers trap; request-end show';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

hello



=== TEST 26: close_stream ends the connection without a response
--- config
location /t {
    proxy_wasm bodies 'request-body close; log get response :status';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
--- ignore_response
--- raw_response_headers_unlike: HTTP
--- access_log
"POST /t HTTP/1.1" 444
