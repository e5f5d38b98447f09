# What must not go on the wire: a filter that tries gets the status Ok, as in Envoy (the Rust SDK panics at others), and the
# request ends with 503 and a line in the log. Neither the client nor the upstream sees a byte of it.

use TestWasm 'no_plan';

# A guest that sets one header with any bytes: NAME and VALUE in request or response headers.
our $Set = sub {
    my ($function, $map, $name, $value) = @_;
    my $hex = sub { join '', map { sprintf '\\%02x', ord } split //, shift };
    my ($n, $v) = (length $name, length $value);
    my ($direction) = $map == 0 ? 'request' : 'response';
    return [['set.wat', <<"WAT"]];
(module
  (import "env" "proxy_${function}_header_map_value" (func \$set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "@{[ $hex->($name . $value) ]}")
  (data (i32.const 4096) "status ?")
  (func (export "malloc") (param i32) (result i32) (i32.const 8192))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_${direction}_headers") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 4103) (i32.add (i32.const 48)
      (call \$set (i32.const $map) (i32.const 0) (i32.const $n) (i32.const $n) (i32.const $v))))
    (drop (call \$log (i32.const 2) (i32.const 4096) (i32.const 8)))
    (i32.const 0)))
WAT
};

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module set $TEST_NGINX_HTML_DIR/set.wat; }
CONF
    $block->set_value(http_config => <<'CONF');
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { return 200 "upstream got $http_x_evil$http_x_name $request_uri\n"; }
}
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /t {
    proxy_wasm set;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
CONF
    $block->set_value(request    => "GET /t\n") unless $block->request;
    $block->set_value(error_code => 503) unless $block->error_code;
    $block->set_value(raw_response_headers_unlike => '(?i)x-evil') unless $block->raw_response_headers_unlike;
    $block->set_value(response_body_unlike => 'upstream') unless $block->response_body || $block->response_body_like;
});

run_tests();

__DATA__

=== TEST 1: request: CR and LF in a value
--- user_files eval
$::Set->('add', 0, 'x-name', "1\r\nx-evil: 1")
--- error_log eval
['wasm "set": status 0', qr/\[error\] .*wasm "set": CR, LF or NUL in the value of header "x-name"; the request is refused/]



=== TEST 2: request: LF alone
--- user_files eval
$::Set->('replace', 0, 'x-name', "1\nx-evil: 1")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "x-name"/]



=== TEST 3: request: CR alone
--- user_files eval
$::Set->('replace', 0, 'x-name', "1\r")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "x-name"/]



=== TEST 4: request: NUL
--- user_files eval
$::Set->('add', 0, 'x-name', "1\0")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "x-name"/]



=== TEST 5: request: LF in a name; the log shows it escaped
--- user_files eval
$::Set->('add', 0, "x-name: 1\r\nx-evil", '1')
--- error_log eval
[qr/\[error\] .*wasm "set": invalid header name "x-name: 1\\r\\nx-evil"; the request is refused/]



=== TEST 6: request: a blank in a name
--- user_files eval
$::Set->('add', 0, 'x name', '1')
--- error_log eval
[qr/\[error\] .*invalid header name "x name"/]



=== TEST 7: request: a colon in a name
--- user_files eval
$::Set->('replace', 0, 'x-evil:', '1')
--- error_log eval
[qr/\[error\] .*invalid header name "x-evil:"/]



=== TEST 8: request: no name
--- user_files eval
$::Set->('add', 0, '', '1')
--- error_log eval
[qr/\[error\] .*invalid header name ""/]



=== TEST 9: request: an unknown pseudo-header is no reason: it is left out
--- user_files eval
$::Set->('add', 0, ':protocol', 'websocket')
--- error_code: 200
--- response_body
upstream got  /t
--- error_log eval
['wasm "set": status 0', qr/\[warn\] .*wasm "set": unknown pseudo-header ":protocol" was not set/]



