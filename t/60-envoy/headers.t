# The same filter files with the same configuration in Envoy and in our nginx: what clients and upstreams get must be the
# same, but for the differences that side_by_side.py lists.

use strict;
use warnings;

use Test::More;

plan skip_all => 'needs python3' if system('command -v python3 >/dev/null') != 0;
die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n" unless $ENV{TEST_WASM_ROOT};

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
exec 'python3', "$ENV{TEST_WASM_ROOT}/t/60-envoy/side_by_side.py" or die "cannot start python3: $!\n";
