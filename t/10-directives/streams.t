# The directives about bodies and the order of filters: where they hold, and nginx's message for each mistake. What they do to a
# running filter is in t/32-bodies.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module bodies $TEST_NGINX_GUESTS/rust-bodies.wasm; }');
    $block->set_value(config => '') unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: proxy_wasm_request_body_buffer abc
--- config
proxy_wasm_request_body_buffer abc;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "abc" of "proxy_wasm_request_body_buffer": it takes a size from 1 to 4095m, such as 1m in \S+nginx\.conf:\d+$/



=== TEST 2: proxy_wasm_request_body_buffer 0
--- config
proxy_wasm_request_body_buffer 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "proxy_wasm_request_body_buffer": it takes a size from 1 to 4095m, such as 1m in \S+nginx\.conf:\d+$/



=== TEST 3: proxy_wasm_response_body_buffer 4096m
--- config
proxy_wasm_response_body_buffer 4096m;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "4096m" of "proxy_wasm_response_body_buffer": it takes a size from 1 to 4095m, such as 1m in \S+nginx\.conf:\d+$/



=== TEST 4: proxy_wasm_response_order takes two words
--- config
proxy_wasm_response_order reverse;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "reverse" of "proxy_wasm_response_order": it takes "onion" or "declared" in \S+nginx\.conf:\d+$/



=== TEST 5: proxy_wasm_headers_stop_iteration takes two words
--- config
proxy_wasm_headers_stop_iteration yes;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "yes" of "proxy_wasm_headers_stop_iteration": it takes "off" or "on" in \S+nginx\.conf:\d+$/



=== TEST 6: proxy_wasm_request_body_buffer stands once on a level
--- config
proxy_wasm_request_body_buffer 1m;
proxy_wasm_request_body_buffer 1m;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_request_body_buffer" directive is duplicate in \S+nginx\.conf:\d+$/



=== TEST 7: proxy_wasm_response_body_buffer stands once on a level
--- config
proxy_wasm_response_body_buffer 1m;
proxy_wasm_response_body_buffer 1m;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_response_body_buffer" directive is duplicate in \S+nginx\.conf:\d+$/



=== TEST 8: proxy_wasm_response_order stands once on a level
--- config
proxy_wasm_response_order onion;
proxy_wasm_response_order onion;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_response_order" directive is duplicate in \S+nginx\.conf:\d+$/



=== TEST 9: proxy_wasm_headers_stop_iteration stands once on a level
--- config
proxy_wasm_headers_stop_iteration on;
proxy_wasm_headers_stop_iteration on;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_headers_stop_iteration" directive is duplicate in \S+nginx\.conf:\d+$/



=== TEST 10: a location inherits, and may say otherwise
--- http_config
proxy_wasm_request_body_buffer 3;
--- config
location /inherits {
    proxy_wasm bodies 'request-body append !';
    return 200 "ok\n";
}
location /own {
    proxy_wasm_request_body_buffer 5;
    proxy_wasm bodies 'request-body append !';
    return 200 "ok\n";
}
--- request eval
["POST /inherits\nbody", "POST /own\nbody"]
--- error_code eval
[413, 200]



=== TEST 11: proxy_wasm_reroute takes two words
--- config
proxy_wasm_reroute never;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "never" of "proxy_wasm_reroute": it takes "off" or "on" in \S+nginx\.conf:\d+$/



=== TEST 12: proxy_wasm_reroute stands once on a level
--- config
proxy_wasm_reroute off;
proxy_wasm_reroute off;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_reroute" directive is duplicate in \S+nginx\.conf:\d+$/



=== TEST 13: proxy_wasm_body_buffer_max 4096m
--- config
proxy_wasm_body_buffer_max 4096m;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "4096m" of "proxy_wasm_body_buffer_max": it takes a size from 1 to 4095m, such as 1m in \S+nginx\.conf:\d+$/



=== TEST 14: proxy_wasm_body_buffer_max stands once on a level
--- config
proxy_wasm_body_buffer_max 1m;
proxy_wasm_body_buffer_max 1m;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_body_buffer_max" directive is duplicate in \S+nginx\.conf:\d+$/
