#!/usr/bin/env bash
# nginx under valgrind, for 't/run --valgrind': takes the place of the binary of which VALGRIND_NGINX is the path. Each
# process leaves a file in build/valgrind/reports; those with errors are not empty.
#
# What is not initialised is not looked for: valgrind does not see what compiled guests write, nor all that the C library
# and Cranelift do with vector instructions, and so has reports about right programs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Only what runs as a server is looked at.
for argument in "$@"; do
    case $argument in
    -V | -v | -h | '-?') exec "$VALGRIND_NGINX" "$@" ;;
    esac
done
mkdir -p "$root/build/valgrind/reports"
# --vgdb=no: workers that run as nobody cannot make its files.
exec valgrind --quiet --trace-children=yes --vgdb=no --undef-value-errors=no --num-callers=30 \
    --log-file="$root/build/valgrind/reports/%p" --suppressions="$root/tools/valgrind.supp" \
    "$VALGRIND_NGINX" "$@"
