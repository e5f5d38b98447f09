# Reload and end of nginx while programs run: they are finished by the worker that began them, unless there is no time; what has
# changed is what new requests get.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use SteadyLoad;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $guests = "$root/build/guests";
my $nginx;

# What is said of it, and the version that programs tell.
sub configure {
    my ($version, %option) = @_;
    $option{shutdown} //= '10m';
    $nginx->configure(
        main   => "worker_shutdown_timeout $option{shutdown};\nwasm { module program $guests/rust-program.wasm; }",
        http   => $option{http} // '',
        server => "
            wasm_timeout 60m;
            wasm_program_timeout 60m;
            wasm_env VERSION $version;
            location /p/    { wasm_cgi program; wasm_request_buffering off; }
            location /plain { return 200 plain; }",
    );
    return;
}

# A program that runs until its body ends.
sub conversation {
    my $client = RawClient->new($nginx->port)->send("POST /p/upper HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    $client->take(qr/.*?\r\n1\r\nA\r\n/s) // die "the program does not run\n";
    return $client;
}

sub goes_on {
    my ($client, $name) = @_;
    $client->send("2\r\nbc\r\n");
    is($client->take(qr/2\r\nBC\r\n/), "2\r\nBC\r\n", "$name: it goes on");
    $client->send("0\r\n\r\n");
    is($client->take(qr/0\r\n\r\n/), "0\r\n\r\n", "$name: and ends");
    return;
}

sub reload {
    my %old = map { $_ => 1 } $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('new workers', sub { my @now = $nginx->workers; @now && !grep { $old{$_} } @now });
    return keys %old;
}

sub has_ended {
    my $process = shift;
    $nginx->wait_for("the end of $process", sub { !kill 0, $process });
    return 1;
}

sub bad {
    return grep {/\[(?:crit|alert|emerg)\]|open socket|bug in the module|exited on signal/} split /\n/, $nginx->log;
}

# A reload while programs run.
$nginx = NginxProcess->new('program-reload');
configure(1);
$nginx->start or die("nginx does not start: $nginx->{output}");
{
    my $client = conversation();
    is($nginx->get('/p/env?name=VERSION')->{content}, "VERSION=1\n", 'before a reload');
    configure(2);
    my ($old) = reload();
    is($nginx->get('/p/env?name=VERSION')->{content}, "VERSION=2\n", 'behind it, the new configuration');
    ok(kill(0, $old), 'the old worker has a program that runs');
    goes_on($client, 'a program that ran before');
    ok(has_ended($old), 'then the old worker ends');
}

# A program that waits for a thread.
{
    configure(3, http => 'wasm_threads 1 queue=10;');
    reload();
    my $client = conversation();
    my $queued = RawClient->new($nginx->port)->send("GET /p/env?name=VERSION HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    is($nginx->get('/plain')->{content}, 'plain', 'a request waits for a thread') for 1 .. 2;
    configure(4);
    my ($old) = reload();
    is($nginx->get('/p/env?name=VERSION')->{content}, "VERSION=4\n", 'behind a reload others do not wait');
    goes_on($client, 'the program that had the thread');
    is($queued->response->{body}, "VERSION=3\n", 'and then the one that waited runs, as it was to');
    ok(has_ended($old), 'then the old worker ends');
}

# Clients that leave programs of a worker that goes.
{
    my $client  = conversation();
    my $endless = RawClient->new($nginx->port)->send("GET /p/loop-late HTTP/1.1\r\nHost: a\r\n\r\n");
    $endless->take(qr/.*?\r\n\r\n/s);
    my ($old) = reload();
    $_->close for $client, $endless;
    ok(has_ended($old), 'the clients of an old worker leave: it ends');
}

# The module itself is another one.
{
    $nginx->write('own.wasm', read_file("$guests/rust-program.wasm"));
    my %part = (server => 'location /p/ { wasm_cgi own; }');
    $nginx->configure(main => 'wasm { module own own.wasm; }', %part);
    reload();
    is($nginx->get('/p/hello')->{content}, "hello\n", 'a module of our own');
    $nginx->write('own.wasm', read_file("$guests/c-program.wasm"));
    reload();
    like($nginx->get('/p/hello')->{content}, qr{^GET /hello, length}, 'its file has changed: the next reload brings the new one');
    $nginx->write('own.wasm', 'no module');
    $nginx->signal('HUP');
    $nginx->wait_for('the mistake', sub { $nginx->log =~ /\[emerg\] .*own\.wasm/ });
    like($nginx->get('/p/hello')->{content}, qr{^GET /hello, length}, 'one that is none changes nothing');
}
$nginx->stop;
is_deeply([grep { !/\[emerg\] .*own\.wasm/ } bad()], [], 'nothing bad is in the error log');

# The end of nginx: QUIT waits for programs, TERM does not.
for my $signal (qw( QUIT TERM )) {
    $nginx = NginxProcess->new("program-end-$signal");
    configure(1);
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my $master  = $nginx->pid;
    my $client  = conversation();
    my @endless = map { RawClient->new($nginx->port)->send("GET /p/$_ HTTP/1.1\r\nHost: a\r\n\r\n") } 'loop-late', 'drip?n=2&ms=3600000', 'large?n=1000000000';
    $_->take(qr/.*?\r\n\r\n/s) for @endless;
    $nginx->signal($signal);
    if ($signal eq 'QUIT') {
        $nginx->wait_for('the signal', sub { $nginx->log =~ /gracefully shutting down/ });
        $_->close for @endless;
        goes_on($client, 'QUIT: a program');
    }
    ok(has_ended($master), "$signal: nginx ends");
    is_deeply([bad()], [], "$signal: nothing bad is in the error log");
}

# Workers that go have so much time, and no more.
{
    $nginx = NginxProcess->new('program-shutdown');
    configure(1, shutdown => '1s');
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my @endless = map { RawClient->new($nginx->port)->send("GET /p/$_ HTTP/1.1\r\nHost: a\r\n\r\n") } 'loop-late', 'drip?n=2&ms=3600000', 'large?n=1000000000';
    $_->take(qr/.*?\r\n\r\n/s) for @endless;
    my $client = conversation();
    my ($old)  = reload();
    ok(has_ended($old), 'worker_shutdown_timeout: the old worker ends, whatever its programs do');
    is($nginx->get('/p/hello')->{content}, "hello\n", 'the new one serves');
    $nginx->stop;
    is_deeply([bad()], [], 'nothing bad is in the error log');
}

# Reloads one after the other, under load.
{
    $nginx = NginxProcess->new('program-reloads', workers => 2, connections => 1024);
    configure(1, http => 'wasm_threads 4 queue=1000;');
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my $master = $nginx->pid;
    my @kinds  = (
        ["GET /p/hello HTTP/1.0\r\n\r\n", qr/^hello\n\z/],
        ["POST /p/count HTTP/1.0\r\nContent-Length: 70000\r\n\r\n" . 'x' x 70_000, qr/^70000 bytes, sum \d+\n\z/],
        ["GET /p/drip?n=3&ms=5 HTTP/1.0\r\n\r\n", qr/^line 1\nline 2\nline 3\n\z/],
        ["GET /p/large?n=300000 HTTP/1.0\r\n\r\n", qr/^[a-z]{30000}/],
    );
    my $load = SteadyLoad->begin($nginx->port, 16,
        request => sub { $kinds[$_[0] % @kinds][0] },
        wrong   => sub {
            my ($head, $body) = split /\r\n\r\n/, $_[1], 2;
            return defined $body && $head =~ m{^HTTP/1\.1 200 } && $body =~ $kinds[$_[0] % @kinds][1] ? undef : substr $_[1], 0, 300;
        },
    );
    $load->wait_for_more(50);
    for my $version (2 .. 21) {
        configure($version, http => 'wasm_threads ' . (2 + $version % 4) . ' queue=1000;');
        reload();
        is($nginx->get('/p/env?name=VERSION')->{content}, "VERSION=$version\n", "reload $version: the configuration is the new one");
    }
    $load->wait_for_more(50);
    my ($answered, @wrong) = $load->end;
    is(scalar @wrong, 0, "$answered requests under twenty reloads: none is lost, none fails") or diag(@wrong > 5 ? @wrong[0 .. 4] : @wrong);
    $nginx->wait_for('the old workers', sub { my @all = qx(ps -o pid= --ppid $master); @all == 2 });
    $nginx->stop;
    is_deeply([bad()], [], 'nothing bad is in the error log');
}

sub read_file {
    my $path = shift;
    open my $in, '<:raw', $path or die "cannot read $path: $!\n";
    local $/;
    return <$in>;
}

done_testing;
