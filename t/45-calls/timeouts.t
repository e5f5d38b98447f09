# Calls that take too long. That they end is what is tested; that they do not end early is, where time has passed anyway.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw( time );

use Calls;
use Peer;
use RawClient;

Peer->needs('python3');
my $peer   = Peer->fault('plain=127.0.0.1', 'silent=127.0.0.1,silent', 'full=127.0.0.1,full', 'dns=127.0.0.1,dns');
my $target = '127.0.0.1:' . $peer->port;
my $full   = '127.0.0.1:' . $peer->port('full');
my $calls  = Calls->new('calls-timeouts', server => <<"CONF");
location /connect { wasm_call_connect_timeout 200ms; proxy_wasm calls; return 200 "ok\\n"; }
location /server { location /server/calls { proxy_wasm calls; return 200 "ok\\n"; } }
CONF

my $begun = time;
$calls->fails($target, 'GET /silent timeout:200', qr/no answer within \d+ ms/, 'no answer');
cmp_ok(time - $begun, '>=', 0.19, 'the time was waited for');
$peer->wait_for('plain', 'left', 1);
pass('the connection is closed');
$calls->fails('127.0.0.1:' . $peer->port('silent'), 'GET / timeout:200', qr/no answer within \d+ ms/, 'nobody reads');
$calls->fails($target, 'GET /slow/100/1000 timeout:300', qr/no answer within \d+ ms/, 'an answer that does not end, though it moves');
$calls->fails('127.0.0.1:' . $peer->port('silent'), 'POST / size:9000000 timeout:300', qr/no answer within \d+ ms/, 'a request that cannot be sent');
$calls->fails($full, 'GET / timeout:200', qr/no answer within \d+ ms/, 'no connection in the time of the call');

# The directive.
my $came = $calls->ask("call a $full GET /; answer 200", path => '/connect');
is_deeply($came->{a}{counts}, [0, 0, 0], 'no connection in wasm_call_connect_timeout');
like($calls->failure($full), qr/no connection within 200 ms \(wasm_call_connect_timeout\)/, 'the log says that it was the connection');
$came = $calls->ask("call a $target GET /delay/400/status/200; answer 200", path => '/connect');
is($came->{a}{status}, 200, 'which is not about the answer');

# Beside others.
$came = $calls->ask("call a $target GET /silent timeout:150 times:10; call b $target GET /delay/300/status/202; answer 200");
is_deeply([map { $came->{"a$_"}{counts}[0] } 1 .. 10], [(0) x 10], 'ten time out');
is($came->{b}{status}, 202, 'and another is answered later');
$peer->wait_for('plain', 'left', 12 - 1);
pass('ten connections are closed');

# A time of 0, as in Envoy.
$came = $calls->ask("call a $target GET /delay/50/status/200 timeout:0; answer 200");
is($came->{a}{kind}, 'response', 'a time of 0 has a callback');

# The whole request is not stopped by the one who waits: others are served meanwhile.
my $client = RawClient->new($calls->{nginx}->port);
$client->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-calls: call a $target GET /silent timeout:1500; answer 200\r\n\r\n");
$peer->wait_for('plain', 'open', 1);
for (1 .. 20) {
    is($calls->ask("call a $target GET /status/200; answer 200")->{a}{status}, 200, 'another request');
}
is($peer->stats('plain')->{left}, 11, 'while that one waits');
my $report = JSON::PP::decode_json($client->response->{body});
is_deeply($report->{events}[0]{counts}, [0, 0, 0], 'which ends in its time');

$calls->finish;
done_testing();
