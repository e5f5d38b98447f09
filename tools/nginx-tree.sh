#!/usr/bin/env bash
# Makes the configured nginx source tree that the module is compiled against, once, and prints where things are as
# shell assignments (for 'eval'):
#
#   tools/nginx-tree.sh [installed | vendored | asan | /path/to/configured/objs]
#
#   installed   (default) the headers of the nginx that is installed, from the package nginx-dev, configured as it was
#   vendored    nginx from the crate nginx-src: configured and compiled here, with the binary
#   asan        the same with AddressSanitizer, and with pools that ask malloc for each piece, so that it sees all errors
#   /path       a tree that somebody configured: its objs folder
#
# Prints nginx_kind, nginx_version, nginx_source, nginx_objs, nginx_binary (empty: none), nginx_modules (the folder of
# the installed dynamic modules, may be empty) and wasm_module (where the module for this nginx is put).
# The variables are printed by name:
# shellcheck disable=SC2034
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

which=${1:-installed}
trees=$root/build/nginx
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin

header_version() { sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h"; }

# configured TREE STAMP: is the tree there, and made from exactly this?
configured() {
    [ -f "$1/objs/ngx_auto_config.h" ] && [ -f "$1/objs/Makefile" ] && [ "$(cat "$1/.made-from" 2>/dev/null)" = "$2" ]
}

print() {
    local name
    for name in nginx_kind nginx_version nginx_source nginx_objs nginx_binary nginx_modules wasm_module; do
        printf '%s=%q\n' "$name" "${!name}"
    done
}

installed_tree() {
    local headers=/usr/share/nginx/src build_info
    nginx_binary=$(command -v nginx) || die "no nginx is installed; as root: tools/install.sh nginx"
    build_info=$("$nginx_binary" -V 2>&1)
    nginx_version=$(sed -n 's/^nginx version: [^/]*\/\([0-9.]*\).*/\1/p' <<<"$build_info")
    nginx_modules=$(sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p' <<<"$build_info")
    nginx_kind=installed
    nginx_source=$trees/$nginx_version
    nginx_objs=$nginx_source/objs
    wasm_module=$root/build/ngx_http_wasm_module.so

    [ -x $headers/configure ] && [ -r $headers/conf_flags ] ||
        die "the installed nginx $nginx_version has no headers here; install its nginx-dev package, or configure the" \
            "source of nginx $nginx_version with the arguments that 'nginx -V' shows and say NGINX=/path/to/its/objs"
    [ "$(header_version $headers)" = "$nginx_version" ] ||
        die "nginx is $nginx_version, but nginx-dev has the headers of $(header_version $headers); upgrade both"

    local stamp
    stamp="$build_info"$'\n'"$(cat $headers/conf_flags)"
    configured "$nginx_source" "$stamp" && return
    say "configuring the headers of the installed nginx $nginx_version in ${nginx_source#"$root"/}"
    rm -rf "$nginx_source"
    mkdir -p "$trees"
    cp -r $headers "$nginx_source"
    (
        cd "$nginx_source"
        # shellcheck disable=SC1091
        . ./conf_flags
        run_logged "$trees/$nginx_version-configure.log" \
            ./configure "${NGX_CONF_FLAGS[@]}" --with-cc-opt='-g -O2 -fPIC' --builddir="$nginx_objs"
    )
    printf '%s\n' "$stamp" >"$nginx_source/.made-from"
}

# vendored_tree KIND: vendored or asan
vendored_tree() {
    local crate flags stamp
    say "looking up the crate that carries nginx's source"
    crate=$(cd "$root/tools/nginx-src" && cargo metadata --locked --format-version 1 --quiet |
        grep -o '"manifest_path":"[^"]*/nginx-src-[^"]*"' | cut -d'"' -f4 | head -n 1)
    crate=${crate%/Cargo.toml}
    [ -n "$crate" ] && [ -f "$crate/nginx/src/core/nginx.h" ] ||
        die "the crate nginx-src did not unpack to a folder with nginx's source; try 'cargo fetch' in tools/nginx-src"
    nginx_kind=$1
    nginx_version=$(header_version "$crate/nginx")
    # Not plainly the version: the installed nginx may have the same.
    nginx_source=$trees/$nginx_version-$nginx_kind
    nginx_objs=$nginx_source/objs
    nginx_binary=$nginx_objs/nginx
    wasm_module=$root/build/$nginx_kind/ngx_http_wasm_module.so
    flags=(
        --prefix="$root/build/$nginx_kind/prefix" --with-debug --with-compat --with-threads
        --with-http_v2_module --with-http_ssl_module --with-http_realip_module --with-http_auth_request_module
        --with-http_stub_status_module --with-http_addition_module --with-http_sub_module --with-http_gunzip_module
        --with-http_slice_module --with-http_dav_module --with-http_flv_module --with-http_mp4_module
        --with-http_gzip_static_module --with-http_random_index_module --with-http_secure_link_module
        --with-stream --with-stream_ssl_module
    )
    if [ "$nginx_kind" = asan ]; then
        flags+=(
            --with-cc="$root/tools/asan-cc.sh"
            --with-cc-opt='-g -O1 -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1'
        )
    fi
    stamp="$crate ${flags[*]}"
    if ! configured "$nginx_source" "$stamp" || [ ! -x "$nginx_binary" ]; then
        say "configuring nginx $nginx_version in ${nginx_source#"$root"/}"
        rm -rf "$nginx_source"
        mkdir -p "$trees"
        cp -r "$crate/nginx" "$nginx_source"
        chmod -R u+w "$nginx_source"
        (
            cd "$nginx_source"
            run_logged "$nginx_source-configure.log" \
                auto/configure "${flags[@]}" --builddir="$nginx_objs"
            say "compiling nginx $nginx_version (about a minute)"
            run_logged "$nginx_source-make.log" make -j"$(nproc)"
        )
        printf '%s\n' "$stamp" >"$nginx_source/.made-from"
    fi
    mkdir -p "$root/build/$nginx_kind"
    ln -sfn "$nginx_binary" "$root/build/$nginx_kind/nginx"
}

given_tree() {
    nginx_objs=$(cd "$which" 2>/dev/null && pwd) || die "NGINX=$which: no such folder (installed, vendored, or a path)"
    [ -f "$nginx_objs/ngx_auto_config.h" ] ||
        die "$nginx_objs has no ngx_auto_config.h; give the objs folder of a source tree in which ./configure has run"
    nginx_source=${NGINX_SOURCE_DIR:-$(dirname "$nginx_objs")}
    [ -f "$nginx_source/src/core/nginx.h" ] ||
        die "$nginx_source is not nginx's source; set NGINX_SOURCE_DIR when objs is outside of the source tree"
    nginx_kind=given
    nginx_version=$(header_version "$nginx_source")
    if [ -x "$nginx_objs/nginx" ]; then
        nginx_binary=$nginx_objs/nginx
    fi
    wasm_module=$root/build/given/ngx_http_wasm_module.so
}

case $which in
installed) installed_tree ;;
vendored | asan) vendored_tree "$which" ;;
*) given_tree ;;
esac
print
