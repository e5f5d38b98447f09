# proxy_wasm_trace: which callbacks and host calls are in the log, with what, for which requests; what must not be in it; its bound.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => ($block->main_config // '') . 'wasm {
        module probe $TEST_NGINX_GUESTS/rust-probe.wasm; module other $TEST_NGINX_GUESTS/rust-probe.wasm; module bodies $TEST_NGINX_GUESTS/rust-bodies.wasm;
        module calls $TEST_NGINX_GUESTS/rust-calls.wasm; module ticker $TEST_NGINX_GUESTS/rust-ticker.wasm; module redis $TEST_NGINX_GUESTS/rust-redis.wasm;
        ' . ($block->modules // '') . '}');
    $block->set_value(request => "GET /t\n") unless defined $block->request;
});

run_tests();

__DATA__

=== TEST 1: each callback and each host call has a line
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm probe 'get request host; property request|method; add response x-kind image; size request';
    return 200 "ok\n";
}
--- error_log eval
[
    qr/\[info\] .*wasm trace "probe": context 2: proxy_on_context_create\(context=2, parent=1\), \d+ host calls, \d+ us, client: /,
    qr/wasm trace "probe": context 2: proxy_get_header_map_value\(RequestHeaders, "host"\) = Ok, "localhost", \d+ us, client: /,
    qr/wasm trace "probe": context 2: proxy_get_property\("request\\x00method"\) = Ok, "GET", \d+ us,/,
    qr/wasm trace "probe": context 2: proxy_get_header_map_size\(RequestHeaders\) = Ok, \d+, \d+ us,/,
    qr/wasm trace "probe": context 2: proxy_log\(Info, \d+ bytes\) = Ok, \d+ us,/,
    qr/wasm trace "probe": context 2: proxy_on_request_headers\(context=2, headers=\d+, end_of_stream=1\) = Continue, \d+ host calls, \d+ us, client: /,
    qr/wasm trace "probe": context 2: proxy_on_response_headers\(context=2, headers=\d+, end_of_stream=\d\) = Continue, /,
    qr/wasm trace "probe": context 2: proxy_on_done\(context=2\) = true, /,
    qr/wasm trace "probe": context 2: proxy_on_log\(context=2\), /,
    qr/wasm trace "probe": context 2: proxy_on_delete\(context=2\), /,
]



=== TEST 2: off is the default, and ends what an outer level says
--- http_config
proxy_wasm_trace on;
--- config
location /t {
    proxy_wasm_trace off;
    proxy_wasm probe 'get request host; log info done';
    return 200 "ok\n";
}
--- error_log
wasm "probe": done
--- no_error_log
wasm trace



=== TEST 3: without the directive
--- config
location /t { proxy_wasm probe 'log info done'; return 200 "ok\n"; }
--- error_log
wasm "probe": done
--- no_error_log
wasm trace



=== TEST 4: a condition: those requests in which it holds, whatever becomes of it later
--- config
location /t {
    proxy_wasm_trace if=$arg_trace;
    proxy_wasm probe 'replace request :path /t; @log log info done';
    return 200 "ok\n";
}
--- request
GET /t?trace=yes
--- error_log eval
[
    qr/wasm trace "probe": context 2: proxy_on_context_create/,
    qr/wasm trace "probe": context 2: proxy_replace_header_map_value\(RequestHeaders, ":path", "\/t"\) = Ok/,
    qr/wasm trace "probe": context 2: proxy_on_log/,
]
--- no_error_log
context 1:



=== TEST 5: a condition that is not there
--- config
location /t {
    proxy_wasm_trace if=$arg_trace;
    proxy_wasm probe '@log log info done';
    return 200 "ok\n";
}
--- error_log
wasm "probe": done
--- no_error_log
wasm trace



=== TEST 6: a condition that is 0, and made of several
--- http_config
map $uri $zero { default 0; }
--- config
location /t {
    proxy_wasm_trace if=$zero$arg_trace;
    proxy_wasm probe '@log log info done';
    return 200 "ok\n";
}
--- error_log
wasm "probe": done
--- no_error_log
wasm trace



=== TEST 7: with a name it is for filters of that name
--- config
location /t {
    proxy_wasm_trace filter=other on;
    proxy_wasm probe;
    proxy_wasm other;
    return 200 "ok\n";
}
--- error_log
wasm trace "other": context 2: proxy_on_log
--- no_error_log
wasm trace "probe"



