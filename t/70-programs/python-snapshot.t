# Python, initialised before a snapshot: a WSGI application inside of CPython for WASI, or in a file.

use TestWasm 'no_plan';
use File::Temp ();

needs('no valgrind');

our $large = join '', map { chr($_ * 7 % 256) } 0 .. 199_999;
$ENV{TEST_NGINX_PYTHON_DIR} = "$ENV{TEST_WASM_ROOT}/t/guests/python";

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    cache_dir $TEST_NGINX_PYTHON_CACHE;
    module python $TEST_NGINX_GUESTS/python-snapshot.wasm;
}
CONF
    $block->set_value(http_config => <<'CONF') unless $block->http_config;
wasm_threads 1;
wasm_timeout 60s;
wasm_program_timeout 10m;
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /py {
    client_max_body_size 10m;
    wasm_cgi python;
    wasm_snapshot on;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
location /file {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_arg /app/app.py;
    wasm_dir $TEST_NGINX_PYTHON_DIR:/app;
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

=== TEST 1: requests
--- request eval
[("GET /py/") x 3]
--- response_headers eval
[("Content-Type: text/plain; charset=utf-8\nContent-Length: 23") x 3]
--- response_body eval
[("hello from Python 3.11\n") x 3]



=== TEST 2: what the application is told is of its request, and of none before
--- more_headers eval
["X-A: gr\xc3\xbc\xc3\x9fe", "X-B: 2", "Cookie: c"]
--- request eval
[("GET /py/env?name=PATH_INFO&name=QUERY_STRING&name=HTTP_X_A&name=HTTP_X_B&name=HTTP_COOKIE") x 2, "POST /py/env?name=PATH_INFO&name=HTTP_X_A&name=HTTP_X_B&name=HTTP_COOKIE\nx"]
--- response_body eval
my $query = 'QUERY_STRING=name=PATH_INFO&name=QUERY_STRING&name=HTTP_X_A&name=HTTP_X_B&name=HTTP_COOKIE';
["PATH_INFO=/env\n$query\nHTTP_X_A=gr\xc3\x83\xc2\xbc\xc3\x83\xc2\x9fe\nHTTP_X_B=None\nHTTP_COOKIE=None\n",
 "PATH_INFO=/env\n$query\nHTTP_X_A=None\nHTTP_X_B=2\nHTTP_COOKIE=None\n",
 "PATH_INFO=/env\nHTTP_X_A=None\nHTTP_X_B=None\nHTTP_COOKIE=c\n"]



=== TEST 3: forms
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- request eval
["POST /py/form\nb=two+words&a=1&a=3", "POST /py/form\nc=4"]
--- response_body eval
["a: 1 and 3\nb: two words\n", "c: 4\n"]



=== TEST 4: large bodies
--- request eval
["POST /py/upload\n$::large", "POST /py/upload\nsmall"]
--- error_code eval
[201, 201]
--- response_body eval
use Digest::SHA 'sha256_hex';
['200000 bytes, ' . sha256_hex($::large) . "\n", '5 bytes, ' . sha256_hex('small') . "\n"]



=== TEST 5: large answers
--- request eval
[("GET /py/download?n=1000000") x 2]
--- response_body eval
[('p' x 1_000_000) x 2]



=== TEST 6: what one request leaves in the application is not there in the next
--- request eval
[("GET /py/counter") x 5, ("GET /file/counter") x 3]
--- response_body eval
[("count 1\n") x 8]



=== TEST 7: random numbers are new ones in each request; hashes are the same, as docs/programs.md says
--- request eval
[("GET /py/random") x 3]
--- response_body_filters eval
# Only of what does not depend on the system's random numbers.
sub {
    my ($body) = @_;
    my ($system, $python, $hash) = $body =~ /^([0-9a-f]{16}) ([0-9a-f]+) (-?\d+)\n\z/ or return "not understood: $body";
    $main::seen{$_}++ and return "again: $_" for $system, $python;
    $main::hash //= $hash;
    return $hash eq $main::hash ? 'new' : "another hash: $hash";
}
--- response_body eval
[("new") x 3]



=== TEST 8: files of the directory that is granted
--- request eval
["GET /py/file?name=hello.txt", "GET /py/file?name=none", "GET /py/file?name=hello.txt"]
--- error_code eval
[200, 404, 200]
--- response_body eval
["hello, file\n", "none: FileNotFoundError\n", "hello, file\n"]



=== TEST 9: standard error is the log
--- request
GET /py/log
--- response_body
said
--- error_log eval
[qr/\[error\] .*wasm program "python": to the log of WSGI/, qr/\[error\] .*wasm program "python": to standard error/]



=== TEST 10: an exception: the application's own 500, and the traceback in the log
--- request eval
["GET /py/error", "GET /py/counter"]
--- error_code eval
[500, 200]
--- response_body eval
["A server error occurred.  Please contact the administrator.", "count 1\n"]
--- error_log eval
[qr/\[error\] .*wasm program "python": Traceback/, qr/\[error\] .*wasm program "python": RuntimeError: as it was asked for/]



=== TEST 11: the interpreter ends, and has said nothing
--- request eval
["GET /py/leave", "GET /py/counter"]
--- error_code eval
[502, 200]
--- error_log eval
qr/\[error\] .*wasm program "python".*exit\D*3/



=== TEST 12: an application in a file, which is read in each request
--- more_headers
Content-Type: application/x-www-form-urlencoded
--- request eval
["GET /file/", "POST /file/form\na=1", "GET /file/env?name=SCRIPT_NAME"]
--- response_body eval
["hello from Python 3.11\n", "a: 1\n", "SCRIPT_NAME=/file\n"]



=== TEST 13: an exception there
--- request eval
["GET /file/error", "GET /file/counter"]
--- error_code eval
[500, 200]
--- response_body eval
["A server error occurred.  Please contact the administrator.", "count 1\n"]
--- error_log eval
qr{\[error\] .*wasm program "python":   File "/app/app\.py", line \d+, in error}



=== TEST 14: a program that is no application
--- config
location = /raw {
    default_type text/plain;
    wasm_cgi python;
    wasm_snapshot on;
    wasm_output raw;
    wasm_arg /files/plain.py;
    wasm_arg $arg_a;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
--- user_files
>>> plain.py
import sys, helper
print(__name__, __file__, sys.argv, helper.NAME)
>>> helper.py
NAME = "helper"
--- request eval
["GET /raw?a=b", "GET /raw?a=c"]
--- response_body eval
[map { "__main__ /files/plain.py ['/files/plain.py', '$_'] helper\n" } qw( b c )]



=== TEST 15: one that ends itself
--- config
location = /raw {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_arg /files/exits.py;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
--- user_files
>>> exits.py
raise SystemExit(4)
--- request
GET /raw
--- error_code: 502
--- error_log eval
qr/\[error\] .*wasm program "python".*exit\D*4/



=== TEST 16: one with a mistake
--- config
location = /raw {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_arg /files/wrong.py;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
--- user_files
>>> wrong.py
this is no Python
--- request
GET /raw
--- error_code: 502
--- error_log eval
[qr/\[error\] .*wasm program "python": SyntaxError/, qr/\[error\] .*wasm program "python".*exit\D*1/]



=== TEST 17: without a snapshot it initialises in each request
--- config
location /py {
    wasm_cgi python;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
--- request eval
["GET /py/counter", "GET /py/counter", "GET /py/file?name=hello.txt"]
--- response_body eval
["count 1\n", "count 1\n", "hello, file\n"]



=== TEST 18: an application in files, imported before the snapshot: it has what is the same for all requests, and changes nothing
--- config
location /own {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_env WSGI_APPLICATION own:main;
    wasm_env PYTHONPATH /files;
    wasm_env SAID $host;
    wasm_dir $TEST_NGINX_HTML_DIR:/files:rw;
}
--- user_files
>>> own.py
import os
asked = 0
try:
    open("/files/new", "w")
except OSError as err:
    written = err.strerror
said = os.environ.get("SAID")
with open("/files/words.txt") as file:
    words = file.read().strip()

def main(environ, start_response):
    global asked
    asked += 1
    with open("/files/now", "w") as file:
        file.write("now")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{asked}, {words}, {written}, {said}, {environ['SAID']}, {os.path.getsize('/files/now')}\n".encode()]
>>> words.txt
some words
--- request eval
["GET /own", "GET /own/b"]
--- response_body eval
[("1, some words, Read-only file system, None, localhost, 3\n") x 2]



=== TEST 19: locations of the same program with other applications do not meet
--- config
location /a { wasm_cgi python; wasm_snapshot on; wasm_env WSGI_APPLICATION a; wasm_env PYTHONPATH /files; wasm_dir $TEST_NGINX_HTML_DIR:/files; }
location /b { wasm_cgi python; wasm_snapshot on; wasm_env WSGI_APPLICATION b; wasm_env PYTHONPATH /files; wasm_dir $TEST_NGINX_HTML_DIR:/files; }
--- user_files
>>> a.py
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a\n"]
>>> b.py
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"b\n"]
--- request eval
["GET /a", "GET /b", "GET /a", "GET /b"]
--- response_body eval
["a\n", "b\n", "a\n", "b\n"]



=== TEST 20: an application that cannot be imported
--- config
location /own {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_env WSGI_APPLICATION missing;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*program "python": no snapshot can be made \(wasm_snapshot\): its initialisation, "wizer-initialize", fails: .*it says: ModuleNotFoundError: No module named 'missing' in \S+nginx\.conf:\d+$/



=== TEST 21: one that draws random numbers, and where that is allowed
--- config
location /own {
    wasm_cgi python;
    wasm_snapshot on random;
    wasm_env WSGI_APPLICATION draws;
    wasm_env PYTHONPATH /files;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
--- user_files
>>> draws.py
import os
secret = os.urandom(8).hex()
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{len(secret)} {len(os.urandom(8).hex())}\n".encode()]
--- request
GET /own
--- response_body
16 16



=== TEST 22: where it is not
--- config
location /own {
    wasm_cgi python;
    wasm_snapshot on;
    wasm_env WSGI_APPLICATION draws;
    wasm_env PYTHONPATH /files;
    wasm_dir $TEST_NGINX_HTML_DIR:/files;
}
--- user_files
>>> draws.py
import os
application = os.urandom(8)
--- must_die
--- error_log eval
qr/\[emerg\] .*program "python": no snapshot can be made .*reads random numbers, which would be the same in all requests \(wasm_snapshot \.\.\. random allows that\)/



=== TEST 23: hashes of strings that each worker draws
--- config
location /py { wasm_cgi python; wasm_snapshot on random; wasm_env PYTHONHASHSEED random; }
--- request eval
["GET /py/", "GET /py/"]
--- response_body eval
[("hello from Python 3.11\n") x 2]



=== TEST 24: they are random numbers
--- config
location /py { wasm_cgi python; wasm_snapshot on; wasm_env PYTHONHASHSEED random; }
--- must_die
--- error_log
reads random numbers
