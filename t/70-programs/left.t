# Programs that are not over when their response is complete: the client has it all, the request ends, and the program goes on for
# some time. There is one thread: the request behind such a program is answered once that has ended, and so has the line of the log.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module program $TEST_NGINX_GUESTS/rust-program.wasm; }
CONF
    $block->set_value(http_config => "wasm_threads 1;\n" . ($block->http_config // ''));
});

# After each of several requests the log of all of them is looked at.
check_accum_error_log();

run_tests();

__DATA__

=== TEST 1: one that ends well says nothing
--- config
location /p/ { wasm_cgi program; }
--- request eval
["HEAD /p/late-read", "GET /p/hello"]
--- response_body eval
["", "hello\n"]
--- no_error_log
[error]



=== TEST 2: one that fails is in the log, and the next is served
--- config
location /p/ { wasm_cgi program; }
--- request eval
["HEAD /p/trap-late", "GET /p/hello"]
--- error_code eval
[200, 200]
--- response_body eval
["", "hello\n"]
--- error_log eval
qr/\[error\] .*wasm program "program": .*(trap|unreachable).*, behind its response/



=== TEST 3: one that does not end is stopped
--- config
location /p/ { wasm_cgi program; wasm_timeout 60s; wasm_program_timeout 200ms; }
location /q/ { wasm_cgi program; }
--- request eval
["HEAD /p/loop-late", "GET /q/hello"]
--- error_code eval
[200, 200]
--- response_body eval
["", "hello\n"]
--- error_log
wasm program "program": was stopped: it went on for too long behind its response (wasm_program_timeout)



=== TEST 4: one that uses up the time of the processor
--- config
location /p/ { wasm_cgi program; wasm_timeout 200ms; }
--- request eval
["HEAD /p/loop-late", "GET /p/hello"]
--- error_code eval
[200, 200]
--- response_body eval
["", "hello\n"]
--- error_log eval
qr/\[error\] .*wasm program "program": .*\(wasm_timeout\).*, behind its response/
