# Calls over TLS: whose certificate is good, and which parts of the configuration say so.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3', 'openssl');
my %file = Peer->certificates("$ENV{TEST_WASM_ROOT}/build/t/calls-tls-certificates");
my %listener = (
    map({ ($_ => "127.0.0.1,cert=$file{$_}.crt,key=$file{$_}.key") } qw( server other expired self chained )),
    asking => "127.0.0.1,cert=$file{server}.crt,key=$file{server}.key,ca=$file{ca}.crt",
    six    => "::1,cert=$file{server}.crt,key=$file{server}.key",
    plain  => '127.0.0.1',
    silent => '127.0.0.1,silent',
    closed => '127.0.0.1,closed',
    dns    => '127.0.0.1,dns',
);
my $peer = Peer->fault(map {"$_=$listener{$_}"} sort keys %listener);
my %at   = map { $_ => '127.0.0.1:' . $peer->port($_) } keys %listener;
my $own  = "wasm_ssl_trusted_certificate $file{ca}.crt;";
my @certificate = ("wasm_ssl_certificate $file{client}.crt;", "wasm_ssl_certificate_key $file{client}.key;");
my $call = 'proxy_wasm calls; return 200 "ok\n";';
my $calls = Calls->new(
    'calls-tls',
    http => "$own resolver 127.0.0.1:@{[ $peer->port('dns') ]} ipv6=off; "
        . "upstream service.test { server $at{server}; } upstream named { server $at{server}; }",
    server => <<"CONF",
location /off      { wasm_ssl_verify off; $call }
location /stranger { wasm_ssl_trusted_certificate $file{stranger}.crt; $call }
location /client   { @certificate $call }
location /old      { wasm_ssl_protocols TLSv1.2; $call }
location /ciphers  { wasm_ssl_protocols TLSv1.2; wasm_ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384; $call }
location /ten      { wasm_ssl_protocols TLSv1.1; $call }
location /always   { wasm_call_ssl on; $call }
location /never    { wasm_call_ssl off; $call }
location /depth    { wasm_ssl_verify_depth 0; $call }
location /deeper   { wasm_ssl_verify_depth 1; $call }
CONF
);

