#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: modules.sh build|install|uninstall NAME=VALUE…
#
# Implements 'make', 'make install' and 'make uninstall' with the variables of
# the Makefile:
#
#   KVER         version of the kernel, as printed by uname -r
#   KDIR         its build directory, such as /lib/modules/$KVER/build
#   VHOST_SRC    directory with the vhost.h of that kernel; if empty, vhost.h is
#                downloaded (see fetch-vhost-header.sh)
#   OUT          directory for the build
#   DESTDIR      directory to install below; if not empty, depmod is not run and
#                udev is not reloaded
#   KCONFIG_CONFIG  from the environment: the configuration that 'make menuconfig'
#                wrote; default: .config in the top directory, if it exists
#   VMLINUX_BTF  from the environment: BTF of that kernel, such as its vmlinux;
#                required for an install if the kernel is not the running one
#
# The module is installed only if its vhost structures match those of the vhost.ko
# that is installed for the same kernel.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/lib/messages.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
action=${1:?"usage: modules.sh build|install|uninstall NAME=VALUE…"}
shift
KVER='' KDIR='' VHOST_SRC='' OUT='' DESTDIR=''
for assignment; do
	case $assignment in
	KVER=* | KDIR=* | VHOST_SRC=* | OUT=* | DESTDIR=*)
		declare "${assignment%%=*}=${assignment#*=}" ;;
	*) die "unknown argument '$assignment'; see --help" ;;
	esac
done
[[ -n $KVER ]] || die "KVER is missing or empty"
cd "$VB_TOP"

moddir=$DESTDIR/lib/modules/$KVER
udev=$DESTDIR/etc/udev/rules.d/60-vhost-blk.rules
autoload=$DESTDIR/etc/modules-load.d/vhost-blk.conf
header=$DESTDIR/usr/local/include/linux/vhost_blk.h

build() {
	local config=${KCONFIG_CONFIG:-.config} options=()
	need_tool make gcc
	[[ -e $KDIR/Makefile ]] ||
		die "no kernel headers in $KDIR; install linux-headers-$KVER, or set KVER or KDIR"
	if [[ -z $VHOST_SRC ]]; then
		VHOST_SRC=$OUT/vhost
		[[ -e $VHOST_SRC/vhost.h ]] ||
			tools/fetch-vhost-header.sh "$KDIR" "$VHOST_SRC"
	fi
	if [[ -e $config ]]; then
		grep -qx CONFIG_VHOST_BLK=m "$config" ||
			die "$config does not have CONFIG_VHOST_BLK=m; change it with 'make menuconfig', or remove it"
		mapfile -t options < <(sed -n '/^CONFIG_VHOST_BLK_.*=y$/p' "$config")
	fi
	tools/build-module.sh "$KDIR" "$VHOST_SRC" "$OUT" -j"$(nproc)" "${options[@]}"
	echo "built $OUT/vhost_blk.ko"
}

# Compare the vhost structures with those of the installed vhost.ko.
check_abi() {
	local dir=/lib/modules/$KVER/kernel/drivers/vhost vhost btf=${VMLINUX_BTF:-}
	vhost=("$dir"/vhost.ko*)
	[[ -e ${vhost[0]} ]] ||
		die "no vhost.ko in $dir; vhost_blk needs vhost as a module (CONFIG_VHOST=m)"
	[[ -n $btf || $KVER == "$(uname -r)" ]] ||
		die "cannot check the vhost structures: $KVER is not the running kernel; boot it, or set VMLINUX_BTF to its vmlinux"
	tools/check-vhost-abi.sh "${vhost[0]}" "$OUT/vhost_blk.ko" ${btf:+"$btf"}
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
	echo "installed; load the module with: modprobe vhost_blk"
	;;
uninstall)
	rm -f "$moddir/updates/vhost_blk.ko" "$header" "$udev" "$autoload"
	[[ -n $DESTDIR ]] || depmod "$KVER"
	;;
*)
	die "unknown action '$action'; see --help"
	;;
esac
