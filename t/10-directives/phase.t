# proxy_wasm_phase, and the other host's word for it: filters behind the access phase, and what nginx -t says about other
# modules in the same location.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module bodies $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module probe $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: what the access phase refuses, a filter behind it does not see
--- config
location /t { deny all; proxy_wasm_phase access; proxy_wasm bodies; root html; }
--- request
GET /t
--- error_code: 403
--- no_error_log
wasm "bodies": request-headers



=== TEST 2: by the other host's word
--- config
location /t { deny all; proxy_wasm_request_headers_in_access on; proxy_wasm bodies; root html; }
--- request
GET /t
--- error_code: 403
--- no_error_log
wasm "bodies": request-headers



=== TEST 3: satisfy any does not pass the filter by
--- config
location /t { satisfy any; allow all; deny all; proxy_wasm_phase access; proxy_wasm headers 'deny / 418'; root html; }
--- request
GET /t
--- error_code: 418



=== TEST 4: it refuses, and the handler does not run
--- config
location /t { proxy_wasm_phase access; proxy_wasm headers 'deny / 403'; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/guarded; }
location /guarded { return 200 guarded; }
--- request
GET /t
--- error_code: 403
--- response_body
denied by rust
--- no_access_log
/guarded



=== TEST 5: it sees the body, and what it answers is the end
--- config
location /t { proxy_wasm_phase access; proxy_wasm bodies 'request-body respond 403 no'; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/guarded; }
location /guarded { return 200 guarded; }
--- request
POST /t
body
--- error_code: 403
--- response_body chomp
no
--- no_access_log
/guarded



=== TEST 6: it pauses, and goes on
--- config
location /t { proxy_wasm_phase access; proxy_wasm bodies 'tick 20; request-headers hold; request-headers at-tick resume'; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/guarded; }
location /guarded { return 200 guarded; }
--- request
GET /t
--- response_body chomp
guarded



=== TEST 7: a new path leads to another location, whose access rules hold
--- config
location /t { proxy_wasm_phase access; proxy_wasm headers 'request.replace :path /closed'; root html; }
location /closed { deny all; root html; }
--- request
GET /t
--- error_code: 403



=== TEST 8: filters of the new location run, too
--- config
location /t { proxy_wasm_phase access; proxy_wasm headers 'request.replace :path /u'; root html; }
location /u { proxy_wasm headers 'deny /u 418'; return 200; }
--- request
GET /t
--- error_code: 418



=== TEST 9: the client's address, found out in the location
--- config
set_real_ip_from 127.0.0.1;
location /t { real_ip_header X-Forwarded-For; proxy_wasm_phase access; proxy_wasm probe 'property source|address; report'; root html; }
--- more_headers
X-Forwarded-For: 192.0.2.1
--- request
GET /t
--- response_body_like: 192\.0\.2\.1



=== TEST 10: the same where nothing is said
--- config
set_real_ip_from 127.0.0.1;
location /t { real_ip_header X-Forwarded-For; proxy_wasm probe 'property source|address; report'; root html; }
--- more_headers
X-Forwarded-For: 192.0.2.1
--- request
GET /t
--- response_body_like: 192\.0\.2\.1



=== TEST 11: the rewrite phase by name has the address of the proxy, and nginx -t says so
--- config
set_real_ip_from 127.0.0.1;
location /t { real_ip_header X-Forwarded-For; proxy_wasm_phase rewrite; proxy_wasm probe 'property source|address; report'; root html; }
--- more_headers
X-Forwarded-For: 192.0.2.1
--- request
GET /t
--- response_body_like: 127\.0\.0\.1
--- error_log eval
qr/\[warn\] .*"proxy_wasm probe" in \S+nginx\.conf:\d+ sees the address of the proxy in front.*"proxy_wasm_phase access"/



=== TEST 12: realip in the server is not warned of
--- config
set_real_ip_from 127.0.0.1;
real_ip_header X-Forwarded-For;
location /t { proxy_wasm_phase rewrite; proxy_wasm probe 'property source|address; report'; root html; }
--- more_headers
X-Forwarded-For: 192.0.2.1
--- request
GET /t
--- response_body_like: 192\.0\.2\.1
--- no_error_log
sees the address of the proxy



=== TEST 13: behind the access phase a filter does not see what return answers, and nginx -t says so
--- config
location /t { proxy_wasm_phase access; proxy_wasm headers 'deny / 403'; return 200 answered; }
--- request
GET /t
--- response_body chomp
answered
--- error_log eval
qr/\[warn\] .*"proxy_wasm headers" in \S+nginx\.conf:\d+ does not see requests that a "return" of the location answers/



=== TEST 14: inherited, and another one further in
--- config
proxy_wasm_phase access;
proxy_wasm headers 'deny / 418';
location /t { deny all; root html; }
location /u { deny all; proxy_wasm_phase rewrite; root html; }
--- request eval
['GET /t', 'GET /u']
--- error_code eval
[403, 418]



=== TEST 15: a word that it does not take
--- config
proxy_wasm_phase content;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "content" of "proxy_wasm_phase": it takes "rewrite" or "access" in \S+nginx\.conf:\d+$/



=== TEST 16: the other host's word takes on and off, and is the same directive
--- config
proxy_wasm_phase access;
proxy_wasm_request_headers_in_access on;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_request_headers_in_access" directive is duplicate in \S+nginx\.conf:\d+$/
