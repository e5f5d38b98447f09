# proxy_wasm_allow: what a filter gets that asks for more than it may do, what the log says, and that everything else is served
# as before: the filter's other requests, and the other filters.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module calls     $TEST_NGINX_GUESTS/rust-calls.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: host calls that are not named do nothing, and the filter goes on
--- config
location /t {
    proxy_wasm_allow get_header_map_value local_response;
    proxy_wasm probe 'get request x-a; add request x-b 1; pairs request; property request|path; set-property wasmx|a 1; level; report';
    return 200 "not reached\n";
}
--- request
GET /t
--- more_headers
x-a: here
--- response_body
get request x-a -> 0 here
add request x-b 1 -> 10
pairs request -> 10
property request|path -> 1
set-property wasmx|a 1 -> 10
level -> 0 2
--- error_log eval
[
    qr/\[error\] .*wasm "probe": "proxy_add_header_map_value" is not allowed; add "add_header_map_value" to "proxy_wasm_allow"/,
    '"proxy_get_header_map_pairs" is not allowed',
    '"proxy_get_property" is not allowed',
    '"proxy_set_property" is not allowed',
]



=== TEST 2: what was to be changed is as it was, for the filter behind and for the upstream
--- config
location /t {
    proxy_wasm_allow filter=probe get_header_map_value;
    proxy_wasm probe   'replace request x-a forged; add request x-b forged; @response add response x-c forged';
    proxy_wasm headers 'response.add x-seen %{x-a}%{x-b}';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    return 200 "$http_x_a$http_x_b\n";
}
--- request
GET /t
--- more_headers
x-a: true
--- response_headers
x-seen: true
!x-c
--- response_body
true



=== TEST 3: one line a minute says what is not allowed
--- config
location /t {
    proxy_wasm_allow local_response get_header_map_value;
    proxy_wasm probe 'add request a b; add request a b; add request a b; report';
    return 200;
}
--- request
GET /t
--- response_body
add request a b -> 10
add request a b -> 10
add request a b -> 10
--- grep_error_log eval
qr/"proxy_add_header_map_value" is not allowed/
--- grep_error_log_out
"proxy_add_header_map_value" is not allowed



