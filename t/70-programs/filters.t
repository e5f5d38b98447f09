# Programs among nginx's other parts: Proxy-Wasm filters before and behind them, compression, sub-requests, access rules.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module program $TEST_NGINX_GUESTS/rust-program.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module bodies  $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module other   $TEST_NGINX_GUESTS/rust-bodies.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a filter changes what the program is told, and what it answers
--- config
location /p/ {
    proxy_wasm headers 'request.add x-new filter; request.replace x-a changed; request.remove x-b; response.add x-told yes; response.remove x-secret';
    wasm_cgi program;
}
--- more_headers
x-a: client
x-b: client
--- request eval
["GET /p/env?name=HTTP_X_NEW&name=HTTP_X_A&name=HTTP_X_B", "GET /p/say?Content-Type:%20text/x%0aX-Secret:%20s%0a%0asaid%0a"]
--- response_body eval
["HTTP_X_NEW=filter\nHTTP_X_A=changed\nHTTP_X_B is not set\n", "said\n"]
--- response_headers eval
["x-told: yes", "x-told: yes\n! X-Secret"]



=== TEST 2: a filter refuses: the program does not run
--- config
location /p/ {
    proxy_wasm headers 'deny /p/stderr 403';
    wasm_cgi program;
}
--- request eval
["GET /p/stderr", "POST /p/stderr\nbody"]
--- error_code eval
[403, 403]
--- response_body_like eval
["denied by rust", "denied by rust"]
--- no_error_log
first line



=== TEST 3: a filter changes the body on its way in
--- config
location /on/  { proxy_wasm bodies 'quiet; request-body upper; request-end append !'; wasm_cgi program; wasm_request_buffering on; }
location /off/ { proxy_wasm bodies 'quiet; request-body upper'; wasm_cgi program; wasm_request_buffering off; }
--- request eval
["POST /on/echo\nhello", "POST /off/echo\nhello"]
--- response_body eval
["HELLO!", "HELLO"]



=== TEST 4: the program is told how long the changed body is
--- config
location /on/ { proxy_wasm bodies 'quiet; request-body hold-until-end; request-end append 12345'; wasm_cgi program; wasm_request_buffering on; }
--- request
POST /on/env?name=CONTENT_LENGTH
hello
--- response_body
CONTENT_LENGTH=10



=== TEST 5: a large body, held until its end
--- config
location /p/ {
    client_body_buffer_size 1k;
    proxy_wasm bodies 'quiet; request-body hold-until-end; request-end append !';
    wasm_cgi program;
}
--- request eval
"POST /p/count\n" . 'x' x 200_000
--- response_body_like: ^200001 bytes,



=== TEST 6: a filter changes the body on its way out
--- config
location /p/ { proxy_wasm bodies 'quiet; response-headers remove response content-length; response-body upper; response-end append !'; wasm_cgi program; }
--- request eval
["GET /p/hello", "GET /p/large?n=100000&piece=10000&length", "GET /p/drip?n=3&ms=2"]
--- response_body eval
["HELLO\n!", CORE::join('', map { $_ x 10_000 } 'A' .. 'J') . '!', "LINE 1\nLINE 2\nLINE 3\n!"]
--- response_headers eval
[('! Content-Length') x 3]



=== TEST 7: a filter holds the answer
--- config
location /p/ { proxy_wasm bodies 'quiet; response-body hold-until-end; response-end replace held'; wasm_cgi program; }
--- request
GET /p/drip?n=5&ms=2
--- response_body chomp
held



=== TEST 8: a filter pauses the request until a tick, then the program runs
--- config
location /p/ { proxy_wasm bodies 'tick 20; request-headers hold; request-headers at-tick resume'; wasm_cgi program; }
--- request
POST /p/echo
waited
--- response_body chomp
waited



=== TEST 9: a filter answers in place of the program's answer
--- config
location /p/ { proxy_wasm bodies 'quiet; response-headers respond 418 instead'; wasm_cgi program; }
--- request
GET /p/hello
--- error_code: 418
--- response_body chomp
instead



=== TEST 10: a filter sees what a failed program's client gets
--- config
error_page 502 /sorry;
location /sorry { return 200 "sorry\n"; }
location /p/ { proxy_wasm headers 'response.add x-filter yes'; wasm_cgi program; }
--- request
GET /p/trap
--- error_code: 502
--- response_body
sorry
--- error_log
wasm program "program"



=== TEST 11: compression
--- config
gzip on;
gzip_types text/plain;
gzip_min_length 1;
location /p/ { wasm_cgi program; }
--- more_headers
Accept-Encoding: gzip
--- request
GET /p/large?n=100000&length
--- response_headers
Content-Encoding: gzip
! Content-Length
--- response_body_like eval
qr/^\x1f\x8b/



