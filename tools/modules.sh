#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: modules.sh build|install|uninstall NAME=VALUE…
#
# What 'make', 'make install' and 'make uninstall' do, with the Makefile's
# variables: KVER, KDIR, VHOST_SRC, OUT, DESTDIR.
#
# A module is installed only if its vhost structures are those of the vhost.ko
# that is installed for the same kernel.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/testing/vm/lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
action=${1:?"usage: modules.sh build|install|uninstall NAME=VALUE…"}
shift
KVER='' KDIR='' VHOST_SRC='' OUT='' DESTDIR=''
for assignment; do
	case $assignment in
	KVER=* | KDIR=* | VHOST_SRC=* | OUT=* | DESTDIR=*)
		declare "${assignment%%=*}=${assignment#*=}" ;;
	*) die "unknown argument $assignment" ;;
	esac
done
[[ -n $KVER ]] || die "KVER is empty"
cd "$VB_TOP"

moddir=$DESTDIR/lib/modules/$KVER
udev=$DESTDIR/etc/udev/rules.d/60-vhost-blk.rules
autoload=$DESTDIR/etc/modules-load.d/vhost-blk.conf
header=$DESTDIR/usr/local/include/linux/vhost_blk.h

build() {
	need_tool make gcc
	[[ -e $KDIR/Makefile ]] ||
		die "no headers for the kernel $KVER in $KDIR: install linux-headers-$KVER, or give KVER= or KDIR="
	if [[ -z $VHOST_SRC ]]; then
		VHOST_SRC=$OUT/vhost
		[[ -e $VHOST_SRC/vhost.h ]] ||
			tools/fetch-vhost-header.sh "$KDIR" "$VHOST_SRC"
	fi
	tools/build-module.sh "$KDIR" "$VHOST_SRC" "$OUT" -j"$(nproc)"
	echo "$OUT/vhost_blk.ko is built"
}

# The types of the vhost module for this kernel: of the one on disk, or, where
# this kernel runs and has it built in or loaded, as the kernel shows them.
check_abi() {
	local vhost
	vhost=$(find "/lib/modules/$KVER/kernel/drivers/vhost" -name 'vhost.ko*' 2>/dev/null |
		awk 'NR == 1')
	[[ -n $vhost ]] || die "the kernel $KVER has no vhost.ko in /lib/modules"
	[[ $KVER == "$(uname -r)" ]] ||
		die "layouts can be compared only on the kernel $KVER itself: boot it, then make install"
	tools/check-vhost-abi.sh "$vhost" "$OUT/vhost_blk.ko"
}

case $action in
build)
	build
	;;
install)
	check_abi
	install -D -m 644 "$OUT/vhost_blk.ko" "$moddir/updates/vhost_blk.ko"
	install -D -m 644 include/uapi/linux/vhost_blk.h "$header"
	install -D -m 644 packaging/60-vhost-blk.rules "$udev"
	install -D -m 644 packaging/vhost-blk.conf "$autoload"
	if [[ -z $DESTDIR ]]; then
		depmod "$KVER"
		if command -v udevadm >/dev/null; then
			udevadm control --reload
		fi
	fi
	echo "installed; load it with: modprobe vhost_blk"
	;;
uninstall)
	rm -f "$moddir/updates/vhost_blk.ko" "$header" "$udev" "$autoload"
	[[ -n $DESTDIR ]] || depmod "$KVER"
	;;
*)
	die "unknown action $action"
	;;
esac
