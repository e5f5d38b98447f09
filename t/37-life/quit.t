# A worker that is told to go serves its requests to the end: also those that a filter has paused and that a call, or a tick,
# resumes later. It does so as long as worker_shutdown_timeout allows, and not longer.

use strict;
use warnings;

use HTTP::Tiny;
use IO::Socket::INET;
use NginxProcess;
use Peer;
use RawClient;
use Test::More;

Peer->needs('python3');
my $guests  = ($ENV{TEST_WASM_ROOT} // '') . '/build/guests';
my $peer    = Peer->fault('plain=127.0.0.1', 'full=127.0.0.1,full');
my $service = '127.0.0.1:' . $peer->port;
my $full    = '127.0.0.1:' . $peer->port('full');
my $nginx   = NginxProcess->new('life-quit');

my $http2 = qx(curl --version) =~ /HTTP2/ ? $nginx->port + 1 : undef;

# A resolver that never answers.
my $mute = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die "no free port: $!\n";

# /never-*: nothing resumes it, for an hour.
sub configure {
    my $timeout = shift;
    $nginx->configure(
        main => <<"CONF",
worker_shutdown_timeout $timeout;
wasm { module calls $guests/rust-calls.wasm; module bodies $guests/rust-bodies.wasm; module other $guests/rust-bodies.wasm; }
CONF
        http => sprintf('wasm_pause_timeout 1h; resolver 127.0.0.1:%d; resolver_timeout 1h; wasm_call_connect_timeout 1h;', $mute->sockport)
            . ($http2 ? "server { listen 127.0.0.1:$http2 http2; location / { proxy_wasm other 'request-headers hold'; return 200 ok; } }" : ''),
        server => <<"CONF",
location = /call   { proxy_wasm calls; return 200 ok; }
location = /tick   { proxy_wasm bodies 'tick 1500; request-headers hold; request-headers at-tick resume;
    response-headers hold; response-headers at-tick resume'; return 200 ticked; }
location = /never-request  { proxy_wasm other 'request-headers hold'; return 200 ok; }
location = /never-response { proxy_wasm other 'response-headers hold'; return 200 ok; }
location = /never-body     { proxy_wasm other 'response-body hold'; return 200 ok; }
CONF
    );
}

sub send_request {
    my ($path, $words) = @_;
    my $client = RawClient->new($nginx->port);
    my $header = defined $words ? "x-calls: $words\r\n" : '';
    return $client->send("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n$header\r\n");
}
sub listens { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) }

# Up to the time-out.
configure('10m');
$nginx->start or die($nginx->{output});
my $master = $nginx->pid;
my ($worker) = $nginx->workers;
my $call = send_request('/call', "call a $service GET /together/2/status/207 timeout:600000; answer 200");
my $late = send_request('/call', "\@response-headers call b $service GET /together/2/status/208 timeout:600000; \@response-headers wait");
$nginx->wait_for('the calls', sub { ($peer->stats('plain')->{requests} // 0) == 2 });
my $tick = send_request('/tick');
$nginx->wait_for('the requests', sub { $nginx->log =~ /request-headers .*"GET \/tick /});
kill 'QUIT', $master;
$nginx->wait_for('the signal', sub { $nginx->log =~ /\Q$worker\E#\d+: gracefully shutting down/ && !listens() });
is($tick->response->{body}, 'ticked', 'a worker that goes ticks for the request that waits for it');
ok(kill(0, $worker), 'it waits for the calls of others');
HTTP::Tiny->new->get("http://$service/together/2/status/207");
like($call->response->{body}, qr/":status","207"/, 'and answers when they have come');
HTTP::Tiny->new->get("http://$service/together/2/status/208");
is($late->response->{body}, 'ok', 'so of a response that is held');
$nginx->wait_for('the end', sub { !kill 0, $master });
unlike($nginx->log, qr/worker_shutdown_timeout\)/, 'nothing was cut off');

# And not longer.
$nginx = NginxProcess->new('life-quit-timeout');
configure('1s');
$nginx->start or die($nginx->{output});
$master = $nginx->pid;
my $requests = $peer->stats('plain')->{requests};
my %client = (
    'waits for an answer'            => send_request('/call', "call a $service GET /silent timeout:3600000; answer 200"),
    'waits for the end of an answer' => send_request('/call', "call a $service GET /slow/3600000/2 timeout:3600000; answer 200"),
    'waits for a connection'         => send_request('/call', "call a $full GET /status/200 timeout:3600000; answer 200"),
    'waits for a name'               => send_request('/call', "call a name.test:80 GET /status/200 timeout:3600000; answer 200"),
    'is held on its way in'          => send_request('/never-request'),
    'is held on its way out'         => send_request('/never-response'),
    'has its body held'              => send_request('/never-body'),
);
my $curl;
if ($http2) { open $curl, '-|', "curl -sS --http2-prior-knowledge http://127.0.0.1:$http2/never-http2 2>&1" or die "curl: $!\n" }
$nginx->wait_for('the calls', sub { ($peer->stats('plain')->{requests} // 0) == $requests + 2 });
$nginx->wait_for('the others', sub { (() = $nginx->log =~ /wasm "other": (?:request-headers|response-headers|response-body) /g) >= 6 + !!$http2 });
kill 'QUIT', $master;
for my $what (sort keys %client) {
    my $response = $client{$what}->response;
    if ($what eq 'has its body held') { ok(!$response || $response->{cut} || $response->{body} eq '', "a client whose request $what: the connection is closed") }
    else                              { is($response, undef, "a client whose request $what: the connection is closed") }
}
if ($curl) {
    my $said = do { local $/; <$curl> };
    close $curl;
    isnt($?, 0, 'so with HTTP/2') or diag $said;
}
$nginx->wait_for('the end', sub { !kill 0, $master });
pass('and the worker ends, although some would have waited an hour');
my $log = $nginx->log;
for my $case (
    ['calls', 'request',  '/call',           4],
    ['other', 'request',  '/never-request',  1],
    $http2 ? ['other', 'request', '/never-http2', 1] : (),
    ['other', 'response', '/never-response', 1],
    ['other', 'response', '/never-body',     1],
) {
    my ($filter, $what, $path, $count) = @$case;
    my @lines = $log =~ /\[error\] .*wasm filter "$filter" paused the $what, and nothing resumed it before the worker had to end \(worker_shutdown_timeout\).*"GET $path /g;
    is(scalar @lines, $count, "the log says so of $path");
}
my @bad = grep {/\[(?:alert|emerg)\]|panicked|exited on signal|left in connection/} split /\n/, $log;
is("@bad", '', 'nothing bad is in the error log') or diag $log;

done_testing();
