# The life of timers: a tick that traps, workers that each have theirs, and a reload, which must leave no old ones behind.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('ticks', workers => 2);

# The processes whose ticks the log has, since it was this long.
sub ticking {
    my ($from, $what) = @_;
    my %pids = map { $_ => 1 } substr($nginx->log, $from) =~ /\[info\] (\d+)#.*$what tick/g;
    return sort keys %pids;
}

sub configure {
    my ($configuration) = @_;
    $nginx->configure(
        main   => "wasm { module ticker $root/build/guests/rust-ticker.wasm; module other $root/build/guests/go-ticker.wasm; }",
        server => "location / { proxy_wasm $configuration; return 200 ok; } location /none { proxy_wasm off; return 200 ok; }",
    );
}

configure(q{ticker '10'});
$nginx->start or die("nginx does not start: $nginx->{output}");
my @old = sort $nginx->workers;
$nginx->wait_for('ticks of both workers', sub { my @ticking = ticking(0, 'rust'); @ticking == 2 });
is_deeply([ticking(0, 'rust')], \@old, 'each worker ticks, and nobody else');
is($nginx->get('/')->{status}, 200, 'requests are served beside ticks');

# The old workers end at once, since timers of filters hold nothing up, and their ticks with them.
configure(q{other '10'});
my $before = length $nginx->log;
$nginx->signal('HUP');
$nginx->wait_for('new workers', sub { my @workers = sort $nginx->workers; @workers == 2 && "@workers" ne "@old" });
my @new = sort $nginx->workers;
$nginx->wait_for('the end of the old ones', sub { !grep { kill 0, $_ } @old });
$nginx->wait_for('ticks of the new ones', sub { my @ticking = ticking($before, 'go'); @ticking == 2 });
is_deeply([ticking($before, 'go')], \@new, 'after a reload the new workers tick');
my $later = length $nginx->log;
$nginx->wait_for('more ticks', sub { substr($nginx->log, $later) =~ /go tick.*go tick/s });
unlike(substr($nginx->log, $later), qr/rust tick/, 'and the filter that is not configured any more does not');

# Nobody sends a request: the timer itself starts the next instance.
configure(q{ticker '10 trap 2'});
$before = length $nginx->log;
$nginx->signal('HUP');
$nginx->wait_for('a trap, and ticks after it', sub {
    substr($nginx->log, $before)
        =~ /\[crit\] (\d+)#\d+: wasm filter "ticker": failed to call function: proxy_on_tick trapped.*\[info\] \1#[^\n]*rust tick 1\b/s;
});
pass('a filter whose tick trapped is started again and ticks');
is($nginx->get('/none')->{status}, 200, 'and the worker serves');

# A request that waits for a tick twice, on its way in and on its way out, in a worker that shuts down meanwhile.
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    server => "location / { proxy_wasm bodies 'tick 1500; request-headers hold; request-headers at-tick resume; "
        . "response-headers hold; response-headers at-tick resume'; return 200 waited; }",
);
@old = sort $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('workers with a filter that waits', sub {
    my @workers = sort $nginx->workers;
    @workers == 2 && !grep { kill 0, $_ } @old;
});
@old = sort $nginx->workers;
my $client = RawClient->new($nginx->port);
$client->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
$nginx->wait_for('the request', sub { $nginx->log =~ /request-headers .*client:/ });
$nginx->signal('HUP');
my $answer = $client->response;
is("$answer->{status} $answer->{body}", '200 waited', 'a request in a worker that shuts down is not left waiting for a tick');
$nginx->wait_for('the end of that worker', sub { !grep { kill 0, $_ } @old });
pass('which ends after it');

done_testing();
