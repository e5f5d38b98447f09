# Calls to a service that answers with more than anybody asked for: they end at their time-out or before, other requests are
# served all the time, memory does not grow, and the connection is given up, so that the worker has nothing more to do with it.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3');
plan(skip_all => 'needs /proc') unless -r '/proc/self/status';
my @http1 = qw( interim zeros extensions );
my @http2 = qw( ping settings window unknown informed continuation );
my $peer  = Peer->flood((map {"$_=127.0.0.1,kind=$_"} @http1, @http2), 'deaf=127.0.0.1,kind=ping,deaf');
# The connections would be kept until long after this test.
my $calls = Calls->new('calls-floods', location => 'wasm_call_keepalive_timeout 10m;', server => <<'CONF');
location /short { wasm_call_keepalive_timeout 1ms; proxy_wasm calls; return 200 "ok\n"; }
CONF
my $nginx = $calls->{nginx};
my ($worker) = $nginx->workers;

sub memory {
    open my $in, '<', "/proc/$worker/status" or die "worker $worker: $!\n";
    my %value = map { /^(\w+):\s+(\d+) kB/ ? ($1 => $2) : () } <$in>;
    return $value{VmRSS};
}

# Once an answer of 1 MiB has come, the worker is as large as calls make it.
my $plain = Peer->fault('plain=127.0.0.1');
$calls->ask("call a 127.0.0.1:@{[ $plain->port ]} GET /body/1048576; answer 200");
my $memory = memory();

for my $kind (@http1, @http2) {
    my $scheme = (grep { $_ eq $kind } @http2) ? 'scheme:h2c' : '';
    my $to = '127.0.0.1:' . $peer->port($kind);
    my $came = $calls->ask("call a $to GET / timeout:500 $scheme; call b 127.0.0.1:@{[ $plain->port ]} GET /status/200; answer 200");
    is_deeply($came->{a}{counts}, [0, 0, 0], "$kind: the callback has nothing");
    isnt($calls->failure($to), '', 'one line of the log says why');
    is($came->{b}{status}, 200, 'another call is answered');
    $peer->wait_for($kind, 'left', 1);
    pass('the connection is given up');
}

# One that does not even read the answers to its frames.
my $deaf = '127.0.0.1:' . $peer->port('deaf');
is($calls->ask("call a $deaf GET / timeout:300 scheme:h2c; answer 200", path => '/short')->{a}{status}, 0, 'a service that does not read');
like($calls->failure($deaf), qr/no answer within 300 ms/, 'the log says why');
$peer->wait_for('deaf', 'left', 1);
pass('the connection is given up after wasm_call_keepalive_timeout');

# A sanitizer keeps what was freed for a while, as does valgrind.
cmp_ok(memory() - $memory, '<', 4096, 'the worker has not grown by 4 MiB')
    if $ENV{TEST_WASM_NGINX} ne 'asan' && !$ENV{TEST_WASM_VALGRIND};
is_deeply([$nginx->workers], [$worker], 'it is the one that began');
$calls->finish;
done_testing();
