# Examples of the Rust SDK: hello_world, http_headers, http_config, envoy_filter_metadata. Those about bodies are in
# rust-bodies.t.

use strict;
use warnings;

use EchoServer;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx    = NginxProcess->new('examples-rust');
my $port     = $nginx->port + 1;
my $upstream = EchoServer->new($port);
my $began    = time;

$nginx->configure(
    main => <<"CONF",
wasm {
    module hello    $root/build/guests/rust-example-hello_world.wasm;
    module headers  $root/build/guests/rust-example-http_headers.wasm;
    module config   $root/build/guests/rust-example-http_config.wasm;
    module metadata $root/build/guests/rust-example-envoy_filter_metadata.wasm;
}
CONF
    http => <<'CONF',
map $http_x_custom_metadata $found_out {
    ~^gold    GOLD;
    ~^.*hint  HINT;
}
CONF
    server => <<"CONF",
location /ticks    { proxy_wasm hello '10'; return 200 "ok\\n"; }
location /         { proxy_wasm headers; proxy_pass http://127.0.0.1:$port; }
location /config   { proxy_wasm config 'as it stands in nginx.conf'; proxy_pass http://127.0.0.1:$port; }
location /metadata { proxy_wasm metadata 'ngx found_out'; return 500; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# hello_world
$nginx->wait_for('ten ticks', sub { my @said = $nginx->said('hello', $worker); @said >= 11 });
my ($greeting, @ticks) = $nginx->said('hello', $worker);
is($greeting, 'a Rust filter says hello', 'hello_world: greets when it starts');
my (@times, %numbers);
for (@ticks) {
    my ($time, $number) = /^(\d+) seconds since 1970, and the number is (\d{1,3})$/ or fail("a tick: $_");
    push @times, $time;
    $numbers{$number}++;
}
ok($times[0] >= $began && $times[-1] <= time, 'and tells the time at every tick') or diag("$began, @times");
cmp_ok(scalar(keys %numbers), '>', 1, 'with numbers at random') or diag("@ticks");
is($nginx->get('/ticks')->{content}, "ok\n", 'requests pass');

# http_headers
my $response = $nginx->get('/some', { 'x-mine' => 'yes' });
is($response->{headers}{'x-got-request'}, 'GET /some', 'http_headers: the upstream answers');
$nginx->wait_for('the end of the exchange', sub { grep { $_ eq '2 is over' } $nginx->said('headers', $worker) });
my @said = $nginx->said('headers', $worker);
my $host = '127.0.0.1:' . $nginx->port;
for my $line ("2 -> :authority: $host", '2 -> :path: /some', '2 -> :method: GET', '2 -> x-mine: yes', '2 <- :status: 200',
    '2 <- x-got-request: GET /some')
{
    is(scalar(grep { $_ eq $line } @said), 1, "it logged '$line'") or diag(join "\n", @said);
}
is($said[-1], '2 is over', 'and the end');

$response = $nginx->get('/hello');
is($response->{content}, "greetings\n", 'the filter answers /hello');
is($response->{headers}{'x-example'}, 'http_headers', 'with its header');
$nginx->wait_for('the end of the exchange', sub { grep { $_ eq '3 is over' } $nginx->said('headers', $worker) });
for my $line ('3 -> :path: /hello', '3 <- :status: 200', '3 <- x-example: http_headers') {
    is(scalar(grep { $_ eq $line } $nginx->said('headers', $worker)), 1, "it logged '$line'");
}

# http_config
$response = $nginx->get('/config');
is($response->{headers}{'custom-header'}, 'as it stands in nginx.conf', 'http_config: the header has the configured text');
is($response->{headers}{'x-got-request'}, 'GET /config', 'in the response of the upstream');

# envoy_filter_metadata: in nginx it is a variable that has what another module found out.
$response = $nginx->get('/metadata');
is($response->{status}, 200, 'envoy_filter_metadata: the filter answers');
is($response->{content}, "nothing is known about this request\n", 'that it found nothing');
is($response->{headers}{'x-found-out'}, undef, 'without the header');
$response = $nginx->get('/metadata', { 'x-custom-metadata' => 'gold card' });
is($response->{content}, qq(this request is "GOLD"\n), 'with metadata it tells them');
is($response->{headers}{'x-found-out'}, 'GOLD', 'and in a header');

done_testing();
