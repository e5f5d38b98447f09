# What nginx cannot do for plugins for Higress is said once for a filter, however many requests and instances it has.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $nginx = NginxProcess->new('higress-once');
$nginx->write('guest.wat', <<'WAT');
(module
  (import "env" "proxy_inject_encoded_data_to_filter_chain" (func $inject (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_100"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (if (i32.ne (call $inject (i32.const 0) (i32.const 4) (i32.const 1)) (i32.const 12)) (then unreachable))
    (i32.const 0)))
WAT
$nginx->configure(
    main   => 'wasm { module guest guest.wat; }',
    server => 'location /shared { proxy_wasm guest; return 200 ok; }
        location /own { proxy_wasm_isolation request; proxy_wasm guest; return 200 ok; }',
);
$nginx->start or die("nginx does not start: $nginx->{output}");
for my $path ('/shared', '/own') {
    is($nginx->get($path)->{status}, 200, "$path is served") for 1 .. 3;
}
my @lines = $nginx->log =~ /\[warn\] .*"proxy_inject_encoded_data_to_filter_chain" of Higress is not there/g;
is(scalar @lines, 2, 'one warning for each filter');
done_testing();
