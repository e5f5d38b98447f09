# Clients that do not wait for a program: it is ended, wherever it is, its thread serves the next request, and nothing is left
# behind. There is one thread only: were a program not ended, the request behind it would wait for ever.

use strict;
use warnings;

use Frames;
use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('program-client-leaves');
my $http2 = $nginx->port + 1;
my $listen = ($ENV{TEST_NGINX_VERSION_NUM} // 0) >= 1_025_001 ? "listen 127.0.0.1:$http2; http2 on;" : "listen 127.0.0.1:$http2 http2;";
my $places = '
    wasm_timeout 60m;
    wasm_program_timeout 60m;
    location /on/  { wasm_cgi program; wasm_request_buffering on; }
    location /off/ { wasm_cgi program; wasm_request_buffering off; }
    location /plain { return 200 plain; }';
$nginx->configure(
    main   => "wasm { module program $root/build/guests/rust-program.wasm; }",
    http   => "wasm_threads 1 queue=64;\nclient_max_body_size 0;\nserver { $listen\n$places }",
    server => $places,
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# What the client says. The answer begins when the program has come to the place where it is to be ended, or just before.
my $post = sub { "POST $_[0] HTTP/1.1\r\nHost: a\r\n$_[1]\r\n" };
my @cases = (
    { name => 'it never ends',                says => $post->('/on/loop-late', "Content-Length: 0\r\n") },
    { name => 'it sleeps',                    says => $post->('/on/drip?n=2&ms=3600000', "Content-Length: 0\r\n") },
    { name => 'it waits for the body',        says => $post->('/off/upper', "Transfer-Encoding: chunked\r\n") . "1\r\na\r\n" },
    { name => 'it waits for the whole body',  says => $post->('/off/late-read', "Content-Length: 1000\r\n") . 'abc' },
    { name => 'it writes more than is read',  says => $post->('/on/large?n=1000000000&piece=65536', "Content-Length: 0\r\n") },
    { name => 'it writes all the time',       says => $post->('/on/drip?n=100000000&ms=1', "Content-Length: 0\r\n") },
);

for my $case (@cases) {
    my $client = RawClient->new($nginx->port)->send($case->{says});
    like($client->take(qr/.*?\r\n\r\n/s), qr{^HTTP/1\.1 200 }, "$case->{name}: the answer has begun");
    is($nginx->get('/plain')->{content}, 'plain', "$case->{name}: other requests are served");
    $client->close;
    is($nginx->get('/on/hello')->{content}, "hello\n", "$case->{name}: the client leaves: the thread runs the next program");
    my ($path) = $case->{says} =~ m{^POST (\S+)};
    $nginx->wait_for('the access log', sub { $nginx->read('logs/access.log') =~ m{"POST \Q$path\E HTTP/1\.1" } });
}

# Before its answer has begun, nothing tells the client where the program is: the next request tells.
for my $path ('/on/loop', '/on/sleep?ms=3600000', '/off/count') {
    my $position = length $nginx->read('logs/access.log');
    my $client   = RawClient->new($nginx->port);
    $client->send($post->($path, "Transfer-Encoding: chunked\r\n"), $path =~ /off/ ? "1\r\na\r\n" : "0\r\n\r\n");
    is($nginx->get('/plain')->{content}, 'plain', "$path: other requests are served") for 1 .. 2;
    $client->close;
    is($nginx->get('/on/hello')->{content}, "hello\n", "$path: the client leaves: the thread runs the next program");
    $nginx->wait_for('the access log', sub { substr($nginx->read('logs/access.log'), $position) =~ m{"POST \Q$path\E HTTP/1\.1" 4(?:99|00) } });
    pass("$path: the access log says so");
}

# A client that leaves while its request waits for a thread.
{
    my $first = RawClient->new($nginx->port)->send($post->('/off/upper', "Transfer-Encoding: chunked\r\n"), "1\r\na\r\n");
    $first->take(qr/.*?\r\n\r\n/s);
    my @queued = map { RawClient->new($nginx->port)->send("GET /on/stderr HTTP/1.1\r\nHost: a\r\n\r\n") } 1 .. 10;
    is($nginx->get('/plain')->{content}, 'plain', 'while requests wait for a thread, others are served') for 1 .. 2;
    my $position = length $nginx->log;
    $_->close for @queued;
    $nginx->wait_for('the access log', sub { (() = $nginx->read('logs/access.log') =~ m{"GET /on/stderr HTTP/1\.1" 499 }g) == 10 });
    $first->send("0\r\n\r\n");
    is($first->take(qr/.*?0\r\n\r\n/s), "1\r\nA\r\n0\r\n\r\n", 'the one that has the thread is not disturbed');
    is($nginx->get('/on/hello')->{content}, "hello\n", 'clients that have left the queue are passed over');
    unlike(substr($nginx->log, $position), qr/first line/, 'their programs do not run');
}

# The client leaves before all of its body has come.
{
    my $position = length $nginx->read('logs/access.log');
    my $client   = RawClient->new($nginx->port)->send($post->('/on/stderr', "Content-Length: 10\r\n"), 'abc');
    is($nginx->get('/plain')->{content}, 'plain', 'half a body: other requests are served');
    $client->close;
    $nginx->wait_for('the access log', sub { substr($nginx->read('logs/access.log'), $position) =~ m{"POST /on/stderr} });
    is($nginx->get('/on/hello')->{content}, "hello\n", 'half a body: no program has run');
}

# A stream over HTTP/2 that is reset with its connection.
{
    my $frames = Frames->new($http2)->request('/off/upper', 'content-length' => 10);
    $frames->data('abc');
    $frames->ping;
    $frames->frame until $frames->{response}{body};
    is($frames->{response}{body}, 'ABC', 'HTTP/2: the program has begun');
    close $frames->{socket};
    is($nginx->get('/on/hello')->{content}, "hello\n", 'HTTP/2: the client leaves: the thread runs the next program');
}

# Many times: neither threads nor descriptors remain.
SKIP: {
    skip 'needs /proc', 2 unless -r "/proc/$worker/status";
    my $count = sub { my @all = glob "/proc/$worker/$_[0]/*"; return scalar @all };
    my ($descriptors, $threads) = map { $count->($_) } qw( fd task );
    for my $time (1 .. 100) {
        my $client = RawClient->new($nginx->port)->send($post->('/off/upper', "Transfer-Encoding: chunked\r\n"), "1\r\na\r\n");
        $client->take(qr/.*?\r\n\r\n/s);
        $client->close;
    }
    is($nginx->get('/on/hello')->{content}, "hello\n", 'after a hundred that have left, the next program runs');
    $nginx->wait_for('descriptors to be closed', sub { $count->('fd') <= $descriptors });
    is($count->('task'), $threads, 'there are as many threads as before');
}

is_deeply([$nginx->workers], [$worker], 'the worker is the same');
$nginx->stop;
my @bad = grep {/\[(?:crit|alert|emerg)\]|open socket|bug in the module/} split /\n/, $nginx->log;
is(scalar @bad, 0, 'nothing bad is in the error log') or diag(join "\n", @bad);

done_testing;
