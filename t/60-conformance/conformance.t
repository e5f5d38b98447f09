# The same filters with the same configuration in Envoy and in our nginx: what clients, upstreams and filters get must be
# the same, but for the differences that differences/ lists. suite.py explains.

use strict;
use warnings;

use Test::More;

die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n" unless $ENV{TEST_WASM_ROOT};
for my $command (qw( python3 openssl )) {
    next if system("command -v $command >/dev/null") == 0;
    die "$command is missing\n" if $ENV{CONFORMANCE_REQUIRED};
    plan skip_all => "needs $command";
}

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
my @cases = split /\n/, $ENV{CONFORMANCE} // '';
exec 'python3', "$ENV{TEST_WASM_ROOT}/t/60-conformance/suite.py", @cases or die "cannot start python3: $!\n";
