#!/usr/bin/env bash
# Installs what a job needs from the distribution's packages (Debian and its kin). Does nothing, quickly, when all is
# there.
#
#   tools/install-packages.sh GROUP...
#
#   build   C compiler, libclang, the libraries that nginx is built with, Rust (checked)
#   nginx   the distribution's nginx and its headers, unless an nginx is installed
#   test    the Lua, echo and headers-more modules of that nginx, the Perl modules under Test::Nginx, and what the tests call
#   calls   what the tests call: a Redis server, Python, certificates
#   check   linters
#   bench   load generator
#   cpp     what compiles C++ to WebAssembly, for guests
#   conformance  what gets and runs Envoy and the other end of it
#   curl    curl
#
# SKIP_PACKAGES=1 leaves the machine as it is: the caller has seen to everything.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rust_wanted=1.95

[ $# -gt 0 ] || { sed -n '5p' "$0" | sed 's/^# */usage: /' >&2; exit 2; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

wanted=()
want() {
    local package
    for package; do
        installed "$package" || wanted+=("$package")
    done
}

# An nginx of the distribution's own packages (nginx.org's package is called nginx too, but brings no such module).
distribution_nginx() { installed nginx-common; }

group() {
    case $1 in
    build)
        want gcc libc6-dev make binutils libpcre2-dev libssl-dev zlib1g-dev
        # Any version of libclang will do, with its headers.
        dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'libclang-*dev' 2>/dev/null |
            grep -qE '^libclang-([0-9]+-)?dev installed' || want libclang-dev
        ;;
    nginx)
        if distribution_nginx || ! command -v nginx >/dev/null; then
            want nginx-core nginx-dev
        fi
        ;;
    test)
        want perl procps psmisc curl libtest-base-perl libtest-longstring-perl liblist-moreutils-perl libwww-perl \
            liburi-perl libipc-run-perl libtext-diff-perl
        if distribution_nginx || ! command -v nginx >/dev/null; then
            want libnginx-mod-http-ndk libnginx-mod-http-lua lua-resty-core lua-resty-lrucache \
                libnginx-mod-http-echo libnginx-mod-http-headers-more-filter
        fi
        group calls
        ;;
    calls)
        command -v redis-server >/dev/null || want redis-server
        group conformance
        ;;
    check) want lua-check shellcheck ;;
    bench) want wrk curl ;;
    cpp) want clang lld wasi-libc libclang-rt-dev-wasm32 libc++-dev-wasm32 ;;
    curl) want curl ;;
    conformance)
        want openssl
        # Any Python that has pip will do.
        python3 -m pip --version >/dev/null 2>&1 || want python3 python3-pip
        ;;
    *) die "no group '$1'; there are build, nginx, test, calls, check, bench, cpp, curl, conformance" ;;
    esac
}

# Debian starts a server when its package is installed. Nobody who builds a module asked for that: while we install,
# tell the package scripts to leave services alone, in the way that Debian documents (policy-rc.d).
policy=/usr/sbin/policy-rc.d
policy_is_ours=no
leave_services_alone() {
    [ ! -e $policy ] || return 0
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && policy_is_ours=yes
    trap 'rm -f $policy' EXIT
}
services_as_before() {
    [ $policy_is_ours = yes ] || return 0
    rm -f $policy
    trap - EXIT
}

install_packages() {
    [ ${#wanted[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        die "missing packages; install them as root:  apt-get install --no-install-recommends ${wanted[*]}"
    fi
    say "installing ${#wanted[@]} packages: ${wanted[*]}"
    local log=$root/build/apt-install.log
    mkdir -p "$root/build"
    leave_services_alone
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get install -y --no-install-recommends "${wanted[@]}" >"$log" 2>&1; then
        # Mostly the package lists are missing or old.
        apt-get update >"$log" 2>&1 || { tail -n 15 "$log" >&2; die "apt-get update failed, see above"; }
        apt-get install -y --no-install-recommends "${wanted[@]}" >"$log" 2>&1 ||
            { tail -n 15 "$log" >&2; die "these packages cannot be installed: ${wanted[*]}; see above"; }
    fi
    services_as_before
    say "packages installed"
}

check_rust() {
    if ! command -v cargo >/dev/null; then
        if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null &&
            apt-cache show rustup >/dev/null 2>&1; then
            say "no cargo; installing the distribution's rustup"
            wanted=(rustup)
            install_packages
            rustup toolchain install stable --profile default ||
                die "rustup could not install a toolchain; install Rust $rust_wanted or later (https://rustup.rs)"
        else
            die "no cargo; install Rust $rust_wanted or later (https://rustup.rs), then try again"
        fi
    fi
    local have
    have=$(cd "$root" && cargo --version | awk '{ print $2 }')
    version_at_least "$have" "$rust_wanted" ||
        die "Rust $have is too old, $rust_wanted or later is needed; with rustup: 'rustup update stable'"
}

if [ "${SKIP_PACKAGES:-}" != 1 ]; then
    if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
        for name; do group "$name"; done
        install_packages
    else
        say "no apt on this system: make sure yourself that the packages in tools/install-packages.sh are there"
    fi
fi

for name; do
    case $name in build) check_rust ;; esac
done
