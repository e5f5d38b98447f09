#!/usr/bin/env bash
# Compiles the module for one nginx and leaves a .so without debug information in build/:
#
#   tools/build-module.sh [installed | vendored | asan | /path/to/configured/objs]
#
# Environment: CARGO_BUILD_FLAGS, more flags for cargo (such as --features).
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

which=${1:-installed}
install_for "$which" build
use_nginx "$which"

cd "$root"
built=${CARGO_TARGET_DIR:-$root/target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release/libngx_http_wasm_module.so
if [ -e "$built" ]; then
    say "compiling the module for nginx $nginx_version"
else
    say "compiling the module for nginx $nginx_version; the first time this takes 5 to 10 minutes, most of it Wasmtime"
fi
# shellcheck disable=SC2086
cargo build --release --locked -p ngx_http_wasm_module ${CARGO_BUILD_FLAGS:-} ||
    die "the module did not compile, see above"

nm -D --defined-only "$built" | grep -q ' ngx_modules$' ||
    die "the module exports no 'ngx_modules', nginx would not load it; compile it with the feature export-modules"
mkdir -p "$(dirname "$wasm_module")"
# A new file, put in place at once: a running nginx may have the old one mapped.
if [ "$nginx_kind" = asan ]; then
    # A report is worth little without lines.
    cp "$built" "$wasm_module.new"
else
    strip --strip-debug -o "$wasm_module.new" "$built"
fi
mv -f "$wasm_module.new" "$wasm_module"
say "${wasm_module#"$root"/} is built ($(du -h "$wasm_module" | cut -f1)), for nginx $nginx_version; in nginx.conf:"
say "    load_module $wasm_module;"
