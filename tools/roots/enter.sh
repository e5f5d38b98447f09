#!/usr/bin/env bash
# Runs a command in a root that tools/roots/make.sh has made, in this checkout:
#
#   tools/roots/enter.sh ROOT COMMAND...
#
# The root has packages of its own, and in place of build/ and target/ of the checkout folders of its own (build/roots/ROOT.own); so
# nothing that is built there meets what is built here. It shares the checkout itself, the network, and of this machine Rust, cargo's
# registry, certificates, and build/guests: modules are the same everywhere. What is mounted is seen by the command alone and
# ends with it, and so do all processes that it leaves behind. Needs root.
#
# Environment: only TEST_* and DEBIAN_MIRROR of this machine's are handed on.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

[ $# -ge 2 ] || { usage >&2; exit 2; }
there=$("$root/tools/roots/make.sh" "$1")
own=$root/build/roots/$1.own

if [ -z "${INSIDE_OF_ROOT:-}" ]; then
    mkdir -p "$own/build/guests" "$own/target" "$root/build/guests" "$root/target"
    INSIDE_OF_ROOT=1 exec unshare --mount --pid --fork --kill-child -- "${BASH_SOURCE[0]}" "$@"
fi
shift

# seen PATH [FROM]: PATH in the root is what FROM is here.
seen() {
    local from=${2:-$1}
    if [ -d "$from" ]; then mkdir -p "$there$1"; else mkdir -p "$there${1%/*}" && touch "$there$1"; fi
    mount --bind "$from" "$there$1"
}

mount -t proc proc "$there/proc"
mount --rbind /dev "$there/dev"
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    if [ -e "$file" ]; then seen "$file"; fi
done
cargo_home=${CARGO_HOME:-$HOME/.cargo} rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
for folder in "$cargo_home" "$rustup_home"; do
    mkdir -p "$folder"
    seen "$folder"
done
seen "$root"
seen "$root/target" "$own/target"
seen "$root/build" "$own/build"
seen "$root/build/guests"

handed_on=()
while IFS= read -r name; do handed_on+=("$name=${!name}"); done < <(compgen -e | grep -E '^(TEST_.*|DEBIAN_MIRROR)$' || true)
# The shell stays: as the first process of all there, it buries those whose parents have gone.
# shellcheck disable=SC2016
exec chroot "$there" /usr/bin/env -i "HOME=$HOME" "TERM=${TERM:-dumb}" LANG=C.UTF-8 "CARGO_HOME=$cargo_home" \
    "RUSTUP_HOME=$rustup_home" "PATH=$cargo_home/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    ${handed_on[@]+"${handed_on[@]}"} bash -c 'cd "$1" && shift && "$@"; exit "$?"' bash "$root" "$@"
