#!/usr/bin/env bash
# Builds the Debian package libnginx-mod-http-wasm, and the one with its debug symbols, for the Debian and the nginx that are
# here:
#
#   tools/deb.sh
#
# Leaves them in build/deb, and prints the path of the first. Environment: DEB_BUILD_OPTIONS, for debhelper.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install_for installed build deb
cd "$root"
command -v dh_nginx >/dev/null || die "no dh_nginx here: packages are built with the distribution's nginx and its nginx-dev"

# debhelper works in debian/, which checkouts on several roots may share (tools/roots).
exec 9<debian
flock -w 1800 9 || die "another run has held debian/ for half an hour; end it and try again"
clean() { debian/rules clean >/dev/null 2>&1; }
clean || die "'debian/rules clean' failed"
trap clean EXIT

mkdir -p build/deb
rm -f build/deb/*.deb
say "building the package; the output is in build/deb/build.log"
# Root is not needed, not even a pretended one.
DEB_RULES_REQUIRES_ROOT=no run_logged build/deb/build.log debian/rules binary
for package in build/deb/*.deb; do
    say "$package is built ($(du -h "$package" | cut -f1))"
done
printf '%s\n' build/deb/libnginx-mod-http-wasm_*.deb
