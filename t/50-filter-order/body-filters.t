# The module's place among nginx's filters: what filters do to response headers is there before nginx compresses, cuts to a
# range, makes chunks or includes, and all of those still work, also on a response that a filter has replaced.

use TestWasm 'no_plan';

our $Text = 'All work and no play makes Jack a dull boy. ' x 200;

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe   $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
}
CONF
    # Without a callback about bodies; guests of SDKs have it always, and then nginx cuts no ranges out of the body.
    $block->set_value(user_files => [['a.txt', $::Text], ['no_body.wat', <<'WAT']]) unless $block->user_files;
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-one1")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $add (i32.const 2) (i32.const 0) (i32.const 5) (i32.const 5) (i32.const 1))))
WAT

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

=== TEST 1: gzip of a static file, with a header of a filter
--- config
gzip on;
gzip_types text/plain;
proxy_wasm headers 'response.add x-one 1';
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
x-one: 1
!Content-Length
--- gunzipped eval
$::Text



=== TEST 2: gzip of a proxied response
--- config
location /t {
    gzip on;
    gzip_types text/plain;
    proxy_wasm headers 'response.add x-one 1';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/a.txt;
}
--- request
GET /t
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
x-one: 1
--- gunzipped eval
$::Text



=== TEST 3: a filter decides by content-type whether nginx compresses
--- config
gzip on;
gzip_types text/x-yes;
location ~ a.txt {
    proxy_wasm headers 'response.replace content-type text/x-yes';
}
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
Content-Type: text/x-yes
--- gunzipped eval
$::Text



=== TEST 4: a filter that sets content-encoding keeps nginx from compressing
--- config
gzip on;
gzip_types text/plain;
proxy_wasm headers 'response.add content-encoding identity';
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: identity
--- response_body eval
$::Text



=== TEST 5: a filter sees the response before compression
--- config
gzip on;
gzip_types text/plain;
proxy_wasm probe '@response get response content-encoding; @response get response content-length';
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
x-probe-result: get response content-encoding -> 1 | get response content-length -> 0 8800



=== TEST 6: a filter that removes accept-encoding from the request keeps nginx from compressing
--- config
gzip on;
gzip_types text/plain;
proxy_wasm headers 'request.remove accept-encoding';
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
!Content-Encoding
--- response_body eval
$::Text



=== TEST 7: a replaced response is compressed as a whole, and nothing of the old one is left
--- config
gzip on;
gzip_types text/plain;
gzip_min_length 1;
proxy_wasm probe '@response respond 200 replaced';
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
--- gunzipped chomp
replaced



=== TEST 8: a replaced response that is too short to compress has its length
--- config
gzip on;
gzip_types text/plain;
gzip_min_length 100;
proxy_wasm probe '@response respond 200 replaced';
--- request
GET /a.txt
--- more_headers
Accept-Encoding: gzip
--- response_headers
!Content-Encoding
Content-Length: 8
--- response_body chomp
replaced



=== TEST 9: a local response of the request's side is compressed too
--- config
location /t {
    gzip on;
    gzip_types text/plain;
    gzip_min_length 1;
    proxy_wasm probe 'respond 200 local';
}
--- request
GET /t
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
--- gunzipped chomp
local



=== TEST 10: a response that is compressed already is replaced by plain text: the client is not told gzip
--- config
location /t {
    proxy_wasm probe '@response respond 200 replaced';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    add_header Content-Encoding gzip;
    return 200 "not really gzip";
}
--- request
GET /t
--- more_headers
Accept-Encoding: gzip
--- response_headers
!Content-Encoding
Content-Length: 8
--- response_body chomp
replaced



=== TEST 11: a range of a static file
--- main_config
wasm { module no_body $TEST_NGINX_HTML_DIR/no_body.wat; }
--- config
proxy_wasm no_body;
--- request
GET /a.txt
--- more_headers
Range: bytes=4-7
--- error_code: 206
--- response_headers
x-one: 1
Content-Range: bytes 4-7/8800
Content-Length: 4
--- response_body chomp
work



