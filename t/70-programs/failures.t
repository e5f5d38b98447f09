# Programs that fail before their headers have gone: the client gets 502 or 504, error_page applies, the error log says why in one
# line, and the next request is served. What comes later is in cut.t.

use TestWasm 'no_plan';

# Each block asks for its program and then for one that works, in the same worker.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module program $TEST_NGINX_GUESTS/rust-program.wasm; }
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /p/ { wasm_cgi program; }
CONF
    if (defined $block->says) {
        my $says = $block->says =~ s/([^\w.\/:;=-])/sprintf '%%%02X', ord $1/egr;
        $block->set_value(request => "GET /p/say?$says");
        $block->set_value(error_code => 502) unless $block->error_code;
    }
    return if ref $block->request || $block->request =~ /^HEAD/;
    my ($status, $body) = ($block->error_code, $block->response_body_like // '');
    $block->set_value(request => [$block->request, 'GET /p/hello']);
    $block->set_value(error_code => [$status, 200]);
    $block->set_value(response_body_like => [$body || $status, '^hello$']);
});

# After each of several requests the log of all of them is looked at.
check_accum_error_log();

run_tests();

__DATA__

=== TEST 1: a trap
--- request
GET /p/trap
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*(trap|unreachable).*request: "GET \/p\/trap/



=== TEST 2: a panic; what it says is in the log too
--- request
GET /p/panic
--- error_code: 502
--- error_log eval
[qr/\[error\] .*wasm program "program": .*panicked at/, qr/\[error\] .*wasm program "program".*(trap|unreachable)/]



=== TEST 3: an endless recursion
--- request
GET /p/recurse
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*(trap|out of bounds|stack)/



=== TEST 4: an exit code
--- request
GET /p/exit?code=7
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*exit\D*\b7\b/



=== TEST 5: an error that the program tells of itself
--- request
GET /p/write?path=/nowhere/x
--- error_code: 502
--- error_log eval
[qr/\[error\] .*wasm program "program": write: \w/, qr/\[error\] .*wasm program "program".*exit\D*\b9\b/]



=== TEST 6: no output at all
--- request
GET /p/close
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*nothing/



=== TEST 7: no output, and the exit code 0
--- request
GET /p/exit?code=0
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*nothing/



=== TEST 8: a body without headers
--- request
GET /p/no-headers
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*(header|Content-Type)/



=== TEST 9: a line without a colon
--- request
GET /p/broken-header
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*this line has no colon/



=== TEST 10: bytes of all kinds: in the log they are shown harmless
--- request
GET /p/rubbish
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program"/
--- no_error_log eval
qr/[\x00-\x08\x0b-\x1f]/



=== TEST 11: headers that do not end
--- says eval
"Content-Type: text/plain\nX-A: b\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*header/



=== TEST 12: a line that does not end
--- says eval
"Content-Type: text/plain"
--- error_log eval
qr/\[error\] .*wasm program "program".*header/



=== TEST 13: headers, but none that a program has to write
--- says eval
"X-A: b\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*Content-Type/



=== TEST 14: a whole answer of HTTP
--- says eval
"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*HTTP/



=== TEST 15: a status that is none
--- says eval
"Status: fine\nContent-Type: text/plain\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*Status.*fine/



=== TEST 16: a status that is no end of a request
--- says eval
"Status: 101 Switching Protocols\nContent-Type: text/plain\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*Status.*101/



=== TEST 17: a status out of bounds
--- says eval
"Status: 1000\nContent-Type: text/plain\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*Status.*1000/



=== TEST 18: a length that is none
--- says eval
"Content-Length: -1\nContent-Type: text/plain\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*Content-Length.*-1/



=== TEST 19: two lengths
--- says eval
"Content-Length: 1\nContent-Type: text/plain\nContent-Length: 2\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*Content-Length/



=== TEST 20: a line end hidden in a value
--- says eval
"Content-Type: text/plain\nX-A: b\rSet-Cookie: evil=1\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*(0x0d|control|\\r)/



=== TEST 21: NUL in a value
--- says eval
"Content-Type: text/plain\nX-A: b\0c\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*(0x00|control)/



=== TEST 22: a space before the colon
--- says eval
"Content-Type : text/plain\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*colon/



=== TEST 23: a line that goes on with the one before
--- says eval
"Content-Type: text/plain\n X-A: b\n\nbody\n"
--- error_log eval
qr/\[error\] .*wasm program "program".*space/



=== TEST 24: headers larger than is allowed
--- config
location /p/ { wasm_cgi program; wasm_header_limit 1k; }
--- request
GET /p/big-header?n=1100
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*(1024|wasm_header_limit)/



