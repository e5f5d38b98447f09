#!/usr/bin/env bash
# Fuzzing:
#
#   tools/fuzz.sh short [OPTION...]       every target on its corpus and on some variations, the same in each run; needs the
#                                         stable compiler alone; part of 'make test' (fuzz/src/bin/short.rs)
#   tools/fuzz.sh run TARGET [OPTION...]  libFuzzer on one target; options are its own, such as -max_total_time=60, or a file
#   tools/fuzz.sh long [SECONDS]          libFuzzer on all targets, one after the other, each for so long (default: 600)
#   tools/fuzz.sh min [TARGET...]         adds the inputs of build/fuzz/corpus that reach something more to the archive of
#                                         the target, minimised
#   tools/fuzz.sh keep TARGET FILE...     adds these files, or those in folders, to the archive of the target
#   tools/fuzz.sh live [OPTION...]        a real nginx, with a filter that makes any host calls (fuzz/live/run.py)
#   tools/fuzz.sh lua [OPTION...]         the same through Lua (fuzz/live/play.lua)
#
# Inputs are the files of fuzz/corpus/TARGET, which have names that say what they are, and those in fuzz/corpus/TARGET.tar.gz,
# which a fuzzer has found, under their SHA-1. Runs read both in build/fuzz/seeds/TARGET. What is found is in build/fuzz/corpus.
#
# Environment: FUZZ_SANITIZER=address for 'run' and 'long' (default: none), NGINX for 'live' (default: installed; asan finds
# most) and 'lua' (installed).
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

targets() { sed -n 's/^    ("\([a-z0-9_]*\)", .*/\1/p' "$root/fuzz/src/lib.rs"; }

is_target() { targets | grep -x -- "$1" >/dev/null; }

# Where 'short' is: built with the dependencies that the module has compiled.
short_binary() {
    local target=${CARGO_TARGET_DIR:-$root/target}
    CARGO_TARGET_DIR=$target cargo build --release --locked --quiet --manifest-path "$root/fuzz/Cargo.toml" \
        --no-default-features --features short --bin short >&2 || die "the fuzz targets did not compile, see above"
    printf '%s\n' "$target/release/short"
}

# cargo-fuzz asks the compiler for what only nightly ones have, or this variable.
cargo_fuzz() {
    if ! cargo fuzz --version >/dev/null 2>&1; then
        say "installing cargo-fuzz"
        cargo install cargo-fuzz --locked --quiet || die "cargo-fuzz did not install; 'tools/fuzz.sh short' goes without it"
    fi
    (cd "$root" && RUSTC_BOOTSTRAP=1 cargo fuzz "$@")
}

sanitizer=${FUZZ_SANITIZER:-none}
options=(--sanitizer "$sanitizer" --target-dir "$root/build/fuzz/$sanitizer")

