# Calls as 'wasm_metrics' counts them: by service and result, how many are under way, how long they took; and that there are no more
# services than there is room for, whatever filters call.

use strict;
use warnings;

use Test::More;

use Calls;
use MetricsPage;
use Peer;
use RawClient;

Peer->needs('python3');
my $peer   = Peer->fault('plain=127.0.0.1', 'closed=127.0.0.1,closed');
my $target = '127.0.0.1:' . $peer->port;
my $closed = '127.0.0.1:' . $peer->port('closed');
my $calls = Calls->new(
    'calls-counted',
    workers => 2,
    modules => [['redis', 'rust-redis']],
    http    => "upstream service { server $target; }",
    server  => "location /redis { proxy_wasm redis; return 500; }",
);
my $nginx = $calls->{nginx};

# Results of a service that are not 0.
sub results {
    my ($protocol, $service) = @_;
    my @samples = grep { $_->[0]{protocol} eq $protocol && $_->[0]{service} eq $service && $_->[1] }
        MetricsPage->get($nginx)->samples('wasm_service_calls_total');
    return { map { $_->[0]{result} => $_->[1] } @samples };
}

is_deeply(results('http', 'service'), {}, 'a service that nobody has called is not there');
$calls->ask("call a service GET /status/$_; answer 200") for 200, 204, 302, 404, 429, 500, 503;
is_deeply(results('http', 'service'), { answered => 3, client_error => 2, server_error => 2 }, 'answers are counted by their status');
$calls->ask("call a $closed GET /; answer 200");
is_deeply(results('http', $closed), { failed => 1 }, 'a call without a connection has failed');
$calls->ask("call a service GET /silent timeout:50; answer 200");
is_deeply(results('http', 'service'), { answered => 3, client_error => 2, server_error => 2, timeout => 1 }, 'one without an answer in time has timed out');
my $page = MetricsPage->get($nginx);
my %service = (protocol => 'http', service => 'service');
is($page->value('wasm_service_call_duration_seconds_count', %service), 8, 'all are measured');
cmp_ok($page->value('wasm_service_call_duration_seconds_sum', %service), '>=', 0.05, 'also how long one has waited for nothing');
is($page->value('wasm_service_call_duration_seconds_bucket', %service, le => '+Inf'), 8, 'all have their bucket');

# Under way.
my $client = RawClient->new($nginx->port);
$client->send("GET / HTTP/1.1\r\nHost: a\r\nx-calls: call a service GET /silent timeout:3600000 times:3; answer 200\r\n\r\n");
sub await_in_flight {
    my ($wanted, $what) = @_;
    $nginx->wait_for("$wanted calls under way", sub { MetricsPage->get($nginx)->value('wasm_service_calls_in_flight', %service) == $wanted });
    return pass($what);
}
await_in_flight(3, 'calls that have not ended are under way');
kill 'KILL', $nginx->workers;
await_in_flight(0, 'those of workers that are no more are not');
is_deeply(results('http', 'service')->{answered}, 3, 'and what was counted stays');

# gRPC, and Redis.
$calls->ask("grpc a $closed test.Echo Unary body:x; answer 200");
is_deeply(results('grpc', $closed), { failed => 1 }, 'a gRPC call is another one than one of HTTP');
$calls->ask("grpc a service test.Echo Unary body:x timeout:50; answer 200");
is(join(' ', keys %{ results('grpc', 'service') }), 'failed', 'to a server that speaks no gRPC it fails');
SKIP: {
    my $grpc = Peer->grpc('plain=127.0.0.1') or skip('grpcio cannot be had (tools/install.sh grpc)', 1);
    my $to = '127.0.0.1:' . $grpc->port;
    my %stream = (protocol => 'grpc', service => $to);
    # A call that is given up ends when nginx has its turn again, which may be behind the response.
    my $await = sub {
        my ($wanted, $what) = @_;
        my $seen;
        $nginx->wait_for($what, sub {
            my $page = MetricsPage->get($nginx);
            $seen = { map { $_->[0]{result} => $_->[1] } grep { $_->[0]{protocol} eq 'grpc' && $_->[0]{service} eq $to && $_->[1] }
                $page->samples('wasm_service_calls_total') };
            return join(' ', map {"$_ $seen->{$_}"} sort keys %$seen) eq join(' ', map {"$_ $wanted->{$_}"} sort keys %$wanted)
                && $page->value('wasm_service_calls_in_flight', %stream) == 0;
        });
        return pass($what);
    };
    $calls->ask("grpc a $to test.Echo Unary body:x; answer 200");
    $await->({ answered => 1 }, 'a call of gRPC that is answered');
    $calls->ask("grpc a $to test.Echo Unary body:x h:x-status=5; answer 200");
    $await->({ answered => 1, server_error => 1 }, 'a status that is not OK');
    $calls->ask("stream s $to test.Echo Bidi; send s one; \@s:message#1 close s; answer 200");
    $await->({ answered => 2, server_error => 1 }, 'a stream whose filter has closed its side is answered to its end');
    $calls->ask("stream s $to test.Echo Bidi; send s one; \@s:message#1 cancel s; answer 200");
    $await->({ answered => 2, server_error => 1, cancelled => 1 }, 'one that its filter cancels is cancelled');
    $calls->ask("grpc a $to test.Echo Silent body:x; call b service GET /status/200; \@b cancel-call a; answer 200");
    $await->({ answered => 2, server_error => 1, cancelled => 2 }, 'and a call that it cancels');
}
SKIP: {
    mkdir $nginx->prefix . '/redis';
    my $redis = Peer->redis(dir => $nginx->prefix . '/redis') or skip('needs redis-server', 1);
    my $to = '127.0.0.1:' . $redis->port;
    $nginx->get('/redis', { 'x-redis' => "init $to - - 1000; call $to GET a; call $to NO-SUCH-COMMAND" });
    is_deeply(results('redis', $to), { answered => 1, server_error => 1 }, 'replies of Redis, and errors');
}

# No more than there is room for.
for my $from (0 .. 9) {
    $calls->ask(join('; ', map {"call a$_ unix:/no/such/$_ GET /"} map { $from * 20 + $_ } 0 .. 19) . '; answer 200');
}
$page = MetricsPage->get($nginx);
my %services = map { $_->[0]{service} => 1 } grep { $_->[0]{protocol} eq 'http' } $page->samples('wasm_service_calls_in_flight');
cmp_ok(scalar(keys %services), '<=', 129, 'services have a bounded number');
cmp_ok(results('http', 'other')->{failed}, '>=', 60, 'calls to others are counted together');
$calls->ask('call a unix:/no/such/1 GET /; answer 200');
is_deeply(results('http', 'unix:/no/such/1'), { failed => 2 }, 'a service that has numbers keeps them');
# Workers were killed above, of which nginx tells.
unlike($nginx->log, qr/\[(?:emerg|crit)\]|panicked/, 'nothing bad is in the error log');
$nginx->stop;
done_testing;
