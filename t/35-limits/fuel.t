# wasm_fuel: how much all callbacks about a request may do together, counted and not timed: the same request uses up the
# same on any machine. Beyond it is a failure like a trap. Callbacks about no request have as much, each.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('fuel');

my %place = (
    limited => 'wasm_fuel 50000000;',
    off     => 'wasm_fuel off;',
    own     => 'proxy_wasm_isolation request; wasm_fuel 50000000;',
    open    => 'proxy_wasm_on_error open; wasm_fuel 50000000;',
    named   => 'wasm_fuel filter=before 1000000000; wasm_fuel filter=faulty 50000000;',
    ticks   => 'wasm_fuel 50000000;',
);
my %says = (ticks => '@configure tick 10; @tick spin 1000000; @tick nth:20 log info twentieth; @tick start:1 nth:30 spin 100000000; @tick start:2 nth:5 log info again;');
$nginx->configure(
    main   => "wasm { module faulty $root/build/guests/rust-faulty.wasm; module before $root/build/guests/rust-headers.wasm; }",
    http   => 'wasm_timeout 60s; log_format fuel "$uri $status $wasm_fuel"; access_log logs/fuel.log fuel;',
    # In /same nothing differs from one request to the next, not even the number of the instance.
    server => join '', "location = /same { proxy_wasm_isolation request; wasm_fuel 50000000; proxy_wasm faulty; return 200 ok; }\n", map {
        "location = /$_ {
            $place{$_}
            proxy_wasm before 'response.add x-before yes';
            proxy_wasm faulty 'name $_; @{[ $says{$_} // '' ]} \@response-headers tell';
            return 200 ok;
        }\n"
    } sort keys %place,
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub ask {
    my ($name, $says) = @_;
    my $response = $nginx->get("/$name", { defined $says ? ('x-faulty' => $says) : () });
    return join ' ', $response->{status}, defined $response->{headers}{"x-$name"} ? 'with' : 'without', $response->{headers}{'x-before'} // 'lost';
}

# What the access log has of the requests to a place: status and fuel.
my %lines;
sub used {
    my ($name, $count) = @_;
    my @lines;
    $nginx->wait_for("$count lines of the access log", sub {
        @lines = $nginx->read('logs/fuel.log') =~ m{^/\Q$name\E (.*)$}mg;
        return @lines >= ($lines{$name} // 0) + $count;
    });
    @lines = @lines[$lines{$name} // 0 .. $#lines];
    $lines{$name} = ($lines{$name} // 0) + @lines;
    return @lines;
}

# The limit.
is(ask('limited', 'spin 1000'), '200 with yes', 'a request below the limit');
is(ask('limited', 'spin 100000000'), '503 without yes', 'a request beyond it fails, which the other filter sees');
like($nginx->log, qr/\[crit\] [^\n]*wasm filter "faulty": failed to call function: proxy_on_request_headers trapped in context \d+: [^\n]*wasm_fuel/, 'the log tells why');
is(ask('limited', 'spin 1000'), '200 with yes', 'the next is served');
is(ask('off', 'spin 100000000'), '200 with yes', 'without a limit there is none');
is(ask('open', 'spin 100000000'), '200 without yes', 'open: a request goes on without the filter that has used up its fuel');
is(ask('named', 'spin 100000000'), '503 without yes', 'filter=NAME');

# All callbacks of a request together: none of these would be too much alone.
for my $spin (1_000_000) {
    my ($one) = map { /(\d+)$/ } do { ask('own'); used('own', 1) };
    my ($spun) = map { /(\d+)$/ } do { ask('own', "spin $spin"); used('own', 1) };
    my $each = int(50_000_000 * 0.6 / (($spun - $one) / $spin));
    is(ask('own', "spin $each"), '200 with yes', 'a callback that takes 60 % of it');
    is(ask('own', "\@response-headers spin $each"), '200 with yes', 'another');
    is(ask('own', "spin $each; \@response-headers spin $each"), '503 without yes', 'both in one request');
    is(ask('own', "spin $each; \@log spin $each"), '200 with yes', 'the second after the response');
    $nginx->wait_for('the failure in on_log', sub { $nginx->log =~ /proxy_on_log trapped in context \d+: [^\n]*wasm_fuel/ });
    pass('which has the response, and the failure is in the log');
    is(ask('own', "spin $each"), '200 with yes', 'the next has all of it again');
    used('own', 5);
}

# The same each time, in an instance of its own, whatever the machine does.
for my $says ('spin 100000', 'headers 20 100; get request :path', '@response-headers spin 1000; @log spin 1000') {
    ask('same', $says) for 1 .. 5;
    my %seen = map { $_ => 1 } used('same', 5);
    is(keys %seen, 1, "the same number for the same request: $says") or diag explain \%seen;
    like((keys %seen)[0], qr/^200 [1-9]\d*$/, 'which is one');
}
# Host calls count, and what they carry.
{
    my @fuel = map { my $says = $_; ask('same', $says); my ($line) = used('same', 1); $line =~ /(\d+)$/ } 'log info x', 'log info ' . 'x' x 4000;
    cmp_ok($fuel[1], '>', $fuel[0], 'a longer line in the log takes more fuel');
}
# Where nothing is limited nothing is counted.
{
    ask('off', 'spin 1000');
    my @lines = used('off', 2);
    is($lines[-1], '200 -', 'no number without wasm_fuel');
}

# Callbacks about no request: 20 ticks take more than one may, and none is stopped; one that takes more is.
$nginx->wait_for('the twentieth tick', sub { $nginx->log =~ /faulty ticks: log info twentieth/ });
$nginx->wait_for('the one that takes too much', sub { $nginx->log =~ /proxy_on_tick trapped in context 1: [^\n]*wasm_fuel/ });
is(ask('ticks'), '200 with yes', 'requests are served after it');
$nginx->wait_for('ticks of the next instance', sub { $nginx->log =~ /faulty ticks: log info again/ });

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
