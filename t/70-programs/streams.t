# Bodies while they are under way: what a program writes goes out when it is written, what the client sends comes in when it is
# sent, and neither heaps up where the other side is slow.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('program-streams');
$nginx->configure(
    main   => "wasm { module program $root/build/guests/rust-program.wasm; }",
    http   => 'wasm_threads 4; client_max_body_size 0;',
    server => '
        wasm_program_timeout 10m;
        wasm_timeout 10m;
        location /on/  { wasm_cgi program; wasm_request_buffering on; }
        location /off/ { wasm_cgi program; wasm_request_buffering off; }
        location /plain { return 200 plain; }',
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub post {
    my ($path) = @_;
    return RawClient->new($nginx->port)->send("POST $path HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
}

sub chunk { return sprintf "%x\r\n%s\r\n", length $_[0], $_[0] }

# The next chunks of the response, until there are so many bytes.
sub receive {
    my ($client, $size) = @_;
    my $bytes = '';
    while (length $bytes < $size) {
        my $length = $client->take(qr/[0-9a-f]+\r\n/i) // die "the response ended after: $bytes\n";
        my $chunk = $client->take_bytes(2 + hex($length =~ s/\r\n//r)) // die "a chunk was cut\n";
        $bytes .= substr $chunk, 0, -2;
    }
    return $bytes;
}

# A conversation: the client sends a piece only when it has the answer to the one before.
{
    my $client = post('/off/upper');
    $client->send(chunk('first'));
    like($client->take(qr/.*?\r\n\r\n/s), qr{^HTTP/1\.1 200 }, 'the headers come while the body is sent');
    is(receive($client, 5), 'FIRST', 'and so does the first piece');
    for my $number (1 .. 50) {
        my $piece = "piece number $number";
        $client->send(chunk($piece));
        my $answer = receive($client, length $piece);
        $answer eq uc $piece or do { is($answer, uc $piece, "piece $number"); last };
    }
    $client->send("0\r\n\r\n");
    is($client->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'the response ends with the request');
    $client->send("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    is($client->response->{body}, 'plain', 'the connection serves the next request');
}

# What is written before the body comes goes out before.
{
    my $client = post('/off/late-read');
    $client->take(qr/.*?\r\n\r\n/s);
    is(receive($client, 6), "first\n", 'an answer that begins before the body comes');
    $client->send(chunk('x' x 70_000), "0\r\n\r\n");
    is(receive($client, 17), "then 70000 bytes\n", 'and goes on when it has come');
    is($client->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'and ends');
}

# Where the body is read first, nothing comes before its end.
{
    my $client = post('/on/late-read');
    $client->send(chunk('a'));
    is($nginx->get('/plain')->{content}, 'plain', 'another request is served meanwhile');
    $client->send(chunk('b'), "0\r\n\r\n");
    is($client->response->{body}, "first\nthen 2 bytes\n", 'the program runs when the body is there');
}

# The length of what has not come is not known.
{
    my $client = post('/off/env?name=CONTENT_LENGTH&name=HTTP_TRANSFER_ENCODING');
    $client->send(chunk('a'));
    $client->take(qr/.*?\r\n\r\n/s);
    my $wanted = "CONTENT_LENGTH is not set\nHTTP_TRANSFER_ENCODING is not set\n";
    is(receive($client, length $wanted), $wanted, 'there is no length of chunks that are streamed');
    $client->close;
}

# A client that wants to be told to go on.
for my $way (qw( on off )) {
    my $client = RawClient->new($nginx->port);
    $client->send("POST /$way/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    like($client->take(qr/.*?\r\n\r\n/s), qr{^HTTP/1\.1 100 }, "$way: the client is told to go on");
    $client->send('body');
    is($client->response->{body}, 'body', "$way: and its body comes");
}

# Several requests are sent at once on one connection.
{
    my $client = RawClient->new($nginx->port);
    $client->send(
        "POST /on/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none",
        "POST /off/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
        "GET /off/never-read HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /off/never-read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree",
        "GET /on/args HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    my @bodies = map { $client->response->{body} } 1 .. 5;
    is_deeply(\@bodies, ['one', 'two', "not read\n", "not read\n", "0: program\n"], 'requests one behind the other, on one connection');
    ok($client->at_end, 'which ends then');
}

# Clients that read slowly: their programs wait, and others do not.
{
    my ($worker) = $nginx->workers;
    my $before = memory($worker);
    my @slow = map { RawClient->new($nginx->port)->send("GET /on/large?n=50000000&piece=65536 HTTP/1.1\r\nHost: a\r\n\r\n") } 1 .. 2;
    # Only the beginning, so that they have begun.
    for my $client (@slow) {
        like($client->take(qr/.*?\r\n\r\n/s), qr{^HTTP/1\.1 200 }, 'a large answer begins');
    }
    is($nginx->get('/on/hello')->{content}, "hello\n", 'others are served while two clients do not read') for 1 .. 20;
    SKIP: {
        skip 'needs /proc, and memory that is only the own', 1 if $ENV{TEST_WASM_VALGRIND} || !-r "/proc/$worker/status";
        wait_until_idle($worker);
        # Both answers would be some 100 MB.
        cmp_ok(memory($worker) - $before, '<', 50_000, 'what they do not read is not kept for them');
    }
    for my $client (@slow) {
        my ($size, $is_right) = (0, 1);
        while ($size < 50_000_000) {
            my $part = receive($client, 1);
            $size += length $part;
            $is_right &&= $part !~ /[^a-z]/;
        }
        is($size, 50_000_000, 'all of it comes when the client reads');
        ok($is_right, 'as it was written');
        is($client->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'and its end');
    }
}

# KiB that are the process's own.
sub memory {
    my $process = shift;
    open my $in, '<', "/proc/$process/status" or return 0;
    my ($size) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } <$in>;
    return $size;
}

# Until the process, with all its threads, has done nothing for some looks.
sub wait_until_idle {
    my $process = shift;
    my ($used, $times) = ('', 0);
    $nginx->wait_for('the worker to have nothing to do', sub {
        open my $in, '<', "/proc/$process/stat" or die "the worker: $!\n";
        my $now = join ' ', (split ' ', <$in> =~ s/^.*\) //r)[11, 12];
        $times = $now eq $used ? $times + 1 : 0;
        $used = $now;
        return $times >= 10;
    });
    return;
}

# Several conversations by turns.
{
    my @clients = map { post('/off/upper') } 1 .. 3;
    $_->send(chunk('a')) for @clients;
    $_->take(qr/.*?\r\n\r\n/s) for @clients;
    for my $round (1 .. 10) {
        receive($_, 1) eq 'A' or fail('an answer in a round') for @clients;
        $_->send(chunk('a')) for reverse @clients;
    }
    is(receive($_, 1), 'A', 'three conversations at the same time') for @clients;
    $_->send("0\r\n\r\n") for @clients;
    is($_->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'each ends for itself') for @clients;
}

$nginx->stop;
my @bad = grep {/\[(?:error|crit|alert|emerg)\]/} split /\n/, $nginx->log;
is(scalar @bad, 0, 'nothing bad is in the error log') or diag(join "\n", @bad);

done_testing;
