# A request's body as a program reads it from standard input: read whole before it runs (wasm_request_buffering on), or streamed;
# with a length or in chunks, in memory or in a file, over HTTP/1.1 and HTTP/2.

use TestWasm 'no_plan';

our $large = join '', map { chr($_ * 7 % 256) } 0 .. 199_999;

# As the program counts.
our $sum = 0;
$sum = ($sum * 31 + $_) & 0xffffffff for unpack 'C*', $large;

# A request whose body is sent in these chunks; the block says so in more_headers.
sub chunked (@) {
    my ($path, @chunks) = @_;
    return "POST $path\n" . join '', map { sprintf "%x\r\n%s\r\n", length, $_ } @chunks, '';
}

# Where a block says `in both ways`, its request goes to a location that buffers, and to one that does not.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module program $TEST_NGINX_GUESTS/rust-program.wasm;
    module c       $TEST_NGINX_GUESTS/c-program.wasm;
}
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /on/  { client_max_body_size 10m; wasm_cgi program; wasm_request_buffering on; }
location /off/ { client_max_body_size 10m; wasm_cgi program; wasm_request_buffering off; }
location /c/on/  { client_max_body_size 10m; wasm_cgi c; wasm_request_buffering on; }
location /c/off/ { client_max_body_size 10m; wasm_cgi c; wasm_request_buffering off; }
CONF
    return unless $block->name =~ /in both ways/;
    my $request = $block->request;
    $block->set_value(request => [map { $request =~ s/WAY/$_/r } qw( on off )]);
    for my $section (qw( response_body response_headers error_code response_body_like )) {
        my $value = $block->$section;
        $block->set_value($section => [$value, $value]) if defined $value && !ref $value;
    }
});

run_tests();

__DATA__

=== TEST 1: a small body, in both ways
--- request
POST /WAY/echo
hello, program
--- more_headers
Content-Type: text/x
--- response_headers
Content-Type: text/x
--- response_body chomp
hello, program



=== TEST 2: bytes of all kinds, in both ways
--- request eval
"POST /WAY/echo\n\0\x01\xff\r\n\n\0"
--- response_body eval
"\0\x01\xff\r\n\n\0"



=== TEST 3: a large body, in both ways
--- request eval
"POST /WAY/count\n$::large"
--- response_body eval
"200000 bytes, sum $::sum\n"



=== TEST 4: a large body and all of it back, in both ways
--- request eval
"POST /WAY/echo\n$::large"
--- response_body eval
$::large



=== TEST 5: a program that reads and writes by turns, in both ways
--- request eval
"POST /WAY/upper\n" . 'abcdefghij' x 30_000
--- response_body eval
'ABCDEFGHIJ' x 30_000



=== TEST 6: more than 64 KiB that nobody reads yet, in both ways
--- request eval
"POST /WAY/late-read\n" . 'x' x 1_000_000
--- response_body
first
then 1000000 bytes



=== TEST 7: the length is told, in both ways
--- request
POST /WAY/env?name=CONTENT_LENGTH&name=REQUEST_METHOD
12345678
--- response_body
CONTENT_LENGTH=8
REQUEST_METHOD=POST



=== TEST 8: an empty body, in both ways
--- request
POST /WAY/count
--- more_headers
Content-Length: 0
--- response_body
0 bytes, sum 0



=== TEST 9: no body, in both ways
--- request
GET /WAY/count
--- response_body
0 bytes, sum 0



=== TEST 10: a GET with a body, in both ways
--- request
GET /WAY/echo
body
--- response_body chomp
body



=== TEST 11: a file holds what is larger than the buffer
--- config
location /on/ {
    client_body_buffer_size 1k;
    wasm_cgi program;
    wasm_request_buffering on;
}
--- request eval
"POST /on/count\n$::large"
--- response_body eval
"200000 bytes, sum $::sum\n"
--- error_log
a client request body is buffered to a temporary file



=== TEST 12: or all of it
--- config
location /on/ {
    client_body_in_file_only clean;
    wasm_cgi program;
    wasm_request_buffering on;
}
--- request
POST /on/echo
in a file
--- response_body chomp
in a file



=== TEST 13: small buffers where it is streamed
--- config
location /off/ {
    client_body_buffer_size 1k;
    wasm_cgi program;
    wasm_request_buffering off;
}
--- request eval
"POST /off/count\n$::large"
--- response_body eval
"200000 bytes, sum $::sum\n"
--- no_error_log
temporary file