=== TEST 8: the log's own level holds
--- config
location /t {
    error_log logs/error.log notice;
    proxy_wasm_trace on;
    proxy_wasm probe '@log log warn done';
    return 200 "ok\n";
}
--- error_log
wasm "probe": done
--- no_error_log
wasm trace "probe": context 2



=== TEST 9: values that may be credentials are not shown, whoever reads or writes them
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm probe 'get request authorization; get request cookie; property request|headers|authorization; property http_cookie;
        add request proxy-authorization Basic-sesame; replace request authorization sesame-2; @response add response set-cookie sid=sesame-3;
        pairs request; property request|headers; set-pairs request x-a=sesame-4; set-property wasmx.token sesame-5';
    return 200 "ok\n";
}
--- more_headers
Authorization: Bearer sesame
Cookie: sid=sesame
--- error_log eval
[
    qr/wasm trace "probe": context 2: proxy_get_header_map_value\(RequestHeaders, "authorization"\) = Ok, 13 bytes, /,
    qr/wasm trace "probe": context 2: proxy_get_header_map_value\(RequestHeaders, "cookie"\) = Ok, 10 bytes, /,
    qr/wasm trace "probe": context 2: proxy_get_property\("request\\x00headers\\x00authorization"\) = Ok, 13 bytes, /,
    qr/wasm trace "probe": context 2: proxy_get_property\("http_cookie"\) = Ok, 10 bytes, /,
    qr/wasm trace "probe": context 2: proxy_add_header_map_value\(RequestHeaders, "proxy-authorization", 12 bytes\) = Ok, /,
    qr/wasm trace "probe": context 2: proxy_replace_header_map_value\(RequestHeaders, "authorization", 8 bytes\) = Ok, /,
    qr/wasm trace "probe": context 2: proxy_add_header_map_value\(ResponseHeaders, "set-cookie", 12 bytes\) = Ok, /,
    qr/wasm trace "probe": context 2: proxy_get_header_map_pairs\(RequestHeaders\) = Ok, \d+ bytes, /,
    qr/wasm trace "probe": context 2: proxy_get_property\("request\\x00headers"\) = Ok, \d+ bytes, /,
    qr/wasm trace "probe": context 2: proxy_set_header_map_pairs\(RequestHeaders, \d+ bytes\) = Ok, /,
]
--- no_error_log eval
# In this header the guest tells what it has done.
qr/wasm trace (?!.*"x-probe-result").*sesame/



=== TEST 10: bodies are sizes
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm bodies 'request-body show; request-end append secret-tail; response-headers remove response content-length; response-body #1 replace secret-answer';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up { return 200 "ok\n"; }
--- request
POST /t
the secret-body
--- response_body: secret-answer
--- error_log eval
[
    qr/wasm trace "bodies": context 2: proxy_get_buffer_bytes\(RequestBody, 0, \d+\) = Ok, 15 bytes, /,
    qr/wasm trace "bodies": context 2: proxy_set_buffer_bytes\(RequestBody, \d+, \d+, 11 bytes\) = Ok, /,
    qr/wasm trace "bodies": context 2: proxy_on_request_body\(context=2, bytes=15, end_of_stream=1\) = Continue, /,
    qr/wasm trace "bodies": context 2: proxy_set_buffer_bytes\(ResponseBody, \d+, \d+, 13 bytes\) = Ok, /,
]
--- no_error_log eval
qr/wasm trace .*secret/



=== TEST 11: a configuration, a local response and a password have no text
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm redis;
}
--- more_headers
x-redis: init 127.0.0.1:6379 sesame-user sesame-password 100
--- error_log eval
[
    qr/wasm trace "redis": context \d: proxy_redis_init\("127\.0\.0\.1:6379", \.\.\., \.\.\., 100\) = /,
    qr/wasm trace "redis": context \d: proxy_send_local_response\(200, "", \d+ bytes, \d+ bytes, -1\) = Ok, /,
]
--- no_error_log eval
# In this header the guest is told what to do.
qr/wasm trace (?!.*"x-redis").*sesame/



