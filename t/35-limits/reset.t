# proxy_wasm_isolation request: an instance whose request has ended is put back to what it was when it had started. A guest that
# writes secrets wherever it can, and looks for such at the beginning of each request, finds none: after requests that end well, trap,
# loop, wait, are left by their clients, or put off their end, one after the other and at the same time. What cannot be put back starts for
# each request, and the log says why.

use strict;
use warnings;

use JSON::PP;
use NginxProcess;
use RawClient;
use Test::More;

plan skip_all => 'needs an engine that puts instances back' unless Engine::can_do('put back');

my $nginx = NginxProcess->new('reset');

# How a request is treated is the first letter of its header `x-do`. `x-found` tells how many words of secrets it has found, and
# `x-start` at the how many-th start of a filter its instance has started.
my $wat = <<'WAT';
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_done" (func $done (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_get_metric" (func $metric (param i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 1024) "x-do" "x-found" "x-start" "starts" "looked")
  (data (i32.const 70000) "first content")
  (table 4 funcref)
  (global $secret (mut i32) (i32.const 0))
  (global $wide (mut i64) (i64.const 0))
  (global $float (mut f64) (f64.const 0))
  (global $context (mut i32) (i32.const 0))
  (global $mode (mut i32) (i32.const 0))
  (func (export "malloc") (param i32) (result i32) (i32.const 2048))
  (func (export "proxy_abi_version_0_2_1"))

  ;; A number of two digits, at 1100.
  (func $digits (param i32)
    (i32.store8 (i32.const 1100) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get 0) (i32.const 10)) (i32.const 10))))
    (i32.store8 (i32.const 1101) (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10)))))

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) (i32.const 1042) (i32.const 6) (i32.const 1200)))
    (drop (call $increment (i32.load (i32.const 1200)) (i64.const 1)))
    (drop (call $metric (i32.load (i32.const 1200)) (i32.const 1208)))
    EXTRA
    (i32.const 1))

  ;; How many secrets there are.
  (func $look (result i32) (local $at i32) (local $found i32)
    (loop $next
      (if (i32.eq (i32.load (local.get $at)) (i32.const 0x5e5e5e5e))
        (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
    (if (i32.ne (memory.size) (i32.const 3)) (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
    (if (global.get $secret) (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
    (if (i64.ne (global.get $wide) (i64.const 0)) (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
    (if (f64.ne (global.get $float) (f64.const 0)) (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
    (if (i32.ne (i32.load (i32.const 70000)) (i32.const 0x73726966)) (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
    (local.get $found))

  (func $write
    (global.set $secret (i32.const 1)) (global.set $wide (i64.const 1)) (global.set $float (f64.const 1))
    (memory.fill (i32.const 0) (i32.const 0x5e) (i32.const 1024))
    (memory.fill (i32.const 1300) (i32.const 0x5e) (i32.const 700))
    (memory.fill (i32.const 4096) (i32.const 0x5e) (i32.const 61440))
    (memory.fill (i32.const 69999) (i32.const 0x5e) (i32.const 20))
    (memory.fill (i32.const 139264) (i32.const 0x5e) (i32.const 4096))
    (i32.store (i32.const 196604) (i32.const 0x5e5e5e5e)))

  (func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
    (global.set $context (local.get $context))
    (call $digits (call $look))
    (i32.store16 (i32.const 1110) (i32.load16_u (i32.const 1100)))
    (drop (call $get (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 1216) (i32.const 1220)))
    (global.set $mode (i32.load8_u (i32.const 2048)))
    (call $write)
    ;; g: grows
    (if (i32.eq (global.get $mode) (i32.const 0x67)) (then
      (memory.fill (i32.mul (memory.grow (i32.const 2)) (i32.const 65536)) (i32.const 0x5e) (i32.const 131072))))
    ;; t: traps
    (if (i32.eq (global.get $mode) (i32.const 0x74)) (then unreachable))
    ;; l: loops
    (if (i32.eq (global.get $mode) (i32.const 0x6c)) (then (loop $again (br $again))))
    ;; w: waits for a tick
    (if (i32.eq (global.get $mode) (i32.const 0x77)) (then (drop (call $tick (i32.const 10))) (return (i32.const 1))))
    ;; p: waits for ever
    (if (i32.eq (global.get $mode) (i32.const 0x70)) (then
      (drop (call $log (i32.const 2) (i32.const 1048) (i32.const 6))) (return (i32.const 1))))
    (i32.const 0))

  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2) (i32.const 1028) (i32.const 7) (i32.const 1110) (i32.const 2)))
    (call $digits (i32.load (i32.const 1208)))
    (drop (call $add (i32.const 2) (i32.const 1035) (i32.const 7) (i32.const 1100) (i32.const 2)))
    (i32.const 0))

  ;; d: puts off its end
  (func (export "proxy_on_done") (param i32) (result i32)
    (if (i32.ne (global.get $mode) (i32.const 0x64)) (then (return (i32.const 1))))
    (drop (call $tick (i32.const 10)))
    (i32.const 0))

  (func (export "proxy_on_tick") (param i32)
    (drop (call $effective (global.get $context)))
    (if (i32.eq (global.get $mode) (i32.const 0x77)) (then (drop (call $continue (i32.const 0)))) (else (drop (call $done))))))
WAT

sub guest {
    my ($file, $extra) = @_;
    (my $text = $wat) =~ s/EXTRA/$extra/;
    $nginx->write("$file.wat", $text);
    return "module $file $file.wat;";
}

my $modules = join ' ', guest('secrets', ''), guest('table', '(table.set (i32.const 3) (ref.null func))'), guest('timer', '(drop (call $tick (i32.const 60000)))'),
    guest('random', '(drop (call $random (i32.const 1300) (i32.const 8)))');
$nginx->configure(
    main   => "wasm { $modules }",
    http   => 'wasm_timeout 100ms; wasm_pause_timeout 10m;',
    server => "proxy_wasm_isolation request;
        location /secrets { proxy_wasm secrets; return 200 ok; }
        location /fresh { proxy_wasm_isolation request fresh; proxy_wasm secrets; return 200 ok; }
        location /table { proxy_wasm table; return 200 ok; }
        location /timer { proxy_wasm timer; return 200 ok; }
        location /random { proxy_wasm random; return 200 ok; }
        location /random-fresh { proxy_wasm_isolation request fresh; proxy_wasm random; return 200 ok; }
        location = /status { proxy_wasm off; wasm_status; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

# "STATUS FOUND START"
sub ask {
    my ($place, $do) = @_;
    my $response = $nginx->get("/$place", { 'x-do' => $do });
    return join ' ', $response->{status}, map { $response->{headers}{$_} // () } qw( x-found x-start );
}

# How many instances of the first filter of a module have been put back, could not be, and are there.
sub counts {
    my ($name) = @_;
    my ($filter) = grep { $_->{name} eq $name } @{ decode_json($nginx->get('/status')->{content})->{filters} };
    return join ' ', map { $filter->{$_} } qw( put_back not_put_back instances );
}

sub wait_for_counts {
    my ($wanted, $what) = @_;
    $nginx->wait_for("$what: $wanted", sub { counts('secrets') =~ /\A$wanted\z/ });
    pass("$what: $wanted put back, not put back, there");
    return;
}

my $first = ask('secrets', 'n');
like($first, qr/^200 00 \d\d$/, 'the first request finds no secrets');
is(ask('secrets', 'n'), $first, "request $_ after it finds none either, and the same start") for 1 .. 10;
wait_for_counts('11 0 1', 'one instance has served them all');

is(ask('secrets', 't'), 503, 'one that traps');
is(ask('secrets', 'n'), $first, 'the next has an instance of the image: the filter has not started again');
is(ask('secrets', 'l'), 503, 'one that loops');
is(ask('secrets', 'n'), $first, 'and the next');
wait_for_counts('13 0 1', 'those that failed have ended');

is(ask('secrets', 'g'), $first, 'one whose memory grows');
is(ask('secrets', 'n'), $first, 'and the next');
wait_for_counts('14 1 1', 'one that has grown is not put back');

is(ask('secrets', 'd'), $first, 'one that puts off its end');
is(ask('secrets', 'n'), $first, 'and the next, meanwhile or later');
# The second request has an instance of its own if it comes before the end of the first.
wait_for_counts('16 1 [12]', 'both are put back');

is(ask('secrets', 'w'), $first, 'one that waits for a tick');
is(ask('secrets', 'n'), $first, 'and the next, in which nothing ticks');
wait_for_counts('18 1 [12]', 'both are put back');

# Clients that leave, with requests meanwhile.
{
    my $from = length $nginx->log;
    my @clients;
    for (1 .. 5) {
        my $client = RawClient->new($nginx->port);
        $client->send("GET /secrets HTTP/1.1\r\nHost: a\r\nx-do: p\r\n\r\n");
        push @clients, $client;
    }
    $nginx->wait_for('five that wait', sub { (() = substr($nginx->log, $from) =~ /looked/g) == 5 });
    is(ask('secrets', 'n'), $first, 'a request while five others wait') for 1 .. 3;
    wait_for_counts('21 1 6', 'each has its own instance');
    undef @clients;
    wait_for_counts('26 1 6', 'clients that leave');
    is(ask('secrets', 'n'), $first, 'the next find no secrets') for 1 .. 10;
}

# At the same time, of all kinds.
{
    my @kinds = qw( n t w g d n w n n );
    for my $round (1 .. 5) {
        my @clients = map {
            my $client = RawClient->new($nginx->port);
            $client->send("GET /secrets HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-do: $_\r\n\r\n");
            $client;
        } @kinds;
        my @seen = map { my $response = $_->response; join ' ', $response->{status}, map { $response->{headers}{$_} // () } qw( x-found x-start ) } @clients;
        is_deeply(\@seen, [map { $_ eq 't' ? 503 : $first } @kinds], "round $round: requests of all kinds at the same time");
    }
}

# What starts for each request.
for my $place (qw( fresh table timer )) {
    my @seen = map { ask($place, 'n') } 1 .. 3;
    my %starts = map { /^200 00 (\d\d)$/ ? ($1 => 1) : () } @seen;
    is(keys %starts, 3, "$place: starts for each request, and finds no secrets") or diag "@seen";
}
is(counts($_), '0 0 0', "$_: none was put back, and none is kept") for qw( table timer );
my %reason = (table => 'its code changes tables or segments (table.set)', timer => 'its start sets a timer');
for my $name (sort keys %reason) {
    my $text = qq{filter "$name" starts for each request, as with "proxy_wasm_isolation request fresh": its instances cannot be put back to what they were, because $reason{$name}, in };
    is(() = $nginx->log =~ /\[notice\] [^\n]*\Q$text\E\S+nginx\.conf:\d+/g, 1, "$name: the log says why, once");
}
# A generator that a start has seeded begins anew with each request: that is said, where it is so.
is(ask('random', 'n'), ask('random', 'n'), 'one that reads random numbers at its start is put back, too');
my $seeded = qr/\[notice\] [^\n]*filter "random" reads random numbers at its start, [^\n]+ in \S+nginx\.conf:(\d+)/;
is(() = $nginx->log =~ /$seeded/g, 1, 'the log tells, of the filter that does not start for each request');
unlike($nginx->log, qr/filter "(?:secrets|table|timer)" reads random/, 'and of no other');
unlike($nginx->log, qr/filter "secrets" starts for each request/, 'nothing is said of those that are put back, or are not meant to be');

is(($nginx->workers)[0], $worker, 'the worker is the one that it was');

# A reload forgets what was kept.
$nginx->signal('HUP');
$nginx->wait_for('the new worker', sub { my @workers = $nginx->workers; @workers == 1 && $workers[0] != $worker });
my $after = ask('secrets', 'n');
isnt($after, $first, 'a new worker starts the filter');
is(ask('secrets', 'n'), $after, 'once') for 1 .. 3;

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
