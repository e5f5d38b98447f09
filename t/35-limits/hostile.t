# Guests that take what they can get: tables, stack, memory at once and bit by bit, headers, calls, contexts that never end,
# allocators that trap or loop while the host wants to give something. In both modes of isolation the request ends as it
# should, the next one is served, and so is another filter of the same chain.

use TestWasm 'no_plan';

# Modules in text form, as they are needed.
our $Preamble = q{
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func $say (param $digit i32)
    (i32.store8 (i32.const 6) (i32.add (i32.const 48) (local.get $digit)))
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 7))))
  (data (i32.const 0) "said: ?")
};
our $Malloc = '(func (export "malloc") (param i32) (result i32) (i32.const 1024))';

sub guest { return "(module $Preamble @_)" }

add_block_preprocessor(sub {
    my $block = shift;
    my $more  = defined $block->guest ? 'module m $TEST_NGINX_HTML_DIR/m.wat;' : '';
    $block->set_value(main_config => <<"CONF");
wasm {
    module faulty \$TEST_NGINX_GUESTS/rust-faulty.wasm;
    module before \$TEST_NGINX_GUESTS/rust-headers.wasm;
    $more
}
CONF
    $block->set_value(http_config => "wasm_timeout 500ms; wasm_memory_limit 16m;\n" . ($block->http_config // ''));
    my $filter = defined $block->guest ? 'm' : q{faulty 'name faulty; @response-headers tell'};
    # /w: an instance for all, /r: one for each request.
    $block->set_value(config => ($block->more_config // '') . join '', map { my ($path, $mode) = @$_; <<"CONF" } ['w', 'worker'], ['r', 'request']) unless $block->config;
location /$path {
    proxy_wasm_isolation filter=@{[ defined $block->guest ? 'm' : 'faulty' ]} $mode;
    proxy_wasm before 'response.add x-before yes';
    proxy_wasm $filter;
    return 200 "ok\\n";
}
CONF
    $block->set_value(user_files => ">>> m.wat\n" . guest($block->guest)) if defined $block->guest;
});

run_tests();

__DATA__

=== TEST 1: endless recursion on the stack of the engine
--- guest eval
$::Malloc . '(func $deeper (param i64) (result i64) (i64.sub (local.get 0) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $deeper (i64.const 1))) (i32.const 0))'
--- request eval
["GET /w", "GET /r", "GET /w", "GET /r"]
--- error_code eval
[503, 503, 503, 503]
--- response_headers eval
[("x-before: yes") x 4]
--- error_log
call stack exhausted
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 2: a table that grows for ever is refused growth, and the guest goes on
--- guest eval
$::Malloc . '(table $t 1 funcref)
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (local $n i32)
  (loop $again
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1))))
  (call $say (i32.lt_u (local.get $n) (i32.const 13)))
  (i32.const 0))'
--- request eval
["GET /w", "GET /r", "GET /w", "GET /r"]
--- response_headers eval
[("x-before: yes") x 4]
--- response_body eval
[("ok\n") x 4]
--- error_log
said: 1
--- no_error_log
said: 0



=== TEST 3: the memory, page by page
--- guest eval
$::Malloc . '(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
  (call $say (i32.eq (memory.size) (i32.const 256)))
  (i32.const 0))'
--- request eval
["GET /w", "GET /r", "GET /w", "GET /r"]
--- response_body eval
[("ok\n") x 4]
--- error_log
said: 1
--- no_error_log
said: 0



