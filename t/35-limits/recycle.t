# proxy_wasm_recycle: an instance that has grown is replaced between requests, before it fails one; those that it has go on
# in it. And what a filter meets that grows nevertheless: wasm_memory_limit.

use strict;
use warnings;

use NginxProcess;
use Peer;
use RawClient;
use Test::More;

Peer->needs('python3');
my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx  = NginxProcess->new('recycle');
my $peer   = Peer->fault('plain=127.0.0.1');
my $target = '127.0.0.1:' . $peer->port;

my %place = (
    on      => '',
    off     => 'proxy_wasm_recycle off;',
    size    => 'proxy_wasm_recycle 4m;',
    named   => 'proxy_wasm_recycle off; proxy_wasm_recycle filter=faulty 4m;',
    waits   => 'proxy_wasm_recycle 4m;',
    refused => '',
    steady  => 'proxy_wasm_recycle 64k;',
    broken  => 'proxy_wasm_recycle 4m; proxy_wasm_restart_delay 1h 1h;',
    own     => 'proxy_wasm_isolation request;',
);
my %says = (broken => '@configure start-from:2 false;');
$nginx->configure(
    main   => "wasm { module faulty $root/build/guests/rust-faulty.wasm; module before $root/build/guests/rust-headers.wasm; }",
    http   => 'wasm_memory_limit 16m; wasm_pause_timeout 10m;',
    server => join '', map {
        "location = /$_ {
            $place{$_}
            proxy_wasm before 'response.add x-before yes';
            proxy_wasm faulty 'name $_; @{[ $says{$_} // '' ]} \@response-headers tell';
            return 200 ok;
        }\n"
    } sort keys %place,
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# The status, and which instance it was: "200 START".
sub ask {
    my ($name, $says) = @_;
    my $response = $nginx->get("/$name", { defined $says ? ('x-faulty' => $says) : () });
    my ($start) = ($response->{headers}{"x-$name"} // '') =~ /^start (\d+)/;
    return join ' ', $response->{status}, $start // ();
}

sub recycled { return () = substr($nginx->log, $_[0]) =~ /\[notice\] [^\n]*wasm filter "faulty": its instance has grown to \d+ bytes, a new one takes its place/g }

my $mib = 1 << 20;

# A guest that leaks 1 MiB with each request, below a limit of 16 MiB.
for my $name (qw( on size named )) {
    my $from   = length $nginx->log;
    my @seen   = map { ask($name, "leak $mib") } 1 .. 100;
    my %starts = map { /^200 (\d+)$/ ? ($1 => 1) : () } @seen;
    is((grep { !/^200 \d+$/ } @seen), 0, "$name: none of 100 requests fails");
    cmp_ok(scalar keys %starts, '>', 100 / 16, 'several instances have served them');
    is(recycled($from), keys(%starts) - 1, 'and the log has each time that one took the place of another');
    my @order = map { /(\d+)$/ } @seen;
    is("@order", join(' ', sort { $a <=> $b } @order), 'one after the other');
    unlike(substr($nginx->log, $from), qr/failed to call function/, 'nothing trapped');
}

# Off: it traps, and is started again as after any other trap.
{
    my $from = length $nginx->log;
    my @seen = map { ask('off', "leak $mib") } 1 .. 100;
    my $failed = grep { /^503/ } @seen;
    cmp_ok($failed, '>', 0, 'off: some of 100 requests fail');
    is((grep { !/^(?:200 \d+|503)$/ } @seen), 0, 'and the others do not');
    is(() = substr($nginx->log, $from) =~ /failed to call function/g, $failed, 'with a trap each');
    is(recycled($from), 0, 'no instance was replaced before its time');
    is(ask('on') =~ s/ .*//r, 200, 'other filters serve');
}

# Requests that an instance has when it is replaced.
{
    my $from    = length $nginx->log;
    my @clients = map {
        my $client = RawClient->new($nginx->port);
        $client->send("GET /waits HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-faulty: call $target /together/4/status/200; pause; \@call-response resume\r\n\r\n");
        $client;
    } 1 .. 3;
    $nginx->wait_for('three requests that wait', sub { (() = substr($nginx->log, $from) =~ /faulty waits: calls \{0: 1\}/g) == 3 });
    is(ask('waits', 'leak ' . 6 * $mib), '200 1', 'one that leaks comes into the instance that they wait in');
    is(ask('waits'), '200 2', 'the next has another');
    is(recycled($from), 1, 'which took its place');
    # As long as the old one has requests there is no third.
    is(ask('waits', 'leak ' . 6 * $mib), '200 2', 'that one grows, too');
    is(ask('waits'), '200 2', 'and is not replaced as long as the first is still needed');
    is(recycled($from), 1, 'not yet');
    HTTP::Tiny->new(timeout => 30)->get("http://$target/together/4/status/200");
    for my $client (@clients) {
        my $response = $client->response;
        is("$response->{status} $response->{headers}{'x-waits'}", '200 start 1 stream 4', 'a request that waited ends in its instance');
    }
    is(ask('waits'), '200 3', 'then the second is replaced');
}

# Growth that the limit refuses.
is(ask('refused', "grow 4; grow 64"), '200 1', 'a request for which the limit refuses growth goes on');
like($nginx->log, qr/faulty refused: grow 64 -> 1 \d+ MiB/, 'the guest knows');
is(ask('refused'), '200 2', 'and the next has a new instance');

# An instance that has not grown since its start is not replaced, however large it began.
is_deeply([map { ask('steady') } 1 .. 5], [('200 1') x 5], 'a filter that does not grow stays, whatever the size');

# A new instance that does not start does not cost the old one.
{
    is(ask('broken', 'leak ' . 6 * $mib), '200 1', 'a filter that does not start a second time has grown');
    is_deeply([map { ask('broken') } 1 .. 5], [('200 1') x 5], 'the old instance serves on');
    like($nginx->log, qr/wasm filter "faulty" does not start in this worker, the instance that was to be replaced serves on/, 'and the log says so');
}

# With an instance for each request there is nothing to replace.
is((grep { !/^200 \d+$/ } map { ask('own', "leak @{[ 6 * $mib ]}") } 1 .. 20), 0, 'an instance for each request');
is(ask('own', 'leak ' . 32 * $mib), 503, 'has the limit, too');

is(($nginx->workers)[0], $worker, 'the worker is the one that it was');

# A filter that leaks while it ticks, and has no requests at all.
{
    my $from = length $nginx->log;
    $nginx->configure(
        main   => "wasm { module faulty $root/build/guests/rust-faulty.wasm; }",
        http   => 'wasm_memory_limit 16m;',
        server => "location / { proxy_wasm faulty 'name alone; \@configure tick 10; \@tick leak $mib'; return 200 ok; }",
    );
    $nginx->signal('HUP');
    $nginx->wait_for('three instances, one after the other', sub { recycled($from) >= 2 });
    unlike(substr($nginx->log, $from), qr/failed to call function/, 'a filter that leaks in ticks is replaced without a request, and does not trap');
}

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
