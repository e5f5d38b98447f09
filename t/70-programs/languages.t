# Programs in other languages than Rust: Go's net/http/cgi and C's standard library, as they are.

use TestWasm 'no_plan';

our $large = join '', map { chr($_ * 7 % 256) } 0 .. 199_999;

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module go $TEST_NGINX_GUESTS/go-cgi.wasm;
    module c  $TEST_NGINX_GUESTS/c-program.wasm;
}
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
wasm_timeout 10s;
location /go/ { wasm_cgi go; }
location /c/  { wasm_cgi c; wasm_arg one; wasm_arg "two words"; }
CONF
});

# After each of several requests the log of all of them is looked at.
check_accum_error_log();

run_tests();

__DATA__

=== TEST 1: Go: a request
--- request
GET /go/
--- response_headers
Content-Type: text/plain
--- response_body
GET / from localhost by HTTP/1.1



=== TEST 2: Go: a path that is longer
--- request
GET /go/some/where%20else
--- response_body
GET /some/where else from localhost by HTTP/1.1



=== TEST 3: Go: a form
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- request
POST /go/form
b=two+words&a=1&a=%C3%A4
--- response_body
a: 1 and ä
b: two words



=== TEST 4: Go: headers in both directions
--- more_headers
X-A: one
User-Agent: test
--- request
GET /go/headers?name=X-A&name=User-Agent&name=X-Missing
--- response_headers
X-Twice: one, two
--- response_body
X-A: one
User-Agent: test
X-Missing: 



=== TEST 5: Go: the query
--- request
GET /go/query?a=b%20c&d
--- response_body
"a=b%20c&d" "b c"



=== TEST 6: Go: cookies
--- more_headers
Cookie: a=1; b=2
--- request
GET /go/cookies
--- raw_response_headers_like eval
qr{Set-Cookie: first=1; Path=/\r\n.*Set-Cookie: second=2; HttpOnly\r\n}s
--- response_body
a is 1
b is 2



=== TEST 7: Go: what is not there
--- request
GET /go/missing
--- error_code: 404
--- response_body
404 page not found



=== TEST 8: Go: a redirect
--- request
GET /go/elsewhere
--- error_code: 302
--- response_headers_like
Location: (http://[^/]+)?/go/
--- response_body_like: Found



=== TEST 9: Go: a large body
--- request eval
"POST /go/upload\n$::large"
--- response_body eval
use Digest::SHA 'sha256_hex';
'200000 bytes of 200000, ' . sha256_hex($::large) . "\n"



=== TEST 10: Go: a large answer
--- request
GET /go/download?n=1000000
--- response_headers
Content-Type: application/octet-stream
--- response_body eval
'g' x 1_000_000



=== TEST 11: Go: a panic
--- request eval
["GET /go/panic", "GET /go/"]
--- error_code eval
[502, 200]
--- error_log eval
[qr/\[error\] .*wasm program "go": panic: as it was asked for/, qr/\[error\] .*wasm program "go".*exit\D*2/]



=== TEST 12: Go: over HTTP/2
--- http2
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- request
POST /go/form
a=1
--- response_body
a: 1



=== TEST 13: Go: HEAD
--- request
HEAD /go/
--- response_headers
Content-Type: text/plain
--- response_body



=== TEST 14: Go: a body in chunks has a length where it is read before
--- config
wasm_timeout 10s;
location /go/ { wasm_cgi go; wasm_request_buffering on; }
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /go/upload\n" . "5\r\nhello\r\n7\r\n, again\r\n0\r\n\r\n"
--- response_body_like: ^12 bytes of 12, \w+$



=== TEST 15: C: arguments, and what is read
--- request
POST /c/path
hello from standard input
--- response_headers
Content-Type: text/plain
--- response_body chomp
POST /path, length 25
argument one
argument two words
hello from standard input



=== TEST 16: C: nothing to read
--- request
GET /c/
--- response_body
GET /, length (none)
argument one
argument two words



=== TEST 17: C: an exit code at the end: the connection is cut, since most has gone, or nothing has
--- request
GET /c/?fail
--- ignore_response
--- error_log eval
qr/\[error\] .*wasm program "c".*exit\D*1/
