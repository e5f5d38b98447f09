# Functions of Extism plugins with envelopes in JSON: the whole request in, the whole answer out.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => <<'CONF') unless $block->config;
default_type text/x-default;
wasm_function_mode json;
wasm_timeout 10s;
location /json/ { wasm_function extism json; }
location /echo/ { wasm_function extism json_echo; }
# The request's body is the answer.
location /answer/ { wasm_function extism json_answer; }
CONF
    return if $block->main_config;
    # Go takes seconds to compile, and one test only has it.
    my @go = $block->config =~ /wasm_function go / ? "module go \$TEST_NGINX_GUESTS/go-extism.wasm;\n" : ();
    $block->set_value(main_config => "wasm {\nmodule extism \$TEST_NGINX_GUESTS/rust-extism.wasm;\n@go}\n");
});

run_tests();

__DATA__

=== TEST 1: what the function is told
--- more_headers
X-A: one
X-A: two
X-B: other
Content-Type: text/x
--- request
POST /json/path?a=%20b&c
the body
--- error_code: 201
--- response_headers
Content-Type: application/json
X-Twice: one, two
--- response_body
{"base64":false,"body":"the body","headers":{"connection":["close"],"content-length":["8"],"content-type":["text/x"],"host":["localhost"],"x-a":["one","two"],"x-b":["other"]},"method":"POST","uri":"/json/path?a=%20b&c"}



=== TEST 2: without a body
--- request
GET /json/
--- error_code: 201
--- response_body
{"base64":false,"body":"","headers":{"connection":["close"],"host":["localhost"]},"method":"GET","uri":"/json/"}



=== TEST 3: a body that is text comes as text, whatever is in it
--- request eval
qq(POST /echo/\n"quoted" \\ \x{7f} \t \xc3\xa4 \xf0\x9f\x98\x80 </script>)
--- response_body eval
qq("quoted" \\ \x{7f} \t \xc3\xa4 \xf0\x9f\x98\x80 </script>)



=== TEST 4: one that is not, in Base64, in both directions
--- request eval
"POST /echo/\n\xff\0\x80binary\0\xfe"
--- more_headers
Content-Type: application/x-binary
--- response_headers
Content-Type: application/x-binary
--- response_body eval
"\xff\0\x80binary\0\xfe"



=== TEST 5: large bodies
--- request eval
["POST /echo/\n" . 'x' x 500_000, "POST /echo/\n\xff" . 'x' x 500_000]
--- response_body eval
['x' x 500_000, "\xff" . 'x' x 500_000]



=== TEST 6: an answer: status, headers, body
--- request
POST /answer/
{ "status": 418, "headers": { "content-type": "text/y", "X-One": "1", "x-many": ["a", "b"], "set-cookie": ["c=1", "d=2"] }, "body": "short\nand stout\n" }
--- error_code: 418
--- response_headers
Content-Type: text/y
X-One: 1
X-Many: a, b
--- raw_response_headers_like eval
qr{Set-Cookie: c=1\r\n.*Set-Cookie: d=2\r\n}si
--- response_body
short
and stout



=== TEST 7: all of it may be left out
--- request
POST /answer/
{}
--- error_code: 200
--- response_headers
Content-Type: text/x-default
--- response_body



=== TEST 8: an answer in Base64
--- request
POST /answer/
{ "headers": { "content-type": "image/x" }, "body": "/wCA", "base64": true }
--- response_headers
Content-Type: image/x
Content-Length: 3
--- response_body eval
"\xff\0\x80"



=== TEST 9: an answer without a body
--- request
POST /answer/
{ "status": 204 }
--- error_code: 204
--- response_headers
! Content-Length
--- response_body



=== TEST 10: a redirect
--- request
POST /answer/
{ "status": 302, "headers": { "location": "https://example.com/" } }
--- error_code: 302
--- response_headers
Location: https://example.com/



=== TEST 11: HEAD
--- request
HEAD /json/
--- error_code: 201
--- response_headers
Content-Type: application/json
--- response_body



=== TEST 12: what belongs to the connection is nginx's to say
--- request
POST /answer/
{ "headers": { "transfer-encoding": "chunked", "connection": "upgrade", "content-length": "3", "keep-alive": "timeout=9" }, "body": "hello\n" }
--- response_headers
! Keep-Alive
! Transfer-Encoding
--- response_body
hello



=== TEST 13: an error of its own is an answer as well
--- config
error_page 404 /told;
location /told { return 200 "told\n"; }
location /answer/ { wasm_function_mode json; wasm_function extism json_answer; }
--- request
POST /answer/
{ "status": 404, "body": "mine\n" }
--- error_code: 404
--- response_body
mine



=== TEST 14: over HTTP/2
--- http2
--- request
POST /answer/
{ "status": 203, "headers": { "X-One": "1" }, "body": "over HTTP/2\n" }
--- error_code: 203
--- response_headers
X-One: 1
--- response_body
over HTTP/2



=== TEST 15: Go, with a configuration
--- config
location /go/ { wasm_timeout 10s; wasm_function_mode json; wasm_function go envelope manifest=$TEST_NGINX_HTML_DIR/manifest.json; }
--- user_files
>>> manifest.json
{ "config": { "greeting": "good day" } }
--- request
POST /go/path?a
Bob
--- response_headers
Content-Type: text/plain
X-Method: POST
--- response_body
good day Bob at /go/path?a



=== TEST 16: the mode is inherited, and can be changed
--- config
wasm_function_mode json;
location /json/ { wasm_function extism json_echo; }
location /raw/ { wasm_function_mode raw; wasm_function extism greet; }
--- request eval
["POST /json/\nbody", "POST /raw/\nBob"]
--- response_body eval
["body", "Hello, Bob!"]