# All inputs to build/fuzz/seeds. Another run may be reading there: what is the same stays.
unpack() {
    local area=$root/build/fuzz corpus=$root/fuzz/corpus entry target
    mkdir -p "$area"
    for entry in "$corpus"/*; do
        target=$(basename "$entry" .tar.gz)
        is_target "$target" || die "${entry#"$root"/} is for no target; there are $(targets | tr '\n' ' ')"
    done
    exec 9>"$area/lock"
    flock -w 600 9 || die "another run has held build/fuzz/lock for ten minutes; end it and try again"
    rm -rf "$area/seeds.new"
    for target in $(targets); do
        mkdir -p "$area/seeds.new/$target"
        [ ! -f "$corpus/$target.tar.gz" ] || tar -xzf "$corpus/$target.tar.gz" --no-same-owner -C "$area/seeds.new/$target"
        [ ! -d "$corpus/$target" ] || cp -r "$corpus/$target/." "$area/seeds.new/$target/"
    done
    if ! diff -rq "$area/seeds" "$area/seeds.new" >/dev/null 2>&1; then
        rm -rf "$area/seeds"
        mv "$area/seeds.new" "$area/seeds"
    fi
    exec 9>&-
}

# keep TARGET FILE|FOLDER...: adds to the archive what is no input yet, under its sum. The bytes of the archive depend on those of
# the inputs alone.
keep() {
    local target=$1 packed sum file new=0
    local archive=$root/fuzz/corpus/$target.tar.gz
    local -A known=()
    shift
    unpack
    while read -r sum _; do known[$sum]=1; done < <(cd "$root/build/fuzz/seeds/$target" && find . -type f -exec sha1sum {} +)
    packed=$(mktemp -d "$root/build/fuzz/pack.XXXXXX")
    [ ! -f "$archive" ] || tar -xzf "$archive" --no-same-owner -C "$packed"
    while IFS= read -r -d '' file; do
        sum=$(sha1sum <"$file")
        sum=${sum%% *}
        [ -z "${known[$sum]:-}" ] || continue
        cp "$file" "$packed/$sum"
        known[$sum]=1 new=$((new + 1))
    done < <(find "$@" -type f -print0)
    if [ "$new" -gt 0 ]; then
        (cd "$packed" && find . -type f -printf '%P\n' | LC_ALL=C sort |
            tar -cf - --format=ustar --owner=0 --group=0 --numeric-owner --mode=644 --mtime=@0 -T - | gzip -9n) >"$archive.new"
        mv "$archive.new" "$archive"
    fi
    rm -rf "$packed"
    say "$target: $new new inputs in ${archive#"$root"/}"
}

seeds() {
    "$(short_binary)" --seeds "$root/build/fuzz/corpus"
    unpack
    local target
    for target in $(targets); do
        mkdir -p "$root/build/fuzz/corpus/$target"
    done
}

run_target() {
    local target=$1
    shift
    if [ -f "${1:-}" ]; then
        cargo_fuzz run "${options[@]}" "$target" "$@"
        return
    fi
    # New inputs go to the first folder.
    cargo_fuzz run "${options[@]}" "$target" "build/fuzz/corpus/$target" "build/fuzz/seeds/$target" -- \
        -rss_limit_mb=4096 -malloc_limit_mb=512 -timeout=240 -print_final_stats=1 "$@"
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
short)
    short=$(short_binary)
    unpack
    say "fuzz targets on their corpora"
    "$short" "$@" 2>/dev/null
    ;;
run)
    [ $# -gt 0 ] || die "which target? $(targets | tr '\n' ' ')"
    seeds
    run_target "$@"
    ;;
long)
    seconds=${1:-600}
    seeds
    mkdir -p "$root/build/fuzz/logs"
    findings=0
    for target in $(targets); do
        log=$root/build/fuzz/logs/$target.log
        result=ok
        run_target "$target" "-max_total_time=$seconds" >"$log" 2>&1 || result="a finding, see $log" findings=$((findings + 1))
        executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
        say "$target: ${executions:-?} executions, $result"
    done
    [ "$findings" -eq 0 ] || exit 1
    ;;
min)
    seeds
    chosen=("$@")
    [ $# -gt 0 ] || mapfile -t chosen < <(targets)
    for target in "${chosen[@]}"; do
        merged=$root/build/fuzz/merged/$target
        rm -rf "$merged"
        mkdir -p "$merged"
        cargo_fuzz run "${options[@]}" "$target" "build/fuzz/merged/$target" "build/fuzz/seeds/$target" \
            "build/fuzz/corpus/$target" -- -merge=1 -max_len=4096
        # Modules of others are not kept, and neither is what is large.
        find "$merged" -type f -size +4k -delete
        if [ "$target" = module ]; then
            find "$merged" -type f -exec grep -qlP '\A\x00asm' {} \; -delete
        fi
        keep "$target" "$merged"
    done
    ;;
keep)
    [ $# -gt 1 ] || die "which files, of which target? $(targets | tr '\n' ' ')"
    is_target "$1" || die "no target '$1'; there are $(targets | tr '\n' ' ')"
    for file in "${@:2}"; do [ -e "$file" ] || die "there is no $file"; done
    keep "$@"
    ;;
live | lua)
    which=${NGINX:-installed}
    install_for "$which" test
    use_nginx "$which"
    [ -f "$wasm_module" ] || die "${wasm_module#"$root"/} is not built; run: make build NGINX=$which"
    arguments=(--nginx "$nginx_binary" --work "$root/build/fuzz/$command")
    if [ "$command" = lua ]; then
        [ -f "$nginx_modules/ngx_http_lua_module.so" ] || die "this nginx has no Lua module"
        arguments+=(--lua --module "$nginx_modules/ndk_http_module.so" --module "$nginx_modules/ngx_http_lua_module.so")
    fi
    if [ "$nginx_kind" = asan ]; then
        rm -rf "$root/build/asan/reports"
        mkdir -p "$root/build/asan/reports"
        chmod 1777 "$root/build/asan/reports"
        arguments+=(--reports "$root/build/asan/reports")
    fi
    unset CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTFLAGS
    exec python3 "$root/fuzz/live/run.py" "${arguments[@]}" --module "$wasm_module" --short "$(short_binary)" "$@"
    ;;
*)
    usage >&2
    exit 2
    ;;
esac