sub ask {
    my ($target, $path, $rest) = @_;
    $rest //= '';
    return $calls->ask("call a $target GET /echo scheme:https $rest; answer 200", path => $path // '/t')->{a};
}

my $a = ask($at{server}, '/t', 'authority:localhost');
is($a->{status}, 200, 'a certificate for this name, from an authority that is trusted');
like($a->{echo}{tls}, qr/^TLSv1\.[23]$/, 'it was TLS');
is($a->{echo}{headers}{host}, 'localhost', 'with the host of :authority');
is(ask($at{server}, '/t', 'authority:service.test:8443')->{status}, 200, 'a name with a port');
is(ask($at{server}, '/t')->{status}, 200, 'an address that the certificate has');
is(ask('[::1]:' . $peer->port('six'), '/t')->{status}, 200, 'one of IPv6');
is(ask('service.test', '/t')->{status}, 200, 'an upstream block of the name in the certificate');
is(ask('named', '/t', 'authority:service.test')->{status}, 200, 'one of another name, by :authority');
is(ask('v4.test:' . $peer->port('server'), '/t')->{status}, 200, 'a name from the resolver');

my @bad = (
    [$at{server},  'authority:wrong.test', qr/certificate|name|host/i,           'a certificate for another name'],
    [$at{other},   'authority:localhost',  qr/certificate|name|host/i,           'the same'],
    [$at{expired}, 'authority:localhost',  qr/expired/i,                         'one that has expired'],
    [$at{self},    'authority:localhost',  qr/self[- ]signed|certificate/i,      'one that nobody else has signed'],
    [$at{plain},   'authority:localhost',  qr/SSL|TLS|wrong version|handshake/i, 'a service without TLS'],
    [$at{closed},  'authority:localhost',  qr/refused/i,                         'nobody listens'],
    [$at{silent},  'authority:localhost timeout:300', qr/no answer within 300 ms/,  'no handshake'],
);
for my $bad (@bad) {
    my ($target, $rest, $cause, $name) = @$bad;
    $calls->fails($target, "GET /echo scheme:https $rest", $cause, $name);
}
is($peer->stats('server')->{requests} + 0, 7 - 1, 'no request went over a connection that was not verified');
$a = ask($at{server}, '/stranger', 'authority:localhost');
is_deeply($a->{counts}, [0, 0, 0], 'an authority that the location does not trust');
like($calls->failure($at{server}), qr/certificate/i, 'the log says so');
for my $name (qw( other expired self )) {
    is(ask($at{$name}, '/off', 'authority:localhost')->{status}, 200, "wasm_ssl_verify off: $name will do");
}
is(ask($at{chained}, '/t', 'authority:localhost')->{status}, 200, 'an authority in between');
is(ask($at{chained}, '/deeper', 'authority:localhost')->{status}, 200, 'wasm_ssl_verify_depth is how many there may be');
is_deeply(ask($at{chained}, '/depth', 'authority:localhost')->{counts}, [0, 0, 0], 'and not more');
like($calls->failure($at{chained}), qr/certificate/i, 'the log says so');

# Connections of one trust are not used by another.
is(ask($at{self}, '/off', 'authority:localhost')->{status}, 200, 'a connection without verification');
is_deeply(ask($at{self}, '/t', 'authority:localhost')->{counts}, [0, 0, 0], 'is no connection for who verifies');
is(ask($at{server}, '/t', 'authority:localhost')->{status}, 200, 'a connection for one name');
is_deeply(ask($at{server}, '/t', 'authority:wrong.test')->{counts}, [0, 0, 0], 'is none for another');

# The client's certificate.
is(ask($at{asking}, '/client', 'authority:localhost')->{echo}{client}[0][1], 'client', 'the certificate of the client goes out');
$calls->fails($at{asking}, 'GET /echo scheme:https authority:localhost', qr/certificate|handshake|alert|closed|reset/i, 'without it');

# Versions and ciphers.
is(ask($at{server}, '/old', 'authority:localhost')->{echo}{tls}, 'TLSv1.2', 'wasm_ssl_protocols');
is(ask($at{server}, '/ciphers', 'authority:localhost')->{echo}{tls}, 'TLSv1.2', 'wasm_ssl_ciphers');
$a = ask($at{server}, '/ten', 'authority:localhost');
is_deeply($a->{counts}, [0, 0, 0], 'a version that the service does not have');

# Without TLS nothing of this counts.
is($calls->ask("call a $at{plain} GET /echo; call b $at{plain} GET /echo scheme:http; answer 200")->{b}{status}, 200, 'scheme http');
$calls->fails($at{server}, 'GET /echo', qr/./, 'HTTP to who speaks TLS');
$calls->fails($at{server}, 'GET /echo scheme:gopher', qr/":scheme" is "gopher", but must be/, 'a scheme that does not exist');

# What the HTTP library cannot hold goes out encrypted, too.
my $came = $calls->ask("call a $at{server} POST /echo?q=%22%3c%3e scheme:https authority:localhost h:x-odd=a%01b size:300000; answer 200");
is_deeply([@{ $came->{a}{echo} }{qw( target body )}, $came->{a}{echo}{headers}{'x-odd'}], ['/echo?q="<>', '300000 bytes', "a\x01b"], 'odd bytes');

# Many at once.
$came = $calls->ask("call a $at{server} GET /together/15/echo scheme:https authority:localhost times:15; answer 200");
is_deeply([map { $came->{"a$_"}{status} } 1 .. 15], [(200) x 15], '15 at the same time');

# wasm_call_ssl decides, whatever the filter says: a filter may pass on :scheme of a request that came by TLS.
is($calls->ask("call a $at{server} GET /echo scheme:http authority:localhost; answer 200", path => '/always')->{a}{status},
    200, 'wasm_call_ssl on: TLS without https');
is($calls->ask("call a $at{plain} GET /echo scheme:https; answer 200", path => '/never')->{a}{status},
    200, 'wasm_call_ssl off: no TLS with https');

$calls->finish;

# What nginx does not start with.
my $nginx = $calls->{nginx};
my @refused = (
    ["wasm_ssl_trusted_certificate $file{ca}.none;",                              qr/ca\.none/,   'a file that is not there'],
    ["wasm_ssl_certificate $file{client}.crt;",                                   qr/wasm_ssl_certificate_key/, 'a certificate without key'],
    ["wasm_ssl_certificate $file{client}.crt; wasm_ssl_certificate_key $file{ca}.key;", qr/key/i, 'another key'],
    ['wasm_ssl_protocols SSLv9;',                                                 qr/SSLv9/,      'a protocol that does not exist'],
    ['wasm_ssl_ciphers none-such;',                                               qr/none-such/,  'a cipher that does not exist'],
    ['wasm_ssl_verify maybe;',                                                    qr/maybe/,      'a flag that is none'],
);
for my $refused (@refused) {
    my ($directive, $why, $name) = @$refused;
    $calls->configure(server => "location /bad { $directive $call }");
    my ($ok, $output) = $nginx->test;
    ok(!$ok, "nginx refuses $name");
    like($output, $why, 'and says why');
}
done_testing();
