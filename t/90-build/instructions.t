# What a request costs in instructions of the worker has not grown: bench/lib/guard.py compares six cases with
# bench/expected.json.

use strict;
use warnings;

use File::Path qw( make_path );
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
plan skip_all => "the figures are of nginx as it is installed, not of $ENV{TEST_WASM_NGINX}" if $ENV{TEST_WASM_NGINX} ne 'installed';
plan skip_all => 'valgrind does not run under valgrind' if $ENV{TEST_WASM_VALGRIND};
for my $command (qw( python3 valgrind )) {
    plan skip_all => "needs $command" if system("command -v $command >/dev/null") != 0;
}

$ENV{BENCH_ROOT}       = $root;
$ENV{BENCH_PREFIX}     = "$root/build/t/instructions";
$ENV{BENCH_NGINX}      = $ENV{TEST_NGINX_BINARY};
$ENV{BENCH_NGINX_KIND} = $ENV{TEST_WASM_NGINX};
$ENV{BENCH_MODULE}     = $ENV{TEST_WASM_MODULE};
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
make_path($ENV{BENCH_PREFIX});
exec 'python3', "$root/bench/lib/guard.py" or die "cannot start python3: $!\n";
