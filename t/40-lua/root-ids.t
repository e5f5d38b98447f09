# Root ids of modules that Lua loads: the name that Lua gives, as in the other library of this API, or the empty one where the guest
# does not know the name. Guests choose their class as those in C++ do (one that they do not know does nothing) or in AssemblyScript
# (they trap).

use TestWasm 'no_plan';

needs('lua');

# A guest that knows one root id. It refuses requests with 403. UNKNOWN is what it does with another id; READS is what it looks at
# when it starts.
our $Guest = sub {
    my ($id, %is) = @_;
    my $unknown = $is{unknown} // '';
    my $reads   = $is{reads} // '(drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 99) (i32.const 0) (i32.const 4)))';
    my $equal   = join ' ', '(global.set $known (i32.eq (i32.load (i32.const 4)) (i32.const ' . length($id) . ')))', map {
        my $byte = ord substr $id, $_, 1;
        "(if (global.get \$known) (then (global.set \$known (i32.eq (i32.load8_u offset=$_ (i32.load (i32.const 0))) (i32.const $byte)))))"
    } 0 .. length($id) - 1;
    my $text = $is{text} // '';
    # In a compiled module it is in the data.
    return [['guest.wat', <<"WAT"]];
;; \0$text\0
(module
  (import "env" "proxy_get_property" (func \$property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func \$buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func \$respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "plugin_root_id")
  (data (i32.const 96) "unknown root id")
  (global \$known (mut i32) (i32.const 0))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param i32 i32)
    (if (i32.eqz (local.get 1)) (then
      (drop (call \$property (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4)))
      $equal
      (if (i32.eqz (global.get \$known)) (then $unknown)))))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (if (global.get \$known) (then $reads))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (global.get \$known) (then
      (drop (call \$respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const -1)))))
    (i32.const 0)))
WAT
};
our $Trap = '(drop (call $log (i32.const 4) (i32.const 96) (i32.const 15))) unreachable';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { }');
    my $load = 'local wasm = require "resty.proxy-wasm"
        plugin = assert(wasm.load("guard", "$TEST_NGINX_HTML_DIR/guest.wat"))
        first = assert(wasm.on_configure(plugin, "one"))
        filter = assert(wasm.on_configure(plugin, "two"))';
    my $where = $block->where // 'init_by_lua_block';
    $block->set_value(http_config => qq[lua_package_path '\$TEST_NGINX_LUA_DIR/?.lua;;';
        $where { $load }]) unless $block->http_config;
    $block->set_value(config => <<'CONF') unless $block->config;
location /t {
    access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say("passed") }
}
CONF
    $block->set_value(request => "GET /t\n");
    $block->set_value(error_code => 403) unless $block->error_code;
});

run_tests();

__DATA__

=== TEST 1: a filter that is registered under the name
--- user_files eval
$::Guest->('guard')
--- no_error_log
does not know



=== TEST 2: one that is registered under the empty root id: a name that it does not know is no reason to do nothing
--- user_files eval
$::Guest->('')
--- error_log eval
[qr/\[notice\] .*wasm plugin "guard" does not know the root id "guard", it gets the empty one/]



=== TEST 3: the same in workers that load it
--- where: init_worker_by_lua_block
--- user_files eval
$::Guest->('')



=== TEST 4: one that traps for a name that it does not know, and is registered under the empty one; the log keeps still about that
--- user_files eval
$::Guest->('', unknown => $::Trap)
--- error_log
does not know the root id "guard", it gets the empty one
--- no_error_log
unknown root id
[crit]



=== TEST 5: one that traps for a name that it does not know, and for the empty one: the log says what it says
--- http_config
lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
--- config
location /t {
    content_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("guard", "$TEST_NGINX_HTML_DIR/guest.wat"))
        ngx.say(wasm.on_configure(plugin, "one"))
    }
}
--- user_files eval
$::Guest->('other', unknown => $::Trap)
--- error_code: 200
--- response_body
nilfailed to run proxy_on_configure
--- error_log eval
['unknown root id', qr/\[error\] .*failed to run proxy_on_configure of wasm plugin "guard": proxy_on_context_create trapped/]



=== TEST 6: one that looks at nothing and has the name as a text
--- user_files eval
$::Guest->('guard', reads => '', text => 'guard')



=== TEST 7: one that looks at nothing and does not have the name: the empty root id, and a warning
--- user_files eval
$::Guest->('', reads => '')
--- error_log eval
[qr/\[warn\] .*wasm plugin "guard" looks at nothing when it starts, whether its root id is "guard" or empty: .* load it under that name/]



=== TEST 8: a filter that does not ask has the name as its root id
--- http_config
lua_package_path '$TEST_NGINX_LUA_DIR/?.lua;;';
--- config
location /t {
    access_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        local plugin = assert(wasm.load("guard", "$TEST_NGINX_GUESTS/rust-probe.wasm"))
        assert(wasm.on_http_request_headers(assert(wasm.on_configure(plugin, "property plugin_root_id; report"))))
    }
    content_by_lua_block { ngx.say("passed") }
}
--- error_code: 200
--- response_body
property plugin_root_id -> 0 guard
