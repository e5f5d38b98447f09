# wasm_vm pulley: filters, programs and functions are interpreted. Traps, recursion, time and fuel end as they do with machine code, and the
# next request is served.

use TestWasm 'no_plan';
use ActionGuest;

ActionGuest::runs_on('pulley');

run_tests();

__DATA__

=== TEST 1: a filter runs
--- action
--- request
GET /t
--- response_body
ok
--- error_log
was here



=== TEST 2: a trap has its reason and the functions, and the next request is served
--- action
unreachable
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log eval
qr/wasm `unreachable` instruction executed.*\(guest backtrace: function #7\)/
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 3: what is outside of memory is a trap
--- action
(drop (i32.load (i32.const -4)))
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[503, 503]
--- error_log
out of bounds memory access
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 4: a recursion without end is a trap
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



=== TEST 5: so is one through host calls, which takes the stack of the worker
--- action
(global.set $serves (i32.const 1)) (drop (call $malloc (i32.const 1)))
--- request eval
["GET /t", "GET /t", "GET /t"]
--- error_code eval
[503, 503, 503]
--- error_log
call stack exhausted
--- expects_crit
wasm filter "m": failed to call function: proxy_on_request_headers



=== TEST 6: a loop ends at its time
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



=== TEST 7: tail calls end at their time
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



=== TEST 8: a budget
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



=== TEST 9: each request has an instance, which has nothing of the one before
--- http_config
proxy_wasm_isolation request;
--- action
(if (i32.load8_u (i32.const 4000)) (then unreachable)) (i32.store8 (i32.const 4000) (i32.const 1))
--- request eval
["GET /t", "GET /t", "GET /t"]
--- error_code eval
[200, 200, 200]



=== TEST 10: a location that runs a program
--- main_config
wasm { module program $TEST_NGINX_GUESTS/c-program.wasm; }
--- config
location /t { wasm_cgi program; }
--- request
GET /t
--- error_code: 200
