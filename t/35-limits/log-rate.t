# 'proxy_wasm_log_rate': how many lines a filter may log in a second, what becomes of the others, and who is told.

use strict;
use warnings;

use JSON::PP;
use NginxProcess;
use Test::More;

# A filter that logs so many lines in on_request_headers (or in on_configure), at a level of the ABI.
sub lines {
    my ($count, $level, $where) = @_;
    my ($name, $types) = ($where // '') eq 'configure'
        ? ('proxy_on_configure', '(param i32 i32)') : ('proxy_on_request_headers', '(param i32 i32 i32)');
    my $result = ($where // '') eq 'configure' ? 1 : 0;
    return <<"WAT";
(module
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "one line")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "$name") $types (result i32) (local \$n i32)
    (loop \$again
      (drop (call \$log (i32.const $level) (i32.const 0) (i32.const 8)))
      (local.set \$n (i32.add (local.get \$n) (i32.const 1)))
      (br_if \$again (i32.lt_u (local.get \$n) (i32.const $count))))
    (i32.const $result)))
WAT
}

# The same with lines that are printed.
my $printed = <<'WAT';
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\0f\00\00\00")
  (data (i32.const 16) "out\0aout\0aout\0aout")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.const 0)))
WAT

my $nginx = NginxProcess->new('log-rate');
$nginx->write('info.wat',  lines(50,   2));
$nginx->write('debug.wat', lines(50,   1));
$nginx->write('many.wat',  lines(1500, 2));
$nginx->write('start.wat', lines(7,    3, 'configure'));
$nginx->write('print.wat', $printed);

my $modules = 'wasm { ' . join('', map {"module $_ $_.wat; "} qw( info debug many start print )) . '}';

$nginx->configure(
    main   => $modules,
    server => <<'CONF',
    location /info    { proxy_wasm info;  proxy_wasm_log_rate 10;                           return 200 ok; }
    location /debug   { proxy_wasm debug; proxy_wasm info; proxy_wasm_log_rate filter=debug 1; proxy_wasm_log_rate 60; return 200 ok; }
    location /two     { proxy_wasm info;  proxy_wasm info; proxy_wasm_log_rate 30;          return 200 ok; }
    location /default { proxy_wasm many;                                                    return 200 ok; }
    location /off     { proxy_wasm many;  proxy_wasm_log_rate off;                          return 200 ok; }
    location /print   { proxy_wasm print; proxy_wasm_log_rate 3;                            return 200 ok; }
    location /start   { proxy_wasm start; proxy_wasm_log_rate 5;                            return 200 ok; }
    location /status  { wasm_status; }
CONF
);
ok($nginx->start, 'nginx starts') or diag $nginx->{output};

# What the log has more, once CONDITION holds for it: lines of a filter, and what was said about dropped ones.
sub burst {
    my ($path, $filter, $condition) = @_;
    my $before = length $nginx->log;
    my $more   = sub { substr $nginx->log, $before };
    is($nginx->get($path)->{status}, 200, "$path: 200");
    $nginx->wait_for("$path in the log", sub { $condition->($more->()) });
    my $log = $more->();
    return (scalar(() = $log =~ /\[info\] [^\n]*wasm "$filter": (?:one line|out)/g), $log);
}

sub dropped {
    my $path = shift;
    my $line = 0;
    my @conf = split /\n/, $nginx->read('nginx.conf');
    my ($at) = grep { $conf[$_ - 1] =~ /location \Q$path\E\s/ } 1 .. @conf;
    my $filters = decode_json($nginx->get('/status')->{content})->{filters};
    return [map { $_->{dropped_lines} } grep { $_->{place} =~ /:$at$/ } @$filters];
}

# What is said when no further line comes.
for my $time (1, 2) {
    my ($count, $log) = burst('/info', 'info', sub { $_[0] =~ /"info": dropped/ });
    is($count, 10, "no more lines than allowed, time $time");
    like($log, qr/\[warn\] \d+#\d+: wasm "info": dropped 40 lines, more than 10 in a second \(proxy_wasm_log_rate\)$/m,
        'the others are counted in a line');
    is(() = $log =~ /"info": dropped/g, 1, 'once');
    is_deeply(dropped('/info'), [40 * $time], 'and in the status');
}

# Lines that the log does not want are none.
{
    my ($count, $log) = burst('/debug', 'info', sub { 50 <= (() = $_[0] =~ /"info": one line/g) });
    is($count, 50, 'a filter with room for its lines');
    is_deeply(dropped('/debug'), [0, 0], 'lines that are not written anyway do not count');
}

# Each filter has its own.
{
    my ($count, $log) = burst('/two', 'info', sub { 2 == (() = $_[0] =~ /"info": dropped 20 lines/g) });
    is($count, 60, 'two filters log twice as much');
    is_deeply(dropped('/two'), [20, 20], 'and each has its count');
}

# The default, and none.
{
    my ($count, $log) = burst('/default', 'many', sub { $_[0] =~ /"many": dropped/ });
    is($count, 1000, 'the default is 1000 lines');
    like($log, qr/dropped 500 lines, more than 1000/, 'and the rest is counted');
    ($count, $log) = burst('/off', 'many', sub { 1500 <= (() = $_[0] =~ /one line/g) });
    is($count, 1500, 'off: all lines');
    is_deeply(dropped('/off'), [0], 'and none is dropped');
}

# What a guest prints.
{
    my ($count) = burst('/print', 'print', sub { $_[0] =~ /dropped 1 lines/ });
    is($count, 3, 'lines that are printed count, too');
}

# At the start: in the master and in the worker.
{
    $nginx->wait_for('the worker to tell', sub { $nginx->log =~ /"start": dropped/ });
    my %said = ('the worker' => $nginx->log, 'the master' => $nginx->{output});
    for my $who (sort keys %said) {
        is(() = $said{$who} =~ /\[warn\] [^\n]*wasm "start": one line/g, 5, "$who writes no more lines than allowed");
        like($said{$who}, qr/\[warn\] \d+#\d+: wasm "start": dropped 2 lines, more than 5/, "$who tells what it dropped");
    }
}

# The worker ends before anybody could be told.
{
    my $before = length $nginx->log;
    $nginx->get('/info');
    # Before the signal: nginx removes the file.
    my $pid = $nginx->pid;
    $nginx->signal('TERM');
    $nginx->wait_for('the end', sub { !kill 0, $pid });
    like(substr($nginx->log, $before), qr/dropped 40 lines/, 'a worker that ends tells what it has dropped');
}

done_testing;
