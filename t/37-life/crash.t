# Workers that die under load, wherever they are: they are replaced, requests of the others do not notice, and what filters
# share can be used and is right.

use strict;
use warnings;

use Mix;
use NginxProcess;
use Peer;
use SteadyLoad;
use Test::More;

use constant { WORKERS => 3, CONNECTIONS => 24, CRASHES => 20 };

Peer->needs('python3', 'ps');
my $peer  = Peer->fault('plain=127.0.0.1');
my $nginx = NginxProcess->new('life-crash', workers => WORKERS, connections => 1024);
my $mix   = Mix->new($nginx, '127.0.0.1:' . $peer->port);
$mix->configure(wasm => 'shm_kv * 16m;');
$nginx->start or die($nginx->{output});
my $master = $nginx->pid;

# Each request writes to all kinds of memory, and much: often a worker that dies has the lock, or is in the middle of a change.
sub size { return 40_000 * (1 + shift) }
my @writes = map {
    my $size = size($_);
    "set-size key$_ $size; read-size key" . ($_ * 7 % 20) . "; add served 1; define histogram h$_; record h$_ 7";
} 0 .. 19;
my $load = SteadyLoad->begin($nginx->port, CONNECTIONS,
    request => sub {
        my $n = shift;
        return "GET /shared HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-shared: $writes[$n % @writes]\r\n\r\n";
    },
    wrong => sub {
        my ($n, $bytes) = @_;
        # Those of a worker that was killed are cut off; there is nothing that could answer them.
        return if $bytes eq '' || $bytes =~ /\A\[Connection reset by peer\]\z/ || $bytes !~ /\r\n\r\n/;
        my ($of) = $writes[$n % @writes] =~ /read-size key(\d+)/;
        my $size = size($of);
        return if $bytes =~ m{\AHTTP/1\.1 200 OK\r\n} && $bytes =~ /^set-size key\d+ \d+ -> \(\)\nread-size key$of -> (?:$size|0)\nadd served 1 -> \(\)\n/m;
        return 'got ' . substr $bytes, 0, 600;
    },
);
$load->wait_for_more(CONNECTIONS);
my %killed;
for my $n (1 .. CRASHES) {
    my @workers = $nginx->workers;
    my $victim  = $workers[$n % @workers];
    kill 'KILL', $victim;
    $killed{$victim} = 1;
    $nginx->wait_for('another worker', sub { my @now = $nginx->workers; @now == WORKERS && !grep { $killed{$_} } @now });
    $load->wait_for_more(CONNECTIONS);
}
my ($answered, @wrong) = $load->end;
is(scalar @wrong, 0, 'all that was answered is right') or diag(@wrong > 10 ? @wrong[0 .. 9] : @wrong);
is($nginx->pid, $master, 'the master goes on');
is(() = $nginx->log =~ /exited on signal 9/g, CRASHES, 'so many workers have died');

# Each worker can write and read what all share.
$nginx->wait_for('all workers', sub { my @workers = $nginx->workers; @workers == WORKERS });
for my $round (1 .. 2 * WORKERS) {
    my $content = $nginx->get('/shared', { 'x-shared' => "set last round$round; read last; add served 1" })->{content};
    like($content, qr/^read last -> round$round \d+$/m, "round $round: what is written can be read");
}
my $metrics = $nginx->get('/metrics')->{content};
my ($served) = $metrics =~ /^served (\d+)$/m;
cmp_ok($served, '>=', int($answered / 2), 'the metrics have not begun anew');
is(() = $metrics =~ /^# TYPE h\d+ histogram$/mg, scalar @writes, 'each is there once');
note("$answered requests, $served counted; locks that a dead worker had: " . (() = $nginx->log =~ /was locked by/g)
    . ', zones that were emptied for it: ' . (() = $nginx->log =~ /which is empty now/g));
is($nginx->get('/version')->{headers}{'x-version'}, 1, 'other filters work');
$nginx->stop;
# The master says so, too, when it opens a lock that a dead worker had.
my @bad = grep {/\[(?:crit|alert|emerg)\](?!.*(?:exited on signal 9|"wasm_\w+" was locked by \d+))/} split /\n/, $nginx->log;
is(scalar @bad, 0, 'nothing else is bad in the error log') or diag(join "\n", @bad > 10 ? @bad[0 .. 9] : @bad);

done_testing();
