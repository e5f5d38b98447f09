# A filter that holds a request's headers, behind one that has seen a part of the body, lets it go in a callback about another
# request, and more of the body comes before nginx is told so: over HTTP/2, whose frames come in one piece. What is held goes on
# with what comes, and the request does not wait any more.

use strict;
use warnings;

use Frames;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('resumed-between');
my $h2c   = $nginx->port + 2;
$nginx->configure(
    main => "wasm { module bodies $root/build/guests/rust-bodies.wasm; module probe $root/build/guests/rust-probe.wasm; }",
    # A piece that is larger than the buffer goes through the filters at once.
    http   => 'client_body_buffer_size 1k; wasm_pause_timeout 10s;',
    server => "listen 127.0.0.1:$h2c http2;
        location = /t {
            proxy_wasm_headers_stop_iteration on;
            proxy_wasm bodies 'quiet; request-headers hold';
            proxy_wasm probe;
            proxy_pass http://127.0.0.1:@{[ $nginx->port ]}/passed;
        }
        location = /passed { return 200 \$content_length; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

my ($DATA, $END_STREAM, $HEADERS, $END_HEADERS) = (0, 1, 1, 4);
my $client = Frames->new($h2c);
$client->request('/t', 'x-probe' => 'pause');
$client->data('a' x 10);
# The first answer may come with what comes before the PING, the second one behind it.
$client->ping->ping;

# The request that lets the first one go: it does so when its own body has come to the second filter, and waits then.
my %other = (':method' => 'POST', ':scheme' => 'http', ':path' => '/t', ':authority' => 'a');
my @other = map { Frames::literal($_, $other{$_}) } sort keys %other;
push @other, Frames::literal('x-probe', 'effective 2; resume; effective 3; pause');
$client->send($HEADERS, $END_HEADERS, 3, join '', @other);
$client->ping->ping;
my $socket = $client->{socket};
$socket->autoflush(0);
$client->send($DATA, 0, 3, 'b' x 2000);
$client->send($DATA, 0, 1, 'a' x 2000);
$socket->flush;
$socket->autoflush(1);
$client->ping->ping;
like($nginx->log, qr/probe: effective 2 -> 0/, 'the other request has chosen the first one');
like($nginx->log, qr/probe: resume -> 0/,      'and has let it go');
$client->data('a' x 5, 1);
my $response = $client->response;
is_deeply([@$response{qw( status body )}], [200, 2015], 'all of the body reaches the upstream');
unlike($nginx->log, qr/\[(?:alert|emerg)\]/, 'nothing bad in the log');
unlike($nginx->log, qr/wasm_pause_timeout/, 'nobody waits for what has gone on');
$nginx->stop;

done_testing();
