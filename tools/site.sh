#!/usr/bin/env bash
# Makes the site of the documentation, with mdBook, in build/site:
#
#   tools/site.sh
#
# REPOSITORY in the environment is where the sources can be seen, such as https://example.org/ngx-wasm/blob/main: links to files that
# are no pages go there. Without it the site has copies of them, and needs nothing else.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$root"
python3 tools/pages.py check || die "a site would have these mistakes, too"
mdbook=$(tools/install.sh mdbook)

area=$root/build/site-source
rm -rf "$area" build/site
mkdir -p "$area/src"
cp tools/site/book.toml tools/site/site.css "$area/"
python3 tools/pages.py stage "$area/src"
run_logged build/site.log "$mdbook" build "$area" --dest-dir "$root/build/site"
python3 tools/pages.py check-site build/site
say "the site is made: build/site/index.html"
