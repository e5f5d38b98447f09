# The block 'wasm { module NAME PATH ['VM CONFIG']; }': where it may stand, what its arguments mean, and nginx's message
# for each mistake in it. What is wrong with the file itself is in module-file.t.

use TestWasm 'no_plan';

# A module that does nothing, for the inside of '(module ...)'.
our $Nothing = <<'WAT';
(memory (export "memory") 1)
(func (export "malloc") (param i32) (result i32) (i32.const 1024))
(func (export "proxy_abi_version_0_2_1"))
(func (export "proxy_on_log") (param i32))
WAT

run_tests();

__DATA__

=== TEST 1: a module is known by its name in http, server and location
--- main_config
wasm {
    module one $TEST_NGINX_GUESTS/rust-headers.wasm;
    module two $TEST_NGINX_GUESTS/rust-headers.wasm;
}
--- http_config
proxy_wasm one 'response.add x-from http';
--- config
location /t {
    proxy_wasm off;
    proxy_wasm two 'response.add x-from location';
    return 200 "ok\n";
}
location /http {
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /http"]
--- response_headers eval
["x-from: location", "x-from: http"]



=== TEST 2: text in the WAT format is a module too
--- main_config
wasm { module tiny $TEST_NGINX_HTML_DIR/tiny.wat; }
--- user_files eval
">>> tiny.wat\n(module $::Nothing)\n"
--- config
location /t {
    proxy_wasm tiny;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok



=== TEST 3: the suffix of the file does not matter, its content does
--- main_config
wasm { module tiny $TEST_NGINX_HTML_DIR/tiny.txt; }
--- user_files eval
">>> tiny.txt\n(module $::Nothing)\n"
--- config
location /t {
    proxy_wasm tiny;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok



=== TEST 4: a relative path starts at the folder of nginx.conf
--- main_config
wasm { module tiny ../html/tiny.wat; }
--- user_files eval
">>> tiny.wat\n(module $::Nothing)\n"
--- config
location /t {
    proxy_wasm tiny;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok



=== TEST 5: the block may stand after http
--- http_config
--- config
location /t {
    proxy_wasm headers 'response.add x-hello world';
    return 200 "ok\n";
}
--- post_main_config
wasm { module headers $TEST_NGINX_GUESTS/rust-headers.wasm; }
--- request
GET /t
--- response_headers
x-hello: world



=== TEST 6: an empty block is allowed
--- main_config
wasm { }
--- config
location /t { return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok



=== TEST 7: a module that no filter uses is checked all the same
--- main_config
wasm { module unused $TEST_NGINX_HTML_DIR/unused.wat; }
--- user_files
>>> unused.wat
(module (memory (export "memory") 1))
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*module "unused" .*proxy_abi_version_.* in \S+nginx\.conf:\d+$/



=== TEST 8: the VM configuration reaches the guest
--- main_config
wasm {
    module probe $TEST_NGINX_GUESTS/rust-probe.wasm '@vm_start vm-config; for all filters';
}
--- config
location /t {
    proxy_wasm probe 'vm-config; report';
    return 200;
}
--- request
GET /t
--- response_body
vm-config -> 0 @vm_start vm-config; for all filters
--- error_log
wasm "probe": probe: vm-config -> 0 @vm_start vm-config; for all filters



=== TEST 9: without a VM configuration the guest sees an empty one
--- main_config
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
--- config
location /t {
    proxy_wasm probe 'vm-config; report';
    return 200;
}
--- request
GET /t
--- response_body
vm-config -> 0



=== TEST 10: two modules may be the same file with different VM configurations
--- main_config
wasm {
    module one $TEST_NGINX_GUESTS/rust-probe.wasm 'the first';
    module two $TEST_NGINX_GUESTS/rust-probe.wasm 'the second';
}
--- config
location /one {
    proxy_wasm one 'vm-config; report';
    return 200;
}
location /two {
    proxy_wasm two 'vm-config; report';
    return 200;
}
--- request eval
["GET /one", "GET /two"]
--- response_body eval
["vm-config -> 0 the first\n", "vm-config -> 0 the second\n"]



=== TEST 11: a name can be given once
--- main_config
wasm {
    module tiny $TEST_NGINX_HTML_DIR/tiny.wat;
    module tiny $TEST_NGINX_HTML_DIR/tiny.wat;
}
--- user_files eval
">>> tiny.wat\n(module $::Nothing)\n"
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*duplicate module "tiny", the first is in \S+nginx\.conf:\d+ in \S+nginx\.conf:\d+$/



=== TEST 12: "off" cannot be the name of a module
--- main_config
wasm { module off $TEST_NGINX_HTML_DIR/tiny.wat; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid name "off" of "module": it must not be empty, "off" or "inherit" in \S+nginx\.conf:\d+$/



=== TEST 13: the block may stand in an included file, and a mistake in it names that file
--- main_config
include $TEST_NGINX_HTML_DIR/modules.conf;
--- user_files
>>> modules.conf
wasm {
    module gone gone.wasm;
}
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*module "gone" .*No such file .* in \S+modules\.conf:2$/



=== TEST 14: "inherit" cannot be the name of a module
--- main_config
wasm { module inherit $TEST_NGINX_HTML_DIR/tiny.wat; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid name "inherit" of "module": it must not be empty, "off" or "inherit" in \S+nginx\.conf:\d+$/



=== TEST 15: a VM configuration, and one in a file
--- main_config
wasm { module tiny tiny.wat file=config '{}'; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "\{\}" in "module": .*"file=PATH".* in \S+nginx\.conf:\d+$/



=== TEST 16: two files of VM configurations
--- main_config
wasm { module tiny tiny.wat file=config file=other; }
--- config
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "file=other" in "module": .* in \S+nginx\.conf:\d+$/
