# What the log says when a callback fails: one entry, with callback, context, reason, what follows, and the guest's functions;
# nginx adds the request.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe  $TEST_NGINX_GUESTS/rust-probe.wasm;
    module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm;
    module calls  $TEST_NGINX_GUESTS/rust-calls.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a trap: all of it, in one entry, the request last
--- needs
full backtraces
--- config
location /t {
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- request
GET /t?q
--- error_code: 503
--- error_log eval
qr/\[crit\] \d+#\d+: \*\d+ wasm filter "probe": failed to call function: proxy_on_request_headers trapped in context 2: wasm trap: wasm `unreachable` instruction executed; proxy_wasm_on_error: this request fails, [^(]+ \(guest backtrace: function #\d+(?: < function #\d+)*\), client: 127\.0\.0\.1, server: localhost, request: "GET \/t\?q HTTP\/1\.1"/



=== TEST 2: a time-out
--- config
location /t {
    wasm_timeout 50ms;
    proxy_wasm probe 'loop';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/\[crit\] .*failed to call function: proxy_on_request_headers trapped in context 2: still running after 50 ms \(wasm_timeout\); proxy_wasm_on_error: .*, client: .*request: "GET \/t /



=== TEST 3: recursion without end
--- config
location /t {
    proxy_wasm probe 'recurse';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/\[crit\] .*trapped in context 2: wasm trap: [^;]+; proxy_wasm_on_error: .*request: "GET \/t /



=== TEST 4: the policy is named
--- config
location /t {
    proxy_wasm_on_error open;
    proxy_wasm probe '@response abort';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 200
--- response_body
ok
--- error_log eval
qr/proxy_on_response_headers trapped in context 2: .*; proxy_wasm_on_error: this request goes on without the filter.* \(guest backtrace: /
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_response_headers



=== TEST 5: more functions than the entry has room for: whole names, and the request is still there
--- needs
full backtraces
--- main_config
wasm { module deep $TEST_NGINX_HTML_DIR/deep.wat; }
--- user_files eval
my $name = sub { 'a_function_with_a_long_name_' . ('x' x 80) . "_$_[0]" };
my $functions = CORE::join "\n", map { '(func $' . $name->($_) . ' (call $' . $name->($_ + 1) . '))' } 0 .. 29;
">>> deep.wat
(module
  (memory (export \"memory\") 1)
  (func (export \"malloc\") (param i32) (result i32) (i32.const 1024))
  (func (export \"proxy_abi_version_0_2_1\"))
  $functions
  (func \$" . $name->(30) . " unreachable)
  (func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) (call \$" . $name->(0) . ") (i32.const 0)))
"
--- config
location /t {
    proxy_wasm deep;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/unreachable.*; proxy_wasm_on_error: .* \(guest backtrace: a_function_with_a_long_name_x{80}_30(?: < a_function_with_a_long_name_x{80}_\d+){4,} < \.\.\.\), client: 127\.0\.0\.1, .*request: "GET \/t HTTP/
--- no_error_log
(cut)
--- expects_crit
wasm filter "deep": failed to call function: proxy_on_request_headers



=== TEST 6: a tick is about no request
--- config
location /t {
    proxy_wasm ticker '10 trap 2';
    return 200 "ok\n";
}
--- request
GET /t
--- error_log eval
['panicked at', qr/\[crit\] \d+#\d+: wasm filter "ticker": failed to call function: proxy_on_tick trapped in context 1: [^;]*; no request; proxy_wasm_on_error: [^(]+ \(guest backtrace: /]



=== TEST 7: a name of a function cannot forge an entry
--- main_config
wasm { module forged $TEST_NGINX_HTML_DIR/forged.wat; }
--- user_files
>>> forged.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  ;; Called through a table: compilers do not put it into the other one.
  (table 1 funcref) (elem (i32.const 0) 2)
  (func (@name "first\0asecond") unreachable)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call_indirect (i32.const 0)) (i32.const 0)))
--- config
location /t {
    proxy_wasm forged;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
(guest backtrace: first?second < 
--- expects_crit
wasm filter "forged": failed to call function: proxy_on_request_headers



=== TEST 8: the result of a call is about the request that it was made for
--- config
location /t {
    proxy_wasm calls;
    return 200 "ok\n";
}
location /up {
    return 200 "up\n";
}
--- request
GET /t
--- more_headers eval
"x-calls: call a 127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT} GET /up; \@a trap; answer 200"
--- error_code: 503
--- error_log eval
['panicked at', qr/\[crit\] \d+#\d+: \*\d+ wasm filter "calls": failed to call function: proxy_on_http_call_response trapped in context \d+: [^;]*; proxy_wasm_on_error: .*, client: 127\.0\.0\.1, .*request: "GET \/t HTTP/]
