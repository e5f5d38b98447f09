# proxy_wasm_on_error where no request is at fault: filters that fail while a context is made, in a tick, at a message of a
# queue, and filters that do not start in a worker. And two workers, of which one has lost the filter.

use strict;
use warnings;

use NginxProcess;
use Test::More;
use Upstream;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $port  = $ENV{TEST_NGINX_PORT};
my $nginx = NginxProcess->new('on-error-start');
Upstream->start($port + 1);

my %policy = (closed => 'closed', open => 'open', reload => 'reload', 'reload-open' => 'reload open');

# Locations /POLICY/NAME, each with such a filter in the middle of a chain.
sub places {
    my (%configuration) = @_;
    my $places = '';
    for my $policy (sort keys %policy) {
        for my $name (sort keys %configuration) {
            my $says = $configuration{$name} =~ s/NAME/$policy-$name/r;
            $places .= <<"CONF";
location = /$policy/$name {
    proxy_wasm_on_error filter=faulty $policy{$policy};
    proxy_wasm_restart_delay filter=faulty 1h 1h;
    proxy_wasm before 'response.add x-before yes';
    proxy_wasm faulty 'name $policy-$name; \@response-headers tell; $says';
    proxy_wasm behind 'response.add x-behind yes';
    proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/body;
}
CONF
        }
    }
    return $places;
}

sub configure {
    my ($server) = @_;
    $nginx->configure(
        main => "wasm {
            module faulty $root/build/guests/rust-faulty.wasm;
            module before $root/build/guests/rust-headers.wasm;
            module behind $root/build/guests/rust-headers.wasm;
        }",
        http   => 'wasm_timeout 200ms;',
        server => $server,
    );
}

sub ask {
    my ($path, $says) = @_;
    return $nginx->request('POST', $path, { defined $says ? ('x-faulty' => $says) : () }, 'hello');
}