=== TEST 4: an allocator that traps when the host wants to give something
--- guest
(func (export "malloc") (param i32) (result i32) unreachable)
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $pairs (i32.const 0) (i32.const 64) (i32.const 68))) (i32.const 0))
--- request eval
["GET /w", "GET /r", "GET /w", "GET /r"]
--- error_code eval
[503, 503, 503, 503]
--- response_headers eval
[("x-before: yes") x 4]
--- error_log
failed to call function: proxy_on_request_headers trapped
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 5: an allocator that loops: its time is that of the callback
--- guest
(func (export "malloc") (param i32) (result i32) (loop $again (br $again)) (i32.const 0))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $pairs (i32.const 0) (i32.const 64) (i32.const 68))) (i32.const 0))
--- request eval
["GET /w", "GET /r"]
--- error_code eval
[503, 503]
--- response_headers eval
[("x-before: yes") x 2]
--- error_log
still running after 500 ms (wasm_timeout)
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 6: an allocator that calls the host, which wants memory for that
--- guest
(func $malloc (export "malloc") (param i32) (result i32)
  (drop (call $pairs (i32.const 0) (i32.const 64) (i32.const 68))) (i32.const 1024))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $pairs (i32.const 0) (i32.const 64) (i32.const 68))) (i32.const 0))
--- request eval
["GET /w", "GET /r", "GET /w", "GET /r"]
--- response_headers eval
[("x-before: yes") x 4]
--- error_code eval
[503, 503, 503, 503]
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 7: a host call for as long as the callback may run
--- guest
(func (export "malloc") (param i32) (result i32) (i32.const 1024))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (loop $again (drop (call $pairs (i32.const 0) (i32.const 64) (i32.const 68))) (br $again)) (i32.const 0))
--- request eval
["GET /w", "GET /r"]
--- error_code eval
[503, 503]
--- response_headers eval
[("x-before: yes") x 2]
--- error_log
still running after 500 ms (wasm_timeout)
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 8: the whole memory as a line of the log, for as long as the callback may run
--- guest
(func (export "malloc") (param i32) (result i32) (i32.const 1024))
(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 250)))
  (loop $again (drop (call $log (i32.const 2) (i32.const 0) (i32.mul (memory.size) (i32.const 65536)))) (br $again)) (i32.const 0))
--- request eval
["GET /w", "GET /r"]
--- error_code eval
[503, 503]
--- response_headers eval
[("x-before: yes") x 2]
--- error_log
still running after 500 ms (wasm_timeout)
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 9: more headers of the response than there may be
--- request eval
["GET /w", "GET /w", "GET /r", "GET /r"]
--- more_headers eval
["x-faulty: \@response-headers headers 2000 1000", "", "x-faulty: \@response-headers headers 2000 1000", ""]
--- error_code eval
[503, 200, 503, 200]
--- response_body_like eval
["", "ok", "", "ok"]
--- no_error_log
failed to call function



=== TEST 10: more headers of the request
--- request eval
["GET /w", "GET /w", "GET /r", "GET /r"]
--- more_headers eval
["x-faulty: headers 2000 1000", "", "x-faulty: headers 2000 1000", ""]
--- error_code eval
[503, 200, 503, 200]



=== TEST 11: more calls at once than a filter may have
--- http_config
wasm_max_calls 10;
--- more_config
location /up { proxy_wasm off; return 200; }
--- request eval
[("GET /w", "GET /r") x 2]
--- more_headers eval
"x-faulty: calls 50 127.0.0.1:$ENV{TEST_NGINX_PORT} /up"
--- response_body eval
[("ok\n") x 4]
--- error_log eval
qr/faulty faulty: calls \{0: \d+, 10: [45]\d\}/
--- no_error_log
failed to call function



=== TEST 12: a trap with calls under way
--- more_config
location /up { proxy_wasm off; return 200; }
--- request eval
["GET /w", "GET /w", "GET /r", "GET /r"]
--- more_headers eval
["x-faulty: calls 50 127.0.0.1:$ENV{TEST_NGINX_PORT} /up; abort", "", "x-faulty: calls 50 127.0.0.1:$ENV{TEST_NGINX_PORT} /up; abort", ""]
--- error_code eval
[503, 200, 503, 200]
--- response_headers eval
[("x-before: yes") x 4]
--- expects_crit
wasm filter "faulty": failed to call function: proxy_on_request_headers



=== TEST 13: streams whose end the filter puts off for ever
--- request eval
[("GET /w", "GET /r") x 20]
--- more_headers
x-faulty: @done false
--- response_body eval
[("ok\n") x 40]
--- no_error_log
failed to call function
