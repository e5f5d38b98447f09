# Published plugins as they are, which refuse requests: Higress' ext-auth in its form for GPUStack, which asks an authorization
# service and knows keys itself (as key-auth does), and ip-acl, which goes by addresses.

use strict;
use warnings;

use Digest::SHA qw( sha256_hex );
use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('higress-auth');
my $auth  = $nginx->port + 1;
my $salt  = '0123456789abcdef0123456789abcdef';
my $keys  = qq({"0011223344556677": {"digest": "sha256\$$salt\$@{[ sha256_hex($salt . 'right') ]}", "user_id": 7}});

# The plugin acts where the name of the route, which is that of the location here, says so.
sub ext_auth {
    my ($service, $rest) = @_;
    return <<"JSON" =~ s/\n/ /gr;
{"route_match_regexes": ["^/"], "access_policy": "authorized",
 "authz": {"endpoint": {"path": "/token-auth", "service_name": "$service", "service_port": 80}, "timeout": 2000,
           "authorization_request": {"allowed_headers": [{"exact": "x-key"}]}},
 "local_auth": {"enabled": true, "keys": $keys}$rest}
JSON
}
my $acl = '{"realIPHeader": "x-real-ip", "consumers": {"alice": {"allowedCidrs": ["10.0.0.0/8"]}, "bob": {"deniedCidrs": ["127.0.0.0/8"]}}}';
my $location = sub { my ($path, $conf) = @_; "location $path { proxy_wasm auth '$conf'; return 200 'guarded'; }\n" };
$nginx->configure(
    main => "wasm { module auth $root/build/guests/higress-ext-auth.wasm; module acl $root/build/guests/higress-ip-acl.wasm; }",
    http => <<"CONF",
log_format asked '\$http_x_original_method\t\$http_x_original_uri\t\$http_x_key\t\$http_authorization';
upstream "outbound|80||auth.static" { server 127.0.0.1:$auth; }
upstream "outbound|80||gone.static" { server unix:@{[ $nginx->prefix ]}/none.sock; }
server {
    listen 127.0.0.1:$auth;
    access_log @{[ $nginx->prefix ]}/logs/asked.log asked;
    location / { return 404; }
    location = /token-auth {
        if (\$http_x_key = good) { return 200; }
        return 403 refused;
    }
}
CONF
    server => join('',
        $location->('/secret', ext_auth('auth.static', '')),
        $location->('/open', ext_auth('auth.static', ', "failure_mode_allow": true')),
        $location->('/gone', ext_auth('gone.static', '')),
        $location->('/gone-open', ext_auth('gone.static', ', "failure_mode_allow": true')),
        "location /acl { proxy_wasm acl '$acl'; return 200 'guarded'; }",
    ),
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# Status and body of what a client gets that writes this target as it is.
sub get {
    my ($target, %headers) = @_;
    my $client = RawClient->new($nginx->port);
    my $lines  = CORE::join '', map { "$_: $headers{$_}\r\n" } sort keys %headers;
    $client->send("GET $target HTTP/1.1\r\nHost: a\r\nConnection: close\r\n$lines\r\n");
    my $response = $client->response;
    return "$response->{status} " . ($response->{body} =~ /guarded/ ? 'guarded' : 'nothing');
}
sub post {
    my ($target, $body, %headers) = @_;
    my $client = RawClient->new($nginx->port);
    my $lines  = CORE::join '', map { "$_: $headers{$_}\r\n" } sort keys %headers;
    $client->send("POST $target HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}Content-Length: @{[ length $body ]}\r\n\r\n$body");
    my $response = $client->response;
    return "$response->{status} " . ($response->{body} =~ /guarded/ ? 'guarded' : 'nothing');
}

for my $path ('/secret', '/open') {
    is(get("$path?a=1"), '403 nothing', "ext-auth: $path without a key");
    is(get("$path?a=1", 'x-key' => 'bad'), '403 nothing', '... with a wrong one');
    is(get("$path?a=1", 'x-key' => 'good'), '200 guarded', '... with the right one');
    is(post($path, 'body'), '403 nothing', '... a body does not get past it');
    is(post($path, 'body', 'x-key' => 'good'), '200 guarded', '... nor is it lost with the right key');
    is(get($path, authorization => 'Bearer gpustack_0011223344556677_wrong'), '401 nothing', '... a key that it knows, with a wrong secret');
    is(get($path, authorization => 'Bearer gpustack_0011223344556677_right', 'x-key' => 'good'), '200 guarded', '... with the right one');
}
is(get('/gone', 'x-key' => 'good'), '403 nothing', 'ext-auth: without its service, nobody passes');
is(get('/gone-open'), '200 guarded', '... unless it is to let all pass then');

is(get('/acl'), '200 guarded', 'ip-acl: a request of nobody');
is(get('/acl', 'x-mse-consumer' => 'carol'), '200 guarded', '... of somebody without a rule');
is(get('/acl', 'x-mse-consumer' => 'alice'), '403 nothing', '... of somebody who may come from elsewhere');
is(get('/acl', 'x-mse-consumer' => 'alice', 'x-real-ip' => '10.1.2.3'), '200 guarded', '... and does');
is(get('/acl', 'x-mse-consumer' => 'bob'), '403 nothing', '... of somebody who may not come from here');
is(post('/acl', 'body', 'x-mse-consumer' => 'bob'), '403 nothing', '... with a body');

# Bytes that nginx takes from clients must not make the question one that cannot be asked: the failure would let them pass.
my $seen = () = $nginx->read('logs/asked.log') =~ /\n/g;
sub asked {
    my @lines;
    $nginx->wait_for('the question', sub { @lines = split /\n/, $nginx->read('logs/asked.log'); @lines > $seen });
    my @new = @lines[$seen .. $#lines];
    $seen = @lines;
    return @new;
}
# As nginx's log has them.
sub logged { return $_[0] =~ s/([^ -~]|["\\])/sprintf '\\x%02X', ord $1/ger }
for my $rest ('', map({ ("?a=$_", "/$_") } '"', '<b>', "\xff", '^`{|}', '\\'), '/%20%0d%0a', '/%22%3c') {
    is(get("/open$rest"), '403 nothing', 'ext-auth: /open' . logged($rest) . ' without a key');
    is_deeply([asked()], [join "\t", 'GET', logged("/open$rest"), '-', '-'], '... is asked about');
}
for my $value (map { "good$_" } '"', '<', "\x01", "\x1f", "\x7f", "\xff", '\\', ' a', "\ta") {
    is(get('/open', 'x-key' => $value, authorization => "Bearer $value"), '403 nothing', 'ext-auth: with the key ' . logged($value));
    is_deeply([asked()], [join "\t", 'GET', '/open', logged($value), 'Bearer ' . logged($value)], '... is asked about');
}
unlike($nginx->log, qr/\[(?:crit|alert|emerg)\]/, 'nothing else went wrong');
done_testing();
