#!/usr/bin/env bash
# Makes a root of another release of Debian, once, and prints where it is:
#
#   tools/roots/make.sh debian-12 | debian-13 | debian-unstable
#
# It comes from the archive that this machine's apt sources name (or DEBIAN_MIRROR), by debootstrap, and is kept in build/roots.
# Needs root. What is done in it: tools/roots/enter.sh.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

case ${1:-} in
debian-12) suite=bookworm ;;
debian-13) suite=trixie ;;
debian-unstable) suite=sid ;;
*) die "no root '${1:-}'; there are: debian-12, debian-13, debian-unstable" ;;
esac
there=$root/build/roots/$1

if [ ! -e "$there/.made" ]; then
    [ "$(id -u)" = 0 ] || die "only root can make a root"
    "$root/tools/install.sh" roots >&2
    mirror=$("$root/tools/install.sh" mirror)
    say "making a root of Debian's $suite in ${there#"$root"/}"
    rm -rf "$there.new" "$there"
    mkdir -p "$there.new"
    run_logged "$there.log" debootstrap --variant=minbase --include=ca-certificates "$suite" "$there.new" "$mirror"
    # Packages do not start their services there.
    printf '#!/bin/sh\nexit 101\n' >"$there.new/usr/sbin/policy-rc.d"
    chmod 755 "$there.new/usr/sbin/policy-rc.d"
    # Proxies and their like hold there too.
    apt-config dump Acquire | grep -v ::IndexTargets >"$there.new/etc/apt/apt.conf.d/60machine"
    touch "$there.new/.made"
    mv "$there.new" "$there"
fi
printf '%s\n' "$there"
