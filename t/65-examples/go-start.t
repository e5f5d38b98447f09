# Examples of the Go SDK about what a filter does without requests, and with time: helloworld, vm_plugin_configuration,
# postpone_requests.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('examples-go-start');
my $began = time;

$nginx->configure(
    main => <<"CONF",
wasm {
    module hello         $root/build/guests/go-example-helloworld.wasm;
    module configuration $root/build/guests/go-example-vm_plugin_configuration.wasm '{"name": "the VM"}';
    module postpone      $root/build/guests/go-example-postpone_requests.wasm;
}
CONF
    server => <<'CONF',
location /hello         { proxy_wasm hello '10'; return 200 "ok\n"; }
location /configuration { proxy_wasm configuration '{"name": "the plugin"}'; return 200 "ok\n"; }
location /postponed     { proxy_wasm postpone '200'; return 200 "ok\n"; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# helloworld
$nginx->wait_for('three ticks', sub { my @said = $nginx->said('hello', $worker); @said >= 4 });
my ($greeting, @ticks) = $nginx->said('hello', $worker);
is($greeting, 'a Go filter says hello', 'helloworld: greets when it starts');
is(scalar(grep { !/^context 1: it is \d+$/ } @ticks), 0, 'and then tells the time, from its root context')
    or diag("@ticks");
my @times = map { / (\d+)$/ ? $1 / 1e9 : () } @ticks;
ok($times[0] >= $began && $times[-1] <= time + 1, 'which is the time that it is, in nanoseconds')
    or diag("$began, $times[0], $times[-1]");
is_deeply(\@times, [sort { $a <=> $b } @times], 'and goes forward');
is($nginx->get('/hello')->{content}, "ok\n", 'requests pass');

# vm_plugin_configuration
is_deeply(
    [$nginx->said('configuration', $worker)],
    ['the VM is told: {"name": "the VM"}', 'the plugin is told: {"name": "the plugin"}'],
    'vm_plugin_configuration: reads the VM configuration, then the plugin configuration',
);

# postpone_requests
for my $round (1 .. 3) {
    is($nginx->get('/postponed')->{content}, "ok\n", "postpone_requests: request $round is answered");
}
is_deeply(
    [$nginx->said('postpone', $worker)],
    [map { my $id = $_ + 1; ("request $id waits", "request $id goes on") } 1 .. 3],
    'each waited, and went on in a tick',
);

done_testing();
