# Functions of Extism plugins, with bodies as they are: the request's body in, the output out.

use TestWasm 'no_plan';

our $large = join '', map { chr($_ * 7 % 256) } 0 .. 999_999;

add_block_preprocessor(sub {
    my $block = shift;
    my $request = ref $block->request ? join ' ', @{$block->request} : $block->request // '';
    unless ($block->config) {
        # /NAME, with those of the other languages behind the language.
        my @rust  = qw( greet echo silent vars big log_levels config );
        my @go    = qw( hello );
        my @other = qw( hello bytes beyond count );
        $block->set_value(config => join '',
            "default_type text/x-default;\nwasm_timeout 10s;\n",
            (map {"location = /$_ { wasm_function extism $_; }\n"} @rust),
            $request =~ m{/go/} ? (map {"location = /go/$_ { wasm_function go $_; }\n"} @go) : (),
            $request =~ m{/assemblyscript/}
                ? (map {"location = /assemblyscript/$_ { wasm_function assemblyscript $_; }\n"} @other) : ());
    }
    return if $block->main_config;
    # Only what is used: each is compiled for each test.
    my %files = (extism => 'rust-extism', go => 'go-extism', assemblyscript => 'assemblyscript-extism');
    my @used = grep { $block->config =~ /wasm_function\s+$_\s/ } sort keys %files;
    $block->set_value(main_config => "wasm {\n" . join('', map {"module $_ \$TEST_NGINX_GUESTS/$files{$_}.wasm;\n"} @used) . "}\n");
});

# After each of several requests the log of all of them is looked at.
check_accum_error_log();

run_tests();

__DATA__

=== TEST 1: a body in, a body out
--- request
POST /greet
Bob
--- response_headers
Content-Type: text/x-default
Content-Length: 11
--- response_body chomp
Hello, Bob!
--- error_code: 200



=== TEST 2: without a body the input is empty
--- request
GET /greet
--- response_body chomp
Hello, !



=== TEST 3: bytes of all kinds
--- request eval
"POST /echo\n\0\x01\xff\r\n\n\0"
--- response_body eval
"\0\x01\xff\r\n\n\0"



=== TEST 4: sizes around those of the words in which they are copied
--- request eval
[map { "POST /echo\n" . 'x' x $_ } 1, 7, 8, 9, 15, 16, 17, 65535, 65536, 65537]
--- response_body eval
[map { 'x' x $_ } 1, 7, 8, 9, 15, 16, 17, 65535, 65536, 65537]



=== TEST 5: a large body
--- request eval
"POST /echo\n$::large"
--- response_body eval
$::large



=== TEST 6: a body that was kept in a file
--- config
location = /echo {
    client_body_buffer_size 1k;
    wasm_timeout 10s;
    wasm_function extism echo;
}
--- request eval
"POST /echo\n$::large"
--- response_body eval
$::large
--- error_log
a client request body is buffered to a temporary file



=== TEST 7: chunks
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /greet\n" . "3\r\nBob\r\n9\r\n and Mary\r\n0\r\n\r\n"
--- response_body chomp
Hello, Bob and Mary!



=== TEST 8: a large output
--- request
POST /big
5000000
--- response_headers
Content-Length: 5000000
--- response_body eval
'b' x 5_000_000



=== TEST 9: no output
--- request
POST /silent
Bob
--- error_code: 200
--- response_headers
Content-Length: 0
--- response_body



=== TEST 10: the type that the location says
--- config
location = /greet { default_type application/json; wasm_function extism greet; }
--- request
POST /greet
Bob
--- response_headers
Content-Type: application/json
--- response_body chomp
Hello, Bob!



=== TEST 11: HEAD
--- request
HEAD /greet
--- error_code: 200
--- response_headers
Content-Length: 8
--- response_body



=== TEST 12: each request finds the plugin as it was at its start
--- request eval
[("GET /vars") x 4]
--- response_body eval
[("count 1, call 1\n") x 4]



