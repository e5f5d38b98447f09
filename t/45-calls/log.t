# Where lines about calls go: those of a callback, and the one that says why a call failed, name the client and the request that
# the call was made for, as long as that lives, and stand in its log. Others stand in the log of the process.

use strict;
use warnings;

use HTTP::Tiny;
use Test::More;

use Calls;
use Peer;
use RawClient;

Peer->needs('python3');
my $peer   = Peer->fault('plain=127.0.0.1', 'closed=127.0.0.1,closed');
my $target = '127.0.0.1:' . $peer->port;
my $closed = '127.0.0.1:' . $peer->port('closed');
my $calls  = Calls->new(
    'calls-log',
    server => <<"CONF",
location /own { proxy_wasm calls; error_log logs/own.log info; return 200 "ok\n"; }
location /quiet { proxy_wasm calls; error_log logs/quiet.log error; return 200 "ok\n"; }
location /tick { proxy_wasm calls 'tick 20; \@tick call a $closed GET /; answer-tick 200'; return 200 "ok\n"; }
CONF
);
my $nginx = $calls->{nginx};

# The lines of a log that say this.
sub lines { my ($words, $log) = @_; return grep {/$words/} split /\n/, $log // $calls->log }

sub one {
    my ($words, $wanted, $name, $log) = @_;
    my @lines = lines($words, $log);
    is(scalar @lines, 1, "$name: one line") or diag(join "\n", @lines);
    return like($lines[0] // '', $wanted, $name);
}

my $about = qr/, client: 127\.0\.0\.1, server: [^,]*, request: "GET \/asked HTTP\/1\.1", host: "/;
$calls->ask("call a $target GET /status/200; \@a log it came; answer 200", path => '/asked');
one(qr/wasm "calls": it came/, qr/\*\d+ wasm "calls": it came$about/, 'a line of the guest');
$calls->ask("call a $closed GET /; answer 200", path => '/asked');
one(qr/call \d+ to "\Q$closed\E" failed/, qr/failed: [^,]*Connection refused[^,]*$about/, 'why a call failed');
$calls->ask("call a $target GET / h:x=a%0ab; answer 200", path => '/asked');
one(qr/failed: the header "x" has a value that cannot be sent/, $about, 'why one cannot be sent');
$calls->ask("call a $target GET /status/200; \@a trap; wait", path => '/asked', raw => 1);
one(qr/proxy_on_http_call_response trapped/, qr/\[crit\] .*$about/, 'a trap');
unlike($calls->log, qr/no request/, 'which is about a request');
$calls->ask("call a $target GET /status/200; \@a call b $closed GET /; \@b log the second; answer 200", path => '/asked');
one(qr/the second/, $about, 'calls from callbacks of calls');

# The log of the location, and its level.
$calls->ask("call a $closed GET /; \@a log it failed; answer 200", path => '/own');
one(qr/it failed/, qr/request: "GET \/own /, 'the error_log of the location', $nginx->read('logs/own.log'));
one(qr/failed: .*Connection refused/, qr/request: "GET \/own /, 'for failures, too', $nginx->read('logs/own.log'));
is(scalar lines(qr/it failed|Connection refused/), 0, 'and no other');
$calls->ask("call a $closed GET /; \@a log it failed; answer 200", path => '/quiet');
is(scalar lines(qr/it failed/, $nginx->read('logs/quiet.log')), 0, 'what the level leaves out is left out');
one(qr/failed: .*Connection refused/, qr/request: "GET \/quiet /, 'and what it does not is not', $nginx->read('logs/quiet.log'));

# A request that has gone, and a call that was made for none.
my $client = RawClient->new($nginx->port);
my $before = $peer->stats('plain')->{requests};
$calls->{from} = length $nginx->log;
my $words = "call a $target GET /together/2/body/1; \@done log the end; \@done wait; \@a log too late; wait";
$client->send("GET /left HTTP/1.1\r\nHost: a\r\nx-calls: $words\r\n\r\n");
$peer->wait_for('plain', 'requests', $before + 1);
$client->close;
$nginx->wait_for('the end of the request', sub { $calls->log =~ /the end/ });
HTTP::Tiny->new->get("http://$target/together/2/body/1");
$nginx->wait_for('the callback', sub { $calls->log =~ /too late/ });
one(qr/too late/, qr/wasm "calls": too late$/, 'when the client has left, the line names nobody');
$calls->{from} = length $nginx->log;
$nginx->get('/tick');
my @ticks = lines(qr/call \d+ to "\Q$closed\E" failed/);
like($ticks[-1], qr/Connection refused \(os error \d+\)$/, 'a call of a tick names nobody');

my @bad = grep {/\[(?:alert|emerg)\]|exited on signal/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');
done_testing();
