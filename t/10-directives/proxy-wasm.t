# The directive 'proxy_wasm NAME ['CONFIG'] [root_id=ID];': levels, the order of a chain, configurations, root ids, and nginx's
# message for each mistake. 'proxy_wasm inherit;' is in inherit.t, 'file=PATH' in configuration-file.t.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    return if defined $block->main_config;
    # It takes two seconds to compile, so it is there where it is used.
    my $other = ($block->config // '') =~ /proxy_wasm other/ ? 'module other $TEST_NGINX_GUESTS/go-headers.wasm;' : '';
    $block->set_value(main_config => <<'CONF' =~ s/OTHER/$other/r);
wasm {
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module probe   $TEST_NGINX_GUESTS/rust-probe.wasm;
    OTHER
}
CONF
});

run_tests();

__DATA__

=== TEST 1: a filter of http holds for all servers and locations
--- http_config
proxy_wasm headers 'response.add x-level http';
--- config
location /t {
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-level: http



=== TEST 2: a filter of a server
--- config
proxy_wasm headers 'response.add x-level server';
location /t {
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-level: server



=== TEST 3: a filter of a location, and none in the next one
--- config
location /t {
    proxy_wasm headers 'response.add x-level location';
    return 200 "ok\n";
}
location /u {
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /u"]
--- response_headers eval
["x-level: location", "!x-level"]



=== TEST 4: a level with filters of its own has those alone
--- http_config
proxy_wasm headers 'response.add x-http 1';
--- config
proxy_wasm headers 'response.add x-server 1';
location /own {
    proxy_wasm headers 'response.add x-location 1';
    return 200 "ok\n";
}
--- request
GET /own
--- response_headers
!x-http
!x-server
x-location: 1
--- error_log eval
qr/\[warn\] .*"proxy_wasm headers" in \S+nginx\.conf:\d+ hides the filters of the level around it, which begin with "proxy_wasm headers"/



=== TEST 5: and a level without has those of the next one around it, alone
--- http_config
proxy_wasm headers 'response.add x-http 1';
--- config
proxy_wasm headers 'response.add x-server 1';
location /inherits {
    return 200 "ok\n";
}
--- request
GET /inherits
--- response_headers
!x-http
x-server: 1
--- error_log eval
qr/\[warn\] .*"proxy_wasm headers" in \S+nginx\.conf:\d+ hides the filters of the level around it, which begin with "proxy_wasm headers"/



=== TEST 6: "off" leaves a level without filters
--- config
proxy_wasm headers 'response.add x-server 1';
location /off {
    proxy_wasm off;
    return 200 "ok\n";
}
location /on {
    return 200 "ok\n";
}
--- request eval
["GET /off", "GET /on"]
--- response_headers eval
["!x-server", "x-server: 1"]



=== TEST 7: a level inside of one that is "off" may have filters again
--- config
proxy_wasm headers 'response.add x-server 1';
location /off {
    proxy_wasm off;
    location /off/on {
        proxy_wasm headers 'response.add x-nested 1';
        return 200 "ok\n";
    }
    return 200 "ok\n";
}
--- request eval
["GET /off/on", "GET /off"]
--- response_headers eval
["!x-server\nx-nested: 1", "!x-server\n!x-nested"]



=== TEST 8: a nested location inherits
--- config
location /t {
    proxy_wasm headers 'response.add x-outer 1';
    location /t/u {
        return 200 "ok\n";
    }
}
--- request
GET /t/u
--- response_headers
x-outer: 1



=== TEST 9: an "if" block inherits, and the filters run once
--- config
location /t {
    proxy_wasm headers 'response.add x-outer 1';
    if ($arg_a) {
        return 200 "if\n";
    }
    return 200 "ok\n";
}
--- request
GET /t?a=1
--- response_body
if
--- raw_response_headers_like eval
qr/\A(?!.*x-outer.*x-outer).*^x-outer: 1\r$/msi



=== TEST 10: requests go through a chain from the first filter to the last
--- config
location /t {
    proxy_wasm headers 'request.add x-path a';
    proxy_wasm headers 'request.replace x-path %{x-path}b';
    proxy_wasm other   'request.replace x-path %{x-path}c';
    proxy_wasm headers 'request.replace x-path %{x-path}d';
    return 200 "$http_x_path\n";
}
--- request
GET /t
--- response_body
abcd



=== TEST 11: responses go through a chain from the last filter to the first
--- config
location /t {
    proxy_wasm headers 'response.add x-who first';
    proxy_wasm other   'response.add x-who second';
    proxy_wasm headers 'response.add x-who third';
    return 200 "ok\n";
}
--- request
GET /t
--- raw_response_headers_like eval
qr/x-who: third\r\nx-who: second\r\nx-who: first\r\n/



=== TEST 12: one module can stand in a chain several times, each with its own configuration
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1';
    proxy_wasm headers 'response.add x-two 2';
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-one: 1
x-two: 2



=== TEST 13: the configuration reaches the guest as it is
--- config
location /t {
    proxy_wasm probe 'config; report; {"quoted": "$host", "escaped": "\\", "umlaut": "ü"}';
    return 200;
}
--- request
GET /t
--- response_body
config -> 0 config; report; {"quoted": "$host", "escaped": "\x5c", "umlaut": "\xc3\xbc"}
{"quoted": "$host", "escaped": "\", "umlaut": "ü"} -> unknown statement



=== TEST 14: the configuration may span lines
--- config
location /t {
    proxy_wasm headers '
        response.add x-one 1
        response.add x-two 2
    ';
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-one: 1
x-two: 2



=== TEST 15: without a configuration the guest sees an empty one
--- main_config
wasm { module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm; }
--- config
location /t {
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/on_configure 1 size 0 config=(?:,|$)/



=== TEST 16: a module that no "wasm" block names; the message lists those that are named
--- config
location /t { proxy_wasm nobody; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unknown module "nobody" in "proxy_wasm"; known are headers, probe in \S+nginx\.conf:\d+$/



=== TEST 17: a filter without any "wasm" block
--- main_config
--- config
location /t { proxy_wasm headers; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unknown module "headers" in "proxy_wasm"; there is no "wasm \{ module NAME PATH; \}" in \S+nginx\.conf:\d+$/



=== TEST 18: a filter with an empty "wasm" block
--- main_config
wasm { }
--- config
location /t { proxy_wasm headers; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unknown module "headers" in "proxy_wasm"; .*in \S+nginx\.conf:\d+$/



=== TEST 19: a module name is case-sensitive
--- config
location /t { proxy_wasm Headers; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unknown module "Headers" in "proxy_wasm"; .*in \S+nginx\.conf:\d+$/



=== TEST 20: "off" after a filter of the same level
--- config
location /t {
    proxy_wasm headers;
    proxy_wasm off;
}
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm off" must stand before the other "proxy_wasm" of its level in \S+nginx\.conf:\d+$/



=== TEST 21: "off" before a filter of the same level: the level has its own alone, and there is no warning
--- http_config
proxy_wasm headers 'response.add x-http 1';
--- config
location /t {
    proxy_wasm off;
    proxy_wasm headers 'response.add x-own 1';
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
!x-http
x-own: 1
--- no_error_log
[warn]



=== TEST 22: of two mistakes nginx names both
--- config
location /t {
    proxy_wasm nobody;
    proxy_wasm anybody;
}
--- must_die
--- error_log eval
[qr/unknown module "nobody"/, qr/unknown module "anybody"/]



=== TEST 23: "off" and something behind it
--- config
location /t { proxy_wasm off '{}'; }
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm off" takes nothing more; .* in \S+nginx\.conf:\d+$/



=== TEST 24: the root id is the property plugin_root_id, before or behind the configuration; without one it is empty
--- main_config
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
--- config
location /behind { proxy_wasm probe 'property plugin_root_id; report' root_id=behind; return 200; }
location /before { proxy_wasm probe 'root_id=of blanks/ü:=' 'property plugin_root_id; report'; return 200; }
location /none   { proxy_wasm probe 'property plugin_root_id; report'; return 200; }
--- request eval
["GET /behind", "GET /before", "GET /none"]
--- response_body eval
["property plugin_root_id -> 0 behind\n", "property plugin_root_id -> 0 of blanks/\\xc3\\xbc:=\n", "property plugin_root_id -> 0\n"]



=== TEST 25: an instance for each request has the root id too
--- main_config
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
--- config
location /t {
    proxy_wasm_isolation request;
    proxy_wasm probe 'property plugin_root_id; report' root_id=mine;
    return 200;
}
--- request
GET /t
--- response_body
property plugin_root_id -> 0 mine



=== TEST 26: an empty root id
--- config
location /t { proxy_wasm probe '{}' root_id=; }
--- must_die
--- error_log eval
qr/\[emerg\] .*"root_id=" of "proxy_wasm" lacks an id; .* in \S+nginx\.conf:\d+$/



=== TEST 27: two root ids
--- config
location /t { proxy_wasm probe root_id=one root_id=two; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "root_id=two" in "proxy_wasm": .* in \S+nginx\.conf:\d+$/



=== TEST 28: an option that there is not
--- config
location /t { proxy_wasm probe '{}' rootid=one; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "rootid=one" in "proxy_wasm": .* in \S+nginx\.conf:\d+$/



=== TEST 29: a configuration, and one in a file
--- config
location /t { proxy_wasm probe '{}' file=config; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "file=config" in "proxy_wasm": .* in \S+nginx\.conf:\d+$/



=== TEST 30: the same the other way round
--- config
location /t { proxy_wasm probe file=config '{}'; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "\{\}" in "proxy_wasm": .* in \S+nginx\.conf:\d+$/



=== TEST 31: two files
--- config
location /t { proxy_wasm probe file=config file=other; }
--- must_die
--- error_log eval
qr/\[emerg\] .*unexpected "file=other" in "proxy_wasm": .* in \S+nginx\.conf:\d+$/



=== TEST 32: a file without a path
--- config
location /t { proxy_wasm probe file=; }
--- must_die
--- error_log eval
qr/\[emerg\] .*"file=" of "proxy_wasm" lacks the path of a file in \S+nginx\.conf:\d+$/



=== TEST 33: a filter that asks for its root id and does not look at its configuration may not know the id: a warning
--- main_config
wasm { module asks $TEST_NGINX_HTML_DIR/asks.wat; }
--- user_files
>>> asks.wat
(module
  (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "plugin_root_id")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param i32 i32)
    (drop (call $get (i32.const 0) (i32.const 14) (i32.const 100) (i32.const 104)))))
--- config
location /t {
    proxy_wasm asks '{}' root_id=nobody;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/\[warn\] .*filter "asks" has asked for its root id, which is "nobody", and not looked at its configuration: .*"root_id=ID" .*in \S+nginx\.conf:\d+$/



=== TEST 34: without a configuration nothing can be known, and nothing is said
--- main_config
wasm { module rootid $TEST_NGINX_GUESTS/cpp-rootid.wasm; }
--- config
location /t {
    proxy_wasm rootid;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- no_error_log
[warn]
