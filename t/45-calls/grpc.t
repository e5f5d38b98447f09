# gRPC calls and streams, with a server of the library that everybody uses.

use strict;
use warnings;

use HTTP::Tiny;
use Test::More;

use Calls;
use Peer;
use RawClient;

Peer->needs('python3', 'openssl');
my %file = Peer->certificates("$ENV{TEST_WASM_ROOT}/build/t/calls-grpc-certificates");
my $server = "cert=$file{server}.crt,key=$file{server}.key";
my $socket = "$ENV{TEST_WASM_ROOT}/build/t/calls-grpc.sock";
unlink $socket;
my $grpc = Peer->grpc('plain=127.0.0.1', "tls=127.0.0.1,$server", "asking=127.0.0.1,$server,ca=$file{ca}.crt", "socket=unix:$socket")
    or plan(skip_all => 'grpcio cannot be had (tools/install.sh grpc)');
my $peer  = Peer->fault('plain=127.0.0.1', 'closed=127.0.0.1,closed', 'silent=127.0.0.1,silent');
my $to    = '127.0.0.1:' . $grpc->port;
my $call  = 'proxy_wasm calls; return 200 "ok\n";';
my $calls = Calls->new(
    'calls-grpc',
    http => "wasm_ssl_trusted_certificate $file{ca}.crt; upstream service { server $to; }\n"
        . "upstream dead { server 127.0.0.1:@{[ $peer->port('closed') ]}; }",
    server => <<"CONF",
location /client { wasm_ssl_certificate $file{client}.crt; wasm_ssl_certificate_key $file{client}.key; $call }
location /small  { wasm_call_response_buffer 4k; $call }
location /few    { wasm_max_calls 2; $call }
location /tick   { proxy_wasm calls 'tick 20; \@tick grpc a service test.Echo Unary body:tick; answer-tick 200'; return 200; }
CONF
);

# Calls: one message each way.
sub unary {
    my ($rest, %option) = @_;
    my $target = delete $option{to} // $to;
    return $calls->ask("grpc a $target test.Echo Unary $rest; answer 200", %option)->{a} // {};
}
my $a = unary('body:hello');
is_deeply([@$a{qw( kind status body counts )}], ['grpc', 0, 'hello', [0, 5]], 'a message, and the answer');
is_deeply($a->{get_status}, [0, ''], 'proxy_get_status is 0');
is(unary('')->{body}, '', 'an empty message');
is(unary('body:named', to => 'service')->{body}, 'named', 'an upstream block');
is(unary('body:named', to => "grpc://$to")->{body}, 'named', 'with grpc:// before it');
is(unary('body:there', to => "unix:$socket")->{body}, 'there', 'a Unix socket');
my $what = JSON::PP::decode_json(unary('body:x h:x-what=1 h:x-text=some%20text h:x-some-bin=AAH/ timeout:5000')->{body});
my %metadata = map { @$_ } @{ $what->{metadata} };
is($metadata{'x-text'}, 'some text', 'metadata go out');
is($metadata{'x-some-bin'}, '0001ff', 'binary ones too, in the form that they have on the wire');
cmp_ok($what->{remaining}, '<=', 5, 'with the time that is left');
cmp_ok($what->{remaining}, '>',  0, 'which the server knows');
is(unary('size:500000 h:x-size=900000')->{counts}[1], 900_000, 'large messages');

for my $code (1, 2, 3, 5, 7, 13, 14, 16) {
    my $a = unary("body:x h:x-status=$code h:x-message=not%20today");
    is_deeply([@$a{qw( status body )}, $a->{get_status}], [$code, '', [$code, 'not today']], "status $code and its message");
}
is(unary('body:x h:x-status=5 h:x-message=%25C3%25A9%2525')->{get_status}[1], "\xc3\xa9%", 'a message that is percent-encoded');
my $came = $calls->ask("grpc a $to test.Echo None body:x; grpc b $to test.None Unary body:x; answer 200");
is_deeply([map { $came->{$_}{status} } qw( a b )], [12, 12], 'an unknown method and an unknown service');
is($calls->ask('grpc a no_such_upstream test.Echo Unary; answer 200')->{a}{status}, 'ParseFailure', 'an unknown target');

