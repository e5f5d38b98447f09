# Calls by HTTP/2 to a service that does not behave: a stream that fails takes no other with it, and a connection that fails
# is not used again.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3');
my $peer = Peer->http2('plain=127.0.0.1', 'few=127.0.0.1,streams=2', 'counted=127.0.0.1', 'burst=127.0.0.1', 'silent=127.0.0.1,silent')
    or plan(skip_all => 'the Python library h2 cannot be had (tools/install.sh h2)');
my $to    = '127.0.0.1:' . $peer->port;
my $few   = '127.0.0.1:' . $peer->port('few');
my $calls = Calls->new('calls-http2-failures', server => <<"CONF");
location /counted { wasm_call_keepalive_requests 5; proxy_wasm calls; return 200 "ok\\n"; }
location /burst { wasm_call_keepalive 2; proxy_wasm calls; return 200 "ok\\n"; }
CONF

# What works.
my $came = $calls->ask("call a $to POST /echo scheme:h2c body:b t:x-end=1 h:x-one=1 h:te=trailers authority:some.host; answer 200");
is_deeply($came->{a}{echo}{trailers}, { 'x-end' => 1 }, 'trailers of the request');
is_deeply([$came->{a}{echo}{body}, map { $came->{a}{echo}{headers}{$_} } qw( host x-one )], ['b', 'some.host', 1], 'its body and headers');
is($calls->ask("call a $to GET /informed/body/3 scheme:h2c; answer 200")->{a}{body}, 'bbb', 'an interim answer is left out');
is_deeply($calls->ask("call a $to GET /trailers/x-a=1 scheme:h2c; answer 200")->{a}{trailers}, { 'x-a' => 1 }, 'trailers of the answer');
is($calls->ask("call a $to GET /body/1000000 scheme:h2c; answer 200")->{a}{counts}[1], 1_000_000, 'a large answer');

# Faults of one stream. (What may be repeated without harm, such as GET, might get another connection.)
my @faults = (
    ['/reset/7',          qr/./,                         'REFUSED_STREAM'],
    ['/reset/8',          qr/./,                         'CANCEL'],
    ['/reset/2',          qr/./,                         'INTERNAL_ERROR'],
    ['/reset/13',         qr/./,                         'HTTP_1_1_REQUIRED'],
    ['/reset-later/2',    qr/./,                         'a reset in the body'],
    ['/short',            qr/./,                         'less than content-length'],
    ['/body/1048577',     qr/wasm_call_response_buffer/, 'a large body'],
    ['/headers/70000',   qr/./,                         'a large header'],
    ['/silent timeout:150', qr/no answer within 150 ms/, 'no answer'],
);
for my $fault (@faults) {
    my ($path, $cause, $name) = @$fault;
    # The other call is there before and after it.
    my $came = $calls->ask("call other $to POST /together/2/body/7 scheme:h2c; call a $to POST $path scheme:h2c; "
        . "\@a call more $to POST /together/2/body/7 scheme:h2c; answer 200");
    is_deeply($came->{a}{counts}, [0, 0, 0], "$name: the callback has nothing");
    like($calls->failure($to), $cause, 'the log says why');
    is_deeply([map { $came->{$_}{body} } qw( other more )], ['b' x 7, 'b' x 7], 'the other streams live');
}
is($peer->stats('plain')->{connections}, 1, 'all that was one connection');
my $resets = $peer->stats('plain')->{resets};
$calls->ask("call a $to GET /silent scheme:h2c timeout:100; answer 200");
$peer->wait_for('plain', 'resets', $resets + 1);
pass('a call that has timed out is reset');

# Faults of a connection.
for my $fault (['/goaway', 'GOAWAY'], ['/cut', 'the end of the connection'], ['/cut-later', 'the end in the body'], ['/garbage', 'what is no HTTP/2'],
    ['/bad-header', 'a header that HTTP/2 does not have'], ['/no-status', 'no status'])
{
    my ($path, $name) = @$fault;
    my $a = $calls->ask("call a $to POST $path scheme:h2c body:x; answer 200")->{a};
    is_deeply($a->{counts}, [0, 0, 0], "$name: the callback has nothing");
    isnt($calls->failure($to), '', 'one line of the log says why');
    is($calls->ask("call a $to GET /body/3 scheme:h2c; answer 200")->{a}{body}, 'bbb', 'the next call is answered');
}
$came = $calls->ask("call a $to GET /last scheme:h2c; answer 200");
is($came->{a}{body}, 'last', 'an answer before GOAWAY');
is($calls->ask("call a $to GET /body/3 scheme:h2c; answer 200")->{a}{body}, 'bbb', 'the next call has another connection');
$calls->fails('127.0.0.1:' . $peer->port('silent'), 'GET / scheme:h2c timeout:150', qr/no answer within 150 ms/, 'a service that says nothing at all');

# All streams of a connection that ends.
$came = $calls->ask("call w $to POST /silent scheme:h2c times:10; call a $to POST /cut scheme:h2c; answer 200");
is_deeply([map { $_->{counts}[0] } @{ $came->{events} }], [(0) x 11], 'an end for all streams of a connection');
is($calls->ask("call a $to GET /body/3 scheme:h2c; answer 200")->{a}{body}, 'bbb', 'the next call is answered');

# A limit of streams.
is($calls->ask("call a $few GET /body/3 scheme:h2c; answer 200")->{a}{body}, 'bbb', 'a service that takes two streams at a time');
$came = $calls->ask("call a $few GET /body/9 scheme:h2c times:20; answer 200");
is_deeply([map { $came->{"a$_"}{body} } 1 .. 20], [('b' x 9) x 20], '20 calls at once');
cmp_ok($peer->stats('few')->{most}, '<=', 2, 'which never got more');
$came = $calls->ask("call s $few GET /silent scheme:h2c times:2 timeout:200; call a $few GET /body/9 scheme:h2c; answer 200");
is($came->{a}{body}, 'b' x 9, 'one that has to wait for others is answered');

# How many requests a connection has, and how many connections are kept.
my $counted = '127.0.0.1:' . $peer->port('counted');
my @used = map { $calls->ask("call a $counted GET /echo scheme:h2c; answer 200", path => '/counted')->{a}{echo}{connection} } 1 .. 10;
is_deeply(\@used, [(1) x 5, (2) x 5], 'wasm_call_keepalive_requests');
$peer->wait_for('counted', 'open', 0);
pass('connections that have had theirs are closed');
my $burst = '127.0.0.1:' . $peer->port('burst');
$came = $calls->ask("call a $burst GET /echo scheme:h2c times:6; answer 200", path => '/burst');
is_deeply([map { $_->{status} } @{ $came->{events} }], [(200) x 6], 'calls that begin together without a connection');
$peer->wait_for('burst', 'open', $peer->stats('burst')->{connections} < 2 ? 1 : 2);
pass('wasm_call_keepalive: not all of their connections are kept');

$calls->finish;
done_testing();
