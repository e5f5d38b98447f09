#!/usr/bin/env bash
# Builds the Debian package on releases of Debian and lives through its life there, with apt: lintian, install, requests, upgrade,
# remove, install again, purge. Prints a line for each step, and ends at the first that fails.
#
#   tools/deb-test.sh [ROOT...]
#   tools/deb-test.sh here
#
# ROOT is what tools/roots/make.sh makes: debian-12 and debian-13 unless others are named. With 'here' it is this very system, as root:
# for machines that are thrown away. The package is not there in the end, whatever was before.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=libnginx-mod-http-wasm
filter=$root/build/guests/rust-headers.wasm
enabled=/etc/nginx/modules-enabled
cache=/var/cache/nginx-wasm
export DEBIAN_FRONTEND=noninteractive

# step WHAT COMMAND...: says what has been seen to be so, or shows what the command said and ends.
step() {
    local what=$1 log=$work/step.log
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        printf 'not ok - %s: %s\n' "$system" "$what"
        die "'$*' failed, see above"
    fi
    printf 'ok - %s: %s\n' "$system" "$what"
}

apt_get() { apt-get -q -y --no-install-recommends "$@"; }

version_here() { dpkg-query -W -f '${Version}' "$name"; }
has_version() { [ "$(version_here)" = "$1" ]; }
gone() { ! dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed; }

is_linked() { [ "$(readlink -e "$enabled/50-mod-http-wasm.conf")" = /usr/share/nginx/modules-available/mod-http-wasm.conf ]; }
is_not_linked() { [ ! -e "$enabled/50-mod-http-wasm.conf" ] && [ ! -L "$enabled/50-mod-http-wasm.conf" ]; }
# As nginx reads them.
behind_lua() {
    local files
    files=$(cd "$enabled" && LC_ALL=C printf '%s\n' *.conf)
    printf '%s\n' "$files"
    [ "$(grep -E 'http-(lua|wasm)' <<<"$files" | paste -sd' ')" = '50-mod-http-lua.conf 50-mod-http-wasm.conf' ]
}
nothing_left() {
    local left
    left=$(find /etc/nginx /usr/lib/nginx /usr/share/nginx/modules-available /usr/share/lua /usr/share/doc /usr/share/man /usr/bin \
        -name '*http?wasm*' -o -name proxy-wasm.lua -o -name 'ngx-wasm-try*')
    printf '%s\n' "$left"
    [ ! -e "$cache" ] || { ls -ld "$cache"; return 1; }
    [ -z "$left" ] && ! dpkg-query -W "$name" 2>/dev/null
}

# The ABI that the package asks for is the one that the installed nginx has.
asks_for_abi() {
    local abi
    abi=$(dpkg-deb -f "$package" Depends | grep -oE 'nginx-abi-[^, ]+')
    printf 'asks for %s\n' "$abi"
    dpkg-query -W -f '${Provides}\n' nginx nginx-core 2>/dev/null | grep -qF "$abi"
}

# The folder for compiled modules is there, root's alone, with so many of them.
caches() {
    local files
    files=$(find "$cache" -name '*.code')
    stat -c '%n %a %U' "$cache" && printf '%s\n' "$files"
    [ "$(stat -c '%a %u' "$cache")" = '700 0' ] && [ "$(printf '%s' "$files" | grep -c .)" = "$1" ]
}
compiled_nothing() {
    grep ' wasm: ' "$work/error.log"
    ! grep -q ': compiled in ' "$work/error.log" && grep -q ': taken from the compile cache in ' "$work/error.log"
}

# Both files have the build id of the module.
symbols_fit() {
    local id
    id=$(readelf -n /usr/lib/nginx/modules/ngx_http_wasm_module.so | sed -n 's/^ *Build ID: //p')
    [ -n "$id" ] && readelf -SW "/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" | grep -q '\.debug_line'
}
stripped() { ! readelf -SW /usr/lib/nginx/modules/ngx_http_wasm_module.so | grep -E '\.(symtab|debug_)'; }

