# Timers: proxy_on_tick as often as a filter asks, in each worker, until it says stop, its instance goes, or the worker.
# Log lines are waited for; how long a tick takes to come is nobody's business.

use TestWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: a filter that asks for a timer gets its ticks, one after the other (Rust SDK)
--- main_config
wasm { module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm; }
--- config
location /t { proxy_wasm ticker '10'; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok
--- error_log
wasm "ticker": rust tick 1
wasm "ticker": rust tick 2
wasm "ticker": rust tick 3



=== TEST 2: the same with the Go SDK
--- main_config
wasm { module ticker $TEST_NGINX_GUESTS/go-ticker.wasm; }
--- config
location /t { proxy_wasm ticker '10'; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok
--- error_log
wasm "ticker": go tick 1
wasm "ticker": go tick 3



=== TEST 3: a period of 0 ends the timer
--- main_config
wasm { module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm; }
--- config
location /t { proxy_wasm ticker '5 stop 2'; return 200 "ok\n"; }
location /other { proxy_wasm ticker '10'; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok
--- grep_error_log: rust stopped
--- error_log
rust stopped
rust tick 9
--- grep_error_log_out
rust stopped



=== TEST 4: each proxy_wasm has its own timer
--- main_config
wasm {
    module rust $TEST_NGINX_GUESTS/rust-ticker.wasm;
    module go $TEST_NGINX_GUESTS/go-ticker.wasm;
}
--- config
location /t { proxy_wasm rust '10'; proxy_wasm go '15'; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok
--- error_log
wasm "rust": rust tick 2
wasm "go": go tick 2



=== TEST 5: a filter without a timer has no ticks
--- main_config
wasm {
    module quiet $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm;
}
--- config
location /t { proxy_wasm quiet; proxy_wasm ticker '10'; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok
--- error_log
rust tick 3
--- no_error_log
on_tick



=== TEST 6: requests and ticks share the instance
--- main_config
wasm { module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm; }
--- config
location /t { proxy_wasm ticker '60000'; return 200 "ok\n"; }
--- request
GET /t
--- response_headers
x-ticks: 0
--- response_body
ok



=== TEST 7: a tick resumes requests that wait for it
--- main_config
wasm { module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm; }
--- config
location /t { proxy_wasm ticker '20 pause 1'; return 200 "ok\n"; }
--- pipelined_requests eval
['GET /t', 'GET /t', 'GET /t']
--- response_body eval
["ok\n", "ok\n", "ok\n"]
