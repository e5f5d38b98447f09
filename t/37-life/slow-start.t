# A reload with a filter that starts slowly: old workers serve until new ones have started it.

use strict;
use warnings;

use NginxProcess;
use SteadyLoad;
use Test::More;

my $workers = 3;
my $nginx   = NginxProcess->new('slow-start', workers => $workers);

# Its start counts down from its configuration, in millions.
$nginx->write('slow.wat', <<'WAT');
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (func (export "malloc") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
    (local $n i64) (local $at i32) (local $end i32)
    (if (i32.eqz (local.get $size)) (then (return (i32.const 1))))
    (drop (call $get (i32.const 7) (i32.const 0) (local.get $size) (i32.const 0) (i32.const 4)))
    (local.set $at (i32.load (i32.const 0)))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 4))))
    (loop $digits
      (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 10)) (i64.extend_i32_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))))
      (br_if $digits (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
    (local.set $n (i64.mul (local.get $n) (i64.const 1000000)))
    (loop $count
      (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (local.get $n)))
      (br_if $count (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
    (i32.const 1)))
WAT

sub configure {
    my $millions = shift;
    $nginx->configure(
        main   => 'wasm { module slow slow.wat; }',
        http   => 'wasm_timeout 60s;',
        server => "location / { proxy_wasm slow '$millions'; return 200 ok; }",
    );
}
sub reload {
    my %old = map { $_ => 1 } $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('new workers', sub { my @now = $nginx->workers; @now == $workers && !grep { $old{$_} } @now });
    return sort keys %old;
}
# The place in the log of the first line of a process that has this.
sub place {
    my ($pid, $what) = @_;
    return $nginx->log =~ /^\S+ \S+ \[\w+\] $pid#\d+: $what/m ? $-[0] : undef;
}
# Nobody of the old ones ends before all of the new ones have started their filters.
sub in_order {
    my ($what, @old) = @_;
    my @started = map { place($_, qr/wasm: 1 filter\(s\) started/) } $nginx->workers;
    my @ended   = map { place($_, qr/gracefully shutting down/) } @old;
    is(scalar @started, $workers, "$what: all new workers have started their filters");
    is(scalar @ended,   $workers, "$what: and all old ones have ended");
    my ($last)  = sort { $b <=> $a } @started;
    my ($first) = sort { $a <=> $b } @ended;
    cmp_ok($first, '>', $last, "$what: the first of them behind the last start");
}

# Some hundred milliseconds each, more than nginx itself waits.
configure(300);
$nginx->start or die($nginx->{output});
for my $round (1, 2) {
    my $load = SteadyLoad->begin(
        $nginx->port, 4,
        request => sub { "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n" },
        wrong   => sub { $_[1] =~ /\A\S+ 200 .*ok\z/s ? () : "answer: $_[1]" },
    );
    $load->wait_for_more(50);
    in_order("reload $round", reload());
    $load->wait_for_more(50);
    my ($answered, @wrong) = $load->end;
    is("@wrong", '', "reload $round: all of $answered requests are answered rightly");
}

# The children of the master: until a worker serves, it has the title of its master.
sub children { return map { /(\d+)/ } qx(ps -o pid= --ppid @{[ $nginx->pid ]}) }

# A worker that ends while it starts is not waited for: nginx starts another one.
my %old = map { $_ => 1 } $nginx->workers;
$nginx->signal('HUP');
my $new;
$nginx->wait_for('a new worker', sub { ($new) = grep { !$old{$_} } children(); $new });
kill 'KILL', $new;
$nginx->wait_for('others in its place', sub { my @now = grep { $_ != $new } $nginx->workers; @now == $workers && !grep { $old{$_} } @now });
is($nginx->get('/')->{status}, 200, 'a worker that was killed at its start keeps nobody waiting');

# Nor does a reload that is overtaken by the end of nginx.
$nginx->signal('HUP');
$nginx->wait_for('a new worker', sub { children() > $workers });
$nginx->stop;
pass('nginx ends while new workers start');

my @bad = grep {/\[(?:error|alert|emerg|crit|warn)\](?!.*exited on signal 9)/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');

done_testing();
