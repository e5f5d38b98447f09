# Calls that fail: each has its callback, once and with nothing in it, and a line of the error log names target and cause.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3');
my $calls = Calls->new('calls-failures', server => <<'CONF');
location /small { wasm_call_response_buffer 4k; proxy_wasm calls; return 200 "ok\n"; }
CONF
my $folder = $calls->{nginx}->prefix;
my $peer = Peer->fault('plain=127.0.0.1', 'reset=127.0.0.1,reset', 'closed=127.0.0.1,closed', "socket=unix:$folder/service.sock");
my $target = '127.0.0.1:' . $peer->port;

$calls->fails('127.0.0.1:' . $peer->port('closed'), 'GET /', qr/Connection refused/, 'nobody listens');
$calls->fails('localhost:' . $peer->port('closed'), 'GET /', qr/127\.0\.0\.1:\d+: .*refused.*; .*\[::1\]:\d+: .*refused/,
    'nobody listens at any address');
$calls->fails("unix:$folder/none.sock", 'GET / authority:a', qr/No such file/, 'no such socket');
$calls->fails('127.0.0.1:' . $peer->port('reset'), 'GET /echo', qr/reset|closed/, 'a reset at once');

my @faults = (
    ['/reset/request',   qr/reset|closed/i,         'a reset in place of the answer'],
    ['/reset/headers',   qr/reset|closed/i,         'a reset in the headers'],
    ['/reset/body',      qr/reset|closed/i,         'a reset in the body'],
    ['/reset/chunk',     qr/reset|closed/i,         'a reset in a chunk'],
    ['/cut/request',     qr/closed|end/i,           'an end in place of the answer'],
    ['/cut/headers',     qr/closed|end|complete/i,  'an end in the headers'],
    ['/cut/body',        qr/closed|end/i,           'an end in the body'],
    ['/cut/chunk',       qr/closed|end/i,           'an end in a chunk'],
    ['/garbage',         qr/./,                     'what is not HTTP'],
    ['/bad-status',      qr/./,                     'a bad status'],
    ['/bad-header',      qr/./,                     'a header without a colon'],
    ['/bad-length',      qr/./,                     'a bad content-length'],
    ['/two-lengths',     qr/./,                     'two lengths'],
    ['/bad-chunk',       qr/./,                     'a bad chunk'],
    ['/switch',          qr/./,                     'another protocol'],
    ['/headers/1048576', qr/large|big/i,            'a header of 1 MiB'],
    ['/endless-headers', qr/large|big|many/i,       'headers without end'],
    ['/body/1048577',    qr/large|big|wasm_call_response_buffer/i, 'a body of more than 1 MiB'],
    ['/chunked/1048577', qr/large|big|wasm_call_response_buffer/i, 'one in chunks'],
    ['/endless',         qr/large|big|wasm_call_response_buffer/i, 'a body without end'],
);
for my $fault (@faults) {
    my ($path, $cause, $name) = @$fault;
    $calls->fails($target, "GET $path", $cause, $name);
}
$peer->wait_for('plain', 'open', 0);
pass('none of these connections is kept');

# Just what fits.
my $came = $calls->ask("call a $target GET /body/1048576; answer 200");
is($came->{a}{counts}[1], 1_048_576, 'a body of 1 MiB fits');
$came = $calls->ask("call a $target GET /body/4096; call b $target GET /body/4097; call c $target GET /chunked/4097; answer 200", path => '/small');
is_deeply([map { $came->{$_}{counts}[1] } qw( a b c )], [4096, 0, 0], 'wasm_call_response_buffer is how much fits');
like($calls->log, qr/failed: .*wasm_call_response_buffer/, 'and the log names it');

# The request goes on, and so do other calls.
$came = $calls->ask("call a $target GET /reset/body; call b $target GET /body/5; call c $target GET /garbage; answer 200");
is_deeply([map { $came->{$_}{counts}[1] } qw( a b c )], [0, 5, 0], 'failures and answers side by side');
for my $place (qw( request-headers request-body response-headers response-body )) {
    my $response = $calls->ask(
        "\@$place call a $target GET /cut/headers; \@$place wait; \@a log nothing came",
        path => '/t', body => 'body', raw => 1
    );
    is("$response->{status} $response->{content}", "200 ok\n", "a failure in $place: the request goes on");
    like($calls->log, qr/nothing came/, 'after the callback');
}
$came = $calls->ask("call a $target GET /cut/headers; \@a call b $target GET /status/204; \@b call c $target GET /garbage; answer 200");
is_deeply([map { $came->{$_}{status} } qw( a b c )], [0, 204, 0], 'calls from the callback of one that has failed');

# A connection that was kept, and that the service closes as the next request comes: HTTP does not repeat a POST by itself.
for (1 .. 10) {
    $came = $calls->ask("call a $target GET /closing; \@a call b $target GET /status/200; answer 200");
    is($came->{a}{body}, 'closing', 'an answer before an end without a word');
    is($came->{b}{status}, 200, 'and the next call');
}
$came = $calls->ask("call a $target GET /extra; \@a call b $target GET /echo; answer 200");
is($came->{a}{body}, 'enough', 'more bytes than the answer has');
is($came->{b}{echo}{target}, '/echo', 'are not taken for the next answer');

# Many that fail at once.
$came = $calls->ask("call a $target GET /reset/headers times:25; call b 127.0.0.1:" . $peer->port('closed') . " GET / times:25; answer 200");
is_deeply([map { $_->{counts}[0] } @{ $came->{events} }], [(0) x 50], '50 failures at once');
is(scalar $calls->failures($target), 25, 'a line for each');

$calls->finish;
done_testing();
