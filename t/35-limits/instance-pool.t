# 'wasm { instance_pool NUMBER [memory=SIZE]; }': where the instances of single requests are, and that no request fails when
# there is no room for them. What nginx says about that is in address-space.t.

use TestWasm 'no_plan';

needs('instance_pool');

# There it has no address space for a pool.
needs('no valgrind');

# Takes MEMORY pages, and tells with each request how many it has.
our $Pages = <<'WAT';
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") MEMORY)
  (data (i32.const 0) "x-pages0000x-grown")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (memory.grow (i32.const 20)))
    (i32.store8 (i32.const 7) (i32.add (i32.const 48) (i32.div_u (memory.size) (i32.const 1000))))
    (i32.store8 (i32.const 8) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (memory.size) (i32.const 100)) (i32.const 10))))
    (i32.store8 (i32.const 9) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (memory.size) (i32.const 10)) (i32.const 10))))
    (i32.store8 (i32.const 10) (i32.add (i32.const 48) (i32.rem_u (memory.size) (i32.const 10))))
    (call $add (i32.const 2) (i32.const 0) (i32.const 7) (i32.const 7) (i32.const 4))))
WAT

sub pages {
    my $memory = shift;
    my $guest = $::Pages;
    $guest =~ s/MEMORY/$memory/;
    return ">>> pages.wat\n$guest";
}

add_block_preprocessor(sub {
    my $block = shift;
    my $pool = $block->pool // return;
    $block->set_value(main_config => <<"CONF");
wasm {
    $pool
    module headers \$TEST_NGINX_GUESTS/rust-headers.wasm;
    module pages \$TEST_NGINX_HTML_DIR/pages.wat;
}
CONF
    $block->set_value(user_files => pages(1)) unless $block->user_files;
    $block->set_value(config => <<'CONF') unless $block->config;
location /t {
    proxy_wasm_isolation request;
    proxy_wasm headers 'response.add x-one 1';
    proxy_wasm pages;
    proxy_wasm headers 'response.add x-three 3';
    return 200 "ok\n";
}
CONF
});

run_tests();

__DATA__

=== TEST 1: each filter of a request has an instance in the pool, and the next request finds it as new
--- pool
--- request eval
["GET /t", "GET /t", "GET /t"]
--- response_headers eval
["x-one: 1\nx-pages: 0021\nx-three: 3", "x-one: 1\nx-pages: 0021\nx-three: 3", "x-one: 1\nx-pages: 0021\nx-three: 3"]
--- no_error_log
[warn]
[error]



=== TEST 2: a request that needs more places than there are is served nevertheless
--- pool: instance_pool 1;
--- request eval
["GET /t", "GET /t", "GET /t"]
--- response_headers eval
["x-one: 1\nx-pages: 0021\nx-three: 3", "x-one: 1\nx-pages: 0021\nx-three: 3", "x-one: 1\nx-pages: 0021\nx-three: 3"]
--- no_error_log
[warn]
[error]



=== TEST 3: without a pool, too
--- pool: instance_pool off;
--- request eval
["GET /t", "GET /t"]
--- response_headers eval
["x-one: 1\nx-pages: 0021\nx-three: 3", "x-one: 1\nx-pages: 0021\nx-three: 3"]
--- no_error_log
[warn]
[error]



=== TEST 4: memory in the pool ends at its size
--- pool: instance_pool 8 memory=1280k;
--- request
GET /t
--- response_headers
x-pages: 0001
--- no_error_log
[warn]
[error]



=== TEST 5: a module that begins with more is served
--- pool: instance_pool 8 memory=2m;
--- user_files eval
main::pages(40)
--- request eval
["GET /t", "GET /t"]
--- response_headers eval
["x-one: 1\nx-pages: 0060\nx-three: 3", "x-one: 1\nx-pages: 0060\nx-three: 3"]
--- no_error_log
[error]



=== TEST 6: filters that share an instance do not care
--- pool: instance_pool 1 memory=64k;
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1';
    proxy_wasm pages;
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /t"]
--- response_headers eval
["x-one: 1\nx-pages: 0021", "x-one: 1\nx-pages: 0041"]
--- no_error_log
[warn]
[error]



=== TEST 7: a pool for which there is no address space is done without
--- pool: instance_pool 16384 memory=4096m;
--- config
location /t {
    proxy_wasm_isolation request;
    proxy_wasm headers 'response.add x-one 1';
    return 200 "ok\n";
}
location /fuel {
    proxy_wasm_isolation request;
    wasm_fuel 1000000;
    proxy_wasm headers 'response.add x-one 2';
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /fuel"]
--- response_headers eval
["x-one: 1", "x-one: 2"]
--- no_error_log
[error]



=== TEST 8: a number of places is from 1 to 16384
--- main_config
wasm { instance_pool 16385; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "16385" of "instance_pool": it takes "off", or a number from 1 to 16384, such as 1024 in \S+nginx\.conf:\d+$/



=== TEST 9: none is said with "off"
--- main_config
wasm { instance_pool 0; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "instance_pool": it takes "off", or a number/



=== TEST 10: memory is a size
--- main_config
wasm { instance_pool 16 memory=5g; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid parameter "memory=5g" of "instance_pool": it takes memory=SIZE, a size from 64k to 4096m, such as memory=64m in \S+nginx\.conf:\d+$/