=== TEST 4: a Rust filter that its SDK ends for that: its requests fail, and those of the others do not
--- config
location /t {
    proxy_wasm_allow filter=headers get_header_map_value;
    proxy_wasm headers 'request.add x-a b';
    proxy_wasm lifecycle;
    return 200 "not reached\n";
}
location /u {
    proxy_wasm headers 'response.add x-a b';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /u", "GET /t", "GET /u"]
--- error_code eval
[503, 200, 503, 200]
--- response_headers eval
["!x-a", "x-a: b", "!x-a", "x-a: b"]
--- error_log eval
qr/panicked at|wasm "lifecycle": on_delete/
--- expects_crit
wasm "headers": panicked at
wasm filter "headers": failed to call function: proxy_on_request_headers



=== TEST 5: the reason of that is in the log
--- config
location /t {
    proxy_wasm_allow filter=headers get_header_map_value;
    proxy_wasm headers 'request.add x-a b';
    return 200 "not reached\n";
}
--- request
GET /t
--- error_code: 503
--- error_log eval
[
    '"proxy_add_header_map_value" is not allowed; add "add_header_map_value" to "proxy_wasm_allow"',
    'panicked at',
    qr/\[crit\] .*wasm filter "headers": .*proxy_on_request_headers trapped/,
]



=== TEST 6: the configuration is read, and lines are logged, whatever is allowed
--- config
location /t {
    proxy_wasm_allow filter=headers log;
    proxy_wasm headers 'log info from the configuration';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
wasm "headers": from the configuration



=== TEST 7: callbacks that are not named are as if the module had not got them
--- config
location /t {
    proxy_wasm_allow filter=lifecycle on_response_headers;
    proxy_wasm lifecycle;
    proxy_wasm headers 'response.add x-a b';
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-a: b
--- response_body
ok
--- error_log
wasm "lifecycle": on_response_headers 2
wasm "lifecycle": on_done 2
wasm "lifecycle": on_delete 2
--- no_error_log
wasm "lifecycle": on_request_headers
is not allowed



=== TEST 8: a filter that may not answer does not
--- config
location /t {
    proxy_wasm_allow filter=probe header_maps;
    proxy_wasm probe 'respond 403 no';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
"proxy_send_local_response" is not allowed; add "send_local_response" to "proxy_wasm_allow"



=== TEST 9: foreign functions one by one
--- config
location /t {
    proxy_wasm_allow foreign=compress;
    proxy_wasm probe 'foreign compress; foreign clear_route_cache; foreign nothing; report';
    return 200;
}
--- request
GET /t
--- response_body_like
^foreign compress -> 0 789c\w+
foreign clear_route_cache -> 1
foreign nothing -> 1$
--- error_log
foreign function "clear_route_cache" is not allowed; add "foreign=clear_route_cache" to "proxy_wasm_allow"



=== TEST 10: calls go where they may
--- http_config
upstream good { server 127.0.0.1:$TEST_NGINX_SERVER_PORT; }
upstream bad  { server 127.0.0.1:$TEST_NGINX_SERVER_PORT; }
--- config
location /up {
    return 200 "from up";
}
location /t {
    proxy_wasm_allow host=good;
    proxy_wasm calls 'brief; call a good GET /up; call b GOOD GET /up; call c bad GET /up; call d 127.0.0.1:$TEST_NGINX_SERVER_PORT GET /up; call e outbound|80||bad GET /up authority:x; call f outbound|80||good GET /up authority:x; call g http://bad GET /up; answer 200';
    return 200;
}
--- request
GET /t
--- response_body_like eval
qr/^(?=.*"name":"a"[^{}]*"body":"from up")(?=.*"name":"b"[^{}]*"body":"from up")(?=.*"name":"f"[^{}]*"body":"from up")/s
--- error_log eval
qr/call to "bad" is not made: it is not allowed; add "host=bad" to "proxy_wasm_allow"/



=== TEST 11: calls that may not be made are refused, and reach nobody
--- http_config
upstream bad  { server 127.0.0.1:$TEST_NGINX_SERVER_PORT; }
--- config
location /up {
    proxy_wasm probe 'log warn reached';
    return 200 "reached";
}
location /t {
    proxy_wasm_allow filter=calls host=*.example.com host=good:8080;
    proxy_wasm calls 'brief; call c bad GET /up; call d 127.0.0.1:$TEST_NGINX_SERVER_PORT GET /up; call e outbound|80||bad GET /up authority:x; call g http://bad GET /up; grpc h bad s m; stream i bad s m; call j good GET /up; call k example.com GET /up; answer 200';
    return 200;
}
--- request
GET /t
--- response_body_unlike: reached|"response"|"open":[1-9]
--- response_body_like: "refused"
--- no_error_log
reached



=== TEST 12: a directive for a level, one for a filter, and one that says less further in
--- config
proxy_wasm_allow local_response;
proxy_wasm_allow filter=probe header_maps;
location /by_name {
    proxy_wasm probe 'add request a b; respond 200 answered';
    return 200 "not answered\n";
}
location /inner {
    proxy_wasm_allow streams;
    proxy_wasm_allow local_response properties;
    proxy_wasm probe 'add request a b; property request|path; report';
    return 200 "not answered\n";
}
--- request eval
["GET /by_name", "GET /inner"]
--- response_body eval
["not answered\n", "add request a b -> 10\nproperty request|path -> 0 /inner\n"]



=== TEST 13: a filter of an outer level goes by what that level says
--- config
proxy_wasm_allow local_response;
proxy_wasm probe 'add request a b; report';
location /t {
    proxy_wasm_allow header_maps;
    return 200;
}
--- request
GET /t
--- response_body
add request a b -> 10



=== TEST 14: each request in an instance of its own
--- config
location /t {
    proxy_wasm_isolation request;
    proxy_wasm_allow local_response get_header_map_value;
    proxy_wasm probe 'add request a b; report';
    return 200;
}
--- request eval
["GET /t", "GET /t"]
--- response_body eval
["add request a b -> 10\n", "add request a b -> 10\n"]



=== TEST 15: a word that is not known
--- config
location /t {
    proxy_wasm_allow get_property frobnicate;
    proxy_wasm probe;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*unknown word "frobnicate"; known are host=NAME, .*families of host calls: calls, log, .* in "proxy_wasm_allow" in .*nginx\.conf:\d+/



=== TEST 16: a mistake is found where it is about no filter, too
--- config
location /t {
    proxy_wasm_allow host=a/b;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*"host=a\/b" is no service: it is a name or an address, without a path in "proxy_wasm_allow" in .*nginx\.conf:\d+/



=== TEST 17: a directory without a path
--- config
location /t {
    proxy_wasm_allow dir=:/data;
    proxy_wasm probe;
}
--- must_die
--- error_log
"dir=:/data" grants no directory: it has no path