# Any byte goes; what none can send is a call that fails.
$came = $calls->ask("grpc a $to test.Echo%22%3c%3e Un%23ary%3f body:x h:x-odd=%22%3c%01; grpc b $to test.Echo Unary body:x h::authority=%22%3c; answer 200");
is_deeply([map { $came->{$_}{status} } qw( a b )], [12, 0], 'odd bytes in names, metadata and authority');
$came = $calls->ask("grpc a $to test.Echo Un%20ary body:x; stream b $to test.Echo Unary h:x=%0a; send b lost; answer 200");
is_deeply([map { $came->{$_}{status} } qw( a b )], [12, 13], 'a space in a name: no such method; a line break in metadata: INTERNAL');
is_deeply([$calls->failures($to)], ['the metadata entry "x" has a value that cannot be sent'], 'as the log says');

$came = $calls->ask("grpc a $to test.Echo Silent body:x timeout:200; grpc b $to test.Echo Unary body:x h:x-delay=300; answer 200");
is($came->{a}{status}, 4, 'a time-out is DEADLINE_EXCEEDED');
is($came->{b}{body}, 'x', 'other calls go on');
$grpc->wait_for('all', 'cancelled', 1);
pass('the server hears that nobody waits');
$came = $calls->ask("grpc a dead test.Echo Unary body:x; answer 200");
is($came->{a}{status}, 14, 'a service that is not there is UNAVAILABLE');
like($came->{a}{get_status}[1], qr/refused/i, 'and proxy_get_status says why');
like($calls->failure('dead'), qr/refused/i, 'as the log does');
$came = $calls->ask("grpc a 127.0.0.1:@{[ $peer->port ]} test.Echo Unary body:x; answer 200");
cmp_ok($came->{a}{status}, '>', 0, 'a service of HTTP/1.1 is a failure');
$came = $calls->ask("grpc a 127.0.0.1:@{[ $peer->port('silent') ]} test.Echo Unary body:x timeout:200; answer 200");
is($came->{a}{status}, 4, 'so is one that says nothing');
$came = $calls->ask("grpc a $to test.Echo Unary h:x-size=4097; grpc b $to test.Echo Unary h:x-size=4000; answer 200", path => '/small');
cmp_ok($came->{a}{status}, '>', 0, 'wasm_call_response_buffer is for answers of gRPC, too');
like($calls->failure($to), qr/wasm_call_response_buffer/, 'the log names it');
is($came->{b}{counts}[1], 4000, 'and leaves the others alone');
$came = $calls->ask("grpc a $to test.Echo Unary body:x times:20; answer 200");
is_deeply([map { $came->{"a$_"}{body} } 1 .. 20], [('x') x 20], '20 at the same time');
$came = $calls->ask("grpc a $to test.Echo Unary body:x; \@a grpc b $to test.Echo Unary body:y; answer 200");
is($came->{b}{body}, 'y', 'from the callback of another');
$came = $calls->ask("grpc a $to test.Echo Unary body:x times:3; answer 200", path => '/few');
is_deeply([sort map { $_->{status} } @{ $came->{events} }], [0, 0, 'InternalFailure'], 'wasm_max_calls counts them');
# The server has to have begun with it: what is cancelled before, it never counts.
my $begun  = $grpc->stats('all')->{calls};
my $client = RawClient->new($calls->{nginx}->port);
my $gate   = '127.0.0.1:' . $peer->port;
$client->send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    . "x-calls: grpc a $to test.Echo Silent body:x; call b $gate GET /together/2/body/1; \@b cancel-call a; answer 200\r\n\r\n");
$grpc->wait_for('all', 'calls', $begun + 1);
HTTP::Tiny->new->get("http://$gate/together/2/body/1");
$came = $calls->read(JSON::PP::decode_json($client->response->{body}));
is_deeply([map { $_->{name} . ' ' . $_->{kind} } @{ $came->{events} }], ['b response', 'a cancelled'], 'cancelled, it has no callback');
$grpc->wait_for('all', 'cancelled', 2);
pass('and the server hears of it');
$came = $calls->read(JSON::PP::decode_json($calls->{nginx}->get('/tick')->{content}));
is($came->{a}{body}, 'tick', 'from a tick');

# TLS.
my $tls = 'grpcs://localhost:' . $grpc->port('tls');
is(unary('body:secret', to => $tls)->{body}, 'secret', 'with TLS');
is(unary('body:secret', to => 'grpcs://outbound|' . $grpc->port('tls') . '||localhost')->{body}, 'secret',
    'to the host in the name of a cluster');
