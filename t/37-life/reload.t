# A hundred reloads while requests are served, wait for calls and wait for ticks: none is lost, none fails. The master has as
# many descriptors afterwards as before, and no more memory; what has not changed is not compiled again, what has changed is.

use strict;
use warnings;

use Mix;
use NginxProcess;
use Peer;
use SteadyLoad;
use Test::More;

# What is compiled is looked at here (tools/valgrind-nginx.sh).
$ENV{VALGRIND_NO_CACHE} = 1;
$Engine::shares_cache = 0;

use constant { RELOADS => 100, WARM => 20, WORKERS => 2, CONNECTIONS => 24 };
# In KiB. The heap of the master moves by some KiB with the order of what is freed; what each reload leaves behind would be there
# 80 times.
use constant GROWTH => 80 * 8;

Peer->needs('python3', 'ps');
plan(skip_all => 'needs /proc') unless -r '/proc/self/status';
my $peer  = Peer->fault('plain=127.0.0.1');
my $nginx = NginxProcess->new('life-reload', workers => WORKERS, connections => 1024);
my $mix   = Mix->new($nginx, '127.0.0.1:' . $peer->port);
$mix->configure(main => 'worker_shutdown_timeout 30s;');
$nginx->start or die($nginx->{output});
my $master = $nginx->pid;
my %workers;

sub new_workers {
    my $old = shift;
    $nginx->wait_for('new workers', sub { my @workers = $nginx->workers; @workers == WORKERS && !grep { $old->{$_} } @workers });
    $workers{$_} = 1 for $nginx->workers;
}
sub reload {
    my %old = map { $_ => 1 } $nginx->workers;
    system($nginx->command('-s reload') . ' 2>/dev/null') == 0 or die "nginx -s reload: $?\n";
    new_workers(\%old);
}
sub old_workers_have_ended {
    my %now = map { $_ => 1 } $nginx->workers;
    $nginx->wait_for('the end of the old workers', sub { !grep { !$now{$_} && kill 0, $_ } keys %workers });
    # The master closes what it had for them after it has buried them, and before it does what the next signal says.
    my $reopened = () = $nginx->log =~ /reopening logs/g;
    $nginx->signal('USR1');
    $nginx->wait_for('the master', sub { (() = $nginx->log =~ /reopening logs/g) > $reopened });
}
sub master {
    my $field = shift;
    if ($field eq 'descriptors') { my @all = glob "/proc/$master/fd/*"; return scalar @all }
    open my $in, '<', "/proc/$master/status" or die "the master: $!\n";
    my ($value) = map { /^$field:\s+(\d+)/ ? $1 : () } <$in>;
    return $value;
}
sub compiled {
    my %count;
    $count{$_}++ for $nginx->log =~ /wasm: module "(\w+)" \(\S+\): compiled in [\d.]+ m?s/g;
    return \%count;
}

new_workers({});
my %once = map { $_ => 1 } Mix->modules;
is_deeply(compiled(), \%once, 'each module is compiled at the start');
my $load = SteadyLoad->begin($nginx->port, CONNECTIONS, $mix->load);
$load->wait_for_more(2 * CONNECTIONS);

my ($memory, $descriptors);
for my $n (1 .. RELOADS) {
    if ($n == WARM / 2) {
        $mix->version(2);
        reload();
        is($nginx->get('/version')->{headers}{'x-version'}, 2, 'a module that has changed is the new one after the next reload');
    } else {
        reload();
    }
    if ($n == WARM) {
        old_workers_have_ended();
        ($memory, $descriptors) = (master('RssAnon'), master('descriptors'));
    }
}
$load->wait_for_more(2 * CONNECTIONS);
my ($answered, @wrong) = $load->end;
is(scalar @wrong, 0, 'no request is lost, and none fails') or diag(@wrong > 10 ? @wrong[0 .. 9] : @wrong);
note("$answered requests, " . (() = $nginx->log =~ /reconfiguring/g) . ' reloads');
cmp_ok($answered, '>', RELOADS, 'there were requests all the time');
is(() = $nginx->log =~ /\[notice\] \S+ reconfiguring/g, RELOADS, 'the master has read its configuration so often');
is_deeply(compiled(), { %once, version => 2 }, 'only the module that has changed was compiled again');

old_workers_have_ended();
is(scalar(() = $nginx->workers), WORKERS, 'there are as many workers as at the beginning');
my @processes = split /\n/, qx(ps -o args= --ppid $master);
is(scalar @processes, WORKERS, 'and no other processes') or diag explain \@processes;
is(master('descriptors'), $descriptors, 'the master has as many descriptors as before');
my $grown = master('RssAnon') - $memory;
# valgrind keeps what was freed for a while.
cmp_ok($grown, '<', GROWTH, 'and no more memory') or diag "$grown KiB more" if !$ENV{TEST_WASM_VALGRIND};
note("the master has $memory KiB after " . WARM . " reloads, and $grown KiB more at the end");

my ($served) = $nginx->get('/metrics')->{content} =~ /^served (\d+)$/m;
cmp_ok($served, '>=', int($answered / $mix->kinds) - 1, 'what filters share is what it was: each request has counted');
$nginx->stop;
my @bad = grep {/\[(?:error|crit|alert|emerg)\]/} split /\n/, $nginx->log;
is(scalar @bad, 0, 'nothing bad is in the error log') or diag(join "\n", @bad > 10 ? @bad[0 .. 9] : @bad);

done_testing();
