# Connections that are kept for the next call: how many, how long, for how many requests, and that nothing hangs on them.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3');
my @names = qw( many none two timed requests closing group reload quit );
my $peer  = Peer->fault(map {"$_=127.0.0.1"} @names);
my %at    = map { $_ => '127.0.0.1:' . $peer->port($_) } @names;
my $call  = 'proxy_wasm calls; return 200 "ok\n";';
my $calls = Calls->new(
    'calls-keepalive',
    http   => "upstream group { server $at{group}; }",
    server => <<"CONF",
location /none     { wasm_call_keepalive 0; $call }
location /two      { wasm_call_keepalive 2; $call }
location /timed    { wasm_call_keepalive_timeout 200ms; $call }
location /requests { wasm_call_keepalive_requests 2; $call }
CONF
);

# Calls one after the other, and the numbers of the connections that they came over.
sub connections {
    my ($target, $path, $count) = @_;
    return [map { $calls->ask("call a $target GET /echo; answer 200", path => $path)->{a}{echo}{connection} } 1 .. $count];
}

is_deeply(connections($at{many}, '/t', 5), [(1) x 5], 'a connection is used again');
is_deeply(connections($at{none}, '/none', 5), [1 .. 5], 'wasm_call_keepalive 0: it is not');
$peer->wait_for('none', 'open', 0);
pass('but closed');
is_deeply(connections($at{requests}, '/requests', 5), [1, 1, 2, 2, 3], 'wasm_call_keepalive_requests');

my $came = $calls->ask("call a $at{two} GET /together/6/echo times:6; answer 200", path => '/two');
is_deeply([sort map { $_->{echo}{connection} } @{ $came->{events} }], [1 .. 6], 'six at the same time need six');
$peer->wait_for('two', 'open', 2);
pass('wasm_call_keepalive: two are kept');
$came = $calls->ask("call a $at{two} GET /together/2/echo times:2; answer 200", path => '/two');
is($peer->stats('two')->{connections}, 6, 'and used');
is($came->{a2}{status}, 200, 'both');

is_deeply(connections($at{timed}, '/timed', 1), [1], 'wasm_call_keepalive_timeout');
$peer->wait_for('timed', 'open', 0);
pass('the connection is closed in time');
is_deeply(connections($at{timed}, '/timed', 1), [2], 'and the next call has another');

# What ends a connection.
is($calls->ask("call a $at{closing} GET /last; answer 200")->{a}{body}, 'last', 'Connection: close');
is_deeply(connections($at{closing}, '/t', 2), [2, 2], 'the next call has another');
is($calls->ask("call a $at{closing} GET /closing; answer 200")->{a}{body}, 'closing', 'a service that closes without a word');
$peer->wait_for('closing', 'open', 0);
is_deeply(connections($at{closing}, '/t', 2), [3, 3], 'the next call has another');
is($calls->ask("call a $at{closing} GET /http10; answer 200")->{a}{body}, 'old', 'HTTP/1.0');
is_deeply(connections($at{closing}, '/t', 2), [4, 4], 'the next call has another');
$calls->ask("call a $at{closing} GET /silent timeout:50; answer 200");
is_deeply(connections($at{closing}, '/t', 2), [5, 5], 'after a time-out too');
$calls->ask("call a $at{closing} HEAD /echo; answer 200");
$calls->ask("call a $at{closing} GET /status/$_; answer 200") for 204, 304;
is_deeply(connections($at{closing}, '/t', 1), [5], 'answers without body leave it open');

# The same service by another name has connections of its own; headers do not matter.
is_deeply(connections('group', '/t', 2), [1, 1], 'an upstream block');
is($calls->ask("call a group GET /echo authority:another h:x=1; answer 200")->{a}{echo}{connection}, 1, 'with another Host');

# Neither reload nor the end waits for connections that nobody uses.
my $nginx = $calls->{nginx};
is_deeply(connections($at{reload}, '/t', 1), [1], 'a connection is kept');
my @old = $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('new workers', sub { my @new = $nginx->workers; @new && !grep { kill 0, $_ } @old });
$peer->wait_for('reload', 'open', 0);
pass('a reload closes it');
is_deeply(connections($at{reload}, '/t', 2), [2, 2], 'and the new workers have their own');
$calls->finish;
my $master = $nginx->pid;
$nginx->signal('QUIT');
$nginx->wait_for('the end', sub { !kill 0, $master });
$peer->wait_for('reload', 'open', 0);
pass('so does the end');
unlike($nginx->log, qr/open socket .* left/, 'nothing is left open');

done_testing();
