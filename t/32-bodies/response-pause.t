# Responses that a filter holds: headers and bodies, of each kind of handler; resumed by a tick, for ever, beyond what may be
# held; with clients that go away or read slowly. And trailers, byte for byte.

use strict;
use warnings;

use Digest::MD5 'md5_hex';
use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $up       = $ENV{TEST_NGINX_PORT} + 1;
my $upstream = Upstream->start($up);
my $nginx    = NginxProcess->new('response-pause');

# Each kind of handler, below each of these.
my %ways = (
    'headers-tick' => "tick 20; response-headers hold; response-headers at-tick set response x-tick 1;
                       response-headers at-tick resume",
    'body-tick'    => "tick 20; response-body hold; response-end at-tick append !; response-end at-tick resume",
    'first-tick'   => "tick 20; response-body #1 hold; response-body #1 at-tick resume",
    'until-end'    => "response-body hold-until-end; response-end append !",
    'for-ever'     => "response-headers hold",
    'body-for-ever' => "response-body hold",
    'tick-answer'  => "tick 20; response-body hold; response-body #1 at-tick respond 403 late",
    'tick-close'   => "tick 20; response-headers hold; response-headers at-tick close",
    'change'       => "response-body upper",
);
my %handlers = (
    'return'     => 'return 200 hello;',
    'file'       => "alias @{[ $nginx->prefix ]}/file.txt;",
    'large-file' => "alias @{[ $nginx->prefix ]}/large.txt; output_buffers 1 8k;",
    'buffered'   => "proxy_pass http://127.0.0.1:$up/length/3/5;",
    'unbuffered' => "proxy_pass http://127.0.0.1:$up/length/3/5; proxy_buffering off;",
    'chunked'    => "proxy_pass http://127.0.0.1:$up/chunked/3/5; proxy_http_version 1.1;",
    'large'      => "proxy_pass http://127.0.0.1:$up/length/600/1000;",
    'large-un'   => "proxy_pass http://127.0.0.1:$up/length/600/1000; proxy_buffering off;",
);
my %bodies = (
    'return'     => 'hello',
    'file'       => 'a file',
    'large-file' => join('', map {"line $_\n"} 1 .. 20000),
    (map { $_ => 'aaaaabbbbbccccc' } qw( buffered unbuffered chunked )),
    (map { $_ => join('', map { chr(ord('a') + $_ % 26) x 1000 } 0 .. 599) } qw( large large-un )),
);
my $locations = '';
for my $way (sort keys %ways) {
    for my $handler (sort keys %handlers) {
        my $timeout = $way =~ /for-ever/ ? 'wasm_pause_timeout 60ms;' : '';
        # The guest has one VM for each filter, so each location has ticks of its own.
        $locations .= "location = /$way/$handler { $timeout proxy_wasm bodies '$ways{$way}'; $handlers{$handler} }\n";
    }
}
$nginx->write('file.txt', $bodies{file});
$nginx->write('large.txt', $bodies{'large-file'});
$nginx->write('short.txt', 's' x 20_000);
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    http   => 'send_timeout 2m; proxy_buffer_size 4k; proxy_buffers 4 4k; proxy_busy_buffers_size 8k;',
    server => "
        wasm_pause_timeout 10m;
        $locations
        location /wait {
            proxy_wasm bodies 'response-headers hold';
            return 200 ok;
        }
        location /wait-up {
            proxy_wasm bodies 'response-headers hold';
            proxy_pass http://127.0.0.1:$up/length/3/5;
        }
        location /wait-body {
            proxy_wasm bodies 'response-body hold';
            return 200 ok;
        }
        location /limit {
            proxy_wasm_response_body_buffer 10;
            proxy_wasm bodies 'response-body hold';
            return 200 12345678901;
        }
        location /late-limit {
            proxy_wasm_response_body_buffer 10;
            proxy_wasm bodies 'response-headers remove response content-length; response-body hold';
            return 200 12345678901;
        }
        location /send-timeout {
            send_timeout 50ms;
            proxy_wasm bodies 'tick 150; response-headers hold; response-headers at-tick resume';
            return 200 ok;
        }
        location /send-timeout-up {
            send_timeout 50ms;
            proxy_wasm bodies 'tick 150; response-headers hold; response-headers at-tick resume';
            proxy_pass http://127.0.0.1:$up/length/3/5;
        }
        location = /broken {
            proxy_wasm bodies 'tick 20; response-headers hold; response-headers at-tick resume; response-body hold-until-end';
            proxy_pass http://127.0.0.1:$up/short;
        }
        location = /limited {
            alias @{[ $nginx->prefix ]}/short.txt; output_buffers 1 8k; limit_rate 100k;
            wasm_pause_timeout 1s;
            proxy_wasm bodies 'quiet; response-headers remove response content-length; response-end hold';
        }
        location = /limited-tick {
            alias @{[ $nginx->prefix ]}/short.txt; output_buffers 1 8k; limit_rate 100k;
            proxy_wasm bodies 'tick 250; response-end hold; response-end at-tick append !; response-end at-tick resume; response-headers remove response content-length';
        }
        location /slow {
            proxy_wasm bodies 'quiet; response-body upper; response-body sum';
            proxy_pass http://127.0.0.1:$up/length/600/20000;
        }
        location /slow-un {
            proxy_buffering off;
            proxy_wasm bodies 'quiet; response-body upper; response-body sum';
            proxy_pass http://127.0.0.1:$up/length/600/20000;
        }
        location /slow-look {
            proxy_wasm bodies 'quiet; response-body sum';
            proxy_pass http://127.0.0.1:$up/length/600/20000;
        }
        location /trailer {
            proxy_wasm bodies 'response-headers add response trailer x-sum; response-end add response-trailers x-sum 1';
            return 200 body;
        }
        location /plain { return 200 plain; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub wait_for_log {
    my ($pattern, $position) = @_;
    $nginx->wait_for("$pattern", sub { substr($nginx->log, $position) =~ $pattern });
    return;
}

sub fetch {
    my ($path, $method) = @_;
    my $client = RawClient->new($nginx->port);
    $client->send(($method // 'GET') . " $path HTTP/1.1\r\nHost: a\r\n\r\n", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    my $response = $client->response(no_body => ($method // '') eq 'HEAD');
    return ($response, $client);
}

# So that a failure does not print 600 kB.
sub same {
    my ($got, $wanted, $name) = @_;
    $_ = length($_ // '') > 100 ? length($_) . ' ' . md5_hex($_) : $_ for $got, $wanted;
    return is($got, $wanted, $name);
}

for my $handler (sort keys %handlers) {
    for my $way (qw( headers-tick body-tick first-tick until-end change )) {
        my ($response, $client) = fetch("/$way/$handler");
        my $wanted = $bodies{$handler};
        $wanted .= '!' if $way =~ /^(?:body-tick|until-end)$/;
        $wanted = uc $wanted if $way eq 'change';
        same($response->{body}, $wanted, "$way, $handler: the body");
        is($response->{headers}{'x-tick'}, 1, "$way, $handler: a header set by the tick") if $way eq 'headers-tick';
        is($client->response->{body}, 'plain', "$way, $handler: the next request");
    }
    for my $way (qw( for-ever body-for-ever )) {
        my ($response, $client) = fetch("/$way/$handler");
        if ("$way $handler" eq 'body-for-ever chunked') {
            # Headers that say no length do not wait for the body.
            ok(!$response || $response->{cut}, "$way, $handler: the headers have gone, so the connection ends");
            next;
        }
        is($response->{status}, 504, "$way, $handler: 504");
        unlike($response->{body}, qr/\Q@{[ substr $bodies{$handler}, 0, 5 ]}/, "$way, $handler: nothing of the body leaves");
        is($client->response->{body}, 'plain', "$way, $handler: the next request");
    }
    {
        my ($response, $client) = fetch("/tick-answer/$handler");
        if ($handler eq 'chunked') {
            ok(!$response || $response->{cut}, "tick-answer, $handler: the headers have gone, so the connection ends");
        } else {
            is("$response->{status} $response->{body}", '403 late', "tick-answer, $handler: the filter's answer");
            is($client->response->{body}, 'plain', "tick-answer, $handler: the next request");
        }
    }
    my ($nothing) = fetch("/tick-close/$handler");
    is($nothing, undef, "tick-close, $handler: no response");
    my ($response, $client) = fetch("/headers-tick/$handler", 'HEAD');
    is($response->{headers}{'x-tick'}, 1, "headers-tick, $handler: HEAD");
    is($client->response->{body}, 'plain', "headers-tick, $handler: HEAD: the next request");
}

for my $path (qw( /wait /wait-up /wait-body )) {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for_log($path eq '/wait-body' ? qr/response-body/ : qr/response-headers/, $position);
    is($nginx->get('/plain')->{content}, 'plain', "$path: others are served meanwhile");
    $client->close;
    my $ended = eval { wait_for_log(qr/log 0 end/, $position); 1 };
    ok($ended, "$path: a client that goes away ends the request");
}

{
    my ($response, $client) = fetch('/limit');
    is($response->{status}, 500, 'more than may be held: 500 when the headers have not gone');
    is($client->response->{body}, 'plain', 'and the next request');
    like($nginx->log, qr/\[error\].*more than 10 bytes \(proxy_wasm_response_body_buffer\)/, 'with a line in the log');
    ($response) = fetch('/late-limit');
    ok(!$response || $response->{cut}, 'the connection ends when they have');
}

{
    my ($response, $client) = fetch('/trailer');
    is($response->{body}, 'body', 'a body with a trailer that a filter added');
    is_deeply($response->{trailers}, { 'x-sum' => 1 }, 'the trailer');
    is($client->response->{body}, 'plain', 'and the next request');
}

for my $path (qw( /send-timeout /send-timeout-up )) {
    my ($response, $client) = fetch($path);
    is($response->{body}, $path eq '/send-timeout' ? 'ok' : 'aaaaabbbbbccccc', "$path: a pause is longer than send_timeout");
    is($client->response->{body}, 'plain', "$path: the next request");
}

# A body that breaks off while the headers are held, and of which the filter wants all.
{
    my ($response) = fetch('/broken');
    is($response && $response->{status}, 502, 'a body that has no end is answered with 502');
}

# A response that nginx sends slowly, and whose end is held longer than nginx waits for its next part.
{
    my $position = length $nginx->log;
    my ($response) = fetch('/limited');
    ok(!$response || $response->{cut}, 'limit_rate: what a filter holds is no part that can be left out');
    like(substr($nginx->log, $position), qr/paused the response, and nothing resumed it within 1000 ms/, 'the pause lasts as long as it may');
    ($response, my $client) = fetch('/limited-tick');
    same($response->{body}, 's' x 20_000 . '!', 'limit_rate: what was held comes');
    is($client->response->{body}, 'plain', 'limit_rate: the next request');
}

# 12 MB to a client that does not read until the worker has stopped taking more.
for my $path (qw( /slow /slow-un /slow-look )) {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    $client->more;
    is($nginx->get('/plain')->{content}, 'plain', "$path: others are served while a client is slow");
    my $response = $client->response;
    my $wanted   = join '', map { chr(ord('a') + $_ % 26) x 20000 } 0 .. 599;
    same($response->{body}, $path eq '/slow-look' ? $wanted : uc $wanted, "$path: all arrives");
    is($client->response->{body}, 'plain', "$path: the next request");
    wait_for_log(qr/response-body sum 12000000/, $position);
}

# Clients that go away in the middle of a large response.
for my $path (qw( /slow /slow-un /slow-look )) {
    my $position = length $nginx->log;
    my $client   = RawClient->new($nginx->port);
    $client->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
    $client->more;
    $client->close;
    $nginx->wait_for("the end of $path", sub {
        my @done = $nginx->read('logs/access.log') =~ m{"GET $path HTTP/1.1"}g;
        return @done == 2;
    });
    pass("$path: a client that leaves in the middle");
}

is($nginx->get('/plain')->{content}, 'plain', 'nginx serves at the end');
unlike($nginx->log, qr/\[(?:alert|emerg)\]|exited on signal/, 'no alert');
$nginx->stop;
unlike($nginx->log, qr/\[(?:alert|emerg)\]|open socket/, 'nothing is left when nginx ends');

done_testing;
