# Requests whose body a filter holds: until its end, for ever, until a tick; beyond what may be held; whose client goes away.
# The upstream is the test's own, the client writes to the socket itself.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $up       = $ENV{TEST_NGINX_PORT} + 1;
my $upstream = Upstream->start($up);
my $nginx    = NginxProcess->new('request-pause');
$nginx->configure(
    main => "
        wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    http   => 'client_body_timeout 2m; lingering_timeout 200ms;',
    server => "
        wasm_pause_timeout 10m;
        location /until-end {
            proxy_wasm bodies 'request-body hold-until-end; request-end append !';
            proxy_pass http://127.0.0.1:$up/echo;
        }
        location /limit {
            proxy_wasm_request_body_buffer 10;
            proxy_wasm bodies 'request-body hold-until-end';
            return 200 ok;
        }
        location /too-long {
            proxy_wasm_request_body_buffer 10;
            proxy_wasm bodies 'request-body fill 11';
            return 200 ok;
        }
        location /for-ever {
            proxy_wasm bodies 'request-body hold';
            return 200 ok;
        }
        location /timeout {
            wasm_pause_timeout 50ms;
            proxy_wasm bodies 'request-body hold';
            return 200 ok;
        }
        location /headers {
            proxy_wasm bodies 'tick 20; request-headers hold; request-headers at-tick resume; request-end show';
            proxy_pass http://127.0.0.1:$up/echo;
        }
        location /tick-end {
            proxy_wasm bodies 'tick 20; request-body hold; request-end at-tick append !; request-end at-tick resume';
            proxy_pass http://127.0.0.1:$up/echo;
        }
        location /tick-part {
            proxy_wasm bodies 'tick 20; request-body #1 hold; request-body #1 at-tick resume';
            proxy_pass http://127.0.0.1:$up/echo;
        }
        location /tick-answer {
            proxy_wasm bodies 'tick 20; request-body hold; request-body #1 at-tick respond 403 late';
            return 200 ok;
        }
        location /tick-close {
            proxy_wasm bodies 'tick 20; request-body hold; request-body #1 at-tick close';
            return 200 ok;
        }
        location /middle {
            proxy_wasm bodies 'request-body #2 respond 403 no';
            return 200 ok;
        }
        location /trap {
            proxy_wasm bodies 'request-body #2 trap';
            return 200 ok;
        }
        location /streamed-length {
            proxy_request_buffering off;
            proxy_wasm_request_body_buffer 20;
            proxy_wasm bodies 'request-end append !';
            proxy_pass http://127.0.0.1:$up/echo;
        }
        location /plain { return 200 plain; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub wait_for_log {
    my ($pattern, $position) = @_;
    $nginx->wait_for("$pattern", sub { substr($nginx->log, $position) =~ $pattern });
    return;
}

sub post {
    my ($path, $length) = @_;
    return "POST $path HTTP/1.1\r\nHost: a\r\nContent-Length: $length\r\n\r\n";
}

sub echo {
    my $body = shift;
    return "POST /echo HTTP/1.0\nContent-Length: " . length($body) . "\n\n$body\n";
}

my $plain = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";

# Sends the pieces of a body, each when the one before has been shown to the filter.
sub send_pieces {
    my ($client, $position, @pieces) = @_;
    my $sum = 0;
    for my $piece (@pieces) {
        $client->send($piece);
        wait_for_log(qr/request-body \d+/, $position);
        $position = length $nginx->log;
    }
    return;
}

for my $rounds (1 .. 2) {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/until-end', 15));
    send_pieces($client, $position, 'hello', 'there');
    $client->send("world$plain");
    is($client->response->{body}, echo('hellothereworld!'), "a body in pieces, held to the end");
    is($client->response->{body}, 'plain', 'and the request behind it');
    my @sizes = substr($nginx->log, $position) =~ /request-body (\d+(?: end)?)/g;
    is_deeply(\@sizes, [5, 10, '15 end'], 'each callback has all that is held');
}

{
    my $client = RawClient->new($nginx->port);
    $client->send("POST /until-end HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n.\r\n0\r\n\r\n$plain");
    is($client->response->{body}, echo('hello.!'), 'chunks, held to the end');
    is($client->response->{body}, 'plain', 'and the request behind them');
}

{
    my $big    = join '', map { chr(ord('a') + $_ % 26) x 1000 } 1 .. 900;
    my $client = RawClient->new($nginx->port);
    $client->send(post('/until-end', length $big), $big, $plain);
    is($client->response->{body}, echo("$big!"), '900 kB held to the end');
    is($client->response->{body}, 'plain', 'and the request behind it');
}

{
    my $client = RawClient->new($nginx->port);
    $client->send(post('/limit', 20), 'x' x 20, $plain);
    is($client->response->{body}, 'ok', 'the limit is for what is held, not for what passes');
    is($client->response->{body}, 'plain', 'and the request behind it');
}

{
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/too-long', 5), 'xxxxx');
    is($client->response->{status}, 413, 'a filter makes a body larger than it may: 413');
    wait_for_log(qr/log 0 end/, $position);
    my $log = substr $nginx->log, $position;
    like($log, qr/\[error\].* more than 10 bytes \(proxy_wasm_request_body_buffer\)/, 'the log says why');
}

{
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/limit', 20));
    send_pieces($client, $position, 'x' x 10);
    $client->send('y' x 10);
    is($client->response->{status}, 413, 'the second piece is too much: 413');
    wait_for_log(qr/log 0 end/, $position);
    my @calls = substr($nginx->log, $position) =~ /request-body \d/g;
    is(scalar @calls, 1, 'the filter does not see it');
    like(
        substr($nginx->log, $position),
        qr/\[error\].* more than 10 bytes \(proxy_wasm_request_body_buffer\)/, 'the log says why'
    );
    ok($client->at_end, 'and the connection ends');
}

for my $sent ('whole', 'a part') {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/for-ever', 5), $sent eq 'whole' ? 'hello' : 'he');
    wait_for_log(qr/request-body \d/, $position);
    is($nginx->get('/plain')->{content}, 'plain', "$sent: others are served while a body is held");
    $client->close;
    wait_for_log(qr/log 0 end/, $position);
    $nginx->wait_for('the access log', sub { $nginx->read('logs/access.log') =~ m{"POST /for-ever HTTP/1.1" (?:499|400) } });
    pass("$sent: a client that goes away ends the request");
}

{
    my $client = RawClient->new($nginx->port);
    $client->send(post('/timeout', 5), 'hello', $plain);
    is($client->response->{status}, 504, 'all of the body is held for ever: 504');
    is($client->response->{body}, 'plain', 'and the connection serves on');
    like($nginx->log, qr/wasm filter "bodies" paused the request, and nothing resumed it within 50 ms/, 'with a line in the log');
}

{
    my $client = RawClient->new($nginx->port);
    $client->send(post('/headers', 5), 'hello', $plain);
    is($client->response->{body}, echo('hello'), 'headers held until a tick');
    is($client->response->{body}, 'plain', 'and the request behind');
}

for my $where ('at once', 'in two pieces') {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/tick-end', 10));
    send_pieces($client, $position, 'hello') if $where ne 'at once';
    $client->send($where eq 'at once' ? 'hellothere' : 'there', $plain);
    is($client->response->{body}, echo('hellothere!'), "$where: a whole body, resumed by a tick that changes it");
    is($client->response->{body}, 'plain', 'and the request behind');
}

{
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/tick-part', 10), 'hello');
    wait_for_log(qr/tick: .*RequestBody/, $position);
    $position = length $nginx->log;
    $client->send('there', $plain);
    is($client->response->{body}, echo('hellothere'), 'a part of the body, resumed by a tick');
    is($client->response->{body}, 'plain', 'and the request behind');
    like(substr($nginx->log, $position), qr/request-body 5 end/, 'the filter sees the rest alone');
}

for my $sent ('whole', 'a part') {
    my $client = RawClient->new($nginx->port);
    $client->send(post('/tick-answer', 5), $sent eq 'whole' ? "hello$plain" : 'he');
    my $response = $client->response;
    is("$response->{status} $response->{body}", '403 late', "$sent: a tick answers");
    is($client->response->{body}, 'plain', 'and the connection serves on') if $sent eq 'whole';
    ok($client->at_end, 'and the connection ends') if $sent ne 'whole';
}

for my $sent ('whole', 'a part') {
    my $client = RawClient->new($nginx->port);
    $client->send(post('/tick-close', 5), $sent eq 'whole' ? 'hello' : 'he');
    is($client->response, undef, "$sent: a tick closes the stream: no response");
}

{
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post('/streamed-length', 30));
    send_pieces($client, $position, 'x' x 15);
    $client->send('y' x 15);
    is($client->response->{status}, 503, 'a changed length of a body that is streamed is refused: the upstream knows it');
    like(
        substr($nginx->log, $position),
        qr/a wasm filter changed the length of a request body that is streamed to an upstream/, 'the log says why'
    );
}

for my $path (qw( /middle /trap )) {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send(post($path, 15));
    send_pieces($client, $position, 'hello');
    $client->send('there');
    my $response = $client->response;
    is($response->{status}, $path eq '/middle' ? 403 : 503, "$path: answered in the middle of the body");
    $client->send("GET /p");
    is($client->response, undef, "$path: what comes then is not taken for a request");
}

is($nginx->get('/plain')->{content}, 'plain', 'nginx serves at the end');
unlike($nginx->log, qr/\[(?:alert|emerg)\]|exited on signal/, 'no alert');
$nginx->stop;
unlike($nginx->log, qr/\[(?:alert|emerg)\]|open socket/, 'nothing is left when nginx ends');

done_testing;
