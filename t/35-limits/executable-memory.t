# Where memory that was writable must not become executable (MemoryDenyWriteExecute= of systemd), code lies in sealed files in memory; where
# there are none either, nginx says what is forbidden and which settings allow it. An interpreter (wasm_vm pulley) runs there all the same.

use strict;
use warnings;

use File::Temp ();
use NginxProcess;
use Test::More;

$ENV{VALGRIND_NO_CACHE} = 1;

my $root    = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $scratch = File::Temp->newdir('wasm-hardened-XXXXXX', TMPDIR => 1);

# An nginx for which this is forbidden; none where that cannot be forbidden.
sub hardened {
    my ($what, $engine) = (@_, 'wasmtime');
    my $as = "python3 $root/t/lib/hardened.py $what";
    if (system("$as true 2>/dev/null") != 0) { return }
    my $nginx = NginxProcess->new("executable-memory-$what-$engine", binary => "$as $ENV{TEST_NGINX_BINARY}");
    $nginx->write('filter.wat', <<'WAT');
(module
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-filter1")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $replace (i32.const 2) (i32.const 0) (i32.const 8) (i32.const 8) (i32.const 1))))
WAT
    $nginx->write('traps.wat', <<'WAT');
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))
WAT
    $nginx->configure(
        main   => "wasm { module filter filter.wat; module traps traps.wat; module program $root/build/guests/c-program.wasm; "
            . "cache_dir $scratch/$what-$engine; }",
        http   => "wasm_vm $engine;",
        server => <<'CONF',
location / { proxy_wasm filter; return 200 ok; }
location /own { proxy_wasm filter; proxy_wasm_isolation request; return 200 ok; }
location /traps { proxy_wasm traps; return 200 ok; }
location /program { wasm_cgi program; }
CONF
    );
    return $nginx;
}

SKIP: {
    my $nginx = hardened('mdwe') or skip 'this kernel has no PR_SET_MDWE', 1;
    for my $from ('compiled', 'taken from the compile cache') {
        $nginx->start or die($nginx->{output});
        like($nginx->log, qr/module "filter" \(\S+\): $from/, "$from: nginx starts");
        is($nginx->get($_)->{headers}{'x-filter'}, 1, "$from: the filter works at $_") for qw( / /own );
        is($nginx->get('/traps')->{status}, 503, "$from: a trap ends its request");
        is($nginx->get('/')->{headers}{'x-filter'}, 1, "$from: and the worker goes on");
        my ($worker) = $nginx->workers;
        open my $in, '<', "/proc/$worker/maps" or die "maps: $!";
        my @code = grep {/memfd:wasm-code/} <$in>;
        ok(scalar @code, "$from: code lies in sealed files");
        is(scalar(grep { !/ r-xp / } @code), 0, "$from: which nobody can write") or diag @code;
        $nginx->stop;
    }
}

SKIP: {
    my $nginx = hardened('sealed') or skip 'this system cannot forbid it', 1;
    my ($ok, $output) = $nginx->test;
    ok(!$ok, 'without any way nginx -t fails');
    my @mistakes = grep {/\[emerg\]/} split /\n/, $output;
    is(scalar @mistakes, 1, 'with one line, although there are three modules') or diag $output;
    like($mistakes[0], qr/memory that was written to cannot be made executable \(Permission denied.*\)/, 'it says what is forbidden');
    like($mistakes[0], qr/MemoryDenyWriteExecute=no.*httpd_execmem/, 'and what allows it');
    like($mistakes[0], qr/or have modules interpreted, which takes longer: wasm_vm pulley/, 'or does without');
    like($mistakes[0], qr/ in \S+nginx\.conf:\d+$/, 'and where a module is');
    is(scalar(my @files = glob "$scratch/sealed-wasmtime/*.code"), 0, 'nothing is compiled before');
}

# What a worker may execute that is in no file of the system, and not the kernel's.
sub made_executable {
    my ($worker) = @_;
    open my $in, '<', "/proc/$worker/maps" or die "maps: $!";
    return grep { /^\S+ ..x/ && !m{ /(?!memfd:)|\[v\w+\]$} } <$in>;
}

SKIP: {
    my $nginx = hardened('sealed', 'pulley') or skip 'this system cannot forbid it', 1;
    for my $from ('compiled', 'taken from the compile cache') {
        $nginx->start or die($nginx->{output});
        like($nginx->log, qr/module "filter" \(\S+\): $from/, "interpreted, $from: nginx starts");
        is($nginx->get($_)->{headers}{'x-filter'}, 1, "interpreted, $from: the filter works at $_") for qw( / /own /own );
        is($nginx->get('/traps')->{status}, 503, "interpreted, $from: a trap ends its request");
        is($nginx->get('/program')->{status}, 200, "interpreted, $from: a program answers");
        is($nginx->get('/')->{headers}{'x-filter'}, 1, "interpreted, $from: and the worker goes on");
        is(join('', made_executable($nginx->workers)), '', "interpreted, $from: nothing has become executable");
        $nginx->stop;
    }
}

SKIP: {
    my $nginx = hardened('files') or skip 'this system cannot forbid it', 1;
    $nginx->start or die($nginx->{output});
    is($nginx->get($_)->{headers}{'x-filter'}, 1, "without files in memory alone machine code runs at $_") for qw( / /own /own );
    is($nginx->get('/program')->{status}, 200, 'and a program answers');
    isnt(join('', made_executable($nginx->workers)), '', 'which has become executable');
    $nginx->stop;
}

SKIP: {
    my $nginx = hardened('nothing') or skip 'no python3', 1;
    $nginx->start or die($nginx->{output});
    my ($worker) = $nginx->workers;
    open my $in, '<', "/proc/$worker/maps" or die "maps: $!";
    is(scalar(grep {/memfd:wasm-code/} <$in>), 0, 'elsewhere code lies where the engine puts it');
    is($nginx->get('/')->{headers}{'x-filter'}, 1, 'and runs');
}

done_testing();
