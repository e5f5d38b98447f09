#!/usr/bin/env bash
# Runs cargo with the environment that the module crate needs:
#
#   tools/cargo.sh installed|vendored|asan|/path/to/configured/objs CARGO-ARGUMENT...
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -ge 2 ] || { sed -n '4p' "$0" | sed 's/^# */usage: /' >&2; exit 2; }
which=$1
shift
install_for "$which" build
use_nginx "$which"
cd "$root"
say "cargo $*"
exec cargo "$@"
