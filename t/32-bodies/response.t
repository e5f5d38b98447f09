# Bodies of responses: of each kind of handler, whole, changed, with their length right.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

our $Letters = join '', map { $_ x 4000 } 'a' .. 'j';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module bodies    $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module headers   $TEST_NGINX_HTML_DIR/headers.wat;
}
CONF
    my $files = $block->user_files // '';
    $block->set_value(user_files => <<"FILES");
$files
>>> headers.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0)))
>>> letters.txt
$::Letters
FILES
});

# Shows a compressed body as it was.
add_response_body_check(sub {
    my ($block, $body, $index, $repeated) = @_;
    my $wanted = $block->gunzipped or return;
    require IO::Uncompress::Gunzip;
    my $plain;
    IO::Uncompress::Gunzip::gunzip(\$body => \$plain) or $plain = 'no gzip';
    Test::More::is($plain, $wanted, $block->name . ' - the body after decompression');
});

run_tests();

__DATA__

=== TEST 1: return
--- config
location /t {
    proxy_wasm bodies 'response-body show';
    return 200 "hello";
}
--- request
GET /t
--- response_headers
Content-Length: 5
--- response_body chomp
hello
--- error_log
wasm "bodies": response-headers 1
wasm "bodies": response-body 5 end
response-body body "hello"



=== TEST 2: a larger one has its new length
--- config
location /t {
    proxy_wasm bodies 'response-body prepend <<; response-end append >>';
    return 200 "hello";
}
--- request
GET /t
--- response_headers
Content-Length: 9
--- response_body chomp
<<hello>>



=== TEST 3: no bytes left
--- config
location /t {
    proxy_wasm bodies 'response-body replace';
    return 200 "hello";
}
--- request
GET /t
--- response_headers
Content-Length: 0
--- response_body



=== TEST 4: no bytes to begin with: the headers end the stream
--- config
location /t {
    proxy_wasm bodies 'response-body trap';
    return 200;
}
--- request
GET /t
--- response_headers
Content-Length: 0
--- response_body
--- error_log
wasm "bodies": response-headers 1 end



=== TEST 5: a static file
--- config
proxy_wasm bodies 'response-body upper; response-body sum';
--- request
GET /letters.txt
--- response_headers
!Accept-Ranges
--- response_body eval
uc "$::Letters\n"
--- error_log
response-body sum 40001



=== TEST 6: a static file in pieces of output_buffers, held until the end
--- config
output_buffers 2 1k;
proxy_wasm bodies 'response-body hold-until-end; response-end show; response-end replace done';
--- request
GET /letters.txt
--- response_headers
Content-Length: 4
--- response_body chomp
done



=== TEST 7: each piece changed: the length is not known when the first leaves
--- config
location /t {
    proxy_wasm bodies 'response-body append !';
    proxy_buffer_size 4k;
    proxy_buffers 4 4k;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/10/4000;
}
--- request
GET /t
--- response_headers
Transfer-Encoding: chunked
--- response_body eval
qr/^a[a-j]*!(?:[a-j]*!)+$/



=== TEST 8: a proxied response, buffered, upper case
--- config
location /t {
    proxy_wasm bodies 'response-body upper; response-body sum';
    proxy_buffer_size 4k;
    proxy_buffers 4 4k;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/10/4000;
}
--- request
GET /t
--- response_body eval
uc $::Letters
--- error_log
response-body sum 40000



=== TEST 9: not buffered
--- config
location /t {
    proxy_wasm bodies 'response-body upper; response-body sum';
    proxy_buffering off;
    proxy_buffer_size 4k;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/10/4000;
}
--- request
GET /t
--- response_body eval
uc $::Letters
--- error_log
response-body sum 40000



=== TEST 10: an upstream that sends chunks
--- config
location /t {
    proxy_wasm bodies 'response-body hold-until-end; response-end upper; response-end sum';
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/chunked/10/4000;
}
--- request
GET /t
--- response_body eval
uc $::Letters
--- error_log
response-body sum 40000



=== TEST 11: an upstream that ends with the connection, not buffered
--- config
location /t {
    proxy_wasm bodies 'response-body upper; response-end append !';
    proxy_buffering off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/close/10/4000;
}
--- request
GET /t
--- response_body eval
uc($::Letters) . '!'



=== TEST 12: gzip behind the filters
--- config
gzip on;
gzip_types text/plain;
proxy_wasm bodies 'response-body upper; response-end append !';
--- request
GET /letters.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
!Content-Length
--- gunzipped eval
uc("$::Letters\n") . '!'



=== TEST 13: HEAD: the headers end the stream
--- config
proxy_wasm bodies 'response-body trap';
--- request
HEAD /letters.txt
--- response_headers
Content-Length: 40001
--- response_body
--- error_log
wasm "bodies": response-headers 1 end



=== TEST 14: HEAD of a proxied response
--- config
location /t {
    proxy_wasm bodies 'response-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/status/200;
}
--- request
HEAD /t
--- response_body
--- error_log
wasm "bodies": response-headers 1 end



=== TEST 15: 204
--- config
location /t {
    proxy_wasm bodies 'response-body trap';
    return 204;
}
--- request
GET /t
--- error_code: 204
--- response_body
--- error_log
wasm "bodies": response-headers 1 end



