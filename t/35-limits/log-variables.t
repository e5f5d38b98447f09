# The variables $wasm_error, $wasm_time and $wasm_fuel, in the access log and elsewhere.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe   $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module bodies  $TEST_NGINX_GUESTS/rust-bodies.wasm;
}
CONF
    $block->set_value(http_config => ($block->http_config // '') . <<'CONF') unless ($block->name // '') =~ /nothing names/;
    log_format wasm '<$uri|$status|$wasm_error|$wasm_time>';
    log_format fuel '<$uri|$status|$wasm_error|$wasm_fuel>';
    access_log logs/access.log wasm;
CONF
});

run_tests();

__DATA__

=== TEST 1: nothing went wrong: no error, and a time
--- config
location /t {
    proxy_wasm probe;
    return 200 "ok\n";
}
--- request
GET /t
--- access_log eval
qr{^<\S*/t\|200\|-\|0\.\d{6}>$}



=== TEST 2: no filter: no error and no time
--- config
location /t {
    return 200 "ok\n";
}
--- request
GET /t
--- access_log
</t|200|-|->



=== TEST 3: a trap
--- config
location /t {
    proxy_wasm headers;
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- access_log eval
qr{<\S*/t\|503\|probe: trap\|0\.\d{6}>}
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 4: a time-out, whose time is in the log
--- config
location /t {
    wasm_timeout 120ms;
    proxy_wasm probe 'loop';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- access_log eval
qr{<\S*/t\|503\|probe: timeout\|(?:0\.1[2-9]|0\.[2-9]|[1-9])\d*(?:\.\d+)?>}
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 5: an error page shows the error of its request
--- config
error_page 503 /sorry;
location /t {
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
location /sorry {
    return 500 "sorry: $wasm_error\n";
}
--- request
GET /t
--- error_code: 503
--- response_body
sorry: probe: trap
--- access_log eval
qr{</sorry\|503\|probe: trap\|0\.\d{6}>}
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 6: the first of several errors
--- config
location /t {
    proxy_wasm_on_error open;
    proxy_wasm probe   'abort';
    proxy_wasm headers 'response.add x-seen 1';
    proxy_wasm bodies  'response-headers trap';
    return 200 "ok\n";
}
--- request
GET /t
--- error_log
panicked at
--- access_log eval
qr{</t\|200\|probe: trap\|0\.\d{6}>}
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers
wasm "bodies": panicked at
wasm filter "bodies": failed to call function: proxy_on_response_headers



=== TEST 7: a filter that is not started again
--- config
location /t {
    proxy_wasm_on_error closed;
    proxy_wasm probe;
    return 200 "ok\n";
}
--- pipelined_requests eval
["GET /t?1", "GET /t?2"]
--- more_headers
x-probe: abort
--- error_code eval
[503, 503]
--- access_log
|503|probe: trap|
|503|probe: not started|
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 8: a filter that refuses a request by a header that is none
--- config
location /t {
    proxy_wasm probe "add request bad\rname x";
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 503
--- access_log
|503|probe: refused|



=== TEST 9: a pause that nobody ends
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504
--- access_log
|504|probe: pause timeout|



=== TEST 10: a filter that closes the connection
--- config
location /t {
    proxy_wasm probe 'close 0';
    return 200 "ok\n";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- ignore_response
--- access_log
|probe: closed|



=== TEST 11: a subrequest speaks of the main request
--- config
location /t {
    proxy_wasm_on_error open;
    proxy_wasm probe '@response abort';
    add_after_body /after;
    return 200 "main\n";
    default_type text/html;
}
location /after {
    return 200 "after: $wasm_error\n";
}
--- request
GET /t
--- response_body
main
after: probe: trap
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_response_headers



=== TEST 12: nothing names the time: it is not measured
--- http_config
    log_format wasm '<$uri|$status|$wasm_error>';
    access_log logs/access.log wasm;
--- config
location /t {
    proxy_wasm probe 'property wasm_time';
    return 200 "ok\n";
}
--- request
GET /t
--- access_log
</t|200|->



=== TEST 13: fuel, of all filters that count it
--- config
location /t {
    access_log logs/access.log fuel;
    wasm_fuel filter=probe 100000000;
    proxy_wasm probe;
    proxy_wasm headers;
    return 200 "ok\n";
}
--- request
GET /t
--- access_log eval
qr{</t\|200\|-\|[1-9]\d{2,7}>}



=== TEST 14: a request that has used up its fuel
--- config
location /t {
    access_log logs/access.log fuel;
    wasm_fuel filter=probe 10000000;
    wasm_timeout 60s;
    proxy_wasm probe;
    return 200 "ok\n";
}
--- request
GET /t
--- more_headers
x-probe: loop
--- error_code: 503
--- access_log
</t|503|probe: out of fuel|10000000>
--- error_log eval
qr/trapped in context 2: has used up its fuel \(wasm_fuel\); proxy_wasm_on_error: this request fails/
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers



=== TEST 15: no filter counts fuel
--- config
location /t {
    access_log logs/access.log fuel;
    proxy_wasm probe;
    return 200 "ok\n";
}
--- request
GET /t
--- access_log
</t|200|-|->
