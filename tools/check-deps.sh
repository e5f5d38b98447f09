#!/usr/bin/env bash
# Looks at what the module depends on, with cargo-deny, by the rules in deny.toml:
#
#   tools/check-deps.sh [--if-installed]
#
# Licences, sources, and crates that are not wanted; then known weaknesses, if the database of advisories can be fetched: a line says
# when it cannot. With --if-installed nothing is compiled or fetched: the former three alone, and nothing where cargo-deny is not there.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$root"
quick=no
case ${1:-} in
'') deny=$(tools/install.sh cargo-deny) ;;
--if-installed)
    quick=yes
    deny=$(compgen -G "$root/build/tools/cargo-deny-*/bin/cargo-deny" | sort -V | tail -n 1) || true
    if [ -z "$deny" ]; then
        say "no cargo-deny: dependencies are not looked at ('make check-deps' installs it)"
        exit 0
    fi
    ;;
*) usage >&2; exit 2 ;;
esac

log=$root/build/check-deps.log
say "licences, sources and crates of the dependencies"
offline=()
[ $quick = no ] || offline=(--offline)
"$deny" --workspace --locked ${offline[@]+"${offline[@]}"} check bans licenses sources >"$log" 2>&1 ||
    { grep -vE '^ *$' "$log" | tail -n 60 >&2; die "the dependencies are not as deny.toml wants them, see above"; }
say "$(grep -c 'warning\[duplicate\]' "$log" || true) crates are there in two versions (build/check-deps.log)"
[ $quick = no ] || exit 0

say "known weaknesses of the dependencies"
if ! "$deny" --workspace --locked fetch db >"$log" 2>&1; then
    say "left out: the database of advisories cannot be fetched, see build/check-deps.log"
    exit 0
fi
"$deny" --workspace --locked --offline check advisories >"$log" 2>&1 ||
    { tail -n 60 "$log" >&2; die "there are advisories about dependencies, see above"; }
