# A filter that fails while it serves: endless loops, traps, too much memory, too deep recursion. The request gets 503, the
# log says why, and everything else goes on: the next request, other filters, other locations.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a trap in on_request_headers: 503, with the reason in the log
--- config
location /t {
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
qr/\[crit\] .*wasm filter "probe": .*proxy_on_request_headers trapped in context 2: .*unreachable.*client: 127\.0\.0\.1, .*request: "GET \/t HTTP/



=== TEST 2: the next request gets a fresh instance
--- config
location /t {
    proxy_wasm probe;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["x-probe: abort", "x-probe: level; report", "x-probe: level; report"]
--- error_code eval
[503, 200, 200]
--- response_body_like eval
["503", "level -> 0 2", "level -> 0 2"]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 3: traps one after the other are each a 503, and no more
--- config
location /t {
    proxy_wasm probe;
    return 200 "ok\n";
}
--- pipelined_requests eval
["GET /t?1", "GET /t?2", "GET /t?3"]
--- more_headers
x-probe: abort
--- error_code eval
[503, 503, 503]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 4: a panic of a Rust guest: its message is in the log
--- config
location /t {
    proxy_wasm probe 'trap';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
[qr/\[error\] .*wasm "probe": .*panicked at/, 'probe was told to', 'proxy_on_request_headers trapped']
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 5: other filters of the chain see the request to its end
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
wasm "lifecycle": on_request_headers 2
wasm "lifecycle": on_response_headers 2
wasm "lifecycle": on_done 2
wasm "lifecycle": on_log 2
wasm "lifecycle": on_delete 2
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 6: a filter behind the failed one does not see the request, and its response only
--- config
location /t {
    proxy_wasm probe 'abort';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
wasm "lifecycle": on_done 2
wasm "lifecycle": on_delete 2
--- no_error_log
wasm "lifecycle": on_request_headers
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 7: the failed filter hears nothing more of the request
--- config
location /t {
    proxy_wasm probe 'abort; @response log info late; @done log info late; @log log info late; @delete log info late';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
wasm "lifecycle": on_delete 2
--- no_error_log
late
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 8: a trap in on_response_headers: 503 instead of the response
--- config
location /t {
    proxy_wasm probe '@response abort';
    add_header x-secret 1;
    return 200 "secret\n";
}
--- request
GET /t
--- error_code: 503
--- response_headers
!x-secret
--- response_body_unlike: secret
--- error_log
proxy_on_response_headers trapped in context 2
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_response_headers



=== TEST 9: a trap in on_response_headers of a proxied response
--- config
location /t {
    proxy_wasm probe '@response abort';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    return 200 "secret\n";
}
--- pipelined_requests eval
["GET /t", "GET /up"]
--- error_code eval
[503, 200]
--- response_body_unlike eval
["secret", "none"]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_response_headers



=== TEST 10: a trap in on_context_create of a stream
--- main_config
wasm {
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module m         $TEST_NGINX_HTML_DIR/m.wat;
}
--- user_files
>>> m.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param $id i32) (param $parent i32)
    (if (local.get $parent) (then unreachable))))
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_wasm m;
    return 200 "secret\n";
}
--- request
GET /t
--- error_code: 503
--- response_body_unlike: secret
--- error_log
proxy_on_context_create trapped in context 2
wasm "lifecycle": on_delete 2
--- expects_crit
wasm filter "m": failed to call function: proxy_on_context_create



=== TEST 11: a trap in on_done leaves the response as it is; on_log and on_delete do not come
--- config
location /t {
    proxy_wasm probe '@done abort; @log log info late; @delete log info late';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
proxy_on_done trapped in context 2
wasm "lifecycle": on_delete 2
--- no_error_log
late
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_done



=== TEST 12: a trap in on_log
--- config
location /t {
    proxy_wasm probe '@log abort';
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t"]
--- response_body eval
["ok\n", "ok\n"]
--- error_log
proxy_on_log trapped in context 2
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_log



=== TEST 13: a trap in on_delete
--- config
location /t {
    proxy_wasm probe '@delete abort';
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t"]
--- response_body eval
["ok\n", "ok\n"]
--- error_log
proxy_on_delete trapped in context 2
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_delete



=== TEST 14: an endless loop ends with wasm_timeout
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
qr/\[crit\] .*wasm filter "probe": .*proxy_on_request_headers trapped in context 2: still running after 50 ms \(wasm_timeout\)/



=== TEST 15: an endless loop ends in a second where nothing is configured
--- config
location /t {
    proxy_wasm probe 'loop';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
still running after 1000 ms (wasm_timeout)
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 16: after an endless loop the same filter serves again
--- config
location /t {
    wasm_timeout 50ms;
    proxy_wasm probe;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t", "GET /t"]
--- more_headers eval
["x-probe: loop", "x-probe: level; report", "x-probe: loop"]
--- error_code eval
[503, 200, 503]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 17: after an endless loop other locations serve as before, with the same module
--- config
location /t {
    wasm_timeout 50ms;
    proxy_wasm probe;
    return 200 "ok\n";
}
location /u {
    proxy_wasm probe 'level; report';
    return 200 "ok\n";
}
--- request eval
["GET /u", "GET /t", "GET /u"]
--- more_headers eval
["", "x-probe: loop", ""]
--- error_code eval
[200, 503, 200]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 18: wasm_timeout is that of the location in which the request is
--- config
wasm_timeout 10s;
proxy_wasm probe;
location /t {
    wasm_timeout 50ms;
    return 200 "ok\n";
}
--- request
GET /t
--- more_headers
x-probe: loop
--- error_code: 503
--- error_log
still running after 50 ms (wasm_timeout)
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 19: an endless loop in on_response_headers
--- config
location /t {
    wasm_timeout 50ms;
    proxy_wasm probe '@response loop';
    return 200 "secret\n";
}
--- request
GET /t
--- error_code: 503
--- response_body_unlike: secret
--- error_log
proxy_on_response_headers trapped in context 2: still running after 50 ms (wasm_timeout)
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_response_headers



=== TEST 20: an endless loop in on_log: the client has its response
--- config
location /t {
    wasm_timeout 50ms;
    proxy_wasm probe '@log loop';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
proxy_on_log trapped in context 2: still running after 50 ms (wasm_timeout)
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_log



=== TEST 21: endless recursion
--- config
location /t {
    proxy_wasm probe;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["x-probe: recurse", "x-probe: level; report"]
--- error_code eval
[503, 200]
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 22: more memory than wasm_memory_limit is refused to the guest, which goes on
--- config
location /t {
    wasm_memory_limit 16m;
    proxy_wasm probe 'grow 4; grow 32; grow 4; report';
    return 200;
}
--- request
GET /t
--- response_body_like
^grow 4 -> 0 \d+ MiB
grow 32 -> 1 \d+ MiB
grow 4 -> 0 \d+ MiB$



=== TEST 23: memory.grow answers -1 at the limit
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "grown   refused ")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func $grow (param i32)
    (if (i32.eq (memory.grow (local.get 0)) (i32.const -1))
      (then (drop (call $log (i32.const 2) (i32.const 8) (i32.const 7))))
      (else (drop (call $log (i32.const 2) (i32.const 0) (i32.const 5))))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $grow (i32.const 15))
    (call $grow (i32.const 1))
    (call $grow (i32.const 65535))
    (call $grow (i32.const 0))
    (i32.const 0)))
--- config
location /t {
    wasm_memory_limit 1m;
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- grep_error_log eval
qr/wasm "m": \w+/
--- grep_error_log_out
wasm "m": grown
wasm "m": refused
wasm "m": refused
wasm "m": grown



=== TEST 24: a division by zero is a trap like others
--- skip_eval: 3: $ENV{TEST_WASM_VALGRIND}
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.div_u (local.get 1) (i32.const 0))))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- error_log
integer divide by zero
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 25: reading outside of the memory is a trap like others
--- skip_eval: 3: $ENV{TEST_WASM_VALGRIND}
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.load (i32.const -4))))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log
out of bounds memory access
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 26: an allocator that answers an address outside of the memory: the call fails, and nothing else
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "status ?")
  (func (export "malloc") (param i32) (result i32) (i32.const 65530))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 71) (i32.add (i32.const 48) (call $pairs (i32.const 0) (i32.const 0) (i32.const 4))))
    (drop (call $log (i32.const 2) (i32.const 64) (i32.const 8)))
    (i32.const 0)))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
wasm "m": status 6



=== TEST 27: an allocator that has no memory left: InternalFailure
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "status ?")
  (func (export "malloc") (param i32) (result i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 71) (i32.add (i32.const 48) (call $pairs (i32.const 0) (i32.const 0) (i32.const 4))))
    (drop (call $log (i32.const 2) (i32.const 64) (i32.const 8)))
    (i32.const 0)))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log eval
'wasm "m": status :'
