# Limits of the system: where 'ulimit -v' leaves no room for a pool, nor for the address space that instances usually reserve,
# filters work all the same.

use strict;
use warnings;

use Engine;
use NginxProcess;
use Test::More;

plan skip_all => 'AddressSanitizer and valgrind need more address space than this test leaves them'
    if ($ENV{TEST_WASM_NGINX} // '') eq 'asan' || $ENV{TEST_WASM_VALGRIND};

my $guests = ($ENV{TEST_WASM_ROOT} // '') . '/build/guests';
my $nginx  = NginxProcess->new('address-space');
my $limit  = 2 << 20;                                        # KiB
my $binary = $nginx->write('limited', "#!/bin/sh\nulimit -v $limit\nexec $nginx->{binary} \"\$\@\"\n");
chmod 0755, $binary or die "cannot make $binary executable: $!\n";
$nginx->{binary} = $binary;

sub configure {
    my $pool = shift;
    $nginx->configure(
        main   => "wasm { $pool module headers $guests/rust-headers.wasm; module go $guests/go-headers.wasm; }",
        server => join '', map {
            my ($isolation, $chain) = ($_, "proxy_wasm headers 'response.add x-rust yes'; proxy_wasm go 'response.add x-go yes';");
            "location /$isolation { proxy_wasm_isolation $isolation; $chain return 200 ok; }\n"
        } qw( worker request ),
    );
}

sub served {
    my $where = shift;
    my $response = $nginx->get("/$where");
    return join ' ', $response->{status}, map { $response->{headers}{$_} // 'none' } qw( x-rust x-go );
}

my $warning = qr/\[warn\] .*module "headers": its instances are made on demand, because the pool \(instance_pool\) has no room for them: /;

configure('');
my ($ok, $output) = $nginx->test;
unless (Engine::can_do('little address space')) {
    ok(!$ok, 'nginx -t refuses it');
    my $why = qr/cannot instantiate: WasmEdge reserves 12 GiB of address space for .*: Cannot allocate memory .*ulimit -v/;
    like($output, qr/\[emerg\] .*filter "$_" does not start: $why/, "and says why, of the filter $_") for qw( headers go );
    done_testing();
    exit;
}
ok($ok, 'nginx -t accepts it') or diag $output;
like($output, $warning, 'and says that there is no pool');
ok($nginx->start, 'nginx starts') or die($nginx->{output});
for my $where (qw( worker request )) {
    is(served($where), '200 yes yes', "isolation $where: request $_") for 1 .. 5;
}

# A pool that fits.
my %old = map { $_ => 1 } $nginx->workers;
my $size = length $nginx->log;
configure('instance_pool 8 memory=32m;');
$nginx->signal('HUP');
$nginx->wait_for('new workers', sub { my @workers = $nginx->workers; @workers && !grep { $old{$_} } @workers });
is(served('request'), '200 yes yes', "a small pool fits: request $_") for 1 .. 5;
unlike(substr($nginx->log, $size), $warning, 'which nobody warns of');
$nginx->stop;

# Without a limit.
$nginx = NginxProcess->new('address-space-test');
sub said {
    my ($pool, $module) = @_;
    $nginx->configure(
        main   => "wasm { $pool module headers $module; }",
        # There is a pool for each of the two.
        server => 'proxy_wasm_isolation request; location / { proxy_wasm headers; return 200 ok; }
            location /fuel { wasm_fuel 1000000; proxy_wasm headers; return 200 ok; }',
    );
    my ($ok, $output) = $nginx->test;
    ok($ok, "$pool is accepted") or diag $output;
    return $output;
}
unlike(said('', "$guests/rust-headers.wasm"), qr/\[warn\]/, 'the pool that nobody asked for fits');
unlike(said('instance_pool off;', "$guests/rust-headers.wasm"), qr/\[warn\]/, 'neither is there a warning without any');
like(said('instance_pool 16384 memory=4096m;', "$guests/rust-headers.wasm"), $warning, 'one that does not fit is told of');
like(said('instance_pool 8 memory=64k;', "$guests/rust-headers.wasm"), qr/$warning.*memory/, 'so is a module that does not fit into it');

done_testing();
