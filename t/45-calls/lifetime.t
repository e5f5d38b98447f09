# What may end while a call is under way: the client, the instance, the worker. And how many calls there may be.

use strict;
use warnings;

use HTTP::Tiny;
use Test::More;

use Calls;
use Peer;
use RawClient;

Peer->needs('python3');
my $peer   = Peer->fault('plain=127.0.0.1');
my $target = '127.0.0.1:' . $peer->port;
my %part   = (
    modules => [['assemblyscript', 'assemblyscript-calls'], ['other', 'rust-calls']],
    http    => 'wasm_max_calls 100;',
    server  => <<"CONF",
location /as      { proxy_wasm assemblyscript; return 200 "ok\\n"; }
location /few     { wasm_max_calls 3; proxy_wasm calls; return 200 "ok\\n"; }
location /other   { proxy_wasm other; return 200 "ok\\n"; }
CONF
);
my $calls = Calls->new('calls-lifetime', %part);
my $nginx = $calls->{nginx};
my ($worker) = $nginx->workers;

# A request whose call is answered when release() says so.
my $held = 0;
sub hold {
    my ($path, %option) = @_;
    $held++;
    my $client = RawClient->new($nginx->port);
    my $words = $option{words} // "call a $target GET /together/2/body/$held; answer 200";
    $client->send("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-calls: $words\r\n\r\n");
    return $client;
}
sub release { HTTP::Tiny->new->get("http://$target/together/2/body/$held") }
sub arrived {
    my $before = shift;
    $nginx->wait_for('the call', sub { ($peer->stats('plain')->{requests} // 0) > $before });
}
sub requests { return $peer->stats('plain')->{requests} // 0 }

# The client leaves.
my $before = requests();
my $client = hold('/as', words => "$target GET /together/2/body/1");
arrived($before);
$client->close;
$nginx->wait_for('the end of the request', sub { $nginx->read('logs/access.log') =~ m{"GET /as HTTP/1\.1" 499} });
release();
is($nginx->get('/as', { 'x-calls' => "$target GET /status/200" })->{content}, "200 status 200\n", 'the client has left: others are served');
$before = requests();
$client = hold('/t');
arrived($before);
$client->close;
$nginx->wait_for('the end of the request', sub { $nginx->read('logs/access.log') =~ m{"GET /t HTTP/1\.1" 499} });
release();
is($calls->ask("call a $target GET /status/200; answer 200")->{a}{status}, 200, 'so with another SDK');
is(($nginx->workers)[0], $worker, 'by the same worker');

# The filter traps while calls of other requests are under way.
$before = requests();
$client = hold('/other');
arrived($before);
is($nginx->get('/other', { 'x-calls' => 'trap' })->{status}, 503, 'a request makes the filter trap');
my $answer = $client->response;
is($answer->{status}, 503, 'the request that waited for a call is answered');
release();
is($nginx->get('/other', { 'x-calls' => '' })->{status}, 200, 'the next instance serves');
my $came = $calls->ask("call a $target GET /status/203; answer 200", path => '/other');
is($came->{a}{status}, 203, 'with calls of its own');
is(scalar @{ $came->{events} }, 1, 'and hears nothing of those before it');

# Callbacks that go wrong.
is($nginx->get('/other', { 'x-calls' => "call a $target GET /echo; \@a trap; answer 200" })->{status}, 503, 'a callback that traps');
is($nginx->get('/other', { 'x-calls' => "call a $target GET /echo; \@a loop; answer 200" })->{status}, 503, 'one that does not end');
$nginx->wait_for('another instance', sub { $nginx->get('/other', { 'x-calls' => '' })->{status} == 200 });
is(($nginx->workers)[0], $worker, 'all by the same worker');
is($calls->ask("call a $target GET /status/200; answer 200")->{a}{status}, 200, 'other filters are not touched');

# How many.
$came = $calls->ask("call a $target GET /delay/50/status/200 times:5; answer 200", path => '/few');
is_deeply([sort map { $_->{status} } @{ $came->{events} }], [200, 200, 200, 'InternalFailure', 'InternalFailure'], 'wasm_max_calls');
like($calls->log, qr/wasm_max_calls/, 'the log names it');
$came = $calls->ask("call a $target GET /status/200 times:3; answer 200", path => '/few');
is_deeply([map { $_->{status} } @{ $came->{events} }], [200, 200, 200], 'calls that have ended do not count');
$came = $calls->ask("call a $target GET /cut/headers times:3; \@a1 call b $target GET /status/200; answer 200", path => '/few');
is($came->{b}{status}, 200, 'nor do those that have failed, already in their callback');

# A reload.
$before = requests();
$client = hold('/t');
arrived($before);
$nginx->signal('HUP');
$nginx->wait_for('a new worker', sub { my @new = $nginx->workers; @new && $new[0] != $worker });
is($calls->ask("call a $target GET /status/200; answer 200")->{a}{status}, 200, 'after a reload the new worker calls');
ok(kill(0, $worker), 'the old one waits');
release();
my $report = $calls->read(JSON::PP::decode_json($client->response->{body} // '{}'));
is($report->{a}{status}, 200, 'until its call has come, and answers');
$nginx->wait_for('its end', sub { !kill 0, $worker });

# Calls at the start: of the workers, not of who only looks whether the filter starts.
$before = requests();
$calls->configure(%part, server => "location /start { proxy_wasm calls '\@configure call a $target GET /status/207'; return 200 ok; }");
my ($ok) = $nginx->test;
ok($ok, 'a filter that calls when it starts');
$nginx->signal('HUP');
($worker) = $nginx->workers;
$nginx->wait_for('the answer', sub { $nginx->log =~ /a response: \d+\/10\/0 207/ });
is(requests() - $before, 1, 'does so in the worker alone');

# The end.
$nginx->wait_for('one worker', sub { my @workers = $nginx->workers; @workers == 1 });
$before = requests();
$client = hold('/t');
arrived($before);
my $master = $nginx->pid;
$nginx->signal('QUIT');
$nginx->wait_for('the signal', sub { $nginx->log =~ /gracefully shutting down.*\z/s && !listens($nginx->port) });
release();
$report = $calls->read(JSON::PP::decode_json($client->response->{body} // '{}'));
is($report->{a}{status}, 200, 'a worker that is told to go answers before');
$nginx->wait_for('the end', sub { !kill 0, $master });
my @bad = grep {/\[(?:alert|emerg)\]|panicked at (?!calls)|exited on signal|left in connection/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');

done_testing();

# Whether somebody listens.
sub listens { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => shift) }