# A response that the filters beside the failed one have seen: with the filter (told: which start of it), without, or none.
sub is_served {
    my ($path, $told, $what) = @_;
    my $response = ask($path);
    my ($header) = grep { !/^x-(?:before|behind)$/ && /^x-/ && !/^x-got/ } sort keys %{ $response->{headers} };
    my $is = [@$response{qw( status content )}, @{ $response->{headers} }{qw( x-before x-behind )}, $header ? $response->{headers}{$header} : ()];
    return is_deeply($is, [200, 'hello', 'yes', 'yes', $told // ()], $what);
}

sub is_closed {
    my ($path, $what) = @_;
    return is(ask($path)->{status}, 503, $what);
}

# How a filter whose instance has failed without a request at hand is found afterwards.
sub afterwards {
    my ($policy, $name) = @_;
    my $path = "/$policy/$name";
    for my $n (1, 2) {
        if    ($policy eq 'closed') { is_closed($path, "$policy, $name: request $n after it fails") }
        elsif ($policy eq 'open')   { is_served($path, undef, "$policy, $name: request $n after it is served without the filter") }
        else                        { is_served($path, "start 2 stream $n", "$policy, $name: request $n after it has a new instance") }
    }
    return;
}

sub failures {
    my ($callback) = @_;
    return () = $nginx->log =~ /\[crit\] [^\n]*wasm filter "faulty": failed to call function: proxy_on_$callback trapped/g;
}

# A filter of each policy that fails by itself.
configure(places(
    create => '@create start:1 nth:2 abort',
    tick   => '@configure tick 10; @tick start:1 nth:2 abort',
    queue  => '@configure register NAME; @queue-ready start:1 abort',
));
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

for my $policy (sort keys %policy) {
    is_served("/$policy/create", 'start 1 stream 1', "$policy, create: the first request");
    if    ($policy eq 'open') { is_served("/$policy/create", undef, 'open, create: the request whose context cannot be made goes on without') }
    else                      { is_closed("/$policy/create", "$policy, create: the request whose context cannot be made fails") }
    afterwards($policy, 'create');
}
is(failures('context_create'), 4, 'each failed once');

$nginx->wait_for('failed ticks', sub { failures('tick') >= 4 });
afterwards($_, 'tick') for sort keys %policy;
is(failures('tick'), 4, 'each failed once');

for my $policy (sort keys %policy) {
    my $before = failures('queue_ready');
    is_served("/$policy/queue", 'start 1 stream 1', "$policy, queue: a request before");
    ask("/$policy/queue", "push $policy-queue message");
    $nginx->wait_for('the failure', sub { failures('queue_ready') > $before });
    afterwards($policy, 'queue');
}
is(failures('queue_ready'), 4, 'each failed once');
is(($nginx->workers)[0], $worker, 'the worker is the one that it was');

# Filters that start in the master, whose shared data is its own, and not in the worker: false, a trap, a loop.
sub reload {
    my ($server) = @_;
    my @old = $nginx->workers;
    configure($server);
    $nginx->signal('HUP');
    $nginx->wait_for('new workers', sub {
        my @workers = $nginx->workers;
        my %is_old  = map { $_ => 1 } @old;
        return @workers == $nginx->{workers} && !grep { $is_old{$_} } @workers;
    });
    $nginx->wait_for('the end of the old ones', sub { !grep { kill 0, $_ } @old });
    return;
}

my %start = (
    false    => '@configure start-from:2 false',
    trap     => '@configure start-from:2 abort',
    loop     => '@configure start-from:2 loop',
);
reload(places(%start));
for my $policy (sort keys %policy) {
    is_served("/$policy/$_", 'start 1 stream 1', "$policy, $_: the first start goes well") for sort keys %start;
}
my $from = length $nginx->log;
reload(places(%start));
for my $policy (sort keys %policy) {
    for my $name (sort keys %start) {
        for my $n (1 .. 3) {
            if ($policy =~ /open/) { is_served("/$policy/$name", undef, "$policy, $name: request $n of a worker where it does not start is served without") }
            else                   { is_closed("/$policy/$name", "$policy, $name: request $n of a worker where it does not start fails") }
        }
    }
}
my $log = substr $nginx->log, $from;
my $lines = () = $log =~ /\[crit\] [^\n]*wasm filter "faulty" does not start in this worker/g;
cmp_ok($lines, '>=', 4 * 3, 'the log says so of each');
# A second try at once is allowed where there will be more.
cmp_ok($lines, '<=', 4 * 3 + 2 * 3, 'and they are not tried for each request');

# The next reload gives them another try. The number of their starts has grown, so they fail again; other filters do not.
reload(places(none => ''));
is_served("/$_/none", 'start 1 stream 1', "$_: another filter after the next reload") for sort keys %policy;
$nginx->stop;

# Two workers: what one has lost the other has.
for my $policy (qw( closed open )) {
    my $two = NginxProcess->new("on-error-workers-$policy", workers => 2);
    $two->configure(
        main   => "wasm { module faulty $root/build/guests/rust-faulty.wasm; }",
        server => "add_header x-worker \$pid always;
            location / {
                proxy_wasm_on_error $policy;
                proxy_wasm faulty 'name filter; \@response-headers tell';
                return 200 ok;
            }",
    );
    $two->start or die("nginx does not start: $two->{output}");
    my $failed = $two->get('/', { 'x-faulty' => 'abort' });
    is($failed->{status}, $policy eq 'open' ? 200 : 503, "two workers, $policy: one request makes the filter trap");
    my $lost = $failed->{headers}{'x-worker'};
    my (%wrong, %seen);
    # Until both have served often enough.
    $two->wait_for('requests in both workers', sub {
        my $response = $two->get('/');
        my $pid      = $response->{headers}{'x-worker'};
        my $filter   = defined $response->{headers}{'x-filter'} ? 'filter' : 'none';
        my $is       = "$response->{status} $filter";
        my $wanted   = $pid != $lost ? '200 filter' : $policy eq 'open' ? '200 none' : '503 none';
        $wrong{"worker $pid: $is"}++ if $is ne $wanted;
        $seen{$pid}++;
        return keys %seen == 2 && !grep { $_ < 3 } values %seen;
    });
    is_deeply(\%wrong, {}, "two workers, $policy: it is gone in that worker, and nothing has happened to the other");
    $two->stop;
}

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
done_testing;
