#!/usr/bin/env bash
# Downloads one package from another Debian suite and unpacks it into a folder, without installing it:
# the machine's own apt configuration is read but never changed.
#
#   tools/debian-suite-get.sh SUITE PACKAGE[=VERSION] DESTDIR
#
# SUITE is a suite or code name (unstable, testing, trixie-backports, ...). VERSION may be a pattern ('1.95.0*').
# The apt lists and the downloaded .deb are kept in build/apt/SUITE; lists are fetched again after a day, or when
# the package is not in them. Prints the version it unpacked as "PACKAGE VERSION" on its last line.
#
# Environment:
#   DEBIAN_MIRROR          archive URI to use instead of the one in the machine's apt sources
#   DEBIAN_SUITE_UNSIGNED  set to 1 to accept a suite whose signature cannot be checked
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -eq 3 ] || { sed -n '5p' "$0" | sed 's/^# *//; s/^/usage: /' >&2; exit 2; }
suite=$1 spec=$2 dest=$3
[[ $suite =~ ^[a-z0-9][a-z0-9./-]*$ ]] || die "'$suite' is no suite name"
package=${spec%%=*}
[[ $package =~ ^[a-z0-9][a-z0-9.+-]+$ ]] || die "'$package' is no package name"

for tool in apt-get apt-config dpkg dpkg-deb flock; do
    command -v "$tool" >/dev/null || die "no '$tool' on this machine; this script needs Debian (or a system with apt, dpkg and util-linux)"
done

area=$root/build/apt/$suite
mkdir -p "$area"/{conf.d,lists/partial,cache/archives/partial,debs}
exec 9>"$area/lock"
flock -w 600 9 || die "another run has held $area/lock for ten minutes; end it and try again"

# The archive's address: that of the machine's own Debian sources.
mirror=${DEBIAN_MIRROR:-}
if [ -z "$mirror" ]; then
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v own="$codename" '$3 == "main" && ($2 == own || $2 ~ /^(oldoldstable|oldstable|stable|testing|unstable|sid)$/) { print $1; exit }')
fi
[ -n "$mirror" ] || die "the machine's apt sources name no Debian archive; give its URI in DEBIAN_MIRROR"

# A private configuration: the machine's settings (proxy, time-outs, ...) first, then ours, which replace its
# sources, preferences, lists, caches, installed packages and hooks.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
options="arch=$(dpkg --print-architecture)"
if [ "${DEBIAN_SUITE_UNSIGNED:-}" = 1 ]; then
    options+=" trusted=yes"
elif [ -e "$keyring" ]; then
    options+=" signed-by=$keyring"
fi
source_line="deb [$options] $mirror $suite main"
if [ "$(cat "$area/sources.list" 2>/dev/null)" != "$source_line" ]; then
    echo "$source_line" >"$area/sources.list"
    rm -f "$area/updated"
fi
: >"$area/status"
find "$area/conf.d" -type l -delete
for file in /etc/apt/apt.conf.d/*; do
    if [ -f "$file" ]; then ln -sf "$file" "$area/conf.d/"; fi
done
cat >"$area/conf.d/zz-private" <<CONF
#clear APT::Architectures;
#clear APT::Update;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large-hidpi;
APT::Architectures { "$(dpkg --print-architecture)"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "$area/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$area/lists";
Dir::State::status "$area/status";
Dir::Cache "$area/cache";
CONF
echo "Dir::Etc::parts \"$area/conf.d\";" >"$area/apt.conf"
export APT_CONFIG=$area/apt.conf

update() {
    say "fetching the package list of suite $suite"
    if ! apt-get -q update >"$area/update.log" 2>&1 || grep -qE '^(E|Err):' "$area/update.log"; then
        grep -E '^(W|E|Err):' "$area/update.log" >&2 || cat "$area/update.log" >&2
        rm -f "$area/updated"
        if grep -qE 'NO_PUBKEY|not signed|EXPKEYSIG|public key|sqv|gpgv' "$area/update.log"; then
            die "the signature of suite '$suite' cannot be checked with the keys of this machine; install a newer debian-archive-keyring, or set DEBIAN_SUITE_UNSIGNED=1 to go on without the check"
        fi
        die "no package list for suite '$suite'; is it a Debian suite, and is the archive in the apt sources (or DEBIAN_MIRROR) reachable? See $area/update.log"
    fi
    touch "$area/updated"
}

# 'URI' FILE SIZE HASH of the wanted package, or nothing.
locate() { apt-get -qq download --print-uris "$spec" 2>"$area/download.log" | awk 'NF >= 3 { print; exit }'; }

fresh=no
if [ -z "$(find "$area/updated" -mtime -1 2>/dev/null)" ]; then update; fresh=yes; fi
found=$(locate || true)
if [ -z "$found" ] && [ $fresh = no ]; then update; found=$(locate || true); fi
if [ -z "$found" ]; then
    versions=$(apt-cache madison "$package" 2>/dev/null | awk -F' *[|] *' '{ print $2 }' | sort -u | paste -sd' ')
    die "suite '$suite' has no $spec (versions there: ${versions:-none})"
fi

read -r _ file size _ <<<"$found"
deb=$area/debs/$file
if [ "$(stat -c %s "$deb" 2>/dev/null)" != "$size" ]; then
    say "downloading $spec from suite $suite"
    (cd "$area/debs" && apt-get -q download "$spec" >"$area/download.log" 2>&1) ||
        { cat "$area/download.log" >&2; die "the download of $spec from suite '$suite' failed"; }
    # apt writes the name with the version's characters escaped as in the list; it is the one that was announced.
    [ -s "$deb" ] || die "apt did not leave $deb; see $area/download.log"
fi

mkdir -p "$dest"
dpkg-deb -x "$deb" "$dest" || die "cannot unpack $deb; remove it and try again"
say "unpacked $package $(dpkg-deb -f "$deb" Version) into $dest"
echo "$package $(dpkg-deb -f "$deb" Version)"
