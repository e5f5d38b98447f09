# Plugins as others have published them: those that the Extism SDK for Go is tested with, in Rust, TinyGo, Go, Haskell and WebAssembly's
# text form.

use TestWasm 'no_plan';

# `calls` is what is called: PLUGIN FUNCTION, as /PLUGIN. All have one manifest.
add_block_preprocessor(sub {
    my $block = shift;
    my ($plugin, $function) = split ' ', $block->calls // return;
    $block->set_value(main_config => "wasm { module $plugin \$TEST_NGINX_GUESTS/extism-$plugin.wasm; }\n");
    my $manifest = 'manifest=$TEST_NGINX_HTML_DIR/manifest.json';
    my $more     = $block->more_config // '';
    $block->set_value(config => <<"CONF" . ($block->server // ''));
wasm_timeout 10s;
location = /call { wasm_function $plugin $function $manifest; wasm_function_error 500 text; $more }
CONF
    $block->set_value(user_files => <<'FILES') unless $block->user_files;
>>> manifest.json
{ "config": { "thing": "gadget", "duration": "0" } }
FILES
});

run_tests();

__DATA__

=== TEST 1: count_vowels, Rust: each request finds it as at its start
--- calls: count_vowels count_vowels
--- request eval
["POST /call\nHello World", "POST /call\naeiou"]
--- response_body eval
['{"count":3,"total":3,"vowels":"aeiouAEIOU"}', '{"count":5,"total":5,"vowels":"aeiouAEIOU"}']



=== TEST 2: its configuration
--- calls: count_vowels count_vowels
--- user_files
>>> manifest.json
{ "config": { "vowels": "xyz" } }
--- request
POST /call
xylophone
--- response_body chomp
{"count":2,"total":2,"vowels":"xyz"}



=== TEST 3: config
--- calls: config run_test
--- request
POST /call
x
--- response_body chomp
{"config": "gadget"}



=== TEST 4: var
--- calls: var run_test
--- request eval
[("POST /call\nx") x 2]
--- response_body eval
[("a: 0") x 2]



=== TEST 5: alloc, which has no output
--- calls: alloc run_test
--- request
POST /call
x
--- error_code: 200
--- response_body



=== TEST 6: fail
--- calls: fail run_test
--- request
POST /call
x
--- error_code: 500
--- response_body chomp
Some error message
--- error_log eval
qr/\[error\] .*"fail".*Some error message/



=== TEST 7: hello, from text form
--- calls: hello run_test
--- request eval
["GET /call", "POST /call\nx"]
--- response_body eval
[('Hello, world!') x 2]



=== TEST 8: Haskell
--- calls: hello_haskell testing
--- user_files
>>> manifest.json
{ "config": { "greeting": "Howdy" } }
--- request eval
["POST /call\nJohn", "POST /call\nMary"]
--- response_body_like eval
['^Howdy, John$', '^Howdy, Mary$']



=== TEST 9: log
--- calls: log run_test
--- request
POST /call
x
--- error_code: 200
--- error_log eval
[
    qr/\[info\] .*"log".*this is an info log/,
    qr/\[warn\] .*"log".*this is a warning log/,
    qr/\[error\] .*"log".*this is an error log/,
]
--- response_body



=== TEST 10: input_offset
--- calls: input_offset input_offset_length
--- request
POST /call
hello world
--- response_body eval
pack 'Q<', 11



=== TEST 11: noop
--- calls: noop run_test
--- request
POST /call
x
--- error_code: 200
--- response_body



=== TEST 12: replace
--- calls: replace run_test
--- request
POST /call
as it is
--- response_body chomp
as it is



=== TEST 13: sleep
--- calls: sleep run_test
--- request
POST /call
x
--- response_body chomp
slept for 0 seconds



=== TEST 14: programs of Go as functions
--- calls: std_command _start
--- request eval
["POST /call\nben", "POST /call\nanna"]
--- response_body eval
["hello ben", "hello anna"]



=== TEST 15: the same with more in it
--- calls: count_vowels_std _start
--- request eval
[("POST /call\nhello world") x 2]
--- response_body_like eval
[('"count": 3, "config": "gadget", "a": "this is var a"') x 2]



=== TEST 16: exit: its code comes from the configuration
--- calls: exit _start
--- user_files
>>> manifest.json
{ "config": { "code": "3" } }
--- request
POST /call
x
--- error_code: 500
--- error_log eval
qr/\[error\] .*"exit".*exit\D*3/



=== TEST 17: files that it does not have
--- calls: fs_std run_test
--- request
POST /call
x
--- error_code: 500
--- error_log eval
qr/\[error\] .*"fs_std"/



=== TEST 18: files that it has
--- calls: fs_std run_test
--- user_files
>>> manifest.json
{ "allowed_paths": { "$TEST_NGINX_HTML_DIR/data": "/mnt" } }
>>> data/test.txt
hello world!
--- request
POST /call
x
--- error_code: 200
--- response_body_like: hello world!



=== TEST 19: files for reading and writing
--- calls: read_write try_read
--- user_files
>>> manifest.json
{ "config": { "path": "/data/data.txt" }, "allowed_paths": { "ro:$TEST_NGINX_HTML_DIR/data": "/data" } }
>>> data/data.txt
hello world!
--- request
POST /call
x
--- response_body_like: hello world!



=== TEST 20: which may only be read
--- calls: read_write try_write
--- user_files
>>> manifest.json
{ "config": { "path": "/data/data.txt" }, "allowed_paths": { "ro:$TEST_NGINX_HTML_DIR/data": "/data" } }
>>> data/data.txt
hello world!
--- request
POST /call
written
--- error_code: 500
--- error_log eval
qr/\[error\] .*"read_write".*try_write/



=== TEST 21: a server that may not be asked
--- calls: http run_test
--- user_files
>>> manifest.json
{ "allowed_hosts": ["127.0.0.1"] }
--- request
POST /call
x
--- error_code: 500
--- error_log eval
qr/\[error\] .*"http".*jsonplaceholder\.typicode\.com/



=== TEST 22: the headers of a server that may
--- calls: http_headers http_get
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { add_header X-Answer 42; return 200 "answer\n"; }
}
--- user_files
>>> manifest.json
{ "allowed_hosts": ["127.0.0.1"] }
--- request eval
qq(POST /call\n{"url": "http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/"})
--- response_body_like: "x-answer":\s*"42"



=== TEST 23: a plugin that wants functions of an application does not start
--- calls: host run_test
--- must_die
--- error_log eval
[qr/\[emerg\] .*"host".*(mult|extism:host\/user)/]



=== TEST 24: nor one that wants those of another module
--- calls: main run_test
--- must_die
--- error_log eval
[qr/\[emerg\] .*"main".*(lib|capitalize)/]
