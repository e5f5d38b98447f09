# Whom a call goes to: upstream blocks with all that they do, addresses, sockets, names from the resolver.

use strict;
use warnings;

use HTTP::Tiny;
use Test::More;

use Calls;
use Peer;

Peer->needs('python3');
my $sockets = "$ENV{TEST_WASM_ROOT}/build/t/calls-targets-sockets";
mkdir $sockets;
unlink glob "$sockets/*";
my @names = qw( one two three );
my $peer  = Peer->fault(
    map({"$_=127.0.0.1"} @names), 'six=::1', 'closed=127.0.0.1,closed', 'reset=127.0.0.1,reset', 'dns=127.0.0.1,dns',
    'silent=127.0.0.1,silent', "socket=unix:$sockets/service.sock",
);
my %at    = map { $_ => '127.0.0.1:' . $peer->port($_) } @names, qw( closed reset silent dns );
my $call  = 'proxy_wasm calls; return 200 "ok\n";';
my $calls = Calls->new(
    'calls-targets',
    http => <<"CONF",
upstream alternating { server $at{one}; server $at{two}; }
upstream weighted    { server $at{one} weight=3; server $at{two}; }
upstream marked      { server $at{one} down; server $at{two}; }
upstream reserved    { server $at{closed} max_fails=1 fail_timeout=1h; server $at{three} backup; }
upstream failing     { server $at{closed} max_fails=1 fail_timeout=1h; server $at{two}; }
upstream resetting   { server $at{reset} max_fails=1 fail_timeout=1h; server $at{two}; }
upstream dead        { server $at{closed}; }
upstream all_down    { server $at{one} down; server $at{two} down; }
upstream kept        { server $at{one}; keepalive 4; }
upstream busy        { least_conn; server $at{one}; server $at{two}; }
upstream hashed      { hash \$arg_key consistent; server $at{one}; server $at{two}; server $at{three}; }
upstream by_agent    { hash \$http_user_agent; server $at{one}; server $at{two}; server $at{three}; }
upstream by_method   { hash \$request_method\$http_x_key; server $at{one}; server $at{two}; server $at{three}; }
upstream by_address  { ip_hash; server $at{one}; server $at{two}; server $at{three}; }
upstream by_chance   { random two; server $at{one}; server $at{two}; }
upstream a_socket    { server unix:$sockets/service.sock; }
upstream sixth       { server [::1]:@{[ $peer->port('six') ]}; }
upstream with.dots   { server $at{one}; }
upstream some-host   { server $at{two}; }
CONF
    server => <<"CONF",
location /resolver { resolver $at{dns} ipv6=off; resolver_timeout 30s; $call }
location /six      { resolver $at{dns}; resolver_timeout 30s; $call }
location /short    { resolver $at{dns} ipv6=off; resolver_timeout 200ms; $call }
location /proxied  { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://kept/echo; }
location /mixed    { proxy_wasm calls; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://kept/echo; }
location /root     { proxy_wasm calls 'tick 20; \@tick call a hashed GET /echo?key=b; \@tick call b by_address GET /echo; answer-tick 200';
    return 200 "ok\\n"; }
CONF
);
my %named = (map({ ($peer->port($_) => $_) } @names));

# Who has got how many requests since the last time.
my %before = map { $_ => 0 } @names;
sub got {
    my $stats = $peer->stats;
    my %got = map { my $all = $stats->{$_}{requests} // 0; my $new = $all - $before{$_}; $before{$_} = $all; ($_ => $new) } @names;
    delete $got{$_} for grep { !$got{$_} } keys %got;
    return \%got;
}

sub statuses {
    my ($target, $count, $rest) = @_;
    my $came = $calls->ask("call a $target GET /status/200?key=a times:$count; answer 200");
    return [map { $came->{ $count > 1 ? "a$_" : 'a' }{status} } 1 .. $count];
}

# Upstream blocks.
is_deeply(statuses('alternating', 6), [(200) x 6], 'an upstream block');
is_deeply(got(), { one => 3, two => 3 }, 'whose servers take turns');
is_deeply(statuses('weighted', 8), [(200) x 8], 'weights');
is_deeply(got(), { one => 6, two => 2 }, 'count');
is_deeply(statuses('marked', 4), [(200) x 4], 'a server that is down');
is_deeply(got(), { two => 4 }, 'gets nothing');
my $statuses = statuses('failing', 2);
is_deeply(statuses('failing', 6), [(200) x 6], 'a server that has failed');
is_deeply([grep { $_ != 200 && $_ != 0 } @$statuses], [], 'is not tried again');
is(got()->{two}, 6 + grep({ $_ == 200 } @$statuses), 'the other one has all requests');
statuses('resetting', 2);
is_deeply(statuses('resetting', 6), [(200) x 6], 'so with one that resets connections');
got();
statuses('reserved', 1);
is_deeply(statuses('reserved', 4), [(200) x 4], 'a backup server');
cmp_ok(got()->{three}, '>=', 4, 'steps in');
is_deeply(statuses('busy', 4), [(200) x 4], 'least_conn');
is_deeply(got(), { one => 2, two => 2 }, 'with calls at the same time');
is_deeply(statuses('by_chance', 6), [(200) x 6], 'random');
got();
for my $way (qw( hashed by_address )) {
    is_deeply(statuses($way, 5), [(200) x 5], "$way: a server is chosen");
    my $got = got();
    is_deeply([values %$got], [5], 'the same for the same key');
}
for my $way ('by_agent GET', 'by_method PATCH') {
    my $came = $calls->ask("call a $way /status/200 times:6 h:user-agent=some h:x-key=one; answer 200");
    is_deeply([map { $came->{"a$_"}{status} } 1 .. 6], [(200) x 6], "$way: a server is chosen");
    is_deeply([values %{ got() }], [6], 'the same for the same call');
}
my $report = $calls->read(JSON::PP::decode_json($calls->{nginx}->get('/root')->{content}));
is_deeply([map { $report->{$_}{status} } qw( a b )], [200, 200], 'from a tick, where there is no request');
got();
is_deeply(statuses('a_socket', 2), [200, 200], 'a Unix socket');
is_deeply(statuses('sixth', 2), [200, 200], 'IPv6');
is_deeply(statuses('with.dots', 1), [200], 'a block with dots in its name is not asked from the resolver');
is_deeply(statuses('some-host', 1), [200], 'nor one that looks like a host');
is_deeply(statuses('Alternating', 1), [200], 'the case of the name does not count, as for proxy_pass');
is($calls->ask('call a alternating GET /echo; answer 200')->{a}{echo}{headers}{host}, 'alternating', 'Host is what :authority says');
$calls->fails('dead', 'GET /', qr/refused|no live/i, 'all servers are dead');
$calls->fails('all_down', 'GET /', qr/no live|down|available/i, 'all servers are down');

# The connections that proxy_pass keeps are those of the block, and ours do not get into their way.
got();
for my $n (1 .. 5) {
    is($calls->{nginx}->get('/proxied')->{status}, 200, 'proxy_pass to the block');
    is_deeply(statuses('kept', 2), [200, 200], 'and calls to it');
    my $response = $calls->ask('call a kept GET /status/200; wait', path => '/mixed', raw => 1);
    is($response->{status}, 200, 'both in one request');
}
is_deeply(got(), { one => 25 }, 'all requests came');
cmp_ok($peer->stats('one')->{open}, '<=', 10, 'over connections that are kept');

# Addresses.
is_deeply(statuses($at{one}, 1), [200], 'address and port');
is_deeply(statuses('[::1]:' . $peer->port('six'), 1), [200], 'an IPv6 address');
my $came = $calls->ask("call a unix:$sockets/service.sock GET /echo authority:some.host; answer 200");
is($came->{a}{echo}{headers}{host}, 'some.host', 'a Unix socket');
$came = $calls->ask("call a $_ GET / authority:a; answer 200"), is($came->{a}{status}, 'BadArgument', "'$_' is no target")
    for 'no_such_upstream', 'not%20a%20host', '127.0.0.1:port', '127.0.0.1:99999', 'unix:', '[::1', '%00', 'a' x 300;

# The resolver.
my $port = $peer->port('one');
for my $name (qw( v4.test both.test V4.TEST )) {
    $came = $calls->ask("call a $name:$port GET /echo; answer 200", path => '/resolver');
    is($came->{a}{status}, 200, "$name is found");
}
is($calls->ask("call a v6.test:@{[ $peer->port('six') ]} GET /echo; answer 200", path => '/six')->{a}{status}, 200, 'an address of IPv6');
$came = $calls->ask("call a v4.test:$port GET /echo times:10; answer 200", path => '/resolver');
is_deeply([map { $came->{"a$_"}{status} } 1 .. 10], [(200) x 10], 'ten at the same time');
cmp_ok($peer->stats('dns')->{v4}, '<=', 2, 'the answer of the resolver is kept');
my @unknown = (
    ['gone.test',   '/resolver', qr/gone\.test.*(?:not found|could not be resolved)|NXDOMAIN|Host not found/i, 'a name that does not exist'],
    ['broken.test', '/resolver', qr/broken\.test|Server failure|resolve/i,                                     'a server that cannot tell'],
    ['empty.test',  '/resolver', qr/empty\.test|Host not found|resolve|no addresses/i,                         'a name without addresses'],
    ['silent.test', '/short',    qr/timed out/i,                                                               'no answer from the resolver'],
);
for my $unknown (@unknown) {
    my ($name, $path, $cause, $what) = @$unknown;
    $came = $calls->ask("call a $name:$port GET /echo; call b $at{one} GET /status/200; answer 200", path => $path);
    is_deeply([$came->{a}{counts}, $came->{b}{status}], [[0, 0, 0], 200], "$what: the callback has nothing");
    like($calls->failure("$name:$port"), $cause, 'the log says why');
}
is($calls->ask("call a v4.test:$port GET /; answer 200")->{a}{status}, 'BadArgument', 'without a resolver no such target');
is($calls->ask("call a localhost:$port GET /echo; answer 200")->{a}{status}, 200, 'but localhost needs none');
$came = $calls->ask("call a silent.test:$port GET /echo timeout:200; answer 200", path => '/resolver');
is_deeply($came->{a}{counts}, [0, 0, 0], 'the time of the call counts for the resolver, too');

$calls->finish;
done_testing();
