#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: stock-fetch.sh SERIES
#
# Unpacks Debian's own kernel of SERIES (6.1 or 6.12) into the cache, without
# installing anything, and prints the directory:
#
#   headers    what linux-headers-amd64 would give as /lib/modules/*/build
#   modules    lib/modules/RELEASE, with module dependencies
#   vmlinuz    the kernel
#   release    its name, as uname -r
#   vmlinux.btf  its types, as in /sys/kernel/btf/vmlinux when it runs
#
# The version is that of the kernel source in the cache: they belong together.
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/cache.sh"
# shellcheck source=tools/lib/apt.sh
. "$VB_LIB/apt.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
[[ ${1:-} =~ ^[0-9]+\.[0-9]+$ ]] || { usage >&2; exit 2; }
series=$1
PATH=$VB_BUILD_PATH
need_tool depmod

tree=$("$VB_LIB/fetch-source.sh" "$series")
version=$(<"$tree/.debian-version")
entry=$VB_CACHE/stock/linux-$series-${version//[^A-Za-z0-9.+-]/_}-$(cache_key "$0")
if [[ -e $entry ]]; then
	echo "$entry"
	exit
fi
take_lock "stock-$series"
[[ -e $entry ]] && { echo "$entry"; exit; }

apt_setup
# depends PACKAGE PREFIX: of this version of PACKAGE, the first dependency on a
# package named PREFIX…, without PREFIX; nothing if there is no such version.
depends() {
	local text
	text=$(apt-cache -c "$VB_APT_CONF" show "$1=$version" 2>/dev/null) || return 0
	awk -v prefix="$2" '$1 == "Depends:" && !found {
		for (i = 2; i <= NF && !found; i++)
			if (index($i, prefix) == 1) {
				found = 1
				sub(/,$/, "", $i)
				print substr($i, length(prefix) + 1)
			}
	}' <<<"$text"
}

# Debian 12's own series has the plain name, those it got later their number.
release=$(depends "linux-headers-amd64" linux-headers-)
[[ -n $release ]] || release=$(depends "linux-headers-$series-amd64" linux-headers-)
[[ -n $release ]] ||
	die "the mirror has no headers package of $version any more: VHOST_BLK_UPDATE=1"
kbuild=linux-kbuild-$(depends "linux-headers-$release" linux-kbuild-)

tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT
# The suites may have only a later version of linux-kbuild-6.1, which the headers accept.
packages=("linux-headers-$release=$version" "linux-headers-${release%-amd64}-common=$version"
	"$kbuild" "linux-image-$release=$version")
run_logged "fetching Debian's kernel $release $version" "$VB_CACHE/log/stock-$series.log" \
	apt_fetch "$tmp/deb" "${packages[@]}"

# Drivers of hardware that no test host has are most of the package.
unpack() {
	local deb
	mkdir "$tmp/root"
	for deb in "$tmp"/deb/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tmp/root" \
			--exclude='*/kernel/drivers/'{gpu,media,infiniband,iio,hid,staging,usb,isdn,mtd,input,hwmon} \
			--exclude='*/kernel/drivers/net/'{ethernet,wireless,can,wan,usb,dsa} \
			--exclude='*/kernel/sound' --exclude='*/usr/share/doc'
	done
	# The only absolute path in there.
	sed -i "s#/usr/src/#$entry/headers-root/usr/src/#" \
		"$tmp/root/usr/src/linux-headers-$release/Makefile"
	mkdir "$tmp/entry"
	mkdir -p "$tmp/entry/modules/lib/modules" "$tmp/entry/headers-root"
	mv "$tmp/root/usr" "$tmp/entry/headers-root/"
	mv "$tmp/root/boot/vmlinuz-$release" "$tmp/entry/vmlinuz"
	mv "$tmp/root/lib/modules/$release" "$tmp/entry/modules/lib/modules/"
	rm -f "$tmp/entry/modules/lib/modules/$release"/{build,source}
	# An emulated CPU is slow at unpacking them, and does it in each run.
	find "$tmp/entry/modules" -name '*.ko.xz' -print0 | xargs -0r -n 64 -P "$(nproc)" xz -d
	depmod -b "$tmp/entry/modules" "$release"
	ln -s "headers-root/usr/src/linux-headers-$release" "$tmp/entry/headers"
	echo "$release" >"$tmp/entry/release"
	"$tree/scripts/extract-vmlinux" "$tmp/entry/vmlinuz" >"$tmp/vmlinux"
	objcopy --dump-section ".BTF=$tmp/entry/vmlinux.btf" "$tmp/vmlinux" "$tmp/vmlinux.rest"
}
run_logged "unpacking it" "$VB_CACHE/log/stock-$series-unpack.log" unpack
publish "$tmp/entry" "$entry"
echo "$entry"
