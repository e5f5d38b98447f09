# What wakes workers up for messages of shared queues costs each of them one descriptor, and the master none, however many workers there
# are and however often nginx is reloaded.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $workers = 6;
my $nginx   = NginxProcess->new('descriptors', workers => $workers);

# A filter that registers a queue when it starts, and puts a message into it for each request; and one that does not.
my $queue = <<'WAT';
(module
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "q")
  (data (i32.const 8) "told")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $register (i32.const 0) (i32.const 1) (i32.const 16)))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $enqueue (i32.load (i32.const 16)) (i32.const 0) (i32.const 1)))
    (i32.const 0))
  (func (export "proxy_on_queue_ready") (param i32 i32)
    (drop (call $log (i32.const 2) (i32.const 8) (i32.const 4)))))
WAT
$nginx->write('queue.wat', $queue);
$nginx->write('plain.wat', $queue =~ s/proxy_on_(configure|queue_ready)/other_$1/gr);

sub descriptors {
    my $pid = shift;
    my @all = glob "/proc/$pid/fd/*";
    return scalar @all;
}
# Of the worker that has most, and of the master.
sub counts {
    my ($most) = sort { $b <=> $a } map { descriptors($_) } $nginx->workers;
    return ($most, descriptors($nginx->pid));
}
sub configure {
    my ($main, $filter) = @_;
    $nginx->configure(main => $main, server => "location / { $filter return 200 ok; }");
}
sub reload {
    my %old = map { $_ => 1 } $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('new workers', sub { my @new = grep { !$old{$_} } $nginx->workers; @new == $workers && $nginx->workers == $workers });
    # The master closes what it has of a worker behind its end.
    $nginx->wait_for('the end of the workers before', sub { !grep { kill 0, $_ } keys %old });
    # They have started their filters, and wait for requests.
    $nginx->wait_for('the filters', sub { my $log = $nginx->log; !grep { $log !~ /\b$_#\d+: wasm: \d+ filter/ } $nginx->workers })
        if $nginx->read('nginx.conf') =~ /proxy_wasm/;
}

configure('wasm { module plain plain.wat; }', 'proxy_wasm plain;');
$nginx->start or die($nginx->{output});
reload();
my ($worker, $master) = counts();

configure('wasm { module queue queue.wat; }', 'proxy_wasm queue;');
for my $round (1 .. 3) {
    reload();
    my ($worker_now, $master_now);
    $nginx->wait_for('the master to close what it had of them', sub { ($worker_now, $master_now) = counts(); $master_now <= $master });
    cmp_ok($worker_now, '<=', $worker + 1, "round $round: a worker has one more");
    is($master_now, $master, "round $round: the master has no more");
}

my $told = () = $nginx->log =~ /wasm "queue": told/g;
is($nginx->get('/')->{status}, 200, 'a request sends a message') for 1 .. 5;
$nginx->wait_for('the messages', sub { my $now = () = $nginx->log =~ /wasm "queue": told/g; $now >= $told + 5 });
pass('filters are told of all of them');
unlike($nginx->log, qr/\[(?:error|alert|emerg|crit)\]/, 'nothing bad is in the error log');
$nginx->stop;

done_testing();
