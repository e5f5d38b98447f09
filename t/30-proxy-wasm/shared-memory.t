# What several workers share: values that all see, messages that reach a filter in another worker, and what is left after a
# reload, after the end of a worker, and after a change of a zone's size.

use strict;
use warnings;

use HTTP::Tiny;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('shared-memory', workers => 2);
# With a socket for each worker, the kernel spreads connections by their port, so that both workers get some.
my $port = $nginx->port + 1;

sub configure {
    my ($configuration, $zones) = @_;
    $zones //= '';
    $nginx->configure(
        main => "wasm { module shared $root/build/guests/rust-shared.wasm; $zones }",
        http => <<"CONF",
server {
    listen 127.0.0.1:$port reuseport;
    add_header x-worker \$pid always;
    location / { proxy_wasm shared '$configuration'; return 200 none; }
    location /metrics { wasm_metrics; }
}
CONF
    );
    return;
}

# Has a worker run statements: this one, or any that is not that one. Answers its process and the results.
sub run {
    my ($statements, %want) = @_;
    my $found;
    $nginx->wait_for("a connection to the right worker", sub {
        # The connection stays, and with it the worker.
        my $http = HTTP::Tiny->new(timeout => 30, keep_alive => 1);
        my $url  = "http://127.0.0.1:$port/";
        my $pid  = $http->get($url)->{headers}{'x-worker'} // return 0;
        return 0 if ($want{at} && $pid != $want{at}) || ($want{not} && $pid == $want{not});
        my $response = $http->get($url, { headers => { 'x-shared' => $statements } });
        die "the connection went to another worker\n" if ($response->{headers}{'x-worker'} // 0) != $pid;
        $found = [$pid, $response->{content}];
        return 1;
    });
    return @$found;
}

sub reload {
    my %old = map { $_ => 1 } $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('new workers', sub { my @workers = $nginx->workers; @workers == 2 && !grep { $old{$_} } @workers });
    $nginx->wait_for('the end of the old ones', sub { !grep { kill 0, $_ } keys %old });
    return;
}

my ($one, $two, $results);

configure('define counter requests; add requests 1');
$nginx->start or die("nginx does not start: $nginx->{output}");
$nginx->wait_for('both workers', sub { my $started = () = $nginx->log =~ /filter\(s\) started/g; $started == 2 });

# Metrics and shared data
($one, $results) = run('define counter requests; add requests 10; define gauge g; record g 5; set k one; read k');
is($results, <<'END', 'the instances of two workers have counted together; that in the master has not');
define counter requests -> 1
add requests 10 -> ()
define gauge g -> 2
record g 5 -> ()
set k one -> ()
read k -> one 1
END
($two, $results) = run('get 1; get 2; add 2 -1; read k; set k two 1', not => $one);
is($results, "get 1 -> 12\nget 2 -> 5\nadd 2 -1 -> ()\nread k -> one 1\nset k two 1 -> ()\n", 'another worker sees the same values');
isnt($two, $one, 'it is another worker');
(undef, $results) = run('set k three 1; read k; get 2', at => $one);
is($results, "set k three 1 -> CasMismatch\nread k -> two 2\nget 2 -> 4\n", 'what it did is seen by the first');
like(HTTP::Tiny->new->get("http://127.0.0.1:$port/metrics")->{content}, qr/^requests 12$/m, 'each shows all metrics');

# Queues
(undef, $results) = run('register q', at => $one);
is($results, "register q -> 1\n", 'one worker registers a queue');
(undef, $results) = run('resolve shared q; push q from-two; push q and-more', at => $two);
is($results, "resolve shared q -> Some(1)\npush q from-two -> ()\npush q and-more -> ()\n", 'the other sends messages');
$nginx->wait_for('both messages', sub { $nginx->log =~ /ready q: and-more/ });
my @ready = $nginx->log =~ /\[info\] (\d+)#\S+ wasm "shared": (ready .*)/g;
is_deeply(\@ready, [$one, 'ready q: from-two', $one, 'ready q: and-more'], 'the filter that registered the queue is told in its worker');

run('register q', at => $two);
run('push q mine', at => $two);
$nginx->wait_for('the message', sub { $nginx->log =~ /ready q: mine/ });
like($nginx->log, qr/\[info\] $two#.*ready q: mine/, 'a worker whose own filter has registered the queue keeps its messages');

# A worker that is killed: its place is taken, by the one that is left, or by the one that comes after it.
kill 'KILL', $two;
$nginx->wait_for('another worker', sub { my @workers = $nginx->workers; @workers == 2 && !grep { $_ == $two } @workers });
my ($three) = grep { $_ != $one } $nginx->workers;
run('resolve shared q; push q after-the-end', at => $three);
$nginx->wait_for('the message', sub { $nginx->log =~ /ready q: after-the-end/ });
like($nginx->log, qr/\[info\] $one#.*ready q: after-the-end/, 'messages go to a worker that is alive');
(undef, $results) = run('get 1; read k', at => $three);
is($results, "get 1 -> 13\nread k -> two 2\n", 'and all values are there');
kill 'KILL', $one;
$nginx->wait_for('another worker', sub { my @workers = $nginx->workers; @workers == 2 && !grep { $_ == $one } @workers });
run('resolve shared q; push q nobody', at => $three);
run('register q', not => $three);
$nginx->wait_for('the message', sub { $nginx->log =~ /ready q: nobody/ });
unlike($nginx->log, qr/\[info\] $three#.*ready q: nobody/, 'a message that found nobody goes to whoever registers next');

# Reload
configure('define counter requests; add requests 100; register q');
run('resolve shared q; push q kept', at => $three);
$nginx->wait_for('the message', sub { $nginx->log =~ /ready q: kept/ });
run('register quiet; push quiet kept');
reload();
($one, $results) = run('get 1; get 2; read k; resolve shared quiet; pop quiet');
$results =~ s/Some\(\d+\)/a number/;
is($results, <<'END', 'a reload keeps metrics, data and messages');
get 1 -> 214
get 2 -> 4
read k -> two 2
resolve shared quiet -> a number
pop quiet -> kept
END
($two) = run('resolve shared q; push q after-the-reload', not => $one);
$nginx->wait_for('the message', sub { $nginx->log =~ /ready q: after-the-reload/ });
like($nginx->log, qr/\[info\] (?:$one|$two)#.*ready q: after-the-reload/, 'the new workers are told of messages');

configure('', 'shm_kv * 2m;');
reload();
(undef, $results) = run('read k; get 1');
is($results, "read k -> none none\nget 1 -> 214\n", 'a zone of another size begins empty, the others stay');

# A worker of the configuration before, in which nobody has registered the queue, still has a request: it wakes up a new one.
{
    require IO::Socket::INET;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $@\n";
    print {$client} "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    # A connection without a byte would be closed by the reload. The worker has seen these when it answers another of the
    # same socket; both answer, since either may have it.
    my ($first) = run('get 1');
    run('get 1', not => $first);
    configure('register q', 'shm_kv * 2m;');
    my %old    = map { $_ => 1 } $nginx->workers;
    my $before = length $nginx->log;
    $nginx->signal('HUP');
    $nginx->wait_for('new workers that have registered the queue', sub {
        my %pids = map { $_ => 1 } grep { !$old{$_} } substr($nginx->log, $before) =~ /\[info\] (\d+)#\S+ wasm "shared": register q/g;
        return grep({ $pids{$_} } $nginx->workers) == 2;
    });
    my @new = $nginx->workers;
    print {$client} "x-shared: resolve shared q; push q from-before\r\n\r\n";
    my $answer = do { local $/; <$client> };
    like($answer, qr/^push q from-before -> \(\)$/m, 'a worker of the configuration before sends a message');
    my ($pid) = $answer =~ /^x-worker: (\d+)/m;
    ok($old{$pid}, 'it is one');
    $nginx->wait_for('the message', sub { $nginx->log =~ /ready q: from-before/ });
    my ($told) = $nginx->log =~ /\[info\] (\d+)#.*ready q: from-before/;
    ok(scalar(grep { $_ == $told } @new), 'a new worker is told of it');
}

# Another type for a name, after a reload
configure('define gauge requests; record requests 7');
reload();
my $shown = HTTP::Tiny->new->get("http://127.0.0.1:$port/metrics")->{content};
like($shown, qr/^# TYPE requests gauge\nrequests 7$/m, 'after a reload a name may have another type');
like($shown, qr/^# TYPE requests_counter counter\nrequests_counter\{name="requests"\} 214$/m, 'the metric before is still shown');

# Both workers at the same time, all of them in the same queue and under the same names
configure('register q');
reload();
($one, undef) = run('define counter busy');
($two, undef) = run('define counter busy', not => $one);
my @children = map {
    my $worker = $_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        run(join('; ', 'resolve shared q; define counter busy', map {"add busy 1; set s$_ $worker; push q $worker-$_"} 1 .. 60), at => $worker)
            for 1 .. 3;
        require POSIX;
        POSIX::_exit(0);
    }
    $pid;
} $one, $two;
waitpid $_, 0 for @children;
(undef, $results) = run('define counter busy; get busy');
like($results, qr/^get busy -> 360$/m, 'no increment of two workers is lost');
$nginx->wait_for('all messages', sub { my $all = () = $nginx->log =~ /ready q: \d+-\d+$/mg; $all >= 360 });
my %seen;
$seen{$_}++ for $nginx->log =~ /ready q: (\d+-\d+)$/mg;
is_deeply([sort { $a <=> $b } values %seen], [(3) x 120], 'each message was taken once');

unlike($nginx->log, qr/\[(?:alert|emerg)\](?!.*(?:exited on signal 9|cannot send))/, 'and the log has nothing alarming');

done_testing();
