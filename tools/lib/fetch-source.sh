#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: fetch-source.sh SERIES
#
# Fetches Debian's linux-source-SERIES (6.1, 6.12 or 7.3), unpacks it into the cache, and
# prints the directory.  Later calls print the same directory; VHOST_BLK_UPDATE=1 fetches
# a newer version if there is one.
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/cache.sh"
# shellcheck source=tools/lib/apt.sh
. "$VB_LIB/apt.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
[[ ${1:-} =~ ^[0-9]+\.[0-9]+$ ]] || { usage >&2; exit 2; }
series=$1
link=$VB_CACHE/src/linux-$series

if [[ -z ${VHOST_BLK_UPDATE:-} && -e $link/.debian-version ]]; then
	echo "$link"
	exit
fi

take_lock "source-$series"
apt_setup
version=$(apt_source_version "$series")
# The name must not contain ':' and '~', which have a meaning in make rules.
entry=$VB_CACHE/src/linux-$series-${version//[^A-Za-z0-9.+-]/_}

if [[ ! -e $entry ]]; then
	tmp=$(scratch_dir)
	trap 'rm -rf "$tmp"' EXIT
	run_logged "fetching linux-source-$series $version" "$VB_CACHE/log/source-$series.log" \
		apt_fetch "$tmp" "linux-source-$series=$version"
	mkdir "$tmp/tree"
	# Drivers of hardware that no test host has are half of the source, but kconfig
	# reads their Kconfig files.
	unpack() {
		dpkg-deb --fsys-tarfile "$tmp"/linux-source-*.deb |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		xz -dc -T0 | tar -x -C "$tmp/tree" --strip-components=1 \
			--exclude='*/drivers/'{gpu,media,infiniband,iio,hid,staging,usb,mtd,hwmon}'/*.[ch]' \
			--exclude='*/drivers/net/'{ethernet,wireless,can,dsa}'/*.[ch]' \
			--exclude="linux-source-$series/sound/*.[ch]" --exclude='*/arch/*.dts*'
	}
	run_logged "unpacking it" "$VB_CACHE/log/unpack-$series.log" unpack
	echo "$version" >"$tmp/tree/.debian-version"
	publish "$tmp/tree" "$entry"
fi
ln -sfn "$(basename "$entry")" "$link"
echo "$link"
