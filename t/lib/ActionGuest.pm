package ActionGuest;

# A filter in WAT whose callback for requests does what the section 'action' of a block says, for tests of one engine:
#
#     use TestWasm 'no_plan';
#     use ActionGuest;
#
#     ActionGuest::runs_on('pulley');     # before run_tests(); then 'wasm { }' has this too: ActionGuest::runs_on('pulley', 'cache_dir ...;')
#
# The filter logs "was here" at level info; $deeper, $sum, $tail and $malloc are ways to call without end, the last through the host if
# $serves is set. A block's own main_config and config come first; its http_config is added.

use strict;
use warnings;

use TestWasm ();
use Test::Nginx::Socket ();

our $Guest = q{(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $serves (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func $malloc (export "malloc") (param i32) (result i32)
    (if (global.get $serves) (then (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 36)))))
    (i32.const 1024))
  (data (i32.const 0) "was here")
  (data (i32.const 16) ":path")
  (func $deeper (param i64) (result i64) (i64.sub (local.get 0) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
  (func $sum (param i64) (result i64) (i64.add (call $sum (i64.add (local.get 0) (i64.const 1))) (local.get 0)))
  (func $tail (return_call $tail))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 8)))
    ACTION
    (i32.const 0)))};

sub runs_on {
    my ($engine, $settings) = @_;
    $settings //= '';
    Test::Nginx::Socket::add_block_preprocessor(sub {
        my $block = shift;
        $block->set_value(main_config => "wasm { $settings module m \$TEST_NGINX_HTML_DIR/m.wat; }") unless defined $block->main_config;
        $block->set_value(http_config => "wasm_vm $engine; wasm_timeout 300ms; " . ($block->http_config // ''));
        $block->set_value(config => 'location /t { proxy_wasm m; return 200 "ok\n"; }') unless defined $block->config;
        $block->set_value(user_files => ">>> m.wat\n" . $Guest =~ s/ACTION/$block->action/er) if defined $block->action;
    });
    return;
}

1;
