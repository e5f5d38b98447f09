#!/usr/bin/env bash
# Gets the Python packages that the tests of gRPC calls run a server with, grpcio and what it needs, into build/python
# (the system's Python is left alone):
#
#   tools/install-grpc.sh
#
# Prints the folder. Does nothing else when these versions are there already.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
-h | --help) sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
esac

python_packages grpcio==1.85.1 typing-extensions==4.16.0
