# proxy_wasm_isolation: which requests share an instance. With `request` each has its own, of each filter of its chain: what
# one does to its memory, or to itself, no other notices; shared data is shared nevertheless; calls and timers work in it; it
# ends with its request, or with the last that the request has left in it.

use strict;
use warnings;

use Engine;
use NginxProcess;
use Peer;
use RawClient;
use Test::More;

Peer->needs('python3');
my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx  = NginxProcess->new('isolation');
my $peer   = Peer->fault('plain=127.0.0.1');
my $target = '127.0.0.1:' . $peer->port;

my $modules = "module faulty $root/build/guests/rust-faulty.wasm; module lifecycle $root/build/guests/rust-lifecycle.wasm; module go $root/build/guests/go-headers.wasm;";

sub place {
    my ($name, $directives, $says) = @_;
    return "location = /$name { $directives proxy_wasm faulty 'name $name; @{[ $says // '' ]} \@response-headers tell'; return 200 ok; }\n";
}

sub configure {
    my ($wasm) = @_;
    $nginx->configure(
        main   => "wasm { $modules $wasm }",
        http   => 'wasm_pause_timeout 10m;',
        server => join '',
            place('default', ''),
            (map { place($_, "proxy_wasm_isolation $_;") } qw( worker none request stream filter )),
            (map { place("$_-fresh", "proxy_wasm_isolation $_ fresh;") } qw( request stream filter )),
            place('named', 'proxy_wasm_isolation worker; proxy_wasm_isolation filter=faulty request fresh;'),
            place('waits', 'proxy_wasm_isolation request fresh;'),
            place('put-back', 'proxy_wasm_isolation request;'),
            place('shared-waits', 'proxy_wasm_isolation worker;'),
            place('trap', 'proxy_wasm_isolation request;'),
            place('ticks', 'proxy_wasm_isolation request;', '@tick nth:3 log info third tick; @tick nth:3 release;'),
            place('late', 'proxy_wasm_isolation request;', '@call-response log info came;'),
            place('start', 'proxy_wasm_isolation request fresh; proxy_wasm_restart_delay 1ms 1ms;', '@configure start-from:3 start-until:3 abort;'),
            "location = /numbers { proxy_wasm_isolation request; proxy_wasm lifecycle; return 200 ok; }
            location = /numbers-fresh { proxy_wasm_isolation request fresh; proxy_wasm lifecycle; return 200 ok; }
            location = /mixed {
                proxy_wasm_isolation filter=faulty request fresh;
                proxy_wasm faulty 'name own; \@response-headers tell';
                proxy_wasm go 'response.add x-go yes';
                return 200 ok;
            }
            location = /body { proxy_wasm_isolation request; proxy_wasm faulty 'name body; \@request-body tell; \@response-headers tell'; proxy_pass http://$target/echo; }",
    );
}

# "START STREAM": which instance had the request, and how many it had had.
sub ask {
    my ($name, $says) = @_;
    my $response = $nginx->get("/$name", { defined $says ? ('x-faulty' => $says) : () });
    my $told     = $response->{headers}{"x-$name"} // '';
    return join ' ', $response->{status}, $told =~ /^start (\d+) stream (\d+)$/;
}

configure('');
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# Which requests share one.
for my $name (qw( default worker none )) {
    is_deeply([map { ask($name) } 1 .. 3], ['200 1 1', '200 1 2', '200 1 3'], "$name: requests share an instance");
}
for my $name (qw( request stream filter )) {
    my @seen = map { ask($name) } 1 .. 3;
    like($seen[0], qr/^200 \d+ 1$/, "$name: an instance that has had no request before");
    my @wanted = Engine::can_do('put back') ? ($seen[0]) x 3 : map { my $n = $_; $seen[0] =~ s/ (\d+) / @{[ $1 + $n ]} /r } 0 .. 2;
    is_deeply(\@seen, \@wanted, "$name: each finds it as it was when it had started");
}
for my $name (qw( request-fresh stream-fresh filter-fresh named )) {
    my @seen = map { ask($name) } 1 .. 3;
    like($_, qr/^200 \d+ 1$/, "$name: an instance that has had no request before") for @seen;
    my %starts = map { $_ => 1 } @seen;
    is(keys %starts, 3, "$name: each has its own");
}
my %own;
for (1 .. 3) {
    my $response = $nginx->get('/mixed');
    is("$response->{status} $response->{headers}{'x-go'}", '200 yes', 'a filter with an instance for each request beside one with one for all');
    $own{ $response->{headers}{'x-own'} }++;
}
is(keys %own, 3, 'the first has its own each time');
for my $place (qw( numbers numbers-fresh )) {
    my $from = length $nginx->log;
    $nginx->get("/$place") for 1 .. 2;
    $nginx->wait_for('the end of both', sub { (() = substr($nginx->log, $from) =~ /on_delete 2/g) == 2 });
    my @seen = grep { !/_body/ } substr($nginx->log, $from) =~ /wasm "lifecycle": (on_\w+ \d+)/g;
    my @start  = ('on_context_create 1', 'on_vm_start 1', 'on_configure 1');
    my @stream = ('on_context_create 2', map {"$_ 2"} qw( on_request_headers on_response_headers on_done on_log on_delete ));
    # What is put back has started when the worker did.
    my @wanted = $place eq 'numbers' && Engine::can_do('put back') ? (@stream, @stream) : (@start, @stream, @start, @stream);
    is_deeply(\@seen, \@wanted, "$place: each request has one stream, whose number is the same each time, and the filter starts once or for each");
}

# Memory that is taken is given back with the request: far more than the limit of one instance, and than the worker may grow.
sub memory {
    open my $in, '<', "/proc/$worker/status" or die "worker $worker: $!";
    my ($kib) = map { /^RssAnon:\s+(\d+) kB/ ? $1 : () } <$in>;
    return $kib;
}
like(ask('request', 'leak 33554432'), qr/^200/, 'a request takes 32 MiB') for 1 .. 3;
my $before = memory();
like(ask('request', 'leak 33554432'), qr/^200/, 'a request takes 32 MiB') for 1 .. 20;
cmp_ok(memory() - $before, '<', 64 << 10, 'the worker has not kept them') or diag "$before KiB before";

# Shared data is shared.
ask('request', 'share counter') for 1 .. 5;
like($nginx->log, qr/faulty request: counter is 5/, 'five instances have counted to five in shared data');

# Requests that wait, each in its instance, for a call that the peer answers once enough are there. The number tells one
# meeting from another.
sub waiting {
    my ($place, $count, $number) = @_;
    my @clients;
    for (1 .. $count) {
        my $client = RawClient->new($nginx->port);
        my $says = "call $target /together/@{[ $count + 1 ]}/body/$number; pause; \@call-response resume";
        $client->send("GET /$place HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-faulty: $says\r\n\r\n");
        push @clients, $client;
    }
    return @clients;
}

sub release {
    my ($count, $number) = @_;
    my $response = HTTP::Tiny->new(timeout => 30)->get("http://$target/together/@{[ $count + 1 ]}/body/$number");
    is($response->{status}, 200, 'the peer lets them go');
    return;
}

sub in_flight {
    my ($place, $count) = @_;
    $nginx->wait_for("$count requests in flight", sub {
        return (() = $nginx->log =~ /faulty $place: calls \{0: 1\}/g) >= $count;
    });
    return;
}

{
    my @clients = waiting('waits', 5, 1);
    in_flight('waits', 5);
    like(ask('trap', 'abort'), qr/^503/, 'a request whose instance traps fails');
    like(ask('waits', 'abort'), qr/^503/, 'of the same filter, too');
    like(ask('waits', 'grow 1000'), qr/^200 \d+ 1$/, 'one that wants more memory than there is has that for itself');
    like(ask('waits'), qr/^200 \d+ 1$/, 'the next has an instance at once');
    release(5, 1);
    my %told;
    for my $client (@clients) {
        my $response = $client->response;
        is($response->{status}, 200, 'a request that waited meanwhile is served');
        $told{ $response->{headers}{'x-waits'} }++;
    }
    is(keys %told, 5, 'each in its own instance');
    is((grep { !/stream 1$/ } keys %told), 0, 'which had no other');
}
{
    my @clients = waiting('shared-waits', 3, 2);
    in_flight('shared-waits', 3);
    like(ask('shared-waits', 'abort'), qr/^503/, 'where requests share an instance, one of them makes it trap');
    is($_->response->{status}, 503, 'and those that wait in it fail with it') for @clients;
    # Their calls ended with the instance.
    HTTP::Tiny->new(timeout => 30)->get("http://$target/status/200");
}

# Timers.
{
    my $from     = length $nginx->log;
    my $response = $nginx->get('/ticks', { 'x-faulty' => 'tick 10; park' });
    is("$response->{status} $response->{content}", '200 ok', 'a timer in the instance of a request resumes it');
    my $ticks = () = substr($nginx->log, $from) =~ /third tick -> 0/g;
    is($ticks, 1, 'at its third tick');
    $nginx->wait_for('the end of the timer', sub { ask('ticks') =~ /^200/ });
    is(() = substr($nginx->log, $from) =~ /third tick -> 0/g, 1, 'the timer has ended with the request');
}

# What a request leaves behind keeps its instance: calls, and a stream whose end it puts off.
{
    my $from = length $nginx->log;
    like(ask('late', "\@log call $target /status/200"), qr/^200/, 'a call that on_log makes');
    $nginx->wait_for('its result', sub { substr($nginx->log, $from) =~ /faulty late: log info came -> 0/ });
    $from = length $nginx->log;
    like(ask('late', "\@done call $target /status/200; \@done false; \@call-response end; \@log log info logged late"), qr/^200/, 'a stream whose end is put off');
    $nginx->wait_for('its end', sub { substr($nginx->log, $from) =~ /faulty late: log info logged late -> 0/ });
    pass('it ends after the call has come');
}

# An instance that does not start costs its request alone.
{
    my $failed = 0;
    $nginx->wait_for('a start that fails, and one after it that does not', sub {
        my $is = ask('start');
        $failed++ if $is =~ /^503/;
        return $failed && $is =~ /^200/;
    });
    pass('after a start that failed there is another');
}

# Bodies.
{
    my $response = $nginx->request('POST', '/body', {}, 'b' x 200_000);
    is($response->{status}, 200, 'a request with a body');
    like($response->{headers}{'x-body'}, qr/^start \d+ stream 1$/, 'in one instance from end to end');
}

is(($nginx->workers)[0], $worker, 'the worker is the one that it was');

# More requests at once than the pool has instances: all are served, from the pool or not.
configure('instance_pool 2;');
$nginx->signal('HUP');
$nginx->wait_for('the new worker', sub { my @workers = $nginx->workers; @workers == 1 && $workers[0] != $worker });
{
    my ($ok, $output) = $nginx->test;
    ok($ok, 'a pool of two instances') or diag $output;
    my $seen    = () = $nginx->log =~ /faulty waits: calls \{0: 1\}/g;
    my @clients = waiting('waits', 5, 3);
    in_flight('waits', $seen + 5);
    like(ask('waits'), qr/^200 \d+ 1$/, 'five requests wait, and the sixth is served');
    release(5, 3);
    is($_->response->{status}, 200, 'each of the five is served') for @clients;
    like(ask('waits'), qr/^200 \d+ 1$/, 'and the next') for 1 .. 5;
}

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
