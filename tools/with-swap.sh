#!/usr/bin/env bash
# Runs a command on a machine that has swap. Where there is none, 128 MiB of compressed memory (zram) become swap meanwhile,
# which takes root:
#
#   tools/with-swap.sh COMMAND...
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -ge 1 ] || { sed -n '5p' "$0" | sed 's/^# */usage: /' >&2; exit 2; }
swaps() { sed 1d /proc/swaps; }
[ -n "$(swaps)" ] && exec "$@"

modprobe zram 2>/dev/null || true
for device in /sys/block/zram*; do
    # One with a size is in somebody's use.
    [ -w "$device/disksize" ] && [ "$(cat "$device/disksize")" = 0 ] && break
    device=
done
[ -n "$device" ] || die "this machine has no swap, and no zram device that could be some"
path=/dev/${device##*/}
undo() {
    ! grep -q "^$path " /proc/swaps || swapoff "$path"
    echo 1 >"$device/reset"
}
trap undo EXIT
echo $((128 << 20)) >"$device/disksize"
mkswap --quiet "$path" || die "mkswap $path failed"
swapon "$path" || die "swapon $path failed"
"$@"
