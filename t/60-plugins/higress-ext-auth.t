# A published plugin as it is: Higress' own ext-auth, which asks an authorization service about each request: for the path of the
# client, under a prefix (mode envoy), or for one path, with the client's in headers (mode forward_auth). What it cannot ask lets
# the client pass where failure_mode_allow is on, so that no bytes of a client may make a question that cannot be asked.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('higress-own-ext-auth');
my ($auth, $verdict, $guarded, $plain) = map { $nginx->port + $_ } 1 .. 4;
# Takes connections, and answers nothing.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16, Proto => 'tcp') or die "cannot listen: $!\n";

sub conf {
    my ($service, $mode, $rest, $request) = @_;
    my $endpoint = $mode eq 'envoy' ? '"path_prefix": "/auth"' : '"path": "/auth", "request_method": "GET"';
    return <<"JSON" =~ s/\n/ /gr;
{"http_service": {"endpoint_mode": "$mode", "timeout": 2000,
  "endpoint": {$endpoint, "service_name": "$service", "service_port": 80},
  "authorization_request": {"allowed_headers": [{"exact": "x-key"}], "headers_to_add": {"x-gateway": "nginx"}@{[ $request // '' ]}},
  "authorization_response": {"allowed_upstream_headers": [{"exact": "x-user"}], "allowed_client_headers": [{"exact": "x-why"}]}}$rest}
JSON
}
my $allow    = ', "failure_mode_allow": true, "failure_mode_allow_header_add": true';
my $location = sub {
    my ($path, @conf) = @_;
    return "location $path { proxy_wasm auth '@{[ conf(@conf) ]}'; proxy_set_header Host \$http_host; proxy_pass http://127.0.0.1:$guarded; }\n";
};
$nginx->configure(
    main => "wasm { module auth $root/build/guests/higress-own-ext-auth.wasm; }",
    http => <<"CONF",
log_format asked '\$http_x_by\t\$request_method\t\$request_uri\t\$http_x_original_uri\t\$http_x_forwarded_host\t\$http_host\t\$http_x_key\t\$http_x_gateway\t\$request_body';
upstream "outbound|80||auth.static" { server 127.0.0.1:$auth; }
upstream "outbound|80||broken.dns" { server 127.0.0.1:$auth; }
upstream "outbound|80||gone.static" { server unix:@{[ $nginx->prefix ]}/none.sock; }
upstream "outbound|80||silent.static" { server 127.0.0.1:@{[ $silent->sockport ]}; }
map \$http_host \$verdict { default 403; broken.dns 500; }
map \$http_x_key \$told { default \$verdict; good 200; }
server {
    listen 127.0.0.1:$auth;
    access_log @{[ $nginx->prefix ]}/logs/asked.log asked;
    # What proxies, has read the body for the log.
    location / { proxy_pass http://127.0.0.1:$verdict; proxy_set_header Host \$http_host; }
}
server {
    listen 127.0.0.1:$verdict;
    add_header x-why "no key" always;
    add_header x-other other always;
    add_header x-user alice always;
    location / {
        if (\$told = 200) { return 200; }
        if (\$told = 500) { return 500; }
        return 403 refused;
    }
}
server {
    listen 127.0.0.1:$guarded;
    location / { return 200 "guarded user=\$http_x_user allowed=\$http_x_envoy_auth_failure_mode_allowed\n"; }
}
# The same request as nginx passes it on by itself.
server {
    listen 127.0.0.1:$plain;
    location / {
        proxy_set_header Host \$http_host;
        proxy_set_header x-by nginx;
        proxy_pass http://127.0.0.1:$auth;
    }
}
CONF
    server => join('',
        map({ ($location->("/$_/secret", 'auth.static', $_, ''), $location->("/$_/open", 'auth.static', $_, $allow)) } 'envoy', 'forward_auth'),
        $location->('/broken', 'broken.dns', 'envoy', ''),
        $location->('/broken-open', 'broken.dns', 'envoy', $allow),
        $location->('/gone', 'gone.static', 'envoy', ', "status_on_error": 503'),
        $location->('/gone-open', 'gone.static', 'forward_auth', $allow),
        $location->('/silent', 'silent.static', 'envoy', '') =~ s/2000/200/r,
        $location->('/silent-open', 'silent.static', 'forward_auth', $allow) =~ s/2000/200/r,
        $location->('/body', 'auth.static', 'envoy', $allow, ', "with_request_body": true, "max_request_body_bytes": 1000'),
    ),
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# Writes a request with these bytes, and gives the response.
sub request {
    my ($port, $target, $headers, $body) = @_;
    my %headers = (Host => 'a', Connection => 'close', %{ $headers // {} });
    my $method  = defined $body ? 'POST' : 'GET';
    $headers{'Content-Length'} = length $body if defined $body;
    my $client = RawClient->new($port);
    $client->send("$method $target HTTP/1.1\r\n" . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n" . ($body // ''));
    return $client->response;
}

sub get {
    my $response = request($nginx->port, @_);
    return "$response->{status} " . ($response->{body} =~ /^(guarded.*)/ ? $1 : 'nothing');
}

# What the service was asked since the last time; there are this many questions.
my $seen = 0;
sub asked {
    my $count = shift;
    my @lines;
    $nginx->wait_for("$count questions", sub { @lines = split /\n/, $nginx->read('logs/asked.log'); @lines >= $seen + $count });
    my @new = @lines[$seen .. $#lines];
    $seen = @lines;
    my @names = qw( by method uri original_uri forwarded_host host key gateway body );
    return map { my %question; @question{@names} = split /\t/, $_, -1; \%question } @new;
}

# The bytes that a URI stands for; nginx's log has \xNN for some.
sub decoded { return $_[0] =~ s/\\x([0-9A-F]{2})|%([0-9A-Fa-f]{2})/chr hex($1 \/\/ $2)/ger }

for my $mode ('envoy', 'forward_auth') {
    for my $path ("/$mode/secret", "/$mode/open") {
        my $refused = request($nginx->port, "$path?a=1");
        is_deeply([$refused->{status}, @{ $refused->{headers} }{qw( x-why x-other )}], [403, 'no key', undef], "$path without a key");
        is(get("$path?a=1", { 'x-key' => 'bad' }), '403 nothing', '... with a wrong one');
        is(get("$path?a=1", { 'x-key' => 'good', 'x-user' => 'mallory' }), '200 guarded user=alice allowed=', '... with the right one');
        is(get($path, {}, 'body'), '403 nothing', '... a body does not get past it');
        is(get($path, { 'x-key' => 'good' }, 'body'), '200 guarded user=alice allowed=', '... nor is it lost with the right key');
        my @asked = asked(5);
        is(scalar @asked, 5, 'the service was asked about each');
        is($asked[0]{gateway}, 'nginx', '... with the header of the configuration');
        is($asked[0]{uri}, $mode eq 'envoy' ? "/auth$path?a=1" : '/auth', '... for its path');
        is($asked[0]{original_uri}, $mode eq 'envoy' ? '-' : "$path?a=1", '... with that of the client');
    }

    # Whatever bytes nginx takes from a client, the question has them.
    my @targets = ('', map({ ("?a=$_", "/$_", "/$_?$_=$_") } '"', '<b>', "\xff\x80", '^`{|}', '\\', "'", ';', '+', '*'), '?a=%22%0d%0a',
        map { ("/$_", "/a$_?b") } '%20', '%22', '%3c', '%0a', '%0d%0aX:%20y', '%09', '%01', '%7f', '%ff', '%e2%82%ac', '%5c');
    my @values = map { "a${_}z" } '"', '<', "\x01", "\x1f", "\x7f", "\t", "\x80\xff", '\\', ' ', ',';
    my @hosts  = ('a"<b>', "a\xff", 'a^`{|}', "a'b");
    my @cases  = ((map { [$_, {}] } @targets), (map { ['', { 'x-key' => $_ }] } @values), (map { ['', { Host => $_ }] } @hosts));
    for my $case (@cases) {
        my ($rest, $headers) = @$case;
        my $target = "/$mode/open$rest";
        my $name   = join(' ', $target, %$headers) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
        # nginx 1.30 takes fewer bytes in a host than those before.
        if (request($plain, $target, $headers)->{status} == 400 && $headers->{Host}) {
            is(get($target, $headers), '400 nothing', "$name: nginx refuses it");
            next;
        }
        my ($proxied) = asked(1);
        is(get($target, $headers), '403 nothing', "$name without a key");
        my ($question, $more) = asked(1);
        is($more, undef, '... is one question');
        if ($mode eq 'envoy') {
            is(decoded($question->{uri}), '/auth' . decoded($proxied->{uri}), '... about the path that nginx itself passes on');
        } else {
            is($question->{original_uri}, $proxied->{uri}, '... about the path that nginx itself passes on');
            is($question->{forwarded_host}, $proxied->{host}, '... and the host');
        }
        is($question->{key}, $proxied->{key}, '... with the header');
    }
    # Those that nginx takes in no path.
    for my $byte ("\x01", "\x1f", "\x7f", '%00') {
        is(get("/$mode/open/$byte"), '400 nothing', sprintf '0x%02x in a path: nginx refuses it', ord $byte);
    }
}

is(get('/broken'), '403 nothing', 'a service that answers 500: nobody passes');
is(get('/broken-open'), '200 guarded user= allowed=true', '... unless all are to');
my @asked = asked(2);
is(scalar @asked, 2, '... and only these were asked about');
is(get('/gone', { 'x-key' => 'good' }), '503 nothing', 'a service that is not there: nobody passes');
is(get('/gone-open'), '200 guarded user= allowed=true', '... unless all are to');
is(get('/gone-open?a="', { 'x-key' => "\x01\"" }, 'body'), '200 guarded user= allowed=true', '... with any bytes');
is(get('/silent'), '403 nothing', 'a service that does not answer: nobody passes');
is(get('/silent-open'), '200 guarded user= allowed=true', '... unless all are to');

is(get('/body?a="', {}, '{"a": "<\\u0001>"}'), '403 nothing', 'the service gets the body, too');
is((asked(1))[0]{body}, '{\\x22a\\x22: \\x22<\\x5Cu0001>\\x22}', '... as it is');
is(get('/body', { 'x-key' => 'good' }, 'body'), '200 guarded user=alice allowed=', '... and lets it pass');
is(get('/body', { 'x-key' => 'good' }, 'b' x 5000), '413 nothing', 'one that is larger than it may be is refused');
is(get('/body'), '403 nothing', '... and without a body it is asked');
is_deeply([map { $_->{body} } asked(2)], ['body', '-'], '... about the others only');
unlike($nginx->log, qr/\[(?:alert|emerg)\]|is no valid|cannot be sent/, 'nothing else went wrong');
done_testing();
