# What programs and plugins start as is there before the first request of a worker: on the thread that takes it. What does not start
# so is told, and the first request tries it again.

use strict;
use warnings;

use JSON::PP qw( decode_json );
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('program-ready');
my $dir   = $nginx->prefix . '/data';
mkdir $dir;
# It says at its start, and as its answer: started!
$nginx->write('talks.wat', <<'WAT');
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "log_warn" (func $log_warn (param i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (func $text (result i64)
    (local $block i64)
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (i64.const 0x2164657472617473))
    (local.get $block))
  (func (export "_initialize") (call $log_warn (call $text)))
  (func (export "answer") (result i32)
    (call $output_set (call $text) (i64.const 8))
    (i32.const 0)))
WAT
# Its answer: how long the values of "c" and "v" were when it started, a digit each.
$nginx->write('asks.wat', <<'WAT');
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)
  (global $c (mut i32) (i32.const 0))
  (global $v (mut i32) (i32.const 0))
  (func $long (param $name i32) (result i32)
    (local $key i64)
    (local.set $key (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $key) (local.get $name))
    (i32.add (i32.const 48) (i32.wrap_i64 (call $length (call $config_get (local.get $key))))))
  (func (export "_initialize")
    (global.set $c (call $long (i32.const 99)))
    (global.set $v (call $long (i32.const 118))))
  (func (export "answer") (result i32)
    (local $block i64)
    (local.set $block (call $alloc (i64.const 2)))
    (call $store_u8 (local.get $block) (global.get $c))
    (call $store_u8 (i64.add (local.get $block) (i64.const 1)) (global.get $v))
    (call $output_set (local.get $block) (i64.const 2))
    (i32.const 0)))
WAT
# More than a thread keeps: the last are started by a request.
my @asking = 1 .. 12;
my $asks   = join "\n", map {"location = /asks/$_ { wasm_function asks answer; wasm_env c abc; wasm_env v \$arg_v; }"} @asking;
$nginx->configure(
    main   => "wasm { module talks talks.wat; module asks asks.wat; module program $root/build/guests/rust-program.wasm; }",
    http   => 'wasm_threads 1 queue=0;',
    server => "
        location = /talks  { wasm_function talks answer; }
        location /program/ { wasm_cgi program; wasm_snapshot prepare; wasm_dir $dir:/data; }
        $asks
        location = /status { wasm_status; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

my $told = qr/"talks".*started!/;
sub told { return scalar(() = $nginx->log =~ /$told/g) }

$nginx->wait_for('the plugin to start', sub { told() });
is(told(), 1, 'a plugin starts without a request');
unlike($nginx->log, qr/$told.*request:/, 'and what it logs is of none');
my $threads = decode_json($nginx->get('/status')->{content})->{threads};
is_deeply([@$threads{qw( threads busy )}], [1, 0], 'a thread is there, and no request keeps it busy') or diag explain $threads;
is($nginx->get('/talks')->{content}, 'started!', 'the first request') for 1 .. 2;
is(told(), 1, 'it gets the instance that has started');
is($nginx->get('/program/counter')->{content}, "count 201, initialized 1 times, 0 left\n", 'a snapshot');

# What all requests get has started with what is the same for all, whoever came first.
for my $n (@asking) {
    is($nginx->get("/asks/$n?v=$_")->{content}, '30', "/asks/$n, the configuration at its start") for 'secret', '';
}

# A worker finds that something has gone since the master looked.
rename $dir, "$dir.gone" or die "cannot rename $dir: $!\n";
my ($old) = $nginx->workers;
kill KILL => $old;
my $failed = qr/\[error\] (\d+)#.*program "program".*\Q$dir\E.*, when its worker started; the first request starts it anew$/m;
$nginx->wait_for('another worker to say what is missing', sub { $nginx->log =~ $failed });
my ($new) = $nginx->workers;
is(($nginx->log =~ $failed)[0], $new, 'a program that does not start is told of');
is($nginx->get('/program/counter')->{status}, 502, 'and is tried again by the first request');
like($nginx->log, qr/\[error\] $new#.*"program".*\Q$dir\E.*request: "GET \/program\/counter/, 'which says why, too');
is($nginx->get('/talks')->{content}, 'started!', 'others have started');
rename "$dir.gone", $dir or die "cannot rename $dir.gone: $!\n";
is($nginx->get('/program/counter')->{content}, "count 201, initialized 1 times, 0 left\n", 'and so does it, once it can');

# A worker that ends does not wait for what it makes ready.
$nginx->signal('HUP');
$nginx->wait_for('the worker before to end', sub { !grep { $_ == $new } $nginx->workers });
$nginx->stop;
unlike($nginx->log, qr/of programs do not end/, 'all threads end');

done_testing;
