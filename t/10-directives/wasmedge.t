# wasm_vm wasmedge, where its library is installed: a filter runs, traps and time-outs are told and the next request is served, compiled
# code comes from the cache, and what the engine cannot do is refused.

use TestWasm 'no_plan';
use ActionGuest;

needs('wasmedge');

ActionGuest::runs_on('wasmedge', 'cache_dir $TEST_NGINX_SERVER_ROOT/cache;');

run_tests();

__DATA__

=== TEST 1: a filter runs, and the log says what the engine is
--- action
--- request
GET /t
--- response_body
ok
--- error_log
the engine is WasmEdge, which is for guests that you trust
was here



=== TEST 2: a trap has its reason and the function, and the next request is served
--- action
unreachable
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log
wasm trap: unreachable
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 3: a recursion without end is a trap
--- action
(drop (call $deeper (i64.const 1)))
--- request eval
["GET /t", "GET /t", "GET /t"]
--- error_code eval
[503, 503, 503]
--- error_log
call stack exhausted
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 4: a loop ends at its time
--- action
(loop $again (br $again))
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log
still running after 300 ms (wasm_timeout)
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 5: calls that the compiler makes a loop of end at their time, or with the stack
--- action
(drop (call $sum (i64.const 1)))
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log eval
qr/still running after 300 ms|call stack exhausted/
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 6: tail calls end at their time
--- action
(call $tail)
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log eval
qr/still running after 300 ms \(wasm_timeout\)/
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 7: a budget for all filters, so that the first engine of the process is one that counts
--- http_config
wasm_fuel 100000;
--- action
(loop $again (br $again))
--- request
GET /t
--- error_code: 503
--- error_log
has used up its fuel (wasm_fuel)
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 8: a location that runs a program
--- main_config
wasm { module program $TEST_NGINX_GUESTS/c-program.wasm; }
--- config
location /t {
    wasm_cgi program;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*module "program" .*: it is to answer requests by itself \(wasm_cgi, wasm_function\), which needs "wasm_vm wasmtime" or "wasm_vm pulley": /
