# Another nginx takes over without a stop (USR2), the old one goes or comes back, and not one request is lost, whether it is
# served at once, waits for a call, or waits for a tick.

use strict;
use warnings;

use Mix;
use NginxProcess;
use Peer;
use SteadyLoad;
use Test::More;

use constant { WORKERS => 2, CONNECTIONS => 24 };

plan skip_all => 'nginx cannot change its title under valgrind, and workers are known by it' if $ENV{TEST_WASM_VALGRIND};
Peer->needs('python3', 'ps');
my $peer  = Peer->fault('plain=127.0.0.1');
my $nginx = NginxProcess->new('life-upgrade', workers => WORKERS, connections => 1024);
my $mix   = Mix->new($nginx, '127.0.0.1:' . $peer->port);
$mix->configure(main => 'worker_shutdown_timeout 30s;');
$nginx->start or die($nginx->{output});

# The masters that a test may leave behind when it fails.
my %masters = ($nginx->pid => 1);
END { my $status = $?; kill 'TERM', keys %masters; $? = $status }

sub workers_of {
    my $master = shift;
    return map { /^\s*(\d+) .*worker process\s*$/ && !/shutting down/ ? $1 : () } qx(ps -o pid=,args= --ppid $master);
}
sub all_workers_of {
    my $master = shift;
    return map { /^\s*(\d+) .*worker process/ ? $1 : () } qx(ps -o pid=,args= --ppid $master);
}
sub has_workers {
    my $master = shift;
    $nginx->wait_for("the workers of $master", sub { my @workers = workers_of($master); @workers == WORKERS });
}
# Starts the other nginx: its process.
sub upgrade {
    my $old = $nginx->pid;
    kill 'USR2', $old;
    $nginx->wait_for('another master', sub { my $pid = $nginx->pid; $pid && $pid != $old });
    my $new = $nginx->pid;
    $masters{$new} = 1;
    like($nginx->read('nginx.pid.oldbin'), qr/^$old$/m, 'the old master is known by another file');
    has_workers($new);
    return ($old, $new);
}
sub ended {
    my $master = shift;
    # A process that nobody waits for is not there, either.
    $nginx->wait_for("the end of $master", sub { !kill(0, $master) || qx(ps -o stat= -p $master) =~ /^Z/ });
    delete $masters{$master};
}

has_workers($nginx->pid);
my $load = SteadyLoad->begin($nginx->port, CONNECTIONS, $mix->load);
$load->wait_for_more(2 * CONNECTIONS);

# Forward.
my ($old, $new) = upgrade();
$load->wait_for_more(2 * CONNECTIONS);
is(scalar(() = workers_of($old)), WORKERS, 'both have their workers, which both serve');
$mix->version(2);
kill 'WINCH', $old;
$nginx->wait_for('the end of the old workers', sub { !all_workers_of($old) });
$load->wait_for_more(2 * CONNECTIONS);
kill 'QUIT', $old;
ended($old);
$load->wait_for_more(2 * CONNECTIONS);
is($nginx->pid, $new, 'the new nginx goes on alone');
is($nginx->get('/version')->{headers}{'x-version'}, 1, 'with what it read when it began');

# And back: the old workers have gone already.
($old, $new) = upgrade();
is($nginx->get('/shared', { 'x-shared' => 'get served' })->{status}, 200, 'filters that share something work in both');
kill 'WINCH', $old;
$nginx->wait_for('the end of the old workers', sub { !all_workers_of($old) });
$load->wait_for_more(2 * CONNECTIONS);
kill 'HUP', $old;
has_workers($old);
$load->wait_for_more(2 * CONNECTIONS);
kill 'QUIT', $new;
ended($new);
$nginx->wait_for('the file of the old master', sub { ($nginx->pid // 0) == $old });
$load->wait_for_more(2 * CONNECTIONS);
is(scalar(() = workers_of($old)), WORKERS, 'the old nginx is back, with its workers');

# It is as it was: a reload takes the new module, and a third upgrade works.
$mix->version(3);
my %before = map { $_ => 1 } workers_of($old);
$nginx->signal('HUP');
$nginx->wait_for('new workers', sub { my @workers = workers_of($old); @workers == WORKERS && !grep { $before{$_} } @workers });
is($nginx->get('/version')->{headers}{'x-version'}, 3, 'it can be reloaded');
($old, $new) = upgrade();
kill 'QUIT', $old;
ended($old);
$load->wait_for_more(2 * CONNECTIONS);

my ($answered, @wrong) = $load->end;
is(scalar @wrong, 0, "none of $answered requests is lost, and none fails") or diag(@wrong > 10 ? @wrong[0 .. 9] : @wrong);
$nginx->stop;
ended($new);
my @bad = grep {/\[(?:error|crit|alert|emerg)\]/} split /\n/, $nginx->log;
is(scalar @bad, 0, 'nothing bad is in the error log') or diag(join "\n", @bad > 10 ? @bad[0 .. 9] : @bad);

done_testing();