=== TEST 13: what it logs, at its levels
--- request
POST /log_levels
of the test
--- error_log eval
[
    qr/\[info\] .*wasm "?\w*"? ?"extism".*: Info of the test/,
    qr/\[warn\] .*"extism".*: Warn of the test/,
    qr/\[error\] .*"extism".*: Error of the test/,
]
--- response_body



=== TEST 14: a configuration
--- config
location = /config { wasm_function extism config manifest=$TEST_NGINX_HTML_DIR/manifest.json; }
--- user_files
>>> manifest.json
{ "config": { "one": "its value", "two": "" } }
--- request eval
["POST /config\none", "POST /config\nthree"]
--- response_body eval
["its value", "there is no three"]



=== TEST 15: a manifest beside nginx.conf
--- config
location = /config { wasm_function extism config manifest=../html/manifest.json; }
--- user_files
>>> manifest.json
{ "config": { "one": "its value" } }
--- request
POST /config
one
--- response_body chomp
its value



=== TEST 16: a directory of the manifest
--- config
location = /read { wasm_function extism read_file manifest=$TEST_NGINX_HTML_DIR/manifest.json; wasm_function_error 500 text; }
location = /none { wasm_function extism read_file; wasm_function_error 500 text; }
--- user_files
>>> manifest.json
{ "allowed_paths": { "ro:$TEST_NGINX_HTML_DIR/data": "/data" } }
>>> data/file.txt
from a file
>>> secret.txt
secret
--- request eval
["POST /read\n/data/file.txt", "POST /read\n/data/../secret.txt", "POST /none\n/data/file.txt"]
--- error_code eval
[200, 500, 500]
--- response_body_like eval
['^from a file$', 'os error', '\w+']
--- response_body_unlike eval
['secret', '^secret', '^from']



=== TEST 17: other servers, as far as the manifest allows
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { add_header X-Answer "$request_method $http_x_a" always; return 207 "answer to $request_uri\n"; }
}
--- config
location = /http { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/manifest.json; wasm_function_error 500 text; }
location = /none { wasm_function extism http; wasm_function_error 500 text; }
location = /metrics { wasm_metrics; }
--- user_files
>>> manifest.json
{ "allowed_hosts": ["127.0.0.*"] }
--- request eval
[
    "POST /http\nGET http://localhost:$ENV{TEST_NGINX_PORT_1}/",
    "POST /none\nGET http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/",
    "POST /http\nGET http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/path?a=b\nX-A: yes",
    "POST /http\nPOST http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/post\nX-A: no\n\nthe body",
    "GET /metrics",
]
--- error_code eval
[500, 500, 200, 200, 200]
--- response_body_like eval
['', '', "^207 GET yes\nanswer to /path\\?a=b\n\$", "^207 POST no\nanswer to /post\n\$",
    qr/^wasm_service_calls_total\{protocol="http",service="127\.0\.0\.1:$ENV{TEST_NGINX_PORT_1}",result="answered"\} 2$/m]
--- error_log eval
qr/\[error\] .*"extism".*(allowed_hosts|not allowed)/



=== TEST 18: Go
--- request eval
["POST /go/hello\nBob", "POST /go/hello\nMary"]
--- response_body eval
["hello Bob\n", "hello Mary\n"]



=== TEST 19: AssemblyScript
--- request eval
["POST /assemblyscript/hello\nBob", "POST /assemblyscript/bytes\n0123456789abc", "GET /assemblyscript/count", "GET /assemblyscript/count"]
--- response_body eval
["hello Bob\n", "0123456789abc", "1\n", "1\n"]



=== TEST 20: AssemblyScript: an output that its PDK says to be shorter than it is
--- request
GET /assemblyscript/beyond
--- response_body eval
"\xc3\xa4\xc3"