=== TEST 25: and without a limit that is set, 64k
--- request
GET /p/big-header?n=70000
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*(65536|wasm_header_limit)/



=== TEST 26: a program that never ends
--- config
location /p/ { wasm_cgi program; wasm_timeout 100ms; }
--- request
GET /p/loop
--- error_code: 504
--- error_log eval
qr/\[error\] .*wasm program "program".*wasm_timeout/



=== TEST 27: a program that waits for too long
--- config
location /p/ { wasm_cgi program; wasm_program_timeout 100ms; }
--- request
GET /p/sleep?ms=600000
--- error_code: 504
--- error_log eval
qr/\[error\] .*wasm program "program".*wasm_program_timeout/



=== TEST 28: fuel that is used up
--- config
location = /loop { wasm_cgi program; wasm_arg loop; wasm_fuel 10000000; wasm_timeout 10m; }
location /p/ { wasm_cgi program; wasm_fuel 10000000; }
--- request
GET /loop
--- error_code: 504
--- error_log eval
qr/\[error\] .*wasm program "program".*fuel/



=== TEST 29: what a program takes of memory is bounded, and it can go on
--- config
location /p/ { wasm_cgi program; wasm_memory_limit 16m; wasm_timeout 10m; }
--- request eval
["GET /p/grow", "GET /p/grow", "GET /p/hello"]
--- response_body_like eval
[('^no more memory after 1[0-5] MiB$') x 2, '^hello$']



=== TEST 30: more output than is allowed, before anything has gone
--- config
location /p/ { wasm_cgi program; wasm_output_limit 1k; }
--- request
GET /p/big-header?n=2000
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*wasm_output_limit/



=== TEST 31: raw: a trap before the first byte
--- config
location /p/ { wasm_cgi program; wasm_output raw; }
--- request eval
["GET /p/trap", "GET /p/exit?code=3"]
--- error_code eval
[502, 502]
--- error_log eval
qr/\[error\] .*wasm program "program".*(trap|unreachable|exit)/



=== TEST 32: each failure has its page
--- config
error_page 502 /sorry;
error_page 504 =503 @late;
location /sorry { return 200 "sorry: $status $uri\n"; }
location @late { add_header Retry-After 7 always; return 200 "late\n"; }
location /p/ { wasm_cgi program; wasm_timeout 100ms; }
--- request eval
["GET /p/trap", "GET /p/exit", "GET /p/broken-header", "POST /p/close\nbody", "GET /p/loop"]
--- error_code eval
[502, 502, 502, 502, 503]
--- response_body eval
[("sorry: 502 /sorry\n") x 4, "late\n"]
--- response_headers eval
[('! Retry-After') x 4, 'Retry-After: 7']



=== TEST 33: a page may be another program
--- config
error_page 502 /p/status?418%20Teapot;
location /p/ { wasm_cgi program; }
--- request
POST /p/trap
body
--- error_code: 502
--- response_body_like: ^status 418 Teapot$



=== TEST 34: HEAD fails as GET does
--- request
HEAD /p/trap
--- error_code: 502
--- response_body
--- error_log eval
qr/\[error\] .*wasm program "program".*(trap|unreachable)/



=== TEST 35: over HTTP/2
--- http2
--- request
GET /p/trap
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "program".*(trap|unreachable)/



=== TEST 36: what a program writes to standard error is in the log, a line each
--- request eval
["GET /p/stderr"]
--- response_body eval
["told\n"]
--- error_log eval
[
    qr/\[error\] .*wasm program "program": first line(,|$)/m,
    qr/\[error\] .*wasm program "program": second line, in two pieces(,|$)/m,
    qr/\[error\] .*wasm program "program": after an empty one(,|$)/m,
    qr/\[error\] .*wasm program "program": with.{1,4}tab.*31mescape and /,
    qr/\[error\] .*wasm program "program": long yyyyyyyyyyy/,
    qr/\[error\] .*wasm program "program": without an end(,|$)/m,
]
--- no_error_log eval
qr/\x1b/



=== TEST 37: and does not spoil the answer, whenever it is written
--- config
location /p/ { wasm_cgi program; wasm_output raw; }
--- request eval
["GET /p/stderr"]
--- response_body eval
["Content-Type: text/plain\n\ntold\n"]
--- error_log
wasm program "program": without an end



=== TEST 38: a failure is one line at level error
--- request eval
["GET /p/exit?code=5"]
--- error_code eval
[502]
--- grep_error_log eval: qr/\[(?:error|crit|alert)\] \d+#\d+: \*\d+ wasm program[^,]*/
--- grep_error_log_out eval
qr/\A[^\n]*exit\D*5[^\n]*\n?\z/
--- error_log
wasm program
