#!/usr/bin/env bash
# The C compiler of 'tools/nginx-tree.sh asan': instruments what is compiled for AddressSanitizer, and links executables
# with rustc's runtime of it. One runtime for nginx and the module: the one that the module's code was made for; and it has
# to be in the executable, there before anything else runs. gcc's own, which gcc would add, stays away.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

for argument in "$@"; do
    case $argument in
    -c | -S | -E) exec "${ASAN_CC:-gcc}" -fsanitize=address "$@" ;;
    -shared | -v | --version) exec "${ASAN_CC:-gcc}" "$@" ;;
    esac
done
runtime=$(find "$(rustc --print target-libdir)" -name 'librustc-*_rt.asan.a' | head -n 1)
[ -n "$runtime" ] || { echo "this Rust has no runtime of AddressSanitizer (librustc-*_rt.asan.a)" >&2; exit 1; }
# Options are in the executable: nginx has no environment when it starts itself anew. Segmentation faults are Wasmtime's,
# which makes traps of them; reports go to files, as standard error is closed or a log.
options=$root/build/asan/options.c
mkdir -p "$root/build/asan/reports"
cat >"$options.$$" <<END
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:detect_leaks=0:strict_string_checks=0:"
        "detect_stack_use_after_return=0:allow_addr2line=1:log_path=$root/build/asan/reports/report";
}
END
mv "$options.$$" "$options"
exec "${ASAN_CC:-gcc}" "$@" -x c "$options" -x none -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
    -Wl,--export-dynamic -lpthread -ldl -lm -lrt
