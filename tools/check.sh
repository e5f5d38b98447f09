#!/usr/bin/env bash
# Formatting, linters, the floors of the adapter and circles in the library, the pages, the versions:
#
#   tools/check.sh [installed | vendored | /path/to/configured/objs]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

which=${1:-installed}
install_for "$which" build check
for component in rustfmt clippy; do
    tool=cargo-${component/rustfmt/fmt}
    command -v "$tool" >/dev/null || rustup component add "$component" ||
        die "Rust's component '$component' is missing; with rustup: 'rustup component add $component'"
done

cd "$root"
say "cargo fmt --check"
cargo fmt --all --check
"$root/tools/cargo.sh" "$which" clippy --locked --workspace --all-targets -- -D warnings
# A workspace of its own, with the dependencies that have just been compiled.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} "$root/tools/cargo.sh" "$which" clippy --locked \
    --manifest-path fuzz/Cargo.toml --no-default-features --features short --all-targets -- -D warnings
cargo fmt --manifest-path fuzz/Cargo.toml --check

say "floors and unsafe lines of the adapter, circles in the library"
python3 tools/floors.py
python3 tools/unsafe-lines.py

say "links and contents of the pages, versions"
python3 tools/pages.py check
python3 tools/versions.py >/dev/null

# 'make check-deps' installs it, which takes minutes.
tools/check-deps.sh --if-installed

say "code on pages, the templates"
python3 tools/shown.py
go_files=$(find templates/go t/guests/template-calls/go -name '*.go')
if command -v gofmt >/dev/null; then
    # shellcheck disable=SC2086
    unformatted=$(gofmt -l $go_files)
    [ -z "$unformatted" ] || die "gofmt would change: $unformatted"
else
    say "no gofmt: left out"
fi
# As it comes, without rustfmt.toml: so it is where users copy it to.
rustfmt --check --edition 2021 --config max_width=100,use_small_heuristics=Default,use_field_init_shorthand=false \
    templates/rust/src/lib.rs t/guests/template-calls/rust/src/lib.rs

say "shell scripts: bash -n, shellcheck"
scripts=()
while IFS= read -r file; do
    if head -c 64 "$file" | head -n 1 | grep -qE '^#!.*\b(ba)?sh'; then
        scripts+=("$file")
    fi
done < <(git ls-files --cached --others --exclude-standard)
for file in "${scripts[@]}"; do bash -n "$file"; done
if command -v shellcheck >/dev/null; then
    shellcheck -x -P SCRIPTDIR -S warning "${scripts[@]}"
else
    say "no shellcheck: left out"
fi

if [ -d lua ]; then
    if luacheck=$(command -v luacheck || command -v lua-check); then
        say "luacheck"
        "$luacheck" --no-color -q --std ngx_lua lua
    else
        say "no luacheck: left out"
    fi
fi
say "all checks passed"