=== TEST 10: request: a blank in :path
--- user_files eval
$::Set->('replace', 0, ':path', '/x HTTP/1.1')
--- error_log eval
[qr/\[error\] .*invalid :path "\/x HTTP\/1\.1"/]



=== TEST 11: request: LF in :path
--- user_files eval
$::Set->('replace', 0, ':path', "/x\nx-evil: 1")
--- error_log eval
[qr/\[error\] .*wasm "set": .*:path.*; the request is refused/]



=== TEST 12: request: :path without a slash
--- user_files eval
$::Set->('replace', 0, ':path', 'x')
--- error_log eval
[qr/\[error\] .*invalid :path "x"/]



=== TEST 13: request: :path that leaves the root
--- user_files eval
$::Set->('replace', 0, ':path', '/../../etc/passwd')
--- error_log eval
[qr/\[error\] .*invalid :path/]



=== TEST 14: request: :path with an escape for NUL
--- user_files eval
$::Set->('replace', 0, ':path', '/x%00')
--- error_log eval
[qr/\[error\] .*invalid :path/]



=== TEST 15: request: an empty :path
--- user_files eval
$::Set->('replace', 0, ':path', '')
--- error_log eval
[qr/\[error\] .*invalid :path ""/]



=== TEST 16: request: a blank in :method
--- user_files eval
$::Set->('replace', 0, ':method', 'GET /x HTTP/1.1')
--- error_log eval
[qr/\[error\] .*invalid :method/]



=== TEST 17: request: an empty :method
--- user_files eval
$::Set->('replace', 0, ':method', '')
--- error_log eval
[qr/\[error\] .*invalid :method ""/]



=== TEST 18: request: a blank in :authority
--- user_files eval
$::Set->('replace', 0, ':authority', 'a b')
--- error_log eval
[qr/\[error\] .*invalid host "a b"/]



=== TEST 19: request: a slash in the host
--- user_files eval
$::Set->('add', 0, 'Host', 'a/b')
--- error_log eval
[qr/\[error\] .*invalid host "a\/b"/]



=== TEST 20: request: content-length and transfer-encoding are those of the body that comes
--- user_files eval
$::Set->('replace', 0, 'content-length', '3')
--- request
POST /t
hello
--- error_code: 200
--- response_body_like: upstream got



=== TEST 21: response: CR and LF in a value
--- user_files eval
$::Set->('add', 2, 'x-name', "1\r\nx-evil: 1")
--- error_log eval
['wasm "set": status 0', qr/\[error\] .*wasm "set": CR, LF or NUL in the value of header "x-name"/]



=== TEST 22: response: LF alone
--- user_files eval
$::Set->('replace', 2, 'x-name', "1\nx-evil: 1")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "x-name"/]



=== TEST 23: response: NUL
--- user_files eval
$::Set->('replace', 2, 'x-name', "1\0")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "x-name"/]



=== TEST 24: response: LF in a name
--- user_files eval
$::Set->('add', 2, "x-name: 1\r\nx-evil", '1')
--- error_log eval
[qr/\[error\] .*invalid header name "x-name: 1\\r\\nx-evil"/]



=== TEST 25: response: CR and LF in content-type
--- user_files eval
$::Set->('replace', 2, 'content-type', "text/plain\r\nx-evil: 1")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "content-type"/]



=== TEST 26: response: CR and LF in location
--- user_files eval
$::Set->('add', 2, 'location', "/\r\nx-evil: 1")
--- error_log eval
[qr/\[error\] .*CR, LF or NUL in the value of header "location"/]



=== TEST 27: response: a content-length that is no number
--- user_files eval
$::Set->('replace', 2, 'content-length', 'many')
--- error_log eval
[qr/\[error\] .*invalid content-length "many"/]



=== TEST 28: response: a negative content-length
--- user_files eval
$::Set->('replace', 2, 'content-length', '-1')
--- error_log eval
[qr/\[error\] .*invalid content-length "-1"/]