=== TEST 12: several ranges
--- main_config
wasm { module no_body $TEST_NGINX_HTML_DIR/no_body.wat; }
--- config
proxy_wasm no_body;
--- request
GET /a.txt
--- more_headers
Range: bytes=0-2,4-7
--- error_code: 206
--- response_headers
x-one: 1
--- response_headers_like
Content-Type: multipart/byteranges; boundary=.*
--- response_body_like chomp
\r\n\r\nAll\r\n.*\r\n\r\nwork\r\n



=== TEST 13: a range that is not there
--- main_config
wasm { module no_body $TEST_NGINX_HTML_DIR/no_body.wat; }
--- config
proxy_wasm no_body;
--- request
GET /a.txt
--- more_headers
Range: bytes=99999-
--- error_code: 416



=== TEST 14: a replaced response has no ranges
--- config
proxy_wasm probe '@response respond 200 replaced';
--- request
GET /a.txt
--- more_headers
Range: bytes=4-7
--- error_code: 200
--- response_headers
!Content-Range
!Accept-Ranges
Content-Length: 8
--- response_body chomp
replaced



=== TEST 15: a filter that removes content-length: the file comes in chunks
--- config
proxy_wasm headers 'response.remove content-length';
--- request
GET /a.txt
--- response_headers
Transfer-Encoding: chunked
!Content-Length
--- response_body eval
$::Text



=== TEST 16: a chunked response of an upstream
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1';
    proxy_http_version 1.1;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up/a.txt;
}
location /up {
    alias $TEST_NGINX_HTML_DIR;
    proxy_wasm headers 'response.remove content-length';
}
--- request
GET /t
--- response_headers
Transfer-Encoding: chunked
x-one: 1
--- response_body eval
$::Text



=== TEST 17: sub_filter
--- config
location ~ a.txt {
    proxy_wasm headers 'response.add x-one 1';
    sub_filter_types text/plain;
    sub_filter Jack Jill;
}
--- request
GET /a.txt
--- response_headers
x-one: 1
--- response_body eval
$::Text =~ s/Jack/Jill/r



=== TEST 18: SSI, sub_filter and gzip together
--- config
ssi on;
gzip on;
gzip_min_length 1;
sub_filter part PART;
location /inc { return 200 "included\n"; }
proxy_wasm headers 'response.add x-one 1';
--- user_files
>>> t.html
<!--# include virtual="/inc" -->
the part
--- request
GET /t.html
--- more_headers
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip
x-one: 1
--- gunzipped
included

the PART



=== TEST 19: a replaced response goes through sub_filter
--- config
location ~ a.txt {
    proxy_wasm probe '@response respond 200 replaced';
    sub_filter_types text/plain;
    sub_filter replaced changed;
}
--- request
GET /a.txt
--- response_body chomp
changed



=== TEST 20: add_header and expires work beside a replaced response
--- config
proxy_wasm probe '@response respond 200 replaced';
add_header x-added 1;
expires 1h;
--- request
GET /a.txt
--- response_headers
x-added: 1
Cache-Control: max-age=3600
x-probe-local: 1



=== TEST 21: HTTP/2: headers of requests and responses, in lower case
--- http2
--- config
location /t {
    proxy_wasm headers 'request.add x-one 1; response.add X-Two %{:authority}';
    return 200 "$http_x_one $host\n";
}
--- request
GET /t
--- response_headers
x-two: localhost
--- response_body
1 localhost



=== TEST 22: HTTP/2: pseudo-headers of a request without a Host line
--- http2
--- config
location /t {
    proxy_wasm probe 'get request :authority; get request host; get request :path; get request :method; get request :scheme; property request|protocol; report';
    return 200;
}
--- request
GET /t?a=1
--- response_body_like
^get request :authority -> 0 localhost(?::\d+)?
get request host -> 0 localhost(?::\d+)?
get request :path -> 0 /t\?a=1
get request :method -> 0 GET
get request :scheme -> 0 http
property request\|protocol -> 0 HTTP/2$



=== TEST 23: HTTP/2: a local response
--- http2
--- config
location /t {
    proxy_wasm probe 'respond 403 no';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
no



=== TEST 24: HTTP/2: a response that is replaced
--- http2
--- config
proxy_wasm probe '@response respond 500 replaced';
--- request
GET /a.txt
--- error_code: 500
--- response_body chomp
replaced
