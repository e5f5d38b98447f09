# Files go out by sendfile as long as no filter of the chain changes the body. Nginx says so in its debug log.

use TestWasm 'no_plan';

log_level('debug');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module headers_only $TEST_NGINX_HTML_DIR/headers-only.wat;
    module bodies       $TEST_NGINX_GUESTS/rust-bodies.wasm;
}
CONF
    $block->set_value(http_config => 'sendfile on;');
    $block->set_value(user_files => <<'FILES');
>>> headers-only.wat
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0)))
>>> file.txt
what is in the file
FILES
    $block->set_value(request => 'GET /file.txt') unless $block->request;
    $block->set_value(response_body => "what is in the file\n") unless defined $block->response_body;
});

run_tests();

__DATA__

=== TEST 1: a filter on headers leaves sendfile on
--- config
proxy_wasm headers_only;
--- error_log
sendfile: @0



=== TEST 2: a filter that changes the body sends its own bytes
--- config
proxy_wasm bodies 'response-body range 0 4 What';
--- response_body
What is in the file
--- no_error_log
sendfile: @0