=== TEST 12: a program that has compressed its answer itself
--- config
gzip on;
gzip_types text/plain;
gzip_min_length 1;
location /p/ { wasm_cgi program; }
--- more_headers
Accept-Encoding: gzip
--- request
GET /p/say?Content-Type:%20text/plain%0aContent-Encoding:%20br%0a%0aabcabcabcabcabcabcabcabcabcabcabc
--- response_headers
Content-Encoding: br
--- response_body chomp
abcabcabcabcabcabcabcabcabcabcabc



=== TEST 13: parts of a page are programs
--- config
location /page.html { ssi on; root $TEST_NGINX_HTML_DIR; }
location /p/ { wasm_cgi program; }
--- user_files
>>> page.html
[<!--#include virtual="/p/hello" -->]
[<!--#include virtual="/p/drip?n=3&ms=2" -->]
[<!--#include virtual="/p/env?name=REQUEST_METHOD&name=QUERY_STRING&name=PATH_INFO" -->]
[<!--#include virtual="/p/large?n=30&piece=10" -->]
--- request
GET /page.html
--- response_body
[hello
]
[line 1
line 2
line 3
]
[REQUEST_METHOD=GET
QUERY_STRING=name=REQUEST_METHOD&name=QUERY_STRING&name=PATH_INFO
PATH_INFO=/env
]
[aaaaaaaaaabbbbbbbbbbcccccccccc]



=== TEST 14: a part that fails leaves the others
--- config
location /page.html { ssi on; root $TEST_NGINX_HTML_DIR; }
location /p/ { wasm_cgi program; }
--- user_files
>>> page.html
[<!--#include virtual="/p/hello" -->][<!--#include virtual="/p/trap" -->][<!--#include virtual="/p/cookies" -->]
--- request
GET /page.html
--- response_body_like
(?s)^\[hello\n\]\[.*502 Bad Gateway.*\]\[cookies\n\]\n?$
--- error_log
wasm program "program"



=== TEST 15: a program writes a page with parts
--- config
location /p/ { ssi on; ssi_types text/plain; wasm_cgi program; }
location /part { return 200 part; }
--- request
GET /p/say?Content-Type:%20text/plain%0a%0a[%3C!--%23include%20virtual=%22/part%22%20--%3E]
--- response_body chomp
[part]



=== TEST 16: a program decides whether a client may come in
--- config
location /guarded {
    auth_request /auth;
    root $TEST_NGINX_HTML_DIR;
}
location = /auth { internal; wasm_cgi program; wasm_arg status; wasm_env QUERY_STRING $http_x_key; }
--- user_files
>>> guarded
come in
--- more_headers eval
["X-Key: 200", "X-Key: 403", "X-Key: 401", "X-Key: 204"]
--- request eval
[("GET /guarded") x 4]
--- error_code eval
[200, 403, 401, 200]
--- response_body_like eval
["^come in\$", "403 Forbidden", "401 Authorization Required", "^come in\$"]



=== TEST 17: and one that fails lets nobody in
--- config
location /guarded { auth_request /auth; root $TEST_NGINX_HTML_DIR; }
location = /auth { internal; wasm_cgi program; wasm_arg trap; }
--- user_files
>>> guarded
come in
--- request
GET /guarded
--- error_code: 500
--- error_log
wasm program "program"



=== TEST 18: the request's body is still there behind such a program
--- config
location /guarded/ {
    auth_request /auth;
    wasm_cgi program;
}
location = /auth { internal; wasm_cgi program; wasm_arg status; wasm_env QUERY_STRING 200; }
--- request
POST /guarded/echo
the body
--- response_body chomp
the body



=== TEST 19: access rules come first
--- config
location /p/ { deny all; wasm_cgi program; }
--- request
GET /p/stderr
--- error_code: 403
--- no_error_log
first line



=== TEST 20: nginx's error pages are programs
--- config
error_page 404 /e/status?404%20Not%20here;
location /e/ { internal; wasm_cgi program; }
--- request
GET /nothing
--- error_code: 404
--- response_body
status 404 Not here



=== TEST 21: requests that are copied to a program
--- config
location /copied { mirror /copy/stderr; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/p/hello; }
location /copy/ { internal; wasm_cgi program; }
location /p/ { wasm_cgi program; }
--- request
GET /copied
--- response_body
hello
--- error_log
wasm program "program": first line



=== TEST 22: a program behind a proxy that keeps what it says
--- http_config
proxy_cache_path $TEST_NGINX_SERVER_ROOT/cache keys_zone=kept:1m;
--- config
location /cached/ {
    proxy_cache kept;
    proxy_cache_valid 200 1h;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/p/;
    add_header X-Cache $upstream_cache_status;
}
location /p/ { wasm_cgi program; }
--- request eval
[("GET /cached/random") x 2]
--- response_headers eval
["X-Cache: MISS", "X-Cache: HIT"]
--- response_body_like eval
[('^[0-9a-f]{16}$') x 2]



=== TEST 23: a program whose answer is searched for words
--- config
location /p/ {
    sub_filter_types text/plain;
    sub_filter hello goodbye;
    wasm_cgi program;
}
--- request
GET /p/hello
--- response_body
goodbye
