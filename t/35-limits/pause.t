# A filter that pauses a request in on_request_headers: what resumes it, and what happens when nothing does.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a pause that nothing ends is 504 after wasm_pause_timeout, with the filter's name in the log
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504
--- error_log eval
qr/\[error\] .*wasm filter "probe" paused the request, and nothing resumed it within 50 ms \(wasm_pause_timeout\).*request: "GET \/t HTTP/



=== TEST 2: the contexts of a request that waited in vain end
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm lifecycle;
    proxy_wasm probe 'pause; @response get response :status; @done log info done; @log log info logged; @delete log info deleted';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504
--- error_log
probe: get response :status -> 0 504
wasm "lifecycle": on_response_headers 2
wasm "lifecycle": on_delete 2
wasm "probe": done
wasm "probe": logged
wasm "probe": deleted
--- access_log
"GET /t HTTP/1.1" 504



=== TEST 3: error_page can have the page for it
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    error_page 504 =200 /late;
    return 200 "ok\n";
}
location /late { return 200 "late\n"; }
--- request
GET /t
--- response_body
late



=== TEST 4: continue_stream in the callback that pauses goes on at once
--- config
location /t {
    proxy_wasm probe 'resume; pause';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
probe: resume -> 0



=== TEST 5: proxy_continue_request of 0.1.0 does the same
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_continue_request" (func $continue (result i32)))
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_1_0"))
  (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
    (drop (call $continue))
    (i32.const 1)))
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok



=== TEST 6: continue_stream of the response does not end a pause of the request
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'raw continue_stream 1; pause';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504



=== TEST 7: continue_stream without a pause does nothing
--- config
location /t {
    proxy_wasm probe 'resume';
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504



=== TEST 8: filters behind a pause do not see the request while it waits
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504
--- error_log
wasm "lifecycle": on_delete 2
--- no_error_log
wasm "lifecycle": on_request_headers



=== TEST 9: a pause that is resumed at once in the middle of a chain: all filters see the request, in order
--- config
location /t {
    proxy_wasm probe 'add request x-order 1';
    proxy_wasm probe 'add request x-order 2; resume; pause';
    proxy_wasm probe 'add request x-order 3; pairs request; report';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body_like
,x-order=1,x-order=2,x-order=3$



=== TEST 10: an action that nobody defined is the strictest stop
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'action 77';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 504



=== TEST 11: a paused request does not hold up others of the worker
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    return 200 "ok\n";
}
location /both {
    content_by_lua_block {
        local one, two = ngx.location.capture_multi({{"/proxy/t"}, {"/proxy/u"}})
        ngx.say(one.status, " ", two.body)
    }
}
location /proxy/ { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/; }
location /u {
    proxy_wasm probe 'level; report';
    return 200;
}
--- request
GET /both
--- response_body_like
^504 level -> 0 \d
--- skip_eval: 2: !$ENV{TEST_WASM_LUA}



=== TEST 12: a request with a body waits, and its body is passed on afterwards
--- config
location /t {
    proxy_wasm probe 'resume; pause';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/last;
    add_header x-body $request_body;
}
location /last { return 200; }
--- request
POST /t
hello
--- response_headers
x-body: hello



=== TEST 13: a request with a body that waits in vain
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe 'pause';
    return 200 "ok\n";
}
location /u { return 200 "u\n"; }
--- pipelined_requests eval
["POST /t\nhello", "GET /u"]
--- error_code eval
[504, 200]



=== TEST 14: a local response ends a pause at once
--- config
location /t {
    proxy_wasm probe 'respond 403 no; pause';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
no



=== TEST 15: a pause of the response that nothing ends is 504: nothing leaves without the filter's word
--- config
location /t {
    wasm_pause_timeout 50ms;
    proxy_wasm probe '@response pause';
    return 200 "secret\n";
}
--- request
GET /t
--- error_code: 504
--- response_body_unlike: secret
--- error_log eval
qr/\[error\] .*wasm filter "probe" paused the response, and nothing resumed it within 50 ms \(wasm_pause_timeout\)/



=== TEST 16: a pause of the response with continue_stream goes on
--- config
location /t {
    proxy_wasm probe '@response resume; @response pause';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok

