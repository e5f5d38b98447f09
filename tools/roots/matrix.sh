#!/usr/bin/env bash
# Runs tools/roots/test.sh on several releases of Debian, one behind the other, and says at the end what came of each:
#
#   tools/roots/matrix.sh [test | smoke | build] [ROOT...]
#
# Without a root: on all. With TEST_ENGINE=wasmedge, filters run on that engine (t/run). The output of each goes to build/roots/ROOT.log,
# too. Fails when one has failed.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

part=${1:-test}
[ $# -eq 0 ] || shift
roots=("$@")
[ ${#roots[@]} -gt 0 ] || roots=(debian-12 debian-13 debian-unstable)

result=0 summary=()
mkdir -p "$root/build/roots"
for name in "${roots[@]}"; do
    log=$root/build/roots/$name.log
    say "$name: $part"
    if "$root/tools/roots/test.sh" "$name" "$part" 2>&1 | tee "$log"; then outcome=passed; else outcome=FAILED result=1; fi
    nginx=$(sed -n 's/^==> \(testing on\|.*is built.* for\) \(nginx [0-9.]*\).*/\2/p' "$log" | tail -n 1)
    summary+=("$name (${nginx:-no nginx}, ${TEST_ENGINE:-wasmtime}): $outcome; $(grep '^Files=' "$log" || echo 'no test run')")
done
printf '==> %s\n' "${summary[@]}" >&2
exit "$result"
