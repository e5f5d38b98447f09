# What plugins for Higress find beside Envoy's ABI, and a property of the other module for nginx.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
CONF
    $block->set_value(request => "GET /t\n") unless $block->request;
});

# A filter with Higress' marker that calls a function with these arguments in each request, and logs its status.
our $Calls = sub {
    my ($function, $types, $arguments) = @_;
    return [['guest.wat', <<"WAT"]];
(module
  (import "env" "proxy_$function" (func \$call (param $types) (result i32)))
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "status ??")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_100"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local \$status i32)
    (local.set \$status (call \$call $arguments))
    (i32.store8 (i32.const 71) (i32.add (i32.const 48) (i32.div_u (local.get \$status) (i32.const 10))))
    (i32.store8 (i32.const 72) (i32.add (i32.const 48) (i32.rem_u (local.get \$status) (i32.const 10))))
    (drop (call \$log (i32.const 2) (i32.const 64) (i32.const 9)))
    (i32.const 0)))
WAT
};
our $Main = 'wasm { module guest $TEST_NGINX_HTML_DIR/guest.wat; module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }';

run_tests();

__DATA__

=== TEST 1: proxy_inject_encoded_data_to_filter_chain is Unimplemented, and a warning; higress-once.t has more requests
--- main_config eval: $::Main
--- user_files eval
$::Calls->('inject_encoded_data_to_filter_chain', 'i32 i32 i32', '(i32.const 0) (i32.const 4) (i32.const 1)')
--- config
location /t { proxy_wasm guest; return 200 "ok\n"; }
--- response_body
ok
--- error_log eval
['status 12', qr/\[warn\] .*wasm "guest": "proxy_inject_encoded_data_to_filter_chain" of Higress is not there in nginx/]



=== TEST 2: proxy_get_upstream_hosts where there is no upstream; upstream-hosts.t has more
--- main_config eval: $::Main
--- user_files eval
$::Calls->('get_upstream_hosts', 'i32 i32', '(i32.const 0) (i32.const 4)')
--- config
location /t { proxy_wasm guest; return 200 "ok\n"; }
--- response_body
ok
--- error_log
status 01



=== TEST 3: proxy_set_upstream_override_host where there is none: it might still come
--- main_config eval: $::Main
--- user_files eval
$::Calls->('set_upstream_override_host', 'i32 i32', '(i32.const 64) (i32.const 4)')
--- config
location /t { proxy_wasm guest; return 200 "ok\n"; }
--- response_body
ok
--- error_log eval
['status 00', qr/\[info\] .*wasm: the upstream host "stat" of a filter was not asked/]



=== TEST 4: plugin_vm_memory is the size of the instance's memory, in whole pages, and cannot be set
--- config
location /t {
    proxy_wasm probe 'property plugin_vm_memory; set-property plugin_vm_memory 1; report';
    return 200;
}
--- response_body_like eval
qr/\Aproperty plugin_vm_memory -> 0 (?:\\x00|[ -~]|\\x[0-9a-f]{2})+\nset-property plugin_vm_memory 1 -> 2\n\z/



=== TEST 5: get_log_level is that of the error log, as a foreign function
--- config
location /info  { error_log logs/error.log info;  proxy_wasm probe 'foreign get_log_level; report'; return 200; }
location /error { error_log logs/error.log error; proxy_wasm probe 'foreign get_log_level; report'; return 200; }
--- request eval
["GET /info", "GET /error"]
--- response_body eval
["foreign get_log_level -> 0 02000000\n", "foreign get_log_level -> 0 04000000\n"]



=== TEST 6: worker_id is the number of the worker in decimal digits; it is there without a request, too
--- config
location /t {
    proxy_wasm probe '@configure property worker_id; property worker_id; set-property worker_id 1; report';
    return 200;
}
--- response_body
property worker_id -> 0 0
set-property worker_id 1 -> 2
--- error_log
probe: property worker_id -> 0 0



=== TEST 7: a variable of that name comes first, as for all names
--- http_config
map $uri $worker_id { default mine; }
--- config
location /t {
    proxy_wasm probe 'property worker_id; report';
    return 200;
}
--- response_body
property worker_id -> 0 mine
