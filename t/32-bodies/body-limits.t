# How much of a body filters may hold: what a plugin for Higress asks for by properties, up to proxy_wasm_body_buffer_max; what those
# plugins have that ask for nothing. The guest probe asks, bodies holds.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

# A filter with Higress' marker that holds both bodies until their end.
our $Holds = [['holds.wat', <<'WAT']];
(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (func (export "proxy_abi_version_0_2_100"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.eqz (local.get 2)))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.eqz (local.get 2))))
WAT

add_block_preprocessor(sub {
    my $block = shift;
    my $holds = $block->user_files ? 'module holds $TEST_NGINX_HTML_DIR/holds.wat;' : '';
    $block->set_value(main_config => <<"CONF") unless $block->main_config;
wasm {
    module probe  \$TEST_NGINX_GUESTS/rust-probe.wasm;
    module bodies \$TEST_NGINX_GUESTS/rust-bodies.wasm;
    $holds
}
CONF
    # Test::Nginx writes one into the server.
    $block->set_value(config => join '', map { s/^(location [^{]*\{)/$1 client_max_body_size 3m;/gmr } $block->config);
});

run_tests();

__DATA__

=== TEST 1: a request: what a filter asks for counts, up to client_max_body_size
--- config
location /default { proxy_wasm bodies 'quiet; request-body hold-until-end'; return 200 "ok\n"; }
location /asked {
    proxy_wasm probe 'set-property set_decoder_buffer_limit 104857600';
    proxy_wasm bodies 'quiet; request-body hold-until-end';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count;
}
--- request eval
["POST /default\n" . "x" x 2_000_000, "POST /asked\n" . "x" x 2_000_000]
--- error_code eval
[413, 200]



=== TEST 2: up to proxy_wasm_body_buffer_max, where that is said; the log names it
--- config
proxy_wasm_body_buffer_max 1500k;
location /t {
    proxy_wasm probe 'set-property set_decoder_buffer_limit 104857600';
    proxy_wasm bodies 'quiet; request-body hold-until-end';
    return 200 "ok\n";
}
--- request eval
"POST /t\n" . "x" x 2_000_000
--- error_code: 413
--- error_log
a wasm filter holds a request body, or made one, of more than 1536000 bytes (proxy_wasm_body_buffer_max)



=== TEST 3: less than there is counts, too
--- config
location /t {
    proxy_wasm probe 'set-property set_decoder_buffer_limit 10';
    proxy_wasm bodies 'quiet; request-body append !';
    return 200 "ok\n";
}
--- request
POST /t
hello there
--- error_code: 413
--- error_log
of more than 10 bytes (set_decoder_buffer_limit of a filter)



=== TEST 4: what is no number has no effect; the property can be read
--- config
location /t {
    proxy_wasm probe 'set-property set_decoder_buffer_limit -1; set-property set_decoder_buffer_limit 1k; property set_decoder_buffer_limit';
    proxy_wasm bodies 'quiet; request-body hold-until-end';
    return 200 "ok\n";
}
--- request
POST /t
hello
--- response_body
ok
--- error_log
set_decoder_buffer_limit "-1" is no number, and has no effect
set_decoder_buffer_limit "1k" is no number, and has no effect
probe: property set_decoder_buffer_limit -> 0 1k



=== TEST 5: a response: what a filter asks for counts, up to 16m
--- config
location /default {
    proxy_wasm bodies 'quiet; response-body hold-until-end';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/20/100000;
}
location /asked {
    proxy_wasm probe 'set-property set_encoder_buffer_limit 104857600';
    proxy_wasm bodies 'quiet; response-body hold-until-end';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/20/100000;
}
location /too-much {
    proxy_wasm probe 'set-property set_encoder_buffer_limit 104857600';
    proxy_wasm bodies 'quiet; response-body hold-until-end';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/170/100000;
}
--- request eval
["GET /default", "GET /asked", "GET /too-much"]
--- error_code eval
[500, 200, 500]



=== TEST 6: plugins for Higress that ask for nothing have as much
--- user_files eval: $::Holds
--- config
location /request  { proxy_wasm holds; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/count; }
location /response { proxy_wasm holds; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/20/100000; }
location /said {
    proxy_wasm_request_body_buffer 1m;
    proxy_wasm holds;
    return 200 "ok\n";
}
location /max {
    proxy_wasm_body_buffer_max 1500k;
    proxy_wasm holds;
    return 200 "ok\n";
}
--- request eval
["POST /request\n" . "x" x 2_000_000, "GET /response", "POST /said\n" . "x" x 2_000_000, "POST /max\n" . "x" x 2_000_000]
--- error_code eval
[200, 200, 413, 413]
