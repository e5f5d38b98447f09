# Shared queues, in one worker: shared-memory.t has several.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; }')
        unless defined $block->main_config;
    $block->set_value(config => 'location /t { proxy_wasm shared; }') unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: first in, first out
--- request
GET /t
--- more_headers
x-shared: register q; register r; register q; pop q; push q one; push q two; push r other; pop q; push q three; pop q; pop q; pop q; pop r
--- response_body
register q -> 1
register r -> 2
register q -> 1
pop q -> none
push q one -> ()
push q two -> ()
push r other -> ()
pop q -> one
push q three -> ()
pop q -> two
pop q -> three
pop q -> none
pop r -> other



=== TEST 2: a queue is found by the vm_id, which is the name of the module, and its name
--- main_config
wasm {
    module one $TEST_NGINX_GUESTS/rust-shared.wasm;
    module two $TEST_NGINX_GUESTS/rust-shared.wasm;
}
--- config
location /t { proxy_wasm two; }
location /u { proxy_wasm one 'register q; resolve one q; resolve two q'; }
--- request
GET /t
--- more_headers
x-shared: resolve two q; resolve one p; resolve one q; push q hello
--- response_body
resolve two q -> None
resolve one p -> None
resolve one q -> Some(1)
push q hello -> ()
--- error_log
wasm "one": resolve one q -> Some(1)
wasm "one": resolve two q -> None
wasm "one": ready q: hello



=== TEST 3: a number that no queue has is not found
--- request
GET /t
--- more_headers
x-shared: register q; push 2 x; pop 2; push 0 x; push 4294967295 x; pop 16777217; push-size q 300; pop 3
--- response_body
register q -> 1
push 2 x -> NotFound
pop 2 -> NotFound
push 0 x -> NotFound
push 4294967295 x -> NotFound
pop 16777217 -> NotFound
push-size q 300 -> ()
pop 3 -> NotFound



=== TEST 4: each message is announced to the filter that registered the queue, after the callback that sends it
--- config
location /t { proxy_wasm shared 'register q'; }
--- request
GET /t
--- more_headers
x-shared: resolve shared q; push q one; push q two; push q three
--- response_body
resolve shared q -> Some(1)
push q one -> ()
push q two -> ()
push q three -> ()
--- grep_error_log eval
qr/ready q: \w+/
--- grep_error_log_out
ready q: one
ready q: two
ready q: three
--- error_log
ready q: three



=== TEST 5: more messages than the worker tells of at once
--- config
location /t { proxy_wasm shared 'register q'; }
--- request
GET /t
--- more_headers eval
"x-shared: resolve shared q; " . CORE::join("; ", map {"push q m$_"} 1 .. 100)
--- ignore_response_body
--- error_log
ready q: m1
ready q: m50
ready q: m100



=== TEST 6: messages that wait when the queue is registered are announced then
--- config
location /t { proxy_wasm shared; }
--- request
GET /t
--- more_headers
x-shared: register q; push q one; push q two
--- response_body
register q -> 1
push q one -> ()
push q two -> ()
--- error_log
ready q: one
ready q: two



=== TEST 7: of several filters, the one that registered last is told
--- main_config
wasm {
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
    module other $TEST_NGINX_GUESTS/rust-shared.wasm;
}
--- config
location /a { proxy_wasm shared 'register q; define counter first'; }
location /b { proxy_wasm shared 'register q; define counter second'; }
location /t { proxy_wasm other 'register q'; proxy_wasm shared; }
--- request
GET /t
--- more_headers
x-shared: resolve shared q; push q one; resolve other q; push q two
--- response_body
resolve shared q -> Some(1)
push q one -> ()
resolve other q -> Some(2)
push q two -> ()
--- error_log
wasm "shared": ready q: one
wasm "other": ready q: two



=== TEST 8: a trap in on_queue_ready costs the filter alone, which is started again for the next message
--- config
location /t { proxy_wasm shared 'register q'; }
--- request
GET /t
--- more_headers
x-shared: resolve shared q; push q one; push q trap; push q two; push q three
--- response_body
resolve shared q -> Some(1)
push q one -> ()
push q trap -> ()
push q two -> ()
push q three -> ()
--- error_log eval
["ready q: one", "ready q: trap", "panicked at", qr/\[crit\] .*wasm filter "shared": failed to call function: proxy_on_queue_ready trapped/,
    "ready q: two", "ready q: three"]



=== TEST 9: a full queue refuses messages, and takes them again when it has room
--- main_config
wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; shm_queue * 32k; }
--- config
location /t { proxy_wasm shared; }
--- request
GET /t
--- more_headers
x-shared: resolve shared q; register q; fill q; push-size q 1000; push-size q 100000000; pop 1; push-size q 900; register another-queue; push another-queue x
--- response_body_like eval
qr/^resolve shared q -> None
register q -> 1
fill q -> full after some
push-size q 1000 -> NotFound
push-size q 100000000 -> NotFound
pop 1 -> m{1000}
push-size q 900 -> \(\)
/
--- error_log
no room in shared queue 1 for a message of 1000 bytes, it is lost; enlarge "shm_queue" in "wasm { }"



=== TEST 10: a zone for a queue alone
--- main_config
wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; shm_queue own 32k; }
--- config
location /t { proxy_wasm shared; }
--- request
GET /t
--- more_headers
x-shared: register q; register own; fill own; push q x; resolve shared own
--- response_body
register q -> 1
register own -> 16777217
fill own -> full after some
push q x -> ()
resolve shared own -> Some(16777217)



=== TEST 11: a filter that sends to its own queue for ever does not keep the worker from requests
--- main_config
wasm { module probe $TEST_NGINX_HTML_DIR/echo.wat; }
--- user_files
>>> echo.wat
(module
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "q")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func $send (param i32) (drop (call $enqueue (local.get 0) (i32.const 16) (i32.const 1))))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $register (i32.const 16) (i32.const 1) (i32.const 0)))
    (call $send (i32.load (i32.const 0)))
    (i32.const 1))
  (func (export "proxy_on_queue_ready") (param i32 i32)
    (drop (call $dequeue (local.get 1) (i32.const 4) (i32.const 8)))
    (call $send (local.get 1))))
--- config
location /t { proxy_wasm probe; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok
