# A guest in AssemblyScript with the SDK that has a registry of root ids: 'root_id=ID' chooses its filter, and an id that
# nobody has registered ends its start.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module rootid $TEST_NGINX_GUESTS/assemblyscript-rootid.wasm; }');
    $block->set_value(must_die    => '') unless $block->request;
});

run_tests();

__DATA__

=== TEST 1: the filter of a root id works
--- config
location /t {
    proxy_wasm rootid 'from AssemblyScript' root_id=add_header;
    return 200 "ok\n";
}
--- request
GET /t
--- response_headers
x-added: from AssemblyScript
--- response_body
ok



=== TEST 2: a root id that nobody has registered
--- config
location /t { proxy_wasm rootid 'from AssemblyScript' root_id=add_headers; }
--- error_log eval
[
    qr/\[crit\] .*wasm "rootid": Missing root context factory for root id: add_headers /,
    qr/\[emerg\] .*filter "rootid" does not start: .*; it asked for its root id before, which is "add_headers" \(root_id=ID names another\)(?:;.*)? in \S+nginx\.conf:\d+$/,
]



=== TEST 3: none
--- config
location /t { proxy_wasm rootid 'from AssemblyScript'; }
--- error_log eval
qr/\[emerg\] .*filter "rootid" does not start: .*; it asked for its root id before, which is "" .* in \S+nginx\.conf:\d+$/
--- expects_crit
wasm "rootid": Missing root context factory for root id:  at: ~lib/@solo-io/proxy-runtime/runtime.ts(991:5)
