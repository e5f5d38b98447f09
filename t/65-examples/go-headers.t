# Examples of the Go SDK about headers and properties of requests: http_headers, http_routing, properties.

use strict;
use warnings;

use EchoServer;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx    = NginxProcess->new('examples-go-headers');
my $port     = $nginx->port + 1;
my $upstream = EchoServer->new($port);

$nginx->configure(
    main => <<"CONF",
wasm {
    module headers    $root/build/guests/go-example-http_headers.wasm;
    module routing    $root/build/guests/go-example-http_routing.wasm;
    module properties $root/build/guests/go-example-properties.wasm;
}
CONF
    http => <<"CONF",
map \$host \$place {
    canary.example /canary;
    default        /primary;
}
map \$uri \$credentials {
    /properties/one cookie;
    /properties/two authorization;
}
CONF
    server => <<"CONF",
location /headers {
    proxy_wasm headers '{"header": "x-wasm-header", "value": "demo-wasm"}';
    proxy_pass http://127.0.0.1:$port;
}
location /routing {
    proxy_wasm routing 'primary.example canary.example';
    proxy_set_header Host \$host;
    proxy_pass http://127.0.0.1:$port\$place;
}
location /properties {
    proxy_wasm properties 'ngx credentials';
    proxy_pass http://127.0.0.1:$port;
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# http_headers
my $response = $nginx->get('/headers', { 'x-mine' => 'yes' });
is($response->{headers}{'x-wasm-header'}, 'demo-wasm',    'http_headers: the header of the configuration is there');
is($response->{headers}{'x-example'},     'http_headers', 'and the one that is always added');
is($response->{headers}{'x-got-request'}, 'GET /headers', 'the request went to the upstream');
$nginx->wait_for('the end of the exchange', sub { grep { /is over$/ } $nginx->said('headers') });
my @said = $nginx->said('headers');
my $host = '127.0.0.1:' . $nginx->port;
for my $line (
    'client sent :authority: ' . $host, 'client sent :path: /headers', 'client sent :method: GET',
    'client sent x-mine: yes', 'client gets :status: 200', 'client gets content-type: text/plain',
    'client gets x-example: http_headers', 'client gets x-wasm-header: demo-wasm',
    )
{
    is(scalar(grep { $_ eq $line } @said), 1, "it logged '$line'") or diag(join "\n", @said);
}
is($said[-1], 'exchange 2 is over', 'and at the end its context');

# http_routing
my %seen;
for (1 .. 200) {
    my $response = $nginx->get('/routing');
    is($response->{status}, 200, 'a routed request is answered') if $response->{status} != 200;
    $seen{"$response->{headers}{'x-got-host'} $response->{headers}{'x-got-request'}"}++;
    last if keys %seen == 2;
}
is_deeply(
    [sort keys %seen],
    ['canary.example GET /canary', 'primary.example GET /primary'],
    'http_routing: some requests go to the one upstream, some to the other',
);

# properties
my @cases = (
    ['/properties/one',   {},                           401, 'this route wants "cookie"'],
    ['/properties/one',   { cookie => 'value' },        200, 'this route wants "cookie"'],
    ['/properties/two',   {},                           401, 'this route wants "authorization"'],
    ['/properties/two',   { authorization => 'token' }, 200, 'this route wants "authorization"'],
    ['/properties/two',   { cookie => 'value' },        401, 'this route wants "authorization"'],
    ['/properties/three', {},                           200, 'this route is open'],
);
my $id = 1;
for my $case (@cases) {
    my ($path, $headers, $status, $line) = @$case;
    my $response = $nginx->get($path, $headers);
    my $with = join '', map {" with $_"} keys %$headers;
    is($response->{status}, $status, "properties: $path$with: $status");
    is($response->{headers}{'x-got-request'}, $status == 200 ? "GET $path" : undef,
        $status == 200 ? 'which the upstream answered' : 'which the upstream did not see');
    $id++;
    $nginx->wait_for('the end of the request', sub { grep { $_ eq "request $id is over" } $nginx->said('properties') });
    my @said = $nginx->said('properties');
    is($said[-2], $line, "it logged '$line'");
}

done_testing();