=== TEST 14: chunks, in both ways
--- more_headers
Transfer-Encoding: chunked
--- request eval
::chunked('/WAY/echo', 'hello', ', ', 'chunks', 'x' x 100_000)
--- response_body eval
'hello, chunks' . 'x' x 100_000



=== TEST 15: the length of chunks is known where they are read before
--- more_headers
Transfer-Encoding: chunked
--- request eval
::chunked('/on/env?name=CONTENT_LENGTH&name=HTTP_TRANSFER_ENCODING', 'hello', ', chunks')
--- response_body
CONTENT_LENGTH=13
HTTP_TRANSFER_ENCODING is not set



=== TEST 16: and where they are streamed it has one only if all of it came with the headers
--- more_headers
Transfer-Encoding: chunked
--- request eval
::chunked('/off/env?name=CONTENT_LENGTH&name=HTTP_TRANSFER_ENCODING', 'hello', ', chunks')
--- response_body_like
^CONTENT_LENGTH(=13| is not set)
HTTP_TRANSFER_ENCODING is not set$



=== TEST 17: no chunk but the last, in both ways
--- more_headers
Transfer-Encoding: chunked
--- request eval
::chunked('/WAY/count')
--- response_body
0 bytes, sum 0



=== TEST 18: chunks that are no chunks
--- raw_request eval
"POST /on/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n"
--- error_code: 400



=== TEST 19: a program that does not read, in both ways
--- request eval
"POST /WAY/never-read\n" . 'x' x 1_000_000
--- response_body
not read



=== TEST 20: a program that does not read all, in both ways
--- request eval
"POST /WAY/late-read?n=10\n" . 'x' x 1_000_000
--- response_body
first
then 10 bytes



=== TEST 21: a body that is too large never reaches the program, in both ways
--- config
location /on/  { client_max_body_size 10; wasm_cgi program; wasm_request_buffering on; }
location /off/ { client_max_body_size 10; wasm_cgi program; wasm_request_buffering off; }
--- request
POST /WAY/stderr
12345678901
--- error_code: 413
--- no_error_log
first line



=== TEST 22: nor do chunks that are, where they are read before
--- config
location /on/ { client_max_body_size 10; wasm_cgi program; wasm_request_buffering on; }
--- more_headers
Transfer-Encoding: chunked
--- request eval
::chunked('/on/stderr', '123456', '78901')
--- error_code: 413
--- no_error_log
first line



=== TEST 23: C's library, in both ways
--- request eval
"POST /c/WAY/path\n$::large"
--- response_body eval
"POST /path, length 200000\n$::large"



=== TEST 24: C's library, in chunks
--- more_headers
Transfer-Encoding: chunked
--- request eval
::chunked('/c/on/', 'hello', ' C')
--- response_body chomp
POST /, length 7
hello C



=== TEST 25: over HTTP/2, in both ways
--- http2
--- request eval
"POST /WAY/echo\n" . 'klmnopqrst' x 30_000
--- response_body eval
'klmnopqrst' x 30_000



=== TEST 26: over HTTP/2: by turns, in both ways
--- http2
--- request eval
"POST /WAY/upper\n" . 'abcdefghij' x 30_000
--- response_body eval
'ABCDEFGHIJ' x 30_000



=== TEST 27: over HTTP/2: the length is known where the body is read before
--- http2
--- request
POST /on/env?name=CONTENT_LENGTH
12345
--- response_body
CONTENT_LENGTH=5



=== TEST 28: over HTTP/2: a program that does not read. (Where the body is streamed nginx resets the stream behind the answer, which curl takes for a failure.)
--- http2
--- request eval
"POST /on/never-read\n" . 'x' x 1_000_000
--- response_body
not read



=== TEST 29: the body is there behind a redirect inside of nginx
--- config
location /first { rewrite ^ /on/echo last; }
location /on/ { wasm_cgi program; wasm_request_buffering on; }
--- request
POST /first
kept
--- response_body chomp
kept



=== TEST 30: a body becomes a file in a directory that is granted
--- config
location /on/ {
    client_max_body_size 10m;
    wasm_cgi program;
    wasm_dir $TEST_NGINX_HTML_DIR:/rw:rw;
    wasm_dir $TEST_NGINX_HTML_DIR:/data;
}
--- request eval
["POST /on/write?path=/rw/upload\n$::large", "GET /on/files?stat=/data/upload&create=/data/other"]
--- error_code eval
[201, 200]
--- response_body eval
["200000 bytes\n", "stat: 200000 bytes\ncreate: refused\n"]
