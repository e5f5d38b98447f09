#!/usr/bin/env bash
# Prints what bindgen is to be told so that it has the bits of nginx's request where the compiler has them; nothing for an nginx where
# it knows by itself:
#
#   tools/nginx-bits.sh SOURCE FOLDER
#
# SOURCE is the source of nginx, FOLDER where files may be put. For BINDGEN_EXTRA_CLANG_ARGS, of tools/lib.sh and config.make.
#
# Since 1.29.3 a port of 16 bits stands before the bits of ngx_http_request_t (src/http/ngx_http_request.h), which begin in the
# middle of a word then. bindgen counts as if they began with one, and places those behind the first that would be cut elsewhere than the C
# compiler: getters and setters of Rust would read and write other bits, without a word. So it is shown the same structure in other
# words, with the port as 16 bits of that word. The module does not compile without (ngx_module/src/nginx/bits.rs).
set -eu

[ $# -eq 2 ] || { sed -n '5p' "$0" | sed 's/^# */usage: /' >&2; exit 2; }
header=$1/src/http/ngx_http_request.h folder=$2
grep -qE '^ +in_port_t +port;' "$header" || exit 0
header=$(cd "$(dirname "$header")" && pwd)/ngx_http_request.h
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
sed -E 's/^( +)in_port_t( +)port;/\1unsigned \2port:16;/' "$header" >"$folder/ngx_http_request.h"
cat >"$folder/overlay.yaml" <<END
{ "version": 0, "roots": [ { "name": "$(dirname "$header")", "type": "directory", "contents": [
  { "name": "ngx_http_request.h", "type": "file", "external-contents": "$folder/ngx_http_request.h" } ] } ] }
END
printf '%s\n' "-ivfsoverlay $folder/overlay.yaml"