=== TEST 12: the start is there with "on", the results of calls too
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm calls 'call a 127.0.0.1:$TEST_NGINX_SERVER_PORT GET /up; answer 200';
}
location /up { return 200 "ok\n"; }
--- error_log eval
[
    qr/wasm trace "calls": context 1: proxy_on_vm_start\(root=1, configuration_bytes=0\) = true, /,
    qr/wasm trace "calls": context 1: proxy_on_configure\(root=1, configuration_bytes=\d+\) = true, /,
    qr/wasm trace "calls": context \d: proxy_http_call\("127\.0\.0\.1:\d+", \d+ bytes, 0 bytes, \d+ bytes, 20000\) = Ok, \d+, /,
    qr/wasm trace "calls": context \d: proxy_on_http_call_response\(root=1, call=\d+, headers=\d+, bytes=3, trailers=0\), /,
]



=== TEST 13: with a condition, the result of a call goes by the request that it was made for
--- config
location /t {
    proxy_wasm_trace if=$arg_trace;
    proxy_wasm calls 'call a 127.0.0.1:$TEST_NGINX_SERVER_PORT GET /up; answer 200';
}
location /up { return 200 "ok\n"; }
--- request
GET /t?trace=1
--- error_log eval
qr/wasm trace "calls": context \d: proxy_on_http_call_response\(root=1, /
--- no_error_log
proxy_on_vm_start
proxy_on_configure



=== TEST 14: a trap
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm probe 'abort';
    return 200 "ok\n";
}
--- error_code: 503
--- error_log eval
qr/wasm trace "probe": context 2: proxy_on_request_headers\(.*\) = trap: wasm trap: .*unreachable.*, \d+ host calls, \d+ us/
--- expects_crit
wasm filter "probe": failed to call function



=== TEST 15: what a filter may not do
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm_allow log;
    proxy_wasm probe 'property request|id';
    return 200 "ok\n";
}
--- error_log eval
qr/wasm trace "probe": context 2: proxy_get_property\("request\\x00id"\) = NotFound, /



=== TEST 16: a loop of host calls has 1000 lines, and one that says how many are left out
--- modules
module m $TEST_NGINX_HTML_DIR/m.wat;
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_header_map_size" (func $size (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $n i32)
    (loop $again
      (drop (call $size (i32.const 0) (i32.const 0)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 5000))))
    (i32.const 0)))
--- config
location /t {
    proxy_wasm_log_rate off;
    proxy_wasm_trace on;
    proxy_wasm m;
    return 200 "ok\n";
}
--- error_log eval
[
    qr/wasm trace "m": context 2: 4000 host calls left out, more than 1000 in a callback, /,
    qr/wasm trace "m": context 2: proxy_on_request_headers\(.*\) = Continue, 5000 host calls, /,
]
--- grep_error_log eval
qr/proxy_get_header_map_size/
--- grep_error_log_out eval
"proxy_get_header_map_size\n" x 1000



=== TEST 17: lines count for proxy_wasm_log_rate
--- config
location /t {
    proxy_wasm_log_rate 5;
    proxy_wasm_trace on;
    proxy_wasm probe 'get request host; get request host; get request host; get request host; get request host; get request host';
    return 200 "ok\n";
}
--- error_log eval
qr/wasm "probe": dropped \d+ lines, more than 5 in a second \(proxy_wasm_log_rate\)/



=== TEST 18: control characters are shown, not written, and long texts are cut
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm probe 'raw get_header_map_value 0 hex:0a1b7f hex:0a out out2; get request x-long';
    return 200 "ok\n";
}
--- more_headers eval
"x-long: " . 'l' x 200
--- error_log eval
[
    qr/wasm trace "probe": context 2: proxy_get_header_map_value\(RequestHeaders, "\\n\\x1b\\x7f"\) = NotFound, |proxy_get_header_map_value\(RequestHeaders, "\\n/,
    qr/wasm trace "probe": context 2: proxy_get_header_map_value\(RequestHeaders, "x-long"\) = Ok, "l{64}"\.\.\. 200 bytes, /,
]



=== TEST 19: an instance for each request
--- config
location /t {
    proxy_wasm_isolation request;
    proxy_wasm_trace if=$arg_trace;
    proxy_wasm probe 'get request host';
    return 200 "ok\n";
}
--- request
GET /t?trace=1
--- error_log eval
[qr/wasm trace "probe": context 2: proxy_get_header_map_value\(RequestHeaders, "host"\)/, qr/wasm trace "probe": context 2: proxy_on_delete/]



=== TEST 20: ticks, with "on"
--- config
location /t {
    proxy_wasm_trace on;
    proxy_wasm ticker '10 stop 2';
    return 200 "ok\n";
}
--- error_log eval
qr/wasm trace "ticker": context 1: proxy_on_tick\(root=1\), \d+ host calls, \d+ us$/
