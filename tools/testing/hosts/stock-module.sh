#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: stock-module.sh SERIES
#
# Builds vhost_blk.ko with Debian's headers of kernel SERIES (6.1 or 6.12) and vhost.h from
# the kernel source of the same version.  Compares its struct layouts with those of that
# kernel's vhost.ko.  Prints a directory that contains vhost_blk.ko.debug and modules/:
# the modules of that kernel and vhost_blk.ko, for modprobe -d.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
[[ ${1:-} =~ ^[0-9]+\.[0-9]+$ ]] || { usage >&2; exit 2; }
series=$1
PATH=$VB_BUILD_PATH
need_tool gcc make pahole

tree=$("$VB_LIB/fetch-source.sh" "$series")
stock=$("$VB_LIB/stock-fetch.sh" "$series")
entry=$VB_CACHE/modules/$series/$(cache_key "$(basename "$stock")" "$(gcc --version)" "$0" \
	"$VB_TOP/tools/build-module.sh" "$VB_TOP/tools/check-vhost-abi.sh" \
	"$VB_TOP/drivers/vhost/blk" "$VB_TOP/compat" "$VB_TOP/include/uapi/linux/vhost_blk.h")
if [[ -e $entry ]]; then
	touch "$entry"
	echo "$entry"
	exit
fi

tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT
# Copy only vhost.h, so that no other file of that directory is used.
mkdir "$tmp/vhost"
cp "$tree/drivers/vhost/vhost.h" "$tmp/vhost/"
run_logged "building vhost_blk.ko for $(<"$stock/release")" "$VB_CACHE/log/module-$series.log" \
	"$VB_TOP/tools/build-module.sh" "$stock/headers" "$tmp/vhost" "$tmp/build" -j"$(nproc)"
vhost=("$stock"/modules/lib/modules/*/kernel/drivers/vhost/vhost.ko*)
"$VB_TOP/tools/check-vhost-abi.sh" "${vhost[0]}" "$tmp/build/vhost_blk.ko" \
	"$stock/vmlinux.btf" >&2
mkdir "$tmp/entry"
cp "$tmp/build/vhost_blk.ko" "$tmp/entry/vhost_blk.ko.debug"
# Hard links: the stock modules are not changed, and depmod writes new files.
cp -al "$stock/modules" "$tmp/entry/modules"
release=$(<"$stock/release")
lib=$tmp/entry/modules/lib/modules/$release
mkdir "$lib/updates"
strip --strip-debug -o "$lib/updates/vhost_blk.ko" "$tmp/build/vhost_blk.ko"
depmod -b "$tmp/entry/modules" "$release"
publish "$tmp/entry" "$entry"
keep_newest 12 "$VB_CACHE/modules/$series"/*
echo "$entry"
