# Mistakes in proxy_wasm_decode and proxy_wasm_intercept_errors; t/32-bodies/decode.t and t/30-proxy-wasm/intercept-errors.t
# have their effects.

use TestWasm 'no_plan';

run_tests();

__DATA__

=== TEST 1: proxy_wasm_decode takes on and off
--- config
proxy_wasm_decode gzip;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "gzip" of "proxy_wasm_decode": it takes "off" or "on" in \S+nginx\.conf:\d+$/



=== TEST 2: proxy_wasm_intercept_errors takes on and off
--- config
proxy_wasm_intercept_errors 403;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "403" of "proxy_wasm_intercept_errors": it takes "off" or "on" in \S+nginx\.conf:\d+$/



=== TEST 3: levels inherit them, and may say otherwise
--- http_config
proxy_wasm_decode on;
proxy_wasm_intercept_errors on;
--- main_config
wasm { module headers $TEST_NGINX_GUESTS/rust-headers.wasm; }
--- config
error_page 403 =200 /page;
location /page { proxy_wasm off; return 200 page; }
location /t { proxy_wasm headers 'deny / 403'; return 204; }
location /off { proxy_wasm_intercept_errors off; proxy_wasm headers 'deny / 403'; return 204; }
--- request eval
["GET /t", "GET /off"]
--- error_code eval
[200, 403]
--- response_body eval
["page", "denied by rust\n"]
