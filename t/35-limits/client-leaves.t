# Clients that do not wait, and filters that fail for one request while others wait: contexts end in order, nothing is
# left behind, nobody else is disturbed. With a master and workers.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('client-leaves');
$nginx->configure(
    main => "
        wasm {
            module probe     $root/build/guests/rust-probe.wasm;
            module lifecycle $root/build/guests/rust-lifecycle.wasm;
        }",
    server => "
        wasm_pause_timeout 10m;
        location /pause {
            proxy_wasm lifecycle;
            proxy_wasm probe 'log info waiting; pause; \@done log info done; \@log log info logged; \@delete log info deleted';
            return 200 ok;
        }
        location /shared {
            wasm_timeout 50ms;
            proxy_wasm probe;
            return 200 ok;
        }
        location /plain { return 200 plain; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub connected {
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) || die "connect: $!";
}

# Waits until the log, from POSITION on, has the text so often.
sub wait_for_log {
    my ($text, $position, $times) = @_;
    $nginx->wait_for(
        "'$text'",
        sub {
            my $log = substr $nginx->log, $position;
            return (() = $log =~ /\Q$text\E/g) >= ($times // 1);
        }
    );
    return;
}

# The client of a paused request goes away.
for my $request ("GET /pause HTTP/1.1\r\nHost: a\r\n\r\n", "POST /pause HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n") {
    my ($method)  = split / /, $request;
    my $position = length $nginx->log;
    my $client   = connected();
    print $client $request;
    wait_for_log('wasm "probe": waiting', $position);
    is($nginx->get('/plain')->{content}, 'plain', "$method: while a request is paused, another is served");
    close $client;
    wait_for_log('wasm "probe": deleted', $position);
    my $log = substr $nginx->log, $position;
    my @events = $log =~ /wasm "probe": (done|logged|deleted)/g;
    is_deeply(\@events, [qw( done logged deleted )], "$method: the client of a paused request leaves: its contexts end");
    my @others = $log =~ /wasm "lifecycle": (on_\w+)[^\n]*, client: /g;
    is_deeply(
        \@others, [qw( on_context_create on_request_headers on_done on_log on_delete )],
        "$method: those of the other filter too, each once"
    );
    like($nginx->read('logs/access.log'), qr{"$method /pause HTTP/1\.1" 499 }, "$method: the access log has 499");
}

# The client has gone before nginx reads its request.
{
    my $position = length $nginx->log;
    my ($worker) = $nginx->workers;
    kill 'STOP', $worker;
    my $client = connected();
    print $client "GET /pause HTTP/1.1\r\nHost: a\r\n\r\n";
    close $client;
    kill 'CONT', $worker;
    my $ended = eval { wait_for_log('wasm "probe": deleted', $position); 1 };
    ok($ended, 'a client that is gone before nginx looks: its contexts end');
}

# Many at once.
{
    my $position = length $nginx->log;
    my @clients  = map { connected() } 1 .. 20;
    print $_ "GET /pause HTTP/1.1\r\nHost: a\r\n\r\n" for @clients;
    wait_for_log('wasm "probe": waiting', $position, 20);
    close $_ for reverse @clients;
    wait_for_log('wasm "probe": deleted', $position, 20);
    my @ids = substr($nginx->log, $position) =~ /wasm "lifecycle": on_delete (\d+)/g;
    my %seen = map { $_ => 1 } @ids;
    is(scalar keys %seen, 20, 'twenty clients leave: twenty contexts end');
}

# A trap of the filter in one request, while another request waits in the same VM.
{
    my $position = length $nginx->log;
    my $waiting  = connected();
    print $waiting "GET /shared HTTP/1.1\r\nHost: a\r\nx-probe: log info waiting; pause\r\n\r\n";
    wait_for_log('wasm "probe": waiting', $position);
    for my $how (qw( abort loop trap )) {
        is($nginx->get('/shared', { 'x-probe' => $how })->{status}, 503, "$how in another request of the VM: 503");
        is($nginx->get('/shared')->{content}, 'ok', "$how: the filter serves again");
    }
    like(scalar <$waiting>, qr{^HTTP/1\.1 503 }, 'the request that waited in the VM that is gone is answered');
    close $waiting;
    is($nginx->get('/shared')->{content}, 'ok', 'and ends without harm');
}

# A reload while a request waits: the old worker keeps it, the new one serves.
{
    my $position = length $nginx->log;
    my ($old)    = $nginx->workers;
    my $waiting  = connected();
    print $waiting "GET /pause HTTP/1.1\r\nHost: a\r\n\r\n";
    wait_for_log('wasm "probe": waiting', $position);
    $nginx->signal('HUP');
    $nginx->wait_for('the new worker', sub { my @workers = $nginx->workers; @workers == 1 && $workers[0] != $old });
    is($nginx->get('/shared')->{content}, 'ok', 'the new worker serves while the old one has a paused request');
    close $waiting;
    $nginx->wait_for('the end of the old worker', sub { !kill 0, $old });
    like(substr($nginx->log, $position), qr/ $old#$old: .*wasm "probe": deleted/, 'the contexts end in the old worker');
}

$nginx->stop;
unlike($nginx->log, qr/\[alert\]|open socket|bug in the module/, 'nothing is left behind');

# Two workers: what happens in one does not matter to the other.
{
    my $two = NginxProcess->new('two-workers', workers => 2);
    $two->configure(
        main   => "wasm { module probe $root/build/guests/rust-probe.wasm; }",
        server => "
            wasm_timeout 50ms;
            location /t { proxy_wasm probe; return 200 ok; }",
    );
    $two->start or die("nginx does not start: $two->{output}");
    my @workers = sort $two->workers;
    my %statuses;
    for my $time (1 .. 10) {
        for my $how ('loop', 'abort', 'level', 'grow 200', 'recurse') {
            my $status = $two->get('/t', { 'x-probe' => $how })->{status};
            $statuses{$how}{$status}++;
        }
    }
    is_deeply(
        \%statuses,
        { loop => { 503 => 10 }, abort => { 503 => 10 }, level => { 200 => 10 }, 'grow 200' => { 200 => 10 }, recurse => { 503 => 10 } },
        'two workers: failures are failures, and the rest works, each time'
    );
    is_deeply([sort $two->workers], \@workers, 'the workers are the same');
    $two->stop;
    unlike($two->log, qr/\[alert\]|exited on signal|bug in the module/, 'no worker died');
}

done_testing;
