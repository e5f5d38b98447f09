#!/usr/bin/env bash
# Makes `cargo build --target wasm32-wasip1` work for the active rustc. Does nothing where it already works.
#
#   tools/guests/install-rust-target.sh
#
# Asks rustup first. Where rustup is absent or cannot reach its downloads, the standard library is built from
# Debian's rust-src of exactly the same version, with Debian's wasi-libc, and put where rustc looks for it.
#
# Environment:
#   RUST_TARGET_NO_RUSTUP   set to 1 to leave rustup out
#   RUST_TARGET_SUITES      Debian suites to look for rust-src in, in this order
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

target=wasm32-wasip1
command -v rustc >/dev/null && command -v cargo >/dev/null || die "no rustc and cargo on PATH; install Rust first"
libdir=$(rustc --print target-libdir --target $target 2>/dev/null) || die "this rustc ($(rustc --version)) does not know the target $target; it needs 1.78 or newer"

ready() { compgen -G "$libdir/libstd-*.rlib" >/dev/null && [ -e "$libdir/self-contained/libc.a" ]; }

if ready; then exit 0; fi

if [ "${RUST_TARGET_NO_RUSTUP:-}" != 1 ] && command -v rustup >/dev/null; then
    say "asking rustup for the target $target"
    if timeout 90 rustup --quiet target add $target >/dev/null 2>&1 && ready; then
        say "rustup has added $target"
        exit 0
    fi
    say "rustup could not add it; building it from Debian's sources of the standard library"
fi

version=$(rustc --version --verbose | sed -n 's/^release: //p')
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] ||
    die "rustc $version is no stable release, so Debian has no sources of it; use a stable toolchain, or run 'rustup target add $target' where rustup can download"
command -v dpkg-deb >/dev/null || die "neither rustup nor Debian's tools can bring the target $target here; run 'rustup target add $target' where rustup can download"

work=$root/build/rust-target/$version
rm -rf "$work"
mkdir -p "$work"
get=$root/tools/debian-suite-get.sh
codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
suites=${RUST_TARGET_SUITES:-"stable-backports testing unstable stable ${codename:+$codename-backports}"}
found=
for suite in $suites; do
    if "$get" "$suite" "rust-src=$version*" "$work/src" >"$work/get.log" 2>&1; then
        found=$suite
        break
    fi
    grep -h 'error:' "$work/get.log" >>"$work/errors.log" || cat "$work/get.log" >>"$work/errors.log"
done
if [ -z "$found" ]; then
    cat "$work/errors.log" >&2
    die "no Debian suite of '$suites' has rust-src $version; use a Rust version that is listed above, or run 'rustup target add $target' where rustup can download"
fi
say "rust-src $version comes from the suite $found"
"$get" "$found" wasi-libc "$work/libc" >/dev/null 2>"$work/get.log" || { cat "$work/get.log" >&2; die "the suite $found gave no wasi-libc"; }

library=$(echo "$work"/src/usr/src/rustc-*/library)
[ -f "$library/Cargo.lock" ] || die "Debian's rust-src $version has no library/Cargo.lock; run 'rustup target add $target' where rustup can download"
objects=
for folder in "$work"/libc/usr/lib/wasm32-{wasip1,wasi}; do
    if [ -e "$folder/crt1-reactor.o" ] && [ -e "$folder/libc.a" ]; then objects=$folder; break; fi
done
[ -n "$objects" ] || die "Debian's wasi-libc of the suite $found has no crt1-reactor.o and libc.a where they are expected"

say "building the standard library for $target (about half a minute)"
mkdir -p "$work/empty/src"
cat >"$work/empty/Cargo.toml" <<'TOML'
[package]
name = "empty"
version = "0.0.0"
edition = "2021"

[workspace]
TOML
echo '#![no_std]' >"$work/empty/src/lib.rs"
# The objects of wasi-libc must be in place before: the standard library's crate libc links them in.
mkdir -p "$libdir/self-contained" 2>/dev/null || die "cannot write to $libdir; run this as the owner of the Rust toolchain"
install -m 644 "$objects"/{crt1-command.o,crt1-reactor.o,libc.a} "$libdir/self-contained/"
(
    cd "$work/empty"
    unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library CARGO_TARGET_DIR=$work/target \
        RUSTFLAGS="-Cembed-bitcode=yes -Zforce-unstable-if-unmarked" \
        cargo build --release --target $target -Zbuild-std=core,alloc,std,panic_abort >"$work/build.log" 2>&1
) || { tail -n 40 "$work/build.log" >&2; die "the standard library did not build; the whole output is in $work/build.log"; }

# libstd goes last: its presence is what says that the target is complete.
for file in "$work/target/$target/release/deps"/*.r{lib,meta}; do
    case ${file##*/} in libempty-* | libstd-*) ;; *) install -m 644 "$file" "$libdir/" ;; esac
done
install -m 644 "$work/target/$target/release/deps"/libstd-*.r{lib,meta} "$libdir/"
ready || die "the build left no libstd; see $work/build.log"
rm -rf "$work"
say "$target is ready for rustc $version"
