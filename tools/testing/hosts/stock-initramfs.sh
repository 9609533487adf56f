#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: stock-initramfs.sh SERIES
#
# Makes a small initramfs, in which Debian's stock kernel mounts the root of this machine
# over 9p, and prints its path.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
[[ ${1:-} =~ ^[0-9]+\.[0-9]+$ ]] || { usage >&2; exit 2; }
PATH=$VB_BUILD_PATH
need_tool busybox cpio gzip modprobe
stock=$("$VB_LIB/stock-fetch.sh" "$1")
release=$(<"$stock/release")
entry=$VB_CACHE/initramfs/$(cache_key "$(basename "$stock")" "$0" "$(command -v busybox)")
if [[ -e $entry ]]; then
	echo "$entry/initramfs.gz"
	exit
fi

tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
mkdir -p "$root"/{bin,dev,proc,sys,mnt,modules} "$tmp/entry"
cp "$(command -v busybox)" "$root/bin/busybox"

# The modules in the order in which they must be loaded
{
	for module in virtio_pci 9pnet_virtio 9p; do
		modprobe -d "$stock/modules" -S "$release" --show-depends "$module"
	done
} | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$tmp/list"
while IFS= read -r module; do
	cp "$module" "$root/modules/"
	basename "$module" >>"$root/modules/order"
done <"$tmp/list"

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
# A command that fails ends PID 1, which is a panic that qemu-run.sh reports.
set -e
busybox=/bin/busybox
while read -r module; do
	$busybox insmod "/modules/$module"
done </modules/order
$busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /mnt
$busybox mount -t devtmpfs devtmpfs /mnt/dev
exec $busybox switch_root -c /dev/console /mnt "$vhost_init"
INIT
chmod +x "$root/init"
mkdir "$root/dev/pts"
# The kernel opens /dev/console before anything is mounted.
mknod -m 600 "$root/dev/console" c 5 1
(cd "$root" && find . -print0 | cpio -0 --quiet -o -H newc | gzip -9n) >"$tmp/entry/initramfs.gz"
publish "$tmp/entry" "$entry"
echo "$entry/initramfs.gz"
