# What a filter does that no request has asked for (timers, queues, calls of its own) and that fails: requests go on being
# served, by a new instance, and such work waits. Waits of hours show that there is one, waits of a millisecond that it ends.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx  = NginxProcess->new('own-work');
# Nobody listens there.
my $nobody = '127.0.0.1:' . ($ENV{TEST_NGINX_PORT} + 1);

my $hours = 'proxy_wasm_restart_delay 1h 1h after=0;';
my $short = 'proxy_wasm_restart_delay 1ms 1ms after=0;';
my $tick  = '@configure tick 10; @tick abort';
my $queue = '@configure register NAME; @queue-ready abort';
my $call  = "\@configure call $nobody; \@call-response abort";
my %filter = (
    'tick'        => [$hours, $tick],
    'tick-open'   => ["$hours proxy_wasm_on_error reload open;", $tick],
    'tick-again'  => [$short, $tick],
    'queue'       => [$hours, $queue],
    'queue-open'  => ["$hours proxy_wasm_on_error reload open;", $queue],
    'queue-again' => [$short, $queue],
    'call'        => [$hours, $call],
    'call-again'  => [$short, $call],
    'request'     => [$hours, '@call-response abort'],
);
$nginx->configure(
    main   => "wasm { module faulty $root/build/guests/rust-faulty.wasm; }",
    server => join '', map {
        my ($rules, $says) = @{ $filter{$_} };
        $says =~ s/NAME/$_/g;
        "location = /$_ { $rules proxy_wasm faulty 'name $_; $says; \@response-headers tell'; return 200 ok; }\n"
    } sort keys %filter,
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# The status, and which start of the filter had it.
sub ask {
    my ($name, $says) = @_;
    my $response = $nginx->get("/$name", { defined $says ? ('x-faulty' => $says) : () });
    my ($start) = ($response->{headers}{"x-$name"} // '') =~ /^start (\d+)/;
    return join ' ', $response->{status}, $start // ();
}

# How often something of a filter has failed. Its last words in the log say which one.
sub failures {
    my ($callback) = @_;
    return scalar(() = $nginx->log =~ /failed to call function: proxy_on_$callback trapped/g);
}

sub wait_for_failures {
    my ($callback, $more, $do) = @_;
    my $before = failures($callback);
    $do->() if $do;
    $nginx->wait_for("$more failures of $callback", sub { failures($callback) >= $before + $more });
}

# Each of the three filters has ticked once, and those that wait for hours do not do it again; 'tick-again' does without a request.
$nginx->wait_for('ticks', sub { failures('tick') >= 3 });
wait_for_failures('tick', 2);
for my $name (qw( tick tick-open )) {
    is_deeply([map { ask($name) } 1 .. 5], [('200 2') x 5], "$name: requests get a new instance, and keep it");
}
is(scalar(() = $nginx->log =~ /proxy_on_tick trapped.*requests get a new instance, whose timers, queues and calls of its own wait for (?:1[89]|[23]\d)\d\d\.\d s/g), 2,
    'the log says for how long its own work waits');

# A queue with a message.
for my $name (qw( queue queue-open )) {
    wait_for_failures('queue_ready', 1, sub { is(ask($name, "push $name one"), '200 1', "$name: a message") });
    my $before = failures('queue_ready');
    is_deeply([map { ask($name, "push $name more") } 1 .. 3], [('200 2') x 3], "$name: requests get a new instance");
    is(failures('queue_ready'), $before, "$name: which is not told of messages yet");
}
for my $n (1 .. 2) {
    wait_for_failures('queue_ready', 1, sub { like(ask('queue-again', 'push queue-again one'), qr/^200/, 'queue-again: a message') });
    pass('queue-again: is told of messages later');
}

# A call that the start makes.
$nginx->wait_for('the calls of both', sub { failures('http_call_response') >= 2 });
wait_for_failures('http_call_response', 1);
is_deeply([map { ask('call') } 1 .. 5], [('200 2') x 5], 'call: requests get a new instance, which waits with its call');

# A call that a request makes: that is no work of the filter's own.
wait_for_failures('http_call_response', 1, sub { is(ask('request', "call $nobody"), '200 1', 'request: makes a call') });
$nginx->wait_for('the callback', sub { ask('request') eq '503' });
pass('request: when its callback fails, requests wait for the next start');

my @worse = grep { /\[(?:alert|emerg)\]/ } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