$a = unary('body:secret', to => 'grpcs://127.0.0.1:' . $grpc->port('asking'), path => '/client');
is($a->{body}, 'secret', 'with a certificate of the client');
$a = unary('body:secret', to => 'grpcs://127.0.0.1:' . $grpc->port('asking'));
is($a->{status}, 14, 'without it');

# Streams.
sub events {
    my $came = shift;
    return [map { $_->{kind} eq 'message' ? "message $_->{body}" : $_->{kind} eq 'close' ? "close $_->{status}" : $_->{kind} } @{ $came->{all}{s} }];
}
$came = $calls->ask("stream s $to test.Echo Bidi h:x-echo-a=1 h:x-echo-b=2; send s one; send s two end; answer 200");
is_deeply(events($came), ['initial', 'message one', 'message two', 'message end', 'trailing', 'close 0'], 'a stream of messages both ways');
my ($initial, $trailing) = map { my $kind = $_; grep { $_->{kind} eq $kind } @{ $came->{events} } } qw( initial trailing );
is_deeply([map { $initial->{headers}{"x-initial-$_"} } qw( a b )], [1, 2], 'with initial metadata');
is_deeply([map { $trailing->{trailers}{"x-trailing-$_"} } qw( a b )], [1, 2], 'and trailing ones');
is($initial->{counts}[0], scalar @{ $initial->{raw_headers} }, 'as many as the callback says');
$came = $calls->ask("stream s $to test.Echo Bidi; send s one; \@s:message#1 send s two; \@s:message#1 close s; answer 200");
is_deeply([grep {/^message/} @{ events($came) }], ['message one', 'message two', 'message end'], 'messages from the callback of a message; close ends our side')
    or diag(explain(events($came)));
$came = $calls->ask("stream s $to test.Echo Collect; " . CORE::join('', map {"send s m$_; "} 1 .. 50) . 'close s; answer 200');
is((grep { $_->{kind} eq 'message' } @{ $came->{events} })[0]{body}, CORE::join('+', map {"m$_"} 1 .. 50), 'fifty messages, in order');
$came = $calls->ask("stream s $to test.Echo Stream h:x-count=50; send s m end; answer 200");
is_deeply([grep {/^message/} @{ events($came) }], [map {"message m $_"} 0 .. 49], 'fifty answers, in order');
$came = $calls->ask("stream s $to test.Echo Bidi h:x-status=9 h:x-message=too%20bad; send s one end; answer 200");
is_deeply([@{ events($came) }[-1], $came->{all}{s}[-1]{get_status}], ['close 9', [9, 'too bad']], 'a stream that fails at its end');
$came = $calls->ask("stream s $to test.Echo None; send s one; answer 200");
is_deeply(events($came)->[-1], 'close 12', 'an unknown method');
$came = $calls->ask("stream s dead test.Echo Bidi; send s one; answer 200");
is_deeply(events($came), ['close 14'], 'a service that is not there');
my $cancelled = $grpc->stats('all')->{cancelled};
$came = $calls->ask("stream s $to test.Echo Bidi; send s one; \@s:message#1 cancel s; answer 200");
is_deeply(events($came), ['initial', 'message one', 'cancelled'], 'a stream that is cancelled has no more callbacks');
$grpc->wait_for('all', 'cancelled', $cancelled + 1);
pass('and the server hears of it');
$came = $calls->ask("stream s $to test.Echo Bidi; send s one end; \@s:close call b 127.0.0.1:@{[ $peer->port ]} GET /status/200; \@b send s two; answer 200");
is((grep { $_->{kind} eq 'not-sent' } @{ $came->{events} })[0]{body}, 'NotFound', 'to a stream that has ended nothing can be sent');
$came = $calls->ask("grpc a $to test.Echo Unary body:x h:x-delay=100; send a more; answer 200");
is_deeply([map { $_->{kind} } @{ $came->{events} }], [qw( not-sent grpc )], 'nor to a call');
is($came->{events}[0]{body}, 'BadArgument', 'which is no stream');
$came = $calls->ask("stream s1 $to test.Echo Bidi; stream s2 $to test.Echo Bidi; send s1 a end; send s2 b end; answer 200");
is_deeply([map { (grep { $_->{kind} eq 'message' } @{ $came->{all}{$_} })[0]{body} } qw( s1 s2 )], [qw( a b )], 'two streams at the same time');
$came = $calls->ask("stream s $to test.Echo Bidi; send s large%20one; " . 'send s end end; answer 200');
is($came->{open}, 0, 'nothing is left open');

$calls->finish;
done_testing();
