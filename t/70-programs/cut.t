# Programs that fail when their headers have gone: the client must see that the answer is not whole. Over HTTP/1.1 the connection is
# closed, without the last chunk or before the length that was said; over HTTP/2 the stream is reset.

use strict;
use warnings;

use Frames;
use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('program-cut');
my $http2 = $nginx->port + 1;
# 'http2 on' is new.
my $listen = ($ENV{TEST_NGINX_VERSION_NUM} // 0) >= 1_025_001 ? "listen 127.0.0.1:$http2; http2 on;" : "listen 127.0.0.1:$http2 http2;";
my $places = '
    wasm_timeout 100ms;
    location /p/       { wasm_cgi program; }
    location /raw/     { wasm_cgi program; wasm_output raw; }
    location /limited/ { wasm_cgi program; wasm_output_limit 20k; wasm_request_buffering off; }
    location /waits/   { wasm_cgi program; wasm_program_timeout 100ms; }
    location /plain    { return 200 plain; }';
$nginx->configure(
    main   => "wasm { module program $root/build/guests/rust-program.wasm; }",
    http   => "error_page 502 504 /plain;\nserver { $listen\n$places }",
    server => $places,
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# What fails, what is there before, and what the log says.
my @failures = (
    ['/p/trap-late',                    "begun\n", qr/trap|unreachable/],
    ['/p/exit-late?code=4',             "begun\n", qr/exit\D*4/],
    ['/p/loop-late',                    "begun\n", qr/wasm_timeout/],
    ['/waits/drip?n=2&ms=600000',       "line 1\n", qr/wasm_program_timeout/],
    ['/raw/trap-late',                  "Content-Type: text/plain\n\nbegun\n", qr/trap|unreachable/],
);

# Until there is such a line of the log behind POSITION.
sub wait_for_log {
    my ($pattern, $position) = @_;
    $nginx->wait_for("$pattern in the log", sub { substr($nginx->log, $position) =~ /\[error\] .*wasm program "program".*$pattern/ });
    return;
}

for my $failure (@failures) {
    my ($path, $body, $reason) = @$failure;
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port)->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response;
    is($response->{status}, 200, "$path: the headers have gone");
    ok($response->{cut}, "$path: the last chunk does not come");
    is($response->{body} =~ s/\r\n.*//sr, $body, "$path: what came before is there");
    ok($client->at_end, "$path: the connection is closed");
    eval { wait_for_log($reason, $position); 1 } or fail("$path: the log says why: $@");

    # The answer has no end of its own there: a client knows only if the connection is reset, or not at all.
    $client = RawClient->new($nginx->port)->send("GET $path HTTP/1.0\r\n\r\n");
    is($client->response->{status}, 200, "$path: HTTP/1.0: it ends");

    my $frames = Frames->new($http2)->request($path, 'content-length' => 0);
    $frames->data('', 1);
    $response = $frames->response;
    is($response->{status}, 200, "$path: HTTP/2: the headers have gone");
    ok(defined $response->{reset}, "$path: HTTP/2: the stream is reset");
    is($nginx->get('/p/hello')->{content}, "hello\n", "$path: the next request is served");
}

# More output than is allowed, when some has come.
{
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port)->send("POST /limited/upper HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    like($client->take(qr/.*?\r\n\r\n1\r\nA\r\n/s), qr{^HTTP/1\.1 200 }, 'too much output: it begins well');
    $client->send(sprintf "%x\r\n%s\r\n", 30_000, 'a' x 30_000);
    1 while $client->more;
    my $rest = $client->{read};
    unlike($rest, qr/\r\n0\r\n\r\n\z/, 'too much output: the last chunk does not come');
    cmp_ok($rest =~ tr/A//, '<', 20_480, 'too much output: no more comes than is allowed');
    eval { wait_for_log(qr/wasm_output_limit/, $position); 1 } or fail("too much output: the log says why: $@");
    is($nginx->get('/p/hello')->{content}, "hello\n", 'too much output: the next request is served');
}

# A length that was said.
{
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port)->send("GET /p/short HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response;
    is($response->{headers}{'content-length'}, 100, 'fewer bytes than were said: the length has gone');
    is($response->{body}, 'x' x 10, 'the bytes have too');
    ok($response->{cut}, 'the rest does not come, and the connection is closed');
    eval { wait_for_log(qr/Content-Length|length|100/, $position); 1 } or fail("the log says why: $@");
}
{
    my $client = RawClient->new($nginx->port)->send("GET /p/long HTTP/1.1\r\nHost: a\r\n\r\n", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response;
    is($response->{body}, 'x' x 10, 'more bytes than were said: no more than that come');
    my $next = $client->response;
    ok(!defined $next || $next->{body} eq 'plain', 'and what follows on the connection, if anything, is the next answer');
}
for my $path ('/p/short', '/p/long') {
    my $frames = Frames->new($http2)->request($path, 'content-length' => 0);
    $frames->data('', 1);
    my $response = $frames->response;
    ok(defined $response->{reset} || length $response->{body} == 10, "$path: HTTP/2: reset, or as long as was said");
    ok(defined $response->{reset}, "$path: HTTP/2: reset") if $path eq '/p/short';
}
is_deeply([$nginx->workers], [$worker], 'the worker is the same');

$nginx->stop;
my @bad = grep {/\[(?:crit|alert|emerg)\]|bug in the module/} split /\n/, $nginx->log;
is(scalar @bad, 0, 'nothing worse is in the error log') or diag(join "\n", @bad);

done_testing;
