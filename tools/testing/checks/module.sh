#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: module.sh
#
# Tests vhost_blk.ko for Debian's stock kernels: it builds; its vhost structures have the
# layout of those in that kernel's vhost.ko; a wrong vhost.h is detected; and it can be
# loaded and unloaded.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

PATH=$VB_BUILD_PATH
cd "$VB_TOP"
tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT

# Build with a vhost.h in which a structure has an additional member.
refuse_wrong_header() {
	local series=$1 tree=$2 stock=$3 dir=$tmp/$1 vhost status=0
	mkdir -p "$dir/vhost"
	sed 's/^\tint weight;$/\tint weight;\n\tlong one_more;/' "$tree/drivers/vhost/vhost.h" \
		>"$dir/vhost/vhost.h"
	tap_run "$series: a wrong vhost.h was made" grep -q one_more "$dir/vhost/vhost.h"
	tap_run "$series: the module builds with a wrong vhost.h" \
		"$VB_TOP/tools/build-module.sh" "$stock/headers" "$dir/vhost" "$dir/build" -j"$(nproc)"
	vhost=("$stock"/modules/lib/modules/*/kernel/drivers/vhost/vhost.ko*)
	"$VB_TOP/tools/check-vhost-abi.sh" "${vhost[0]}" "$dir/build/vhost_blk.ko" \
		"$stock/vmlinux.btf" >"$dir/abi" 2>&1 || status=$?
	tap_result "$((status != 1))" "$series: and the layout check refuses it"
	tap_run "$series: naming the structure" \
		grep -q 'struct vhost_dev: the layouts differ' "$dir/abi"
}

# The module is loaded when the host starts.
load_and_unload() {
	local series=$1 log=$tmp/$1/load status=0
	# shellcheck disable=SC2016 # for the shell in the host
	"$VB_HOSTS/qemu-run.sh" --series "$series" --timeout 300 -- bash -c '
		set -eux
		[ -d "$VHOST_MODULES" ]
		for ((i = 0; i < 8; i++)); do
			modprobe -d "$VHOST_MODULES" -r vhost_blk
			[ ! -e /dev/vhost-blk ]
			modprobe -d "$VHOST_MODULES" vhost_blk
			[ -c /dev/vhost-blk ]
		done
		exec 5<>/dev/vhost-blk
		if modprobe -d "$VHOST_MODULES" -r vhost_blk; then
			exit 1
		fi
		exec 5>&-
		modprobe -d "$VHOST_MODULES" -r vhost_blk
		modprobe -d "$VHOST_MODULES" vhost_blk
		# "make install" does this on a host that runs the kernel.
		tools/check-vhost-abi.sh "$VHOST_MODULES"/lib/modules/*/kernel/drivers/vhost/vhost.ko \
			"$VHOST_MODULES/../vhost_blk.ko.debug"
		tools/check-vhost-abi.sh /sys/kernel/btf/vhost "$VHOST_MODULES/../vhost_blk.ko.debug"
		' >"$log" 2>&1 || status=$?
	((status == 0)) || sed 's/^/# /' "$log"
	tap_result "$status" \
		"$series: it is loaded and unloaded 8 times, not while in use, and its layouts hold there"
}

for series in 6.1 6.12; do
	status=0
	"$VB_HOSTS/stock-module.sh" "$series" >/dev/null || status=$?
	tap_result "$status" "$series: vhost_blk.ko builds for the stock kernel, with its layouts"
	((status == 0)) || continue
	tree=$("$VB_LIB/fetch-source.sh" "$series")
	stock=$("$VB_LIB/stock-fetch.sh" "$series")
	refuse_wrong_header "$series" "$tree" "$stock"
	load_and_unload "$series"
done
tap_end
