# What a trap report says of the functions that ran: names from the module, and with 'backtraces on' files and lines, if it
# has debug information.

use TestWasm 'no_plan';

needs('full backtraces');

run_tests();

__DATA__

=== TEST 1: without backtraces: names only
--- main_config
wasm { module probe $TEST_NGINX_GUESTS/rust-probe-debug.wasm; }
--- config
location /t {
    proxy_wasm probe 'recurse';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/trapped in context 2: .* \(guest backtrace: operations::recurse < operations::recurse < /
--- no_error_log eval
qr/\.rs:\d+\)/
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 2: with backtraces on: names, files and lines, those of inlined functions too
--- main_config
wasm {
    backtraces on;
    module probe $TEST_NGINX_GUESTS/rust-probe-debug.wasm;
}
--- config
location /t {
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/unreachable.* \(guest backtrace: \w[\w:<> ]* \(lib\.rs:\d+\) < .*\(option\.rs:\d+\) < run \(lib\.rs:\d+\) < /
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 3: names are as in the source, without hashes
--- main_config
wasm {
    backtraces on;
    module probe $TEST_NGINX_GUESTS/rust-probe-debug.wasm;
}
--- config
location /t {
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/ < proxy_on_request_headers \(lib\.rs:\d+\)\)/
--- no_error_log eval
[qr/::h[0-9a-f]{16}/, qr/_ZN/]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 4: a module without debug information has names only, or numbers
--- main_config
wasm {
    backtraces on;
    module names $TEST_NGINX_HTML_DIR/names.wat;
}
--- user_files
>>> names.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func $innermost unreachable)
  (func (call $innermost))
  (func $_ZN4name5spaceEv (call 3))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $_ZN4name5spaceEv) (i32.const 0)))
--- config
location /t {
    proxy_wasm names;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
(guest backtrace: innermost < function #3 < name::space < function #5)
--- expects_crit
wasm filter "names": failed to call function: proxy_on_request_headers



=== TEST 5: it is on or off
--- main_config
wasm { backtraces maybe; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "maybe" of "backtraces": it takes "off" or "on" in \S+nginx\.conf:\d+$/
