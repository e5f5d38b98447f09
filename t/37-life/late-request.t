# A request that comes when its worker already shuts down, by a connection that was open: a filter that waits for a tick gets one,
# although the worker had stopped ticking.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('life-late-request');
$nginx->configure(
    main   => "wasm { module ticker $root/build/guests/rust-ticker.wasm; }",
    server => "location / { proxy_wasm ticker '20 pause 1'; return 200 ok; }",
);
$nginx->start or die($nginx->{output});
$nginx->wait_for('a worker that ticks', sub { $nginx->said('ticker') > 1 });
my ($worker) = $nginx->workers;

my $client = RawClient->new($nginx->port);
$client->send("GET / HTTP/1.1\r\nHost: a\r\n");
# The worker has read that, or a reload would close the connection: it reads in the order in which things come.
is($nginx->get('/')->{content}, 'ok', 'requests wait for ticks');

$nginx->signal('HUP');
my $ticks = sub { () = substr($nginx->log, index $nginx->log, "$worker: gracefully shutting down") =~ /\[info\] $worker#.*rust tick/g };
$nginx->wait_for('the worker to shut down', sub { $nginx->log =~ /\Q$worker\E#\Q$worker\E: gracefully shutting down/ });
$nginx->wait_for('its last tick', sub { $ticks->() >= 1 });
ok(kill(0, $worker), 'the worker waits for the rest of a request');
$client->send("Connection: close\r\n\r\n");
my $response = $client->response;
is("$response->{status} $response->{body}", '200 ok', 'which is served, with another tick');
$nginx->wait_for('the end of the worker', sub { !kill 0, $worker });
cmp_ok($ticks->(), '>=', 2, 'then the worker ends');
unlike($nginx->log, qr/\[(?:error|crit|alert|emerg)\]/, 'nothing bad is in the error log');

done_testing();
