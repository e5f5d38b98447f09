#!/usr/bin/env bash
# Builds the module and runs the test suite on another release of Debian, with its nginx:
#
#   tools/roots/test.sh ROOT [test | smoke | build] [FILE or FOLDER...]
#
# ROOT is debian-12, debian-13 or debian-unstable.
#
#   test   (default) all of t/, or what is named; with TEST_ENGINE=wasmedge and without names unit tests on WasmEdge, too
#   smoke  some files of each kind, which take a minute or two
#   build  builds the module, and loads it with 'nginx -t'
#
# tools/roots/enter.sh tells what such a root shares with this machine.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

if [ $# -eq 0 ] || [ "$1" = --help ]; then
    usage >&2
    exit 2
fi
name=$1 part=${2:-test}
shift
[ $# -eq 0 ] || shift
case $part in
test) files=("$@") ;;
smoke) files=(t/10-directives/start.t t/20-headers/request.t t/32-bodies/http2.t t/32-bodies/http3.t t/70-programs/merging.t) ;;
build) files=() ;;
*) die "'$part' is nothing to do in a root; there are: test, smoke, build" ;;
esac

enter() { "$root/tools/roots/enter.sh" "$name" "$@"; }

"$root/tools/roots/make.sh" "$name" >/dev/null

# Dependencies that have been compiled here are the same there, if what runs while others are compiled runs there, too: with this C
# library, or a later one. It saves ten minutes.
libc() { "$@" getconf GNU_LIBC_VERSION; }
own=$root/build/roots/$name.own/target
if [ -d "$root/target/release" ] && [ ! -e "$own/release" ] &&
    printf '%s\n' "$(libc env)" "$(libc enter)" | sort -C -V; then
    say "taking over what is compiled in target/"
    mkdir -p "$own"
    cp -a --reflink=auto "$root/target/." "$own/"
fi

enter tools/build-module.sh installed
[ "$part" != build ] || exit 0
"$root/tools/guests/build.sh"
# What an engine has to do, on this one: on others 'make test-unit' sees to it. Twice, since large modules are compiled in another way.
if [ "${TEST_ENGINE:-}" = wasmedge ] && [ "$part" = test ] && [ ${#files[@]} -eq 0 ]; then
    unit_tests=(tools/cargo.sh installed test --release --locked -p ngx-wasm --lib --no-default-features --features wasmedge)
    say "unit tests on WasmEdge"
    enter "${unit_tests[@]}"
    enter env NGX_WASM_TEST_OPTIMIZE=off "${unit_tests[@]}"
fi
enter t/run ${files[@]+"${files[@]}"}
