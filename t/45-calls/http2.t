# Calls by HTTP/2: with TLS where the service wants it, without TLS where the filter or the configuration says so. The
# service is nginx itself.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

Peer->needs('python3', 'openssl');
my %file   = Peer->certificates("$ENV{TEST_WASM_ROOT}/build/t/calls-http2-certificates");
my $peer   = Peer->fault('plain=127.0.0.1');
my $behind = '127.0.0.1:' . $peer->port;
my ($clear, $tls, $both, $few) = map { '127.0.0.1:' . ($ENV{TEST_NGINX_PORT} + $_) } 1 .. 4;
my $ssl    = "ssl_certificate $file{server}.crt; ssl_certificate_key $file{server}.key;";
my $told   = '$server_protocol $request_method $host $request_uri $http_x_one $connection';
my $service = <<"CONF";
client_max_body_size 8m;
location /told    { add_header X-Told "$told"; return 200 "told\\n"; }
location /behind/ { proxy_http_version 1.1; proxy_set_header X-Connection \$connection; proxy_set_header Host \$host;
    add_header X-Connection \$connection always; proxy_pass http://$behind/; }
location /trailers { add_trailer X-End 1; add_trailer X-More 2; root html; try_files /file =404; }
location /reset   { return 444; }
location /slow    { limit_rate 1; root html; try_files /file =404; }
CONF
my $call  = 'proxy_wasm calls; return 200 "ok\n";';
my $calls = Calls->new(
    'calls-http2',
    http => <<"CONF",
wasm_ssl_trusted_certificate $file{ca}.crt;
upstream a_block { server $clear; }
server { listen $clear http2; $service }
server { listen $tls ssl http2; $ssl $service }
server { listen $both ssl; $ssl $service }
server { listen $few http2; keepalive_requests 3; $service }
CONF
    server => <<"CONF",
location /two { wasm_call_http_version 2; $call }
location /one { wasm_call_http_version 1.1; $call }
location /timed { wasm_call_keepalive_timeout 200ms; $call }
CONF
);
mkdir $calls->{nginx}->prefix . '/html';
$calls->{nginx}->write('html/file', "file\n" x 100);

sub told {
    my ($target, $rest, $path) = @_;
    my $a = $calls->ask("call a $target GET /told $rest; answer 200", path => $path // '/t')->{a};
    return $a->{headers}{'x-told'} // $a->{status};
}

my @ways = ([$clear, 'scheme:h2c', '/t'], [$tls, 'scheme:https', '/t'], [$clear, '', '/two'], ['a_block', 'scheme:h2c authority:127.0.0.1', '/t']);
for my $way (@ways) {
    my ($target, $rest, $path) = @$way;
    my $name = "$target $rest $path";
    like(told($target, "$rest h:x-one=1", $path), qr{^HTTP/2\.0 GET 127\.0\.0\.1 /told 1 \d+$}, "$name: HTTP/2");
    my $at = sub { $calls->ask(join('; ', @_, 'answer 200') =~ s/TO/$target/gr =~ s/OPTIONS/$rest/gr, path => $path) };
    my $a  = $at->('call a TO POST /behind/echo OPTIONS body:a%20body h:x-two=2')->{a};
    is_deeply([@{ $a->{echo} }{qw( method body )}, $a->{echo}{headers}{'x-two'}], ['POST', 'a body', 2], "$name: a body");
    $a = $at->('call a TO POST /behind/echo OPTIONS size:1000000')->{a};
    is($a->{echo}{body}, '1000000 bytes', "$name: a large body");
    $a = $at->('call a TO GET /behind/body/900000 OPTIONS')->{a};
    is($a->{body}, '900000 bytes', "$name: a large answer");
    $a = $at->('call a TO HEAD /behind/body/9 OPTIONS')->{a};
    is_deeply([@$a{qw( status body )}], [200, ''], "$name: HEAD");
    $a = $at->('call a TO GET /trailers OPTIONS')->{a};
    is_deeply([$a->{counts}[1], $a->{trailers}], [500, { 'x-end' => 1, 'x-more' => 2 }], "$name: trailers");
    is($at->("call a TO GET /behind/status/$_ OPTIONS")->{a}{status}, $_, "$name: status $_") for 204, 304, 404, 503;
    my $came = $at->('call a TO GET /behind/together/10/echo OPTIONS times:10');
    my %connections = map { ($_->{headers}{'x-connection'} // 'none') => 1 } @{ $came->{events} };
    is(scalar keys %connections, 1, "$name: ten at the same time share a connection") or diag(explain($came));
    $came = $at->('call a TO GET /reset OPTIONS; call b TO GET /told OPTIONS');
    is_deeply($came->{a}{counts}, [0, 0, 0], "$name: a stream that is reset");
    $came = $at->('call a TO GET /behind/silent OPTIONS timeout:150; call b TO GET /behind/delay/300/status/202 OPTIONS');
    is_deeply([$came->{a}{counts}[0], $came->{b}{status}], [0, 202], "$name: a time-out leaves the other streams alone");
    $came = $at->('call a TO GET /behind/body/1048577 OPTIONS; call b TO GET /told OPTIONS');
    is_deeply([$came->{a}{counts}[0], $came->{b}{status}], [0, 200], "$name: so does an answer that is too large");
    $came = $at->('call a TO GET /behind/headers/3000000 OPTIONS; call b TO GET /told OPTIONS');
    is($came->{b}{status}, 200, "$name: and headers that are");
}

like(told($tls, 'scheme:https', '/one'), qr{^HTTP/1\.1 }, 'wasm_call_http_version 1.1');
like(told($both, 'scheme:https', '/t'), qr{^HTTP/1\.1 }, 'a service that has no HTTP/2');
my $came = $calls->ask("call a $both GET /told scheme:https; answer 200", path => '/two');
is_deeply($came->{a}{counts}, [0, 0, 0], 'wasm_call_http_version 2 insists on it');
like($calls->failure($both), qr{HTTP/2}, 'and the log says so');
like(told($both, '', '/two'), qr/^0$/, 'HTTP/2 to who speaks TLS');
$calls->fails($behind, 'GET /echo scheme:h2c', qr/./, 'HTTP/2 to a service of HTTP/1.1');

# A connection that the service ends after some requests.
my @connections = map { (split / /, told($few, 'scheme:h2c', '/t'))[-1] // 'none' } 1 .. 7;
my %number = map { $_ => 1 } @connections;
is(scalar(grep {/^\d+$/} @connections), 7, 'seven requests to a service that takes three for a connection') or diag("@connections");
cmp_ok(scalar keys %number, '>=', 2, 'needed several');

# An idle connection is closed in time, and so are those that a reload leaves behind.
sub established {
    my $port = sprintf '%04X', $tls =~ s/.*://r;
    open my $in, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!\n";
    return scalar grep {/^\s*\d+: [0-9A-F]{8}:[0-9A-F]{4} 0100007F:$port 01 /} <$in>;
}
SKIP: {
    skip 'needs /proc/net/tcp', 4 unless -r '/proc/net/tcp';
    my @old = $calls->{nginx}->workers;
    cmp_ok(established(), '>', 0, 'a connection is kept');
    $calls->{nginx}->signal('HUP');
    $calls->{nginx}->wait_for('new workers', sub { my @new = $calls->{nginx}->workers; @new && !grep { kill 0, $_ } @old });
    is(established(), 0, 'a reload closes it');
    like(told($tls, 'scheme:https', '/timed'), qr{^HTTP/2\.0 }, 'another is made');
    $calls->{nginx}->wait_for('its end', sub { !established() });
    pass('wasm_call_keepalive_timeout closes that one');
}

$calls->finish;
done_testing();
