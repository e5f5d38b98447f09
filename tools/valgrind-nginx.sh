#!/usr/bin/env bash
# nginx under valgrind, for 't/run --valgrind': takes the place of the binary of which VALGRIND_NGINX is the path. Each
# process leaves a file in build/valgrind/reports; those with errors are not empty.
#
# What is not initialised is not looked for: valgrind does not see what compiled guests write, nor all that the C library
# and Cranelift do with vector instructions, and so has reports about right programs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Only what runs as a server is looked at. (In `nginx -t` the stack is not deep yet when a filter is tried, and this valgrind, 3.19,
# ends a process to which a signal comes, there the one of the clock, when it must grow the stack of main for that.)
prefix='' conf=conf/nginx.conf before=''
for argument in "$@"; do
    case $argument in
    -V | -v | -h | '-?' | -t) exec "$VALGRIND_NGINX" "$@" ;;
    esac
    case $before in
    -p) prefix=$argument ;;
    -c) conf=$argument ;;
    esac
    before=$argument
done
mkdir -p "$root/build/valgrind/reports"

# Compiling guests takes nearly all of the time under valgrind, so it is done once for all tests, but for those that look at
# what is compiled.
case $conf in
/*) ;;
*) conf=${prefix%/}/$conf ;;
esac
if [ -z "${VALGRIND_NO_CACHE:-}" ] && [ -f "$conf" ] && grep -q '^wasm {' "$conf" && ! grep -q 'cache_dir' "$conf"; then
    (umask 077; mkdir -p "$root/build/valgrind/cache")
    sed -i "s|^wasm {|wasm { cache_dir $root/build/valgrind/cache;|" "$conf"
fi
# There are but 128 GiB of address space for the program. Any limit has the module be sparing with it.
ulimit -v $((1 << 37))

# --vgdb=no: workers that run as nobody cannot make its files. --fair-sched: a guest that loops must not keep the processor
# from the clock that ends it.
exec valgrind --quiet --trace-children=yes --vgdb=no --fair-sched=try --undef-value-errors=no --num-callers=30 \
    --log-file="$root/build/valgrind/reports/%p" --suppressions="$root/tools/valgrind.supp" \
    "$VALGRIND_NGINX" "$@"
