# What guests write to the log: levels, the request in the line, characters that could forge a line, standard output and
# error.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }') unless $block->main_config;
    $block->set_value(request => "GET /t\n");
});

run_tests();

__DATA__

=== TEST 1: levels of the ABI are those of nginx
--- config
location /t {
    proxy_wasm probe 'log info one; log warn two; log error three; log critical four';
    return 200 "ok\n";
}
--- error_log eval
[
    qr/\[info\] .*wasm "probe": one,/,
    qr/\[warn\] .*wasm "probe": two,/,
    qr/\[error\] .*wasm "probe": three,/,
    qr/\[crit\] .*wasm "probe": four,/,
]



=== TEST 2: trace and debug are nginx's debug, and not in a log of level info
--- config
location /t {
    proxy_wasm probe 'log trace quiet; log debug quieter; log info loud';
    return 200 "ok\n";
}
--- error_log
wasm "probe": loud
--- no_error_log
wasm "probe": quiet



=== TEST 3: a line has the request that it is about
--- config
location /t {
    proxy_wasm probe 'log warn here';
    return 200 "ok\n";
}
--- error_log eval
qr/\[warn\] .*wasm "probe": here, client: 127\.0\.0\.1, server: localhost, request: "GET \/t HTTP\/1\.1", host: "localhost"/



=== TEST 4: get_log_level is the lowest level that is written
--- config
location /info   { proxy_wasm probe 'level; report'; return 200; }
location /t {
    error_log logs/error.log warn;
    proxy_wasm probe 'level; report';
    return 200;
}
--- response_body
level -> 0 3



=== TEST 5: get_log_level follows the log's level
--- log_level: error
--- config
location /t {
    proxy_wasm probe 'level; report';
    return 200;
}
--- response_body
level -> 0 4



=== TEST 6: control characters are shown, not written: nobody forges a line
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "a\0a2026/01/01 [notice] forged\0d\1b[31m\00\7f\ff%s%n\\end")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $log (i32.const 2) (i32.const 0) (i32.const 45))))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- error_log eval
qr/\[info\] .*wasm "m": a\\n2026\/01\/01 \[notice\] forged\\x0d\\x1b\[31m\\x00\\x7f\xff%s%n\\end/
--- no_error_log eval
qr/^2026\/01\/01 \[notice\]/



=== TEST 7: a message of any length is cut by nginx, and the worker goes on
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (memory.fill (i32.const 0) (i32.const 65) (i32.const 1048576))
    (call $log (i32.const 2) (i32.const 0) (i32.const 1048576))))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- response_body
ok
--- error_log
wasm "m": AAAAAAAAAAAAAAAAAAAAAAAA



=== TEST 8: an empty message is a line
--- config
location /t {
    proxy_wasm probe 'raw log 3 0 0';
    return 200 "ok\n";
}
--- error_log eval
qr/\[warn\] .*wasm "probe": ,/



=== TEST 9: standard output is info, standard error is error
--- config
location /t {
    proxy_wasm probe 'stdout to out; stderr to err';
    return 200 "ok\n";
}
--- error_log eval
[qr/\[info\] .*wasm "probe": to out,/, qr/\[error\] .*wasm "probe": to err,/]



=== TEST 10: output without an end of line is written at the end of the callback, and pieces are joined
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\20\00\00\00\05\00\00\00\28\00\00\00\05\00\00\00")
  (data (i32.const 32) "first   secnd")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 64)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
    (i32.const 0)))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- error_log eval
qr/\[info\] .*wasm "m": firstsecndfirst,/



=== TEST 11: time is nanoseconds since 1970
--- config
location /t {
    proxy_wasm probe 'time; report';
    return 200;
}
--- response_body_like
^time -> 0 [12]\d{18}$



=== TEST 12: random numbers differ
--- config
location /t {
    proxy_wasm probe 'random; random; report';
    return 200;
}
--- response_body_like
^random -> 0 ([0-9a-f]{16})
random -> 0 (?!\1)[0-9a-f]{16}$



=== TEST 13: the environment of nginx is not the guest's
--- config
location /t {
    proxy_wasm probe 'env; report';
    return 200;
}
--- response_body
env -> 0
