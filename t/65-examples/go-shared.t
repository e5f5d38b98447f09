# Examples of the Go SDK about what filters share: metrics, shared_data, shared_queue. With two workers.

use strict;
use warnings;

use HTTP::Tiny;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('examples-go-shared', workers => 2);
my $port  = $nginx->port + 1;

$nginx->configure(
    main => <<"CONF",
wasm {
    module metrics  $root/build/guests/go-example-metrics.wasm;
    module data     $root/build/guests/go-example-shared_data.wasm;
    module sender   $root/build/guests/go-example-shared_queue_sender.wasm;
    module receiver $root/build/guests/go-example-shared_queue_receiver.wasm;
}
CONF
    # With reuseport, connections go to the workers at random.
    http => <<"CONF",
server {
listen 127.0.0.1:$port reuseport;
location /metrics { proxy_wasm metrics; return 200 "ok\\n"; }
location /page    { wasm_metrics; }
location /data    { proxy_wasm data; return 200 "ok\\n"; }
location /queue {
    proxy_wasm sender receiver;
    return 200 "ok\\n";
}
location /receivers {
    proxy_wasm receiver http_request_headers;
    proxy_wasm receiver http_response_headers;
    return 200 "ok\\n";
}
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub get {
    my ($path, $headers) = @_;
    return HTTP::Tiny->new->get("http://127.0.0.1:$port$path", { headers => $headers // {} });
}

# metrics: one counter for each value, with the value in its name.
get('/metrics', { 'my-custom-header' => $_ }) for qw( foo bar foo foo );
get('/metrics');
is_deeply(
    [sort $nginx->said('metrics')],
    [map {"example_requests_value=$_->[0]_reporter=go is $_->[1]"} ['bar', 1], ['foo', 1], ['foo', 2], ['foo', 3]],
    'metrics: requests are counted by the value of a header',
);
my $page = get('/page')->{content};
like($page, qr/^\w+\{name="example_requests_value=foo_reporter=go"\} 3$/m, 'and the page of metrics has the counters');
like($page, qr/^\w+\{name="example_requests_value=bar_reporter=go"\} 1$/m, 'each of them');

# shared_data: each request sees a count of its own, whichever worker it meets.
my ($count, %busy) = (0);
while ($count < 20 || keys %busy < 2) {
    get('/data');
    last if ++$count == 500;
    %busy = map { $_ => 1 } $nginx->log =~ /\[info\] (\d+)#\d+: \*\d+ wasm "data"/g;
}
is(scalar keys %busy, 2, 'shared_data: both workers counted requests');
is_deeply([$nginx->said('data')], [map {"the count is $_"} 1 .. $count], 'in one count');

# shared_queue: what one module puts into the queues of the other comes out there, in order.
for my $queue (qw( http_request_headers http_response_headers )) {
    ok((grep { /^queue "$queue" has number \d+$/ } $nginx->said('receiver')), "shared_queue: $queue is registered");
}
is(get('/queue', { 'x-mine' => 'yes' })->{content}, "ok\n", 'a request whose headers go through the queues is answered');
my %sent;
for ($nginx->said('sender')) {
    my ($queue, $item) = /^into (\w+): (\{.*\})$/ or next;
    push @{ $sent{$queue} }, $item;
}
is_deeply([sort keys %sent], [qw( http_request_headers http_response_headers )], 'both queues got headers');
ok((grep { $_ eq '{"key":"x-mine","value":"yes"}' } @{ $sent{http_request_headers} }), 'of the request');
ok((grep { $_ eq '{"key":":status","value":"200"}' } @{ $sent{http_response_headers} }), 'and of the response');
for my $queue (sort keys %sent) {
    my $received = sub { map { /^from queue "$queue": (.*)$/ ? $1 : () } $nginx->said('receiver') };
    $nginx->wait_for("all of $queue", sub { my @received = $received->(); @received >= @{ $sent{$queue} } });
    is_deeply([sort $received->()], [sort @{ $sent{$queue} }], "all of $queue came out, once");
}

done_testing();