=== TEST 16: 304 of a static file that a filter would look at
--- config
proxy_wasm bodies 'response-body trap';
etag off;
if_modified_since before;
--- request
GET /letters.txt
--- more_headers
If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT
--- error_code: 304
--- response_body



=== TEST 17: a range is not cut out of a body that filters look at
--- config
proxy_wasm bodies 'response-body upper';
--- request
GET /letters.txt
--- more_headers
Range: bytes=0-3
--- response_headers
!Content-Range
!Accept-Ranges
--- response_body eval
uc "$::Letters\n"



=== TEST 18: but it is when they look at headers only
--- config
proxy_wasm headers;
--- request
GET /letters.txt
--- more_headers
Range: bytes=0-3
--- error_code: 206
--- response_headers
Content-Range: bytes 0-3/40001
--- response_body chomp
aaaa



=== TEST 19: an error page
--- config
location /t {
    proxy_wasm bodies 'response-body replace mine';
    return 404;
}
--- request
GET /t
--- error_code: 404
--- response_headers
Content-Length: 4
--- response_body chomp
mine



=== TEST 20: error_page with a page of its own
--- config
location /t {
    proxy_wasm bodies 'response-body append !';
    error_page 404 /page;
    return 404;
}
location = /page {
    return 200 "page";
}
--- request
GET /t
--- error_code: 404
--- response_body chomp
page



=== TEST 21: a local response passes on_response_body of all filters
--- config
location /t {
    proxy_wasm bodies 'response-body append one';
    proxy_wasm bodies 'request-headers respond 403 no';
    return 200 "hello";
}
--- request
GET /t
--- error_code: 403
--- response_headers
Content-Length: 5
--- response_body chomp
noone



=== TEST 22: content-length that a filter removes
--- config
location /t {
    proxy_wasm bodies 'response-headers remove response content-length; response-end append !';
    return 200 "hello";
}
--- request
GET /t
--- response_headers
Transfer-Encoding: chunked
!Content-Length
--- response_body chomp
hello!



=== TEST 23: a local response in the place of a body
--- config
location /t {
    proxy_wasm bodies 'response-body respond-if evil 502 gone';
    return 200 "this is evil";
}
--- request
GET /t
--- error_code: 502
--- response_headers
x-answered: response-body
Content-Length: 4
--- response_body chomp
gone



=== TEST 24: a trap in on_response_body is 503 when nothing has gone
--- config
location /t {
    proxy_wasm bodies 'response-body trap';
    return 200 "secret";
}
--- request
GET /t
--- error_code: 503
--- response_body_unlike: secret
--- error_log
panicked
--- expects_crit
wasm "bodies": panicked at
wasm filter "bodies": failed to call function: proxy_on_response_body



=== TEST 25: close_stream in on_response_body
--- config
location /t {
    proxy_wasm bodies 'response-body close';
    return 200 "secret";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\n\r\n"
--- ignore_response
--- raw_response_headers_unlike: HTTP



=== TEST 26: an upstream that breaks off is not taken for the end
--- config
location /t {
    proxy_wasm bodies 'response-body hold-until-end; response-end trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/short;
}
--- request
GET /t
--- ignore_response
--- error_log
prematurely closed connection
wasm "bodies": log



=== TEST 27: HTTP/2
--- http2
--- config
location /t {
    proxy_wasm bodies 'response-body upper; response-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/10/4000;
}
--- request
GET /t
--- response_body eval
uc($::Letters) . '!'



=== TEST 28: a response header set in a body callback, while the headers wait for the first piece
--- config
location /t {
    proxy_wasm bodies 'response-end set response x-late yes';
    return 200 "hello";
}
--- request
GET /t
--- response_headers
x-late: yes
--- response_body chomp
hello



=== TEST 29: an upstream's response of no bytes ends with its headers
--- config
location /t {
    proxy_wasm bodies 'response-body trap';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/0/0;
}
--- request
GET /t
--- response_headers
Content-Length: 0
--- response_body



=== TEST 30: an upstream's response in chunks of no bytes
--- config
location /t {
    proxy_wasm bodies 'response-body append was empty';
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/chunked/0/0;
}
--- request
GET /t
--- response_body chomp
was empty
--- error_log
wasm "bodies": response-body 0 end



=== TEST 31: pipelined responses stay apart
--- config
location /t {
    proxy_wasm bodies 'response-body hold-until-end; response-end append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/2/3;
}
--- pipelined_requests eval
["GET /t", "GET /t", "GET /t"]
--- response_body eval
["aaabbb!", "aaabbb!", "aaabbb!"]



=== TEST 32: an upstream that breaks off before the body has begun: there is an answer, for which headers are still here
--- config
location /t {
    proxy_wasm bodies 'response-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/short/0;
}
--- request
GET /t
--- error_code: 502
--- error_log
prematurely closed connection
--- no_error_log
[alert]



=== TEST 33: the same without buffers
--- config
location /t {
    proxy_wasm bodies 'response-body upper';
    proxy_buffering off;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/short/0;
}
--- request
GET /t
--- error_code: 502
--- error_log
prematurely closed connection
--- no_error_log
[alert]



=== TEST 34: and over HTTP/2
--- http2
--- config
location /t {
    proxy_wasm bodies 'response-body upper';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/short/0;
}
--- request
GET /t
--- error_code: 502
--- error_log
prematurely closed connection
--- no_error_log
[alert]
