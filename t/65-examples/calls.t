# Examples of both SDKs that call other services: http_auth_random, grpc_auth_random, multiple_dispatches,
# dispatch_call_on_tick.

use strict;
use warnings;

use NginxProcess;
use Peer;
use Test::More;

Peer->needs('python3');
my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $peer  = Peer->fault('plain=127.0.0.1', 'closed=127.0.0.1,closed');
my $grpc  = Peer->grpc('plain=127.0.0.1');
my $nginx = NginxProcess->new('examples-calls');
my $judge = $grpc ? $grpc->port : $peer->port('closed');

$nginx->configure(
    main => <<"CONF",
wasm {
    module go_auth   $root/build/guests/go-example-http_auth_random.wasm;
    module rust_auth $root/build/guests/rust-example-http_auth_random.wasm;
    module grpc_auth $root/build/guests/rust-example-grpc_auth_random.wasm;
    module several   $root/build/guests/go-example-multiple_dispatches.wasm;
    module on_tick   $root/build/guests/go-example-dispatch_call_on_tick.wasm;
}
CONF
    http => <<"CONF",
upstream random { server 127.0.0.1:@{[ $peer->port ]}; }
upstream gone   { server 127.0.0.1:@{[ $peer->port('closed') ]}; }
upstream judge  { server 127.0.0.1:$judge; }
CONF
    server => <<'CONF',
location /go/even      { proxy_wasm go_auth 'random /body/2'; return 200 "passed\n"; }
location /go/odd       { proxy_wasm go_auth 'random /body/3'; return 200 "passed\n"; }
location /go/gone      { proxy_wasm go_auth 'gone /body/2'; return 200 "passed\n"; }
location /rust/even    { proxy_wasm rust_auth 'random /body/1'; return 200 "passed\n"; }
location /rust/odd     { proxy_wasm rust_auth 'random /chunked/1'; return 200 "passed\n"; }
location /rust/gone    { proxy_wasm rust_auth 'gone /body/1'; return 200 "passed\n"; }
location /grpc         { proxy_wasm grpc_auth 'judge test.Echo Count'; return 200 "passed\n"; }
location /several      { proxy_wasm several 'random /together/10/body/1'; return 200 "passed\n"; }
location /several/gone { proxy_wasm several 'gone /'; return 200 "passed\n"; }
location /on_tick      { proxy_wasm on_tick '10 random /body/5'; return 200 "passed\n"; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# http_auth_random. (What is random in the examples is not in what this service answers.)
for my $language (qw( go rust )) {
    for my $case (['even', 200, "passed\n"], ['odd', 403, "not this time\n"], ['gone', 403, "not this time\n"]) {
        my ($path, $status, $body) = @$case;
        my $response = $nginx->get("/$language/$path");
        is("$response->{status} $response->{content}", "$status $body", "http_auth_random ($language): $path");
    }
}

# grpc_auth_random
is($nginx->get('/grpc')->{content}, "passed\n", 'grpc_auth_random: what is not gRPC passes');
SKIP: {
    skip 'grpcio cannot be had', 6 unless $grpc;
    for my $status (0 .. 5) {
        my $response = $nginx->get('/grpc', { 'content-type' => 'application/grpc' });
        my $wanted = $status % 2 ? [10, "the judge says $status"] : [undef, undef];
        is_deeply([@{ $response->{headers} }{qw( grpc-status grpc-message )}], $wanted, "a judge that says $status");
    }
}

# multiple_dispatches
my $response = $nginx->get('/several');
is_deeply([@{ $response->{headers} }{qw( x-calls x-answered )}, $response->{content}], [10, 10, "passed\n"], 'multiple_dispatches: ten calls');
is_deeply([$nginx->said('several', $worker)], [map {"$_ calls are under way"} reverse 0 .. 9], 'that end one after the other');
$response = $nginx->get('/several/gone');
is_deeply([@{ $response->{headers} }{qw( x-calls x-answered )}], [10, 0], 'and ten that fail');

# dispatch_call_on_tick
$nginx->wait_for('calls', sub { my @said = $nginx->said('on_tick', $worker); @said >= 5 });
is_deeply([sort(($nginx->said('on_tick', $worker))[0 .. 4])], [map {"call $_: status 200, 5 bytes"} 1 .. 5], 'dispatch_call_on_tick: every tick calls');
is($nginx->get('/on_tick')->{content}, "passed\n", 'and requests pass');

done_testing();
