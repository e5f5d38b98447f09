# A guest in C++ whose filters are registered under root ids, as the C++ SDK has them: 'root_id=ID' chooses one. An id that
# nobody has registered makes a filter that does nothing, there as here.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    shift->set_value(main_config => 'wasm { module rootid $TEST_NGINX_GUESTS/cpp-rootid.wasm; }');
});

run_tests();

__DATA__

=== TEST 1: the filter of a root id works: a request without the key is refused
--- config
location /t {
    proxy_wasm rootid secret root_id=guard;
    return 200 "guarded\n";
}
--- request
GET /t
--- error_code: 403
--- response_body
no key
--- no_error_log
[warn]



=== TEST 2: and one with the key is not
--- config
location /t {
    proxy_wasm rootid secret root_id=guard;
    return 200 "guarded\n";
}
--- request
GET /t
--- more_headers
x-key: secret
--- response_body
guarded



=== TEST 3: another root id of the same module is another filter, and one chain has both
--- config
location /t {
    proxy_wasm rootid secret root_id=guard;
    proxy_wasm rootid 'from C++' 'root_id=a root id with blanks, longer than others';
    return 200 "ok\n";
}
--- request
GET /t
--- more_headers
x-key: secret
--- response_headers
x-tag: from C++
--- response_body
ok



=== TEST 4: an instance for each request
--- config
location /t {
    proxy_wasm_isolation request;
    proxy_wasm rootid secret root_id=guard;
    return 200 "guarded\n";
}
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[403, 403]



=== TEST 5: a root id that nobody has registered makes a filter that does nothing, and a warning says so
--- config
location /t {
    proxy_wasm rootid secret root_id=gaurd;
    return 200 "guarded\n";
}
--- request
GET /t
--- response_body
guarded
--- error_log eval
qr/\[warn\] .*filter "rootid" has asked for its root id, which is "gaurd", and not looked at its configuration: .* in \S+nginx\.conf:\d+$/



=== TEST 6: and so does none
--- config
location /t {
    proxy_wasm rootid secret;
    return 200 "guarded\n";
}
--- request
GET /t
--- response_body
guarded
--- error_log eval
qr/\[warn\] .*filter "rootid" has asked for its root id, which is "", and not looked at its configuration: .* in \S+nginx\.conf:\d+$/
