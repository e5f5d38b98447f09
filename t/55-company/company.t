# Filters in the company of nginx's other modules: each feature with each thing that a filter does, and all kinds of requests.
# What must hold is in invariants.py; company.py explains.

use strict;
use warnings;

use Test::More;

die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n" unless $ENV{TEST_WASM_ROOT};
for my $command (qw( python3 openssl )) {
    plan skip_all => "needs $command" unless system("command -v $command >/dev/null") == 0;
}
plan skip_all => "needs Python 3.11" if system("python3 -c 'import asyncio; asyncio.timeout' 2>/dev/null");

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
exec 'python3', "$ENV{TEST_WASM_ROOT}/t/55-company/company.py", split ' ', $ENV{COMPANY} // '' or die "cannot start python3: $!\n";