=== TEST 21: over HTTP/2
--- http2
--- request
POST /greet
Bob
--- response_headers
Content-Type: text/x-default
--- response_body chomp
Hello, Bob!



=== TEST 22: behind filters
--- main_config
wasm {
    module extism  $TEST_NGINX_GUESTS/rust-extism.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module bodies  $TEST_NGINX_GUESTS/rust-bodies.wasm;
}
--- config
location = /greet {
    proxy_wasm headers 'response.add x-filter yes; deny /greet?no 403';
    proxy_wasm bodies 'quiet; request-body upper; response-headers remove response content-length; response-end append !';
    wasm_function extism greet;
}
--- request eval
["POST /greet\nBob", "POST /greet?no\nBob"]
--- error_code eval
[200, 403]
--- response_body_like eval
['^Hello, BOB!!$', 'denied']



=== TEST 23: a part of a page
--- config
location /page.html { ssi on; root $TEST_NGINX_HTML_DIR; }
location = /greet { wasm_function extism greet; }
--- user_files
>>> page.html
[<!--#include virtual="/greet" -->]
--- request
GET /page.html
--- response_body
[Hello, !]



=== TEST 24: the body is too large for the location
--- config
location = /log_levels { client_max_body_size 3; wasm_function extism log_levels; }
--- request
POST /log_levels
1234
--- error_code: 413
--- no_error_log
Error 1234



=== TEST 25: other servers, as far as proxy_wasm_allow leaves them
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 207 "answer\n"; }
}
upstream api.test { server 127.0.0.1:$TEST_NGINX_PORT_1; }
--- config
wasm_function_error 500 text;
location = /name   { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=127.0.0.1; }
location = /port   { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=127.0.0.1:$TEST_NGINX_PORT_1; }
location = /scheme { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=http://127.0.0.1; }
location = /80     { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=api.test:80; }
location = /other  { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=127.0.0.1:1; }
location = /tls    { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=https://127.0.0.1; }
location = /443    { wasm_function extism http manifest=$TEST_NGINX_HTML_DIR/m; proxy_wasm_allow host=api.test:443; }
--- user_files
>>> m
{ "allowed_hosts": ["127.0.0.1", "api.test"] }
--- request eval
[
    (map {"POST /$_\nGET http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/"} qw( other tls )),
    "POST /443\nGET http://api.test/",
    (map {"POST /$_\nGET http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/"} qw( name port scheme )),
    "POST /80\nGET http://api.test/",
]
--- error_code eval
[(500) x 3, (200) x 4]
--- response_body_like eval
[('500') x 3, ('^207 .*\nanswer\n$') x 4]
--- error_log eval
qr/calls to "127.0.0.1:\d+" are not allowed \(proxy_wasm_allow\)/
--- grep_error_log eval: qr/calls to "[^"]*" are not allowed/
--- grep_error_log_out eval
[qr/^calls to "127\.0\.0\.1:\d+"/, (qr/^(calls to .*127.*\n){2}$/) , (qr/^(calls to .*127.*\n){2}calls to "api.test" are not allowed\n$/) x 5]



=== TEST 26: proxy_wasm_log_level: debug and trace, without nginx's own
--- config
location = /log_levels { proxy_wasm_log_level filter=extism trace; wasm_function extism log_levels; }
--- request
POST /log_levels
of the test
--- error_log eval
[
    qr/\[info\] .*wasm plugin "extism": trace: Trace of the test/,
    qr/\[info\] .*wasm plugin "extism": debug: Debug of the test/,
    qr/\[info\] .*wasm plugin "extism": Info of the test/,
]



=== TEST 27: proxy_wasm_log_level: not what is below
--- config
location = /log_levels { proxy_wasm_log_level error; wasm_function extism log_levels; }
--- request
POST /log_levels
of the test
--- error_log eval
qr/\[error\] .*wasm plugin "extism": Error of the test/
--- no_error_log
Warn of the test
