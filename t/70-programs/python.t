# Python: a WSGI application, unchanged, run by CPython for WASI with the library's own CGIHandler.

use TestWasm 'no_plan';
use File::Temp ();

needs('no valgrind');

our $large = join '', map { chr($_ * 7 % 256) } 0 .. 199_999;
$ENV{TEST_NGINX_PYTHON_DIR} = "$ENV{TEST_WASM_ROOT}/t/guests/python";

# The interpreter takes a tenth of a second to begin; more, where much else runs.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    cache_dir $TEST_NGINX_PYTHON_CACHE;
    module python $TEST_NGINX_GUESTS/python.wasm;
}
CONF
    $block->set_value(http_config => <<'CONF') unless $block->http_config;
wasm_timeout 60s;
wasm_program_timeout 10m;
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /py {
    client_max_body_size 10m;
    wasm_cgi python;
    wasm_arg /app/app.py;
    wasm_dir $TEST_NGINX_PYTHON_DIR:/app;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
CONF
    $block->set_value(user_files => <<'FILES') unless $block->user_files;
>>> hello.txt
hello, file
FILES
});

# It takes long to compile: once for this file.
my $cache = File::Temp->newdir;
$ENV{TEST_NGINX_PYTHON_CACHE} = "$cache";

# After each of several requests the log of all of them is looked at.
check_accum_error_log();

run_tests();

__DATA__

=== TEST 1: a request
--- request
GET /py/
--- response_headers
Content-Type: text/plain; charset=utf-8
Content-Length: 23
--- response_body
hello from Python 3.12



=== TEST 2: what the application is told
--- request
GET /py/env?name=REQUEST_METHOD&name=SCRIPT_NAME&name=PATH_INFO&name=SERVER_PROTOCOL&name=HTTP_X_A
--- more_headers
X-A: gr
--- response_body
REQUEST_METHOD=GET
SCRIPT_NAME=/py
PATH_INFO=/env
SERVER_PROTOCOL=HTTP/1.1
HTTP_X_A=gr



=== TEST 3: a form
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- request
POST /py/form
b=two+words&a=1&a=3
--- response_body
a: 1 and 3
b: two words



=== TEST 4: a large body
--- request eval
"POST /py/upload\n$::large"
--- error_code: 201
--- response_body eval
use Digest::SHA 'sha256_hex';
'200000 bytes, ' . sha256_hex($::large) . "\n"



=== TEST 5: a body in chunks, streamed
--- config
location /py {
    wasm_cgi python;
    wasm_arg /app/app.py;
    wasm_dir $TEST_NGINX_PYTHON_DIR:/app;
    wasm_request_buffering off;
}
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /py/upload\n" . "5\r\nhello\r\n7\r\n, again\r\n0\r\n\r\n"
--- error_code: 201
--- response_body_like: ^12 bytes, [0-9a-f]{64}$



=== TEST 6: a large answer
--- request
GET /py/download?n=1000000
--- response_headers
Content-Type: application/octet-stream
--- response_body eval
'p' x 1_000_000



=== TEST 7: files: of the directory that was granted
--- request eval
["GET /py/file?name=hello.txt", "GET /py/file?name=none", "GET /py/file?name=../conf/nginx.conf"]
--- error_code eval
[200, 404, 404]
--- response_body_like eval
['^hello, file$', 'none: FileNotFoundError', '\.\./conf/nginx\.conf: \w+Error']



=== TEST 8: cookies
--- more_headers
Cookie: a=1
--- request
GET /py/cookies
--- raw_response_headers_like eval
qr{Set-Cookie: first=1; Path=/\r\n.*Set-Cookie: second=2; HttpOnly\r\n}s
--- response_body
a=1



=== TEST 9: an exception: the application's own 500, and the traceback in the log
--- request
GET /py/error
--- error_code: 500
--- response_body_like: A server error occurred
--- error_log eval
[qr/\[error\] .*wasm program "python": Traceback/, qr/\[error\] .*wasm program "python": RuntimeError: as it was asked for/]



=== TEST 10: the interpreter ends, and has said nothing
--- request eval
["GET /py/leave", "GET /py/"]
--- error_code eval
[502, 200]
--- error_log eval
qr/\[error\] .*wasm program "python".*exit\D*3/



=== TEST 11: nothing there
--- request
GET /py/none
--- error_code: 404
--- response_body
there is nothing



=== TEST 12: HEAD
--- request
HEAD /py/
--- response_headers
Content-Length: 23
--- response_body



=== TEST 13: over HTTP/2
--- http2
--- request
GET /py/
--- response_body
hello from Python 3.12



=== TEST 14: a program on the command line
--- config
location = /c {
    default_type text/plain;
    wasm_cgi python;
    wasm_output raw;
    wasm_arg -c;
    wasm_arg "import sys; print(sys.argv[1:], 6 * 7)";
    wasm_arg $arg_a;
}
--- request
GET /c?a=b
--- response_body
['b'] 42



=== TEST 15: with a snapshot, each request has its own start all the same
--- config
location /py {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_arg /app/app.py;
    wasm_dir $TEST_NGINX_PYTHON_DIR:/app;
}
--- request eval
[("GET /py/") x 3, "GET /py/env?name=QUERY_STRING"]
--- response_body eval
[("hello from Python 3.12\n") x 3, "QUERY_STRING=name=QUERY_STRING\n"]



=== TEST 16: a mistake in the program
--- config
location = /c {
    wasm_cgi python;
    wasm_arg -c;
    wasm_arg "this is no Python";
}
--- request
GET /c
--- error_code: 502
--- error_log eval
[qr/\[error\] .*wasm program "python": SyntaxError/, qr/\[error\] .*wasm program "python".*exit\D*1/]
