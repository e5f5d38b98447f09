# The directives wasm_max_calls, wasm_call_... and wasm_ssl_...: where they stand, what they take, how levels inherit, and
# nginx's message for each mistake in what they are told (others: mistakes.t). What they do to calls is in t/45-calls.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module calls $TEST_NGINX_GUESTS/rust-calls.wasm; }') unless defined $block->main_config;
    $block->set_value(config => '') unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: all in http, in server and in location
--- http_config
wasm_max_calls 1;
wasm_call_connect_timeout 10s;
wasm_call_response_buffer 64k;
wasm_call_keepalive 0;
wasm_call_keepalive_timeout 60s;
wasm_call_keepalive_requests 1000;
wasm_call_http_version auto;
wasm_call_ssl auto;
wasm_ssl_verify on;
wasm_ssl_verify_depth 3;
wasm_ssl_protocols TLSv1.2 TLSv1.3;
wasm_ssl_ciphers HIGH;
--- config
wasm_max_calls 65536;
wasm_call_connect_timeout 50ms;
wasm_call_response_buffer 1024m;
wasm_call_keepalive 65536;
wasm_call_keepalive_timeout 1ms;
wasm_call_keepalive_requests 1;
wasm_call_http_version 1.1;
wasm_call_ssl off;
wasm_ssl_verify off;
wasm_ssl_verify_depth 0;
wasm_ssl_protocols TLSv1 TLSv1.1;
wasm_ssl_ciphers HIGH:!aNULL;
location /t {
    wasm_max_calls 7;
    wasm_call_connect_timeout 1m;
    wasm_call_response_buffer 1;
    wasm_call_keepalive 3;
    wasm_call_keepalive_timeout 1h;
    wasm_call_keepalive_requests 1000000000;
    wasm_call_http_version 2;
    wasm_call_ssl on;
    wasm_ssl_verify on;
    wasm_ssl_verify_depth 1000;
    wasm_ssl_protocols TLSv1.3;
    wasm_ssl_ciphers ALL;
    proxy_wasm calls;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok



=== TEST 2: what the level says that declares a filter counts, and otherwise what is around it
--- http_config
wasm_max_calls 1;
--- config
location /outer {
    proxy_wasm calls 'call a 127.0.0.1:$TEST_NGINX_SERVER_PORT GET /ok times:3; answer 200';
    location /outer/inner {
        wasm_max_calls 3;
    }
}
location /own {
    wasm_max_calls 2;
    proxy_wasm calls 'call a 127.0.0.1:$TEST_NGINX_SERVER_PORT GET /ok times:3; answer 200';
}
location /ok { return 200 "ok\n"; }
--- request eval
['GET /outer', 'GET /own', 'GET /outer/inner']
--- response_body_like eval
my $of = sub { my $n = shift; qr/^(?!(?:.*"response"){@{[ $n + 1 ]}})(?:.*"response"){$n}/ };
[$of->(1), $of->(2), $of->(1)]



=== TEST 3: wasm_max_calls 0
--- http_config
wasm_max_calls 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_max_calls": it takes a number from 1 to 65536 in \S+nginx\.conf:\d+$/



=== TEST 4: wasm_max_calls 65537
--- http_config
wasm_max_calls 65537;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "65537" of "wasm_max_calls": it takes a number from 1 to 65536 in \S+nginx\.conf:\d+$/



=== TEST 5: wasm_max_calls -1
--- http_config
wasm_max_calls -1;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "-1" of "wasm_max_calls": it takes a number from 1 to 65536 in \S+nginx\.conf:\d+$/



=== TEST 6: wasm_call_connect_timeout 0
--- http_config
wasm_call_connect_timeout 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_call_connect_timeout": it takes a time above 0, such as 1s or 50ms in \S+nginx\.conf:\d+$/



=== TEST 7: wasm_call_connect_timeout soon
--- http_config
wasm_call_connect_timeout soon;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "soon" of "wasm_call_connect_timeout": it takes a time above 0, such as 1s or 50ms in \S+nginx\.conf:\d+$/



=== TEST 8: wasm_call_response_buffer 0
--- http_config
wasm_call_response_buffer 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_call_response_buffer": it takes a size from 1 to 1024m, such as 1m in \S+nginx\.conf:\d+$/



=== TEST 9: wasm_call_response_buffer 2g
--- http_config
wasm_call_response_buffer 2g;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "2g" of "wasm_call_response_buffer": it takes a size from 1 to 1024m, such as 1m in \S+nginx\.conf:\d+$/



=== TEST 10: wasm_call_keepalive many
--- http_config
wasm_call_keepalive many;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "many" of "wasm_call_keepalive": it takes a number from 0 to 65536 in \S+nginx\.conf:\d+$/



=== TEST 11: wasm_call_keepalive_timeout 0
--- http_config
wasm_call_keepalive_timeout 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_call_keepalive_timeout": it takes a time above 0, such as 1s or 50ms in \S+nginx\.conf:\d+$/



=== TEST 12: wasm_call_keepalive_requests 0
--- http_config
wasm_call_keepalive_requests 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_call_keepalive_requests": it takes a number from 1 to 1000000000 in \S+nginx\.conf:\d+$/



=== TEST 13: wasm_call_http_version 3
--- http_config
wasm_call_http_version 3;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "3" of "wasm_call_http_version": it takes "auto", "1.1" or "2" in \S+nginx\.conf:\d+$/



=== TEST 14: wasm_ssl_verify maybe
--- http_config
wasm_ssl_verify maybe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "maybe" of "wasm_ssl_verify": it takes "off" or "on" in \S+nginx\.conf:\d+$/



=== TEST 15: wasm_ssl_verify_depth -1
--- http_config
wasm_ssl_verify_depth -1;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "-1" of "wasm_ssl_verify_depth": it takes a number from 0 to 1000 in \S+nginx\.conf:\d+$/



=== TEST 16: wasm_call_ssl maybe
--- http_config
wasm_call_ssl maybe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "maybe" of "wasm_call_ssl": it takes "auto", "on" or "off" in \S+nginx\.conf:\d+$/



=== TEST 17: wasm_ssl_certificate_key alone
--- config
location /t {
    wasm_ssl_certificate_key some.key;
    proxy_wasm calls;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*"wasm_ssl_certificate_key" needs "wasm_ssl_certificate" beside it in \S+nginx\.conf:\d+$/



=== TEST 18: an empty argument undoes what the level around says
--- config
wasm_ssl_certificate_key some.key;
location /t {
    wasm_ssl_certificate_key '';
    proxy_wasm calls;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
