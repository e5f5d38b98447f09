# The directives wasm_vm, wasm_memory_limit, wasm_timeout and wasm_pause_timeout: what they accept, where they hold, and
# nginx's message for each mistake in what they are told (others: mistakes.t). What the limits do to a running filter is in
# t/35-limits.

use TestWasm 'no_plan';


add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }');
    $block->set_value(config => '') unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: wasm_vm wasmtime
--- http_config
wasm_vm wasmtime;
--- config
location /t {
    proxy_wasm probe 'level; report';
    return 200;
}
--- request
GET /t
--- response_body
level -> 0 2



=== TEST 2: wasm_vm: an engine whose library is not there
--- http_config
wasm_vm wasmedge;
--- must_die
--- error_log eval
qr/\[emerg\] .*wasm_vm wasmedge: the library of WasmEdge, libwasmedge\.so\.0, cannot be opened \(is it installed\?\): .* in \S+nginx\.conf:\d+$/
--- skip_eval: 1: `/sbin/ldconfig -p` =~ m{libwasmedge\.so\.0}



=== TEST 3: wasm_vm: an engine that nobody knows
--- http_config
wasm_vm v8;
--- must_die
--- error_log eval
qr/\[emerg\] .*unknown engine "v8" in "wasm_vm"; known are wasmtime, pulley, wasmedge in \S+nginx\.conf:\d+$/



=== TEST 4: all limits stand in http, server and location
--- http_config
wasm_memory_limit 64m;
wasm_timeout 2s;
wasm_pause_timeout 2m;
--- config
wasm_memory_limit 65536k;
wasm_timeout 500ms;
wasm_pause_timeout 1h;
location /t {
    wasm_memory_limit 16777216;
    wasm_timeout 1;
    wasm_pause_timeout 1s500ms;
    proxy_wasm probe 'level; report';
    return 200;
}
--- request
GET /t
--- response_body
level -> 0 2



=== TEST 5: wasm_memory_limit of a server holds in its locations
--- config
wasm_memory_limit 8m;
location /t {
    proxy_wasm probe 'grow 16; report';
    return 200;
}
--- request
GET /t
--- response_body_like
^grow 16 -> 1 \d+ MiB$



=== TEST 6: wasm_memory_limit of a location goes before that of its server
--- config
wasm_memory_limit 8m;
location /t {
    wasm_memory_limit 64m;
    proxy_wasm probe 'grow 16; report';
    return 200;
}
--- request
GET /t
--- response_body_like
^grow 16 -> 0 \d+ MiB$



=== TEST 7: a filter that is inherited keeps the limit of the level that declares it
--- config
wasm_memory_limit 64m;
proxy_wasm probe 'grow 16; report';
location /t {
    wasm_memory_limit 8m;
    return 200;
}
--- request
GET /t
--- response_body_like
^grow 16 -> 0 \d+ MiB$



=== TEST 8: wasm_memory_limit: not a size
--- config
wasm_memory_limit lots;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "lots" of "wasm_memory_limit": it takes a size from 64k to 4096m, such as 128m in \S+nginx\.conf:\d+$/



=== TEST 9: wasm_memory_limit: less than a page
--- config
wasm_memory_limit 63k;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "63k" of "wasm_memory_limit": it takes a size .* in \S+nginx\.conf:\d+$/



=== TEST 10: wasm_memory_limit: more than pointers reach
--- config
wasm_memory_limit 4097m;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "4097m" of "wasm_memory_limit": it takes a size .* in \S+nginx\.conf:\d+$/



=== TEST 11: wasm_memory_limit: a negative size
--- config
wasm_memory_limit -1;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "-1" of "wasm_memory_limit": it takes a size .* in \S+nginx\.conf:\d+$/



=== TEST 12: wasm_memory_limit: less than the module begins with
--- config
location /t {
    wasm_memory_limit 64k;
    proxy_wasm probe;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: cannot instantiate: .*memory.* in \S+nginx\.conf:\d+$/



=== TEST 13: wasm_timeout: not a time
--- config
wasm_timeout soon;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "soon" of "wasm_timeout": it takes a time above 0, such as 1s or 50ms in \S+nginx\.conf:\d+$/



=== TEST 14: wasm_timeout: no time at all
--- config
wasm_timeout 0;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_timeout": it takes a time above 0, .* in \S+nginx\.conf:\d+$/



=== TEST 15: wasm_timeout: a negative time
--- config
wasm_timeout -5s;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "-5s" of "wasm_timeout": .* in \S+nginx\.conf:\d+$/



=== TEST 16: wasm_pause_timeout: not a time
--- config
wasm_pause_timeout never;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "never" of "wasm_pause_timeout": it takes a time above 0, such as 1s or 50ms in \S+nginx\.conf:\d+$/



=== TEST 17: wasm_pause_timeout: no time at all
--- config
wasm_pause_timeout 0s;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0s" of "wasm_pause_timeout": .* in \S+nginx\.conf:\d+$/
