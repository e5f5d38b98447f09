# The directives about bodies and the order of filters: where they hold, and nginx's message for each mistake in what they are
# told (others: mistakes.t). What they do to a running filter is in t/32-bodies.

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



=== TEST 6: a location inherits, and may say otherwise
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



=== TEST 7: proxy_wasm_reroute takes two words
--- config
proxy_wasm_reroute never;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "never" of "proxy_wasm_reroute": it takes "off" or "on" in \S+nginx\.conf:\d+$/



=== TEST 8: proxy_wasm_body_buffer_max 4096m
--- config
proxy_wasm_body_buffer_max 4096m;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "4096m" of "proxy_wasm_body_buffer_max": it takes a size from 1 to 4095m, such as 1m in \S+nginx\.conf:\d+$/