=== TEST 29: response: a :status that is no number
--- user_files eval
$::Set->('replace', 2, ':status', 'two')
--- error_log eval
[qr/\[error\] .*invalid :status "two"/]



=== TEST 30: response: an interim :status
--- user_files eval
$::Set->('replace', 2, ':status', '100')
--- error_log eval
[qr/\[error\] .*invalid :status "100"/]



=== TEST 31: response: a :status of four digits
--- user_files eval
$::Set->('replace', 2, ':status', '2000')
--- error_log eval
[qr/\[error\] .*invalid :status "2000"/]



=== TEST 32: response: an unknown pseudo-header is left out
--- user_files eval
$::Set->('replace', 2, ':path', '/x')
--- error_code: 200
--- raw_response_headers_unlike: (?i)path
--- response_body
upstream got  /t
--- error_log eval
['wasm "set": status 0', qr/\[warn\] .*wasm "set": unknown pseudo-header ":path" was not set/]



=== TEST 33: a refused request is still logged, and ends its contexts
--- main_config
wasm {
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module set $TEST_NGINX_HTML_DIR/set.wat;
}
--- user_files eval
$::Set->('add', 0, 'x-name', "1\r\nx-evil: 1")
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_wasm set;
    return 200 "upstream\n";
}
--- error_log
wasm "lifecycle": on_request_headers 2
wasm "lifecycle": on_done 2
wasm "lifecycle": on_log 2
wasm "lifecycle": on_delete 2
--- access_log
"GET /t HTTP/1.1" 503
--- request
GET /t



=== TEST 34: the page for a refused request can be that of error_page
--- user_files eval
$::Set->('add', 0, 'x-name', "1\r\nx-evil: 1")
--- config
location /t {
    proxy_wasm set;
    error_page 503 /sorry;
    return 200 "upstream\n";
}
location /sorry {
    proxy_wasm off;
    return 503 "sorry\n";
}
--- response_body
sorry



=== TEST 35: tabs and bytes above ASCII are allowed in values
--- user_files eval
$::Set->('add', 0, 'x-name', "a\tb\xff")
--- error_code: 200
--- response_body eval
"upstream got a\tb\xff /t\n"



=== TEST 36: an empty value is allowed
--- user_files eval
$::Set->('replace', 2, 'x-name', '')
--- error_code: 200
--- response_body_like: upstream got
--- error_log
wasm "set": status 0



=== TEST 37: a guest that writes headers for ever has its request refused, before it has used up the memory
--- main_config
wasm { module set $TEST_NGINX_HTML_DIR/loop.wat; }
--- user_files
>>> loop.wat
(module
  (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "x-name")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $count i32)
    (memory.fill (i32.const 1024) (i32.const 97) (i32.const 60000))
    (loop $again
      (drop (call $set (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 1024) (i32.const 60000)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $count) (i32.const 1000))))
    (i32.const 0)))
--- config
location /t {
    proxy_wasm set;
    return 200;
}
--- error_code: 503
--- error_log
more than 1 MiB of headers written in one callback; the request is refused



=== TEST 38: headers that a filter writes in every callback about a request
--- main_config
wasm { module set $TEST_NGINX_HTML_DIR/often.wat; }
--- user_files
>>> often.wat
(module
  (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "x-name")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (local $count i32)
    (memory.fill (i32.const 1024) (i32.const 97) (i32.const 60000))
    (loop $again
      (drop (call $set (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 1024) (i32.const 60000)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $count) (i32.const 16))))
    (i32.const 0)))
--- config
location /t {
    client_body_buffer_size 1k;
    proxy_wasm set;
    return 200 "ok\n";
}
--- request eval
"POST /t\n" . "x" x 200_000
--- error_code: 503
--- error_log
more than 16 MiB of headers written for one request; the request is refused
--- no_error_log
in one callback