# An nginx with the modules that Debian's own configuration loads, on a socket in a folder.
write_configuration() {
    chmod 755 "$work"
    cat >"$work/nginx.conf" <<END
include $enabled/*.conf;
pid $work/nginx.pid;
error_log $work/error.log notice;
events {}
wasm {
    module headers $filter;
}
http {
    access_log off;
    init_by_lua_block {
        local wasm = require "resty.proxy-wasm"
        filter = assert(wasm.on_configure(assert(wasm.load("lua-headers", "$filter")), "response.add x-lua world"))
    }
    server {
        listen unix:$work/nginx.sock;
        location / {
            proxy_wasm headers 'response.add x-hello world';
            return 200 "served\n";
        }
        location /lua {
            access_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
            header_filter_by_lua_block { assert(require "resty.proxy-wasm".on_http_response_headers(filter)) }
            content_by_lua_block { ngx.say("served") }
        }
    }
}
END
}
start() { nginx -c "$work/nginx.conf" -e "$work/error.log"; }
stop() {
    local pid
    [ -f "$work/nginx.pid" ] || return 0
    pid=$(cat "$work/nginx.pid")
    kill -QUIT "$pid"
    tail --pid="$pid" -f /dev/null
}
# answers PATH HEADER: the filter's header is there.
answers() {
    local answer
    answer=$(curl -sS -i --max-time 20 --retry 20 --retry-delay 1 --retry-all-errors --unix-socket "$work/nginx.sock" "http://localhost$1") || return
    printf '%s\n' "$answer"
    grep -q '^HTTP/1.1 200' <<<"$answer" && grep -qx "$2: world" <<<"${answer//$'\r'/}"
}
# The nginx that runs has the module that is installed, not one that was there before.
has_new_module() {
    local maps
    maps=$(grep -F ngx_http_wasm_module.so "/proc/$(cat "$work/nginx.pid")/maps")
    printf '%s\n' "$maps"
    ! grep -qF '(deleted)' <<<"$maps"
}
# The command has found this nginx and this module, and leaves nothing.
tries() {
    local answer
    mkdir -m 755 "$work/tmp"
    answer=$(TMPDIR=$work/tmp ngx-wasm-try "$filter" 'response.add x-hello tried' -- /path) || return
    printf '%s\n' "$answer"
    grep -qx 'x-hello: tried' <<<"${answer//$'\r'/}" && grep -qx 'GET /path HTTP/1.1' <<<"$answer" && rmdir "$work/tmp"
}
serves() { answers / x-hello && answers /lua x-lua; }

# The same content, under a higher version.
higher() {
    dpkg-deb -R "$package" "$work/again"
    sed -i "s/^Version: .*/&+$1/" "$work/again/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone -b "$work/again" "$work/higher-$1.deb" >/dev/null
    rm -rf "$work/again"
}

here() {
    [ "$(id -u)" = 0 ] || die "only root can install packages"
    system=$(. /etc/os-release && echo "$PRETTY_NAME")
    cd "$root"
    [ -f "$filter" ] || die "${filter#"$root"/} is not there; run: tools/guests/build.sh rust-headers"
    install_for installed deb-test
    package=$root/$(tools/deb.sh)
    version=$(dpkg-deb -f "$package" Version)
    work=$(mktemp -d)
    trap 'stop; rm -rf "$work"' EXIT
    write_configuration

    step "lintian finds no error in $(basename "$package")" lintian --no-cfg --allow-root --fail-on error "$package"
    cat "$work/step.log"
    step "it asks for the ABI of the installed nginx $(nginx -v 2>&1 | sed 's/.*nginx.//')" asks_for_abi
    dpkg --purge "$name-dbgsym" "$name" >"$work/step.log" 2>&1 || true
    step "nginx -t passes before" nginx -t

    step "apt-get install ./${package#"$root"/}" apt_get install "./${package#"$root"/}"
    step "dpkg knows version $version" has_version "$version"
    step "the module is enabled" is_linked
    step "and loaded behind Lua's" behind_lua
    step "nginx -t passes" nginx -t
    step "there is a folder for compiled modules, empty" caches 0
    # As the unit of nginx does it.
    step "nginx -t passes with a filter" nginx -t -q -c "$work/nginx.conf" -e "$work/test.log"
    step "which is compiled then" caches 1
    step "nginx starts" start
    step "and compiles nothing" compiled_nothing
    step "a Rust filter answers with curl, from nginx.conf and from Lua" serves
    step "ngx-wasm-try tries a filter" tries
    step "man ngx_http_wasm_module" man -w ngx_http_wasm_module
    step "man ngx-wasm-try" man -w ngx-wasm-try
    step "the module has neither symbols nor debug information" stripped
    step "apt-get install the package of debug symbols" apt_get install "$root/build/deb/${name}-dbgsym_${version}_$(dpkg --print-architecture).deb"
    step "which are those of the module" symbols_fit

    higher 1
    step "apt-get install upgrades to $version+1" apt_get install "$work/higher-1.deb" "$name-dbgsym-"
    step "dpkg knows version $version+1" has_version "$version+1"
    step "the module is still enabled" is_linked
    step "nginx -t passes" nginx -t
    step "the nginx that runs goes on" serves
    step "nginx stops" stop
    step "nginx starts" start
    step "it has the new module" has_new_module
    step "and answers" serves

    rm "$enabled/50-mod-http-wasm.conf"
    higher 2
    step "apt-get install upgrades to $version+2 after the link was removed by hand" apt_get install "$work/higher-2.deb"
    step "the module is still disabled" is_not_linked
    ln -s /usr/share/nginx/modules-available/mod-http-wasm.conf "$enabled/50-mod-http-wasm.conf"
    step "nginx stops" stop

    step "apt-get remove" apt_get remove "$name"
    step "the package is gone" gone
    step "the link is gone" is_not_linked
    step "nginx -t passes" nginx -t

    step "apt-get install again" apt_get install "./${package#"$root"/}"
    step "the module is enabled" is_linked
    step "nginx -t passes" nginx -t
    step "nginx starts" start
    step "and answers" serves
    step "nginx stops" stop

    step "apt-get purge" apt_get purge "$name"
    step "nothing is left" nothing_left
    step "nginx -t passes" nginx -t
}

case ${1:-} in
-h | --help) usage ;;
here) here ;;
*)
    [ $# -gt 0 ] || set -- debian-12 debian-13
    "$root/tools/guests/build.sh" rust-headers
    for where; do
        "$root/tools/roots/enter.sh" "$where" tools/deb-test.sh here
    done
    ;;
esac
