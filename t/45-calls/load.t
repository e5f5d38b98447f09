# Many requests at the same time, each with three calls at the same time, to a service that answers late and sometimes breaks
# off, with a reload in the middle: all are answered, each call has its end once, and nothing is left behind.

use strict;
use warnings;

use List::Util qw( min sum0 );
use Test::More;

use Calls;
use LoadClient;
use Peer;

use constant { REQUESTS => 10_000, CONNECTIONS => 200, WORKERS => 2, SECONDS => 60 };

# The first half comes in more connections, so that the second does not need more memory for what is under way. Then the heap
# still varies by some MiB in each direction, because of its gaps; what a call leaves behind shows in every part of the second
# half. The limit is what a part grows by when each of its calls leaves 1 KiB behind.
use constant { WARM => 300, PARTS => 4 };
use constant { PART => REQUESTS / 2 / PARTS };
use constant { GROWTH => PART * 3 };

Peer->needs('python3');
plan(skip_all => 'needs /proc') unless -r '/proc/self/status';
my $peer = Peer->fault('plain=127.0.0.1', 'reset=127.0.0.1,reset');
my ($to, $reset) = map { '127.0.0.1:' . $peer->port($_) } qw( plain reset );
# Either worker may get all clients, each with three calls.
my $calls = Calls->new(
    'calls-load',
    workers     => WORKERS,
    connections => 2048,
    location    => 'wasm_max_calls 1000; wasm_call_keepalive 300; wasm_call_keepalive_timeout 1s;',
);
my $nginx = $calls->{nginx};
my $port  = $nginx->port;

# What the calls of a request ask for, and what has to come: a status, or 0.
my @kinds = (
    ['/status/200',      200],
    ['/reset/request',   0],
    ['/chunked/30000',   200],
    ['/status/503',      503],
    ['/reset/body',      0],
    ['/trailers/x-a=1',  200],
    ['/body/3000',       200],
    ['/cut/chunk',       0],
);
sub kinds { my $n = shift; return map { $kinds[($n * 7 + $_ * 3) % @kinds] } 0 .. 2 }

sub request {
    my $n = shift;
    my @calls = map {
        my ($path) = @{ (kinds($n))[$_] };
        my $delay = ($n * 3 + $_ * 17) % 40;
        "call c$_ $to GET /delay/$delay$path";
    } 0 .. 2;
    # Now and then one that finds nobody, and one that waits in vain.
    $calls[2] = "call c2 $reset GET /status/200"         if $n % 10 == 3;
    $calls[2] = "call c2 $to GET /silent timeout:30"     if $n % 10 == 6;
    my $statements = join '; ', @calls, 'answer 200';
    return "GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-calls: $statements\r\n\r\n";
}

sub expected {
    my $n = shift;
    my @statuses = map { $_->[1] } kinds($n);
    $statuses[2] = 0 if $n % 10 == 3 || $n % 10 == 6;
    return join ' ', map {"c$_=$statuses[$_]"} 0 .. 2;
}

# In short, what came. Parsing thousands of reports as JSON would take longer than making them.
sub found {
    my $answer = shift;
    my ($report) = $answer =~ m{\AHTTP/1\.1 200 OK\r\n.*?\r\n\r\n(\{.*\})\s*\z}s or return "no report: $answer";
    return "calls that have not ended: $report" unless $report =~ /"open":0\}/;
    my @events = $report =~ /\{"name":"(c\d)","kind":"response","counts":\[\d+, \d+, \d+\],"headers":\[(?:\[":status","(\d+)"\])?/g;
    my @found;
    while (my ($name, $status) = splice @events, 0, 2) { push @found, "$name=" . ($status // 0) }
    return join ' ', sort @found;
}

# All requests from FIRST to before END.
my ($answered, @wrong) = (0);
sub load {
    my ($first, $end, $connections, $at, $then) = @_;
    LoadClient::run($port, $connections,
        within  => SECONDS,
        request => sub { my $n = $first + shift; return $n < $end ? request($n) : undef },
        answer  => sub {
            my ($n, $answer) = @_;
            my ($found, $expected) = (found($answer), expected($first + $n));
            $answered++;
            push @wrong, 'request ' . ($first + $n) . ": $found in place of $expected" if $found ne $expected;
            $then->() if defined $at && $answered == $at;
        },
    );
}

sub sockets {
    my $worker = shift;
    return scalar grep { (readlink // '') =~ /^socket:/ } glob "/proc/$worker/fd/*";
}

sub memory {
    my $worker = shift;
    open my $in, '<', "/proc/$worker/status" or die "worker $worker: $!\n";
    my %value = map { /^(\w+):\s+(\d+) kB/ ? ($1 => $2) : () } <$in>;
    return $value{VmRSS};
}

# Once nothing is under way: until then, connections that were kept are there.
sub settled {
    my ($workers, $sockets) = @_;
    for my $worker (@$workers) {
        $nginx->wait_for("worker $worker to have $sockets sockets", sub { sockets($worker) == $sockets });
    }
}

my @before  = $nginx->workers;
my $sockets = sockets($before[0]);
is(sockets($before[1]), $sockets, "a worker that has served nobody has $sockets sockets");

load(0, REQUESTS / 2, WARM, REQUESTS / 4, sub { $nginx->signal('HUP') });
$nginx->wait_for('the old workers to end', sub { !grep { kill 0, $_ } @before });
my @workers = $nginx->workers;
settled(\@workers, $sockets);
my $memory = sum0(map { memory($_) } @workers);

my @grown;
for my $part (0 .. PARTS - 1) {
    my $from = REQUESTS / 2 + $part * PART;
    load($from, $from + PART, CONNECTIONS);
    settled(\@workers, $sockets);
    my $now = sum0(map { memory($_) } @workers);
    push @grown, $now - $memory;
    $memory = $now;
}
pass('at the end, the workers have as many sockets as before');

is($answered, REQUESTS, 'all requests are answered');
is(scalar @wrong, 0, 'each with the ends of its three calls') or diag(join "\n", @wrong > 10 ? @wrong[0 .. 9] : @wrong);
is_deeply([sort $nginx->workers], [sort @workers], 'by the workers that began');
cmp_ok(min(@grown), '<', GROWTH, 'there is no growth that goes on') or diag("KiB in each part: @grown");
note("the workers have $memory KiB; in each part they have grown by so many KiB: @grown");
is($calls->metric('calls_begun'), 3 * REQUESTS, 'all calls have begun');
is($calls->metric('calls_ended'), 3 * REQUESTS, 'and ended');
my $stats = $peer->stats('plain');
note("$stats->{requests} requests in $stats->{connections} connections");

$calls->finish;
done_testing();
