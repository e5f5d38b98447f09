# Shared by the scripts in bench/: source it. start_python NGINX SCRIPT ARGUMENT... hands over to bench/lib/SCRIPT.
# shellcheck shell=bash
# shellcheck source=../../tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

start_python() {
    local which=$1 script=$2
    shift 2
    use_nginx "$which"
    [ -n "$nginx_binary" ] || die "there is no nginx binary in $nginx_objs; run 'make' in that source tree first"
    [ -f "$wasm_module" ] || die "${wasm_module#"$root"/} is not built; run: make build NGINX=$which"
    [ -d "$root/build/guests" ] || die "the guests are not built; run: make guests"
    command -v wrk >/dev/null || die "there is no wrk; as root: tools/install.sh bench"
    command -v python3 >/dev/null || die "there is no python3"

    export BENCH_ROOT=$root BENCH_PREFIX=$root/build/bench
    export BENCH_NGINX=$nginx_binary BENCH_NGINX_TITLE="nginx $nginx_version ($nginx_kind)"
    export BENCH_MODULE=$BENCH_PREFIX/ngx_http_wasm_module.so BENCH_NGINX_MODULES=$nginx_modules
    mkdir -p "$BENCH_PREFIX"

    # Two runs must not share the folders (nor the machine).
    exec 8>"$BENCH_PREFIX/lock"
    flock -n 8 || die "another benchmark is under way in this checkout; wait for it"
    # A copy, which a build that goes on at the same time leaves alone.
    cp "$wasm_module" "$BENCH_MODULE"
    export PYTHONDONTWRITEBYTECODE=1
    python3 "$root/bench/lib/$script" "$@" 8>&-
}
