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

python_packages h2==4.3.0 hpack==4.1.0 hyperframe==6.1.0
