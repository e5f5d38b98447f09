# Shared by the scripts in tools/, t/ and demo/: source it, do not run it.
# shellcheck shell=bash

# The folder that holds the Makefile.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Where rustup puts cargo when the login shell has not been told yet.
if ! command -v cargo >/dev/null 2>&1 && [ -x "${HOME:-/nonexistent}/.cargo/bin/cargo" ]; then
    PATH=$HOME/.cargo/bin:$PATH
fi

# Progress and errors go to stderr: stdout belongs to the data that a script prints for another one.
say() { printf '==> %s\n' "$*" >&2; }
die() { printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The lines of the calling script between its first line and the first that is no comment.
usage() { sed -n '2,/^[^#]/{/^#/!d; s/^# \{0,1\}//; p}' "$0"; }

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# run_logged LOG COMMAND...: its output goes to LOG, whose end is shown when it fails.
run_logged() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        die "'$1' failed; the whole output is in ${log#"$root"/}"
    fi
}

# What tools/nginx-tree.sh prints, and use_nginx sets.
# shellcheck disable=SC2034
nginx_kind='' nginx_version='' nginx_source='' nginx_objs='' nginx_binary='' nginx_modules='' wasm_module=''

# use_nginx WHICH: makes the tree if needed, sets nginx_* and wasm_module (tools/nginx-tree.sh), and tells cargo's
# nginx-sys about it; for asan, cargo about the sanitizer. nginx-sys recompiles when one of its variables changes: set them in this one way only.
use_nginx() {
    local tree
    # 'make NGINX=...' puts it into the environment, where nginx takes it for a list of inherited sockets.
    unset NGINX
    tree=$("$root/tools/nginx-tree.sh" "$1")
    eval "$tree"
    export NGINX_BUILD_DIR=$nginx_objs
    # Only when it must be: without it the source is the parent of objs.
    if [ "$nginx_source" != "$(dirname "$nginx_objs")" ]; then
        export NGINX_SOURCE_DIR=$nginx_source
    else
        unset NGINX_SOURCE_DIR
    fi
    # Not in the way of what somebody has set himself.
    local bits
    bits=$("$root/tools/nginx-bits.sh" "$nginx_source" "$root/build/nginx/bits-$(cksum <<<"$nginx_source" | cut -d ' ' -f 1)")
    if [ -n "$bits" ]; then
        export BINDGEN_EXTRA_CLANG_ARGS="${BINDGEN_EXTRA_CLANG_ARGS:+$BINDGEN_EXTRA_CLANG_ARGS }$bits"
    fi
    # -Zsanitizer is for nightly compilers, or for this variable. With a target said, what runs while compiling stays as
    # it is.
    if [ "$nginx_kind" = asan ]; then
        export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
        export CARGO_TARGET_DIR=$root/build/asan/target
        CARGO_BUILD_TARGET=$(rustc -vV | sed -n 's/^host: //p')
        export CARGO_BUILD_TARGET
    fi
}

# install_for WHICH GROUP...: the packages of these groups, and those of the nginx.
install_for() {
    local which=$1
    shift
    if [ "$which" = installed ]; then
        set -- nginx "$@"
    fi
    "$root/tools/install.sh" "$@"
}
