#!/usr/bin/env bash
# Prints the crates that are compiled into the module, with their licences, and the texts of these, each once:
#
#   tools/deb-crates.sh
#
# For the Debian package (debian/rules). The crates are those that cargo has fetched.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$root"
crates=$(cargo tree --locked --offline -p ngx_http_wasm_module --edges normal,no-proc-macro --prefix none --no-dedupe \
    --format '{p}|{l}' | sed -nE 's/^([^ ]+) v([^ ]+)( .*)?\|(.*)$/\1 \2 \4/p' | LC_ALL=C sort -u)
[ -n "$crates" ] || die "cargo names no crates"

cat <<END
These crates are compiled into ngx_http_wasm_module.so. Each has its version and its licence beside it; the texts that the crates
bring follow, each once, with the crates that it is from. The standard library of Rust is in it, too (MIT OR Apache-2.0).

END
declare -A text=() from=() has_text=()
order=() without=()
while read -r name version licence; do
    # The module's own crates: their licence is that of the module.
    case $name in ngx-wasm | ngx_http_wasm_module) continue ;; esac
    printf '%-40s %-12s %s\n' "$name" "$version" "$licence"
    found=no
    for file in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$version"/{LICEN[CS]E,COPYING,COPYRIGHT,NOTICE,UNLICENSE}*; do
        [ -f "$file" ] || continue
        found=yes has_text[$licence]=yes
        sum=$(sha1sum <"$file")
        [ -n "${text[$sum]:-}" ] || { text[$sum]=$file; order+=("$sum"); }
        case "${from[$sum]:-}" in *" $name $version,"*) ;; *) from[$sum]+=" $name $version," ;; esac
    done
    [ $found = yes ] || without+=("$name $version $licence")
done <<<"$crates"
[ ${#order[@]} -gt 0 ] || die "there are no sources of crates in ${CARGO_HOME:-$HOME/.cargo}/registry"

if [ ${#without[@]} -gt 0 ]; then
    printf '\nThese bring no text of their own; that of their licence is among those that follow:\n\n'
    for crate in "${without[@]}"; do
        read -r name version licence <<<"$crate"
        [ -n "${has_text[$licence]:-}" ] || die "no crate brings a text of '$licence', the licence of $name"
        authors=$(awk '/^authors = / { on = 1 } on { print } on && /\]$/ { exit }' \
            "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$version"/Cargo.toml | sed -nE 's/^[^"]*"([^"]*)".*/\1/p' | paste -sd, | sed 's/,/, /g')
        printf '%s %s (%s), by %s\n' "$name" "$version" "$licence" "${authors:-the authors of $name}"
    done
fi

for sum in "${order[@]}"; do
    printf '\n%s\n' '--------------------------------------------------------------------------------'
    printf '%s\n\n' "${from[$sum]%,}:" | sed 's/^ //' | fold -s -w 120
    cat "${text[$sum]}"
done
