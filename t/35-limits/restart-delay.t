# proxy_wasm_restart_delay: failures in a row, with no request served in between, are followed by ever longer waits. Waits of
# hours show that there is one, waits of a millisecond that it ends.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('restart-delay');

my %place = (
    # Long waits, after one failure that costs none.
    closed     => 'proxy_wasm_restart_delay 1h 1h after=1;',
    open       => 'proxy_wasm_on_error reload open; proxy_wasm_restart_delay 1h 1h after=1;',
    never      => 'proxy_wasm_restart_delay 1h 1h after=0;',
    often      => 'proxy_wasm_restart_delay 1h 1h;',
    served     => 'proxy_wasm_restart_delay 1h 1h after=1;',
    other      => 'proxy_wasm_restart_delay 1h 1h after=1;',
    request    => 'proxy_wasm_isolation request fresh; proxy_wasm_restart_delay 1h 1h after=0;',
    # Short ones.
    short      => 'proxy_wasm_restart_delay 1ms 1ms after=0;',
    doubled    => 'proxy_wasm_restart_delay 1ms 50ms after=0;',
    starts     => 'proxy_wasm_restart_delay 1ms 1ms after=0;',
    # How long they are, in the log.
    told       => 'proxy_wasm_restart_delay 1h 100h after=1;',
);
my %says = (starts => '@configure start-from:2 start-until:4 false;');
$nginx->configure(
    main   => "wasm { module faulty $root/build/guests/rust-faulty.wasm; }",
    server => join '', map {
        "location = /$_ { $place{$_} proxy_wasm faulty 'name $_; @{[ $says{$_} // '' ]} \@response-headers tell'; return 200 ok; }\n"
    } sort keys %place,
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# The status, and which start of the filter had it.
sub ask {
    my ($path, $says) = @_;
    my $response = $nginx->get($path, { defined $says ? ('x-faulty' => $says) : () });
    my ($start) = ($response->{headers}{ 'x-' . substr $path, 1 } // '') =~ /^start (\d+)/;
    return join ' ', $response->{status}, $start // ();
}

sub asks { my ($path, @says) = @_; return [map { ask($path, $_) } @says] }

is_deeply(asks('/closed', undef, 'abort', 'abort', undef, undef, 'abort'), ['200 1', (503) x 5],
    'a failure, a new instance, a second failure in a row: requests fail as long as the next start has to wait');
is_deeply(asks('/open', undef, 'abort', 'abort', undef, undef, 'abort'), ['200 1', 503, 503, 200, 200, 200],
    '"reload open": they go on without the filter meanwhile');
is_deeply(asks('/never', undef, 'abort', undef, undef), ['200 1', 503, 503, 503], 'after=0: the first failure costs a wait');
is_deeply(asks('/often', undef, ('abort') x 10, undef), ['200 1', (503) x 10, '200 11'], 'ten failures in a row cost none by default');
is_deeply(asks('/often', ('abort') x 11, undef), [(503) x 12], 'and eleven do');
is_deeply(asks('/served', map { ('abort', undef) } 1 .. 20), [map { (503, '200 ' . ($_ + 1)) } 1 .. 20],
    'a request that is served in between makes the next failure the first');
is(ask('/other'), '200 1', 'filters of other locations are as they were');
is_deeply(asks('/request', undef, 'abort', 'abort', 'abort', undef), ['200 1', 503, 503, 503, '200 5'],
    'where each request has its own instance there is nothing to wait for');

for my $path (qw( /short /doubled )) {
    my $before = ask($path);
    for my $round (1 .. 5) {
        $nginx->wait_for('a failure', sub {
            my $from = length $nginx->log;
            ask($path, 'abort');
            return substr($nginx->log, $from) =~ /failed to call function/;
        });
    }
    my $after;
    $nginx->wait_for('the filter', sub { ($after = ask($path)) =~ /^200/ });
    is("$before, $after", '200 1, 200 6', "$path: each wait ends, and there is one start for each failure");
}

is_deeply(asks('/starts', undef, 'abort'), ['200 1', 503], 'a failure, and then starts that fail');
my $after;
$nginx->wait_for('the filter', sub { ($after = ask('/starts')) =~ /^200/ });
is($after, '200 5', 'each failed start is followed by another, until one goes well');
is(() = $nginx->log =~ /does not start in this worker, its requests fail for [\d.]+ s, then it is tried again/g, 3, 'the log has each');

# The waits, as the log tells them.
{
    my $from = length $nginx->log;
    ask('/told', 'abort') for 1 .. 2;
    my ($wait) = substr($nginx->log, $from) =~ /proxy_wasm_on_error: this request fails, for ([\d.]+) s requests fail, then there is a new instance/;
    ok(defined $wait && $wait >= 1800 && $wait <= 3600, 'a wait is between half and all of what is configured') or diag $wait // 'none';
}

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
