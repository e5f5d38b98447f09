#!/usr/bin/env bash
# Gets the HTTP/2 library of the conformance suite's client and upstream, the Python packages h2, hpack and hyperframe,
# into build/python (the system's Python is left alone):
#
#   tools/install-h2.sh
#
# Prints the folder. Does nothing else when these versions are there already.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
-h | --help) sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
esac

packages=(h2==4.3.0 hpack==4.1.0 hyperframe==6.1.0)
area=$root/build/python
folder=$area/${packages[0]}

if [ ! -d "$folder" ]; then
    command -v python3 >/dev/null || die "there is no python3"
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; on Debian, as root: apt-get install python3-pip"
    say "getting ${packages[*]}"
    mkdir -p "$area"
    exec 9>"$area/lock"
    flock -w 600 9 || die "another run has held build/python/lock for ten minutes; end it and try again"
    if [ ! -d "$folder" ]; then
        rm -rf "${folder:?}.new"
        run_logged "$area/install.log" python3 -m pip install --disable-pip-version-check --no-input --retries 1 \
            --no-deps --only-binary :all: --target "$folder.new" "${packages[@]}"
        mv "$folder.new" "$folder"
    fi
fi
printf '%s\n' "$folder"
