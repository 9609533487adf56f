#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: kconfig.sh TARGET [KDIR=DIR]
#
# Configure the driver with the kconfig of a kernel tree, and the Kconfig of this
# project.  TARGET is menuconfig, or a target of scripts/kconfig/conf: olddefconfig,
# alldefconfig, allyesconfig …
#
# DIR is the build directory of the kernel, such as /lib/modules/*/build, or its source
# tree.  The options of the kernel that the driver depends on are read from the .config
# there; without that file, all of them count as set.  If DIR does not contain the source
# of kconfig (headers packages do not), the source of Linux 7.3 is fetched.
#
# The result is .config in the top directory, or the file KCONFIG_CONFIG.  'make' and
# tools/overlay.sh use it if it exists.
#
# Needs gcc, make, flex and bison; menuconfig also needs libncurses-dev.  On Debian,
# tools/lib/packages.sh kconfig installs them.
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/lib/cache.sh"

target=${1:-}
case $target in
--help | -h) usage; exit ;;
'' | *=*) usage >&2; exit 2 ;;
esac
shift
kdir=''
for assignment; do
	case $assignment in
	KDIR=*) kdir=${assignment#KDIR=} ;;
	*) die "unknown argument '$assignment'; see --help" ;;
	esac
done

for tool in gcc make flex bison; do
	command -v "$tool" >/dev/null || die "$tool is missing; install the Debian package $tool"
done
program=conf
if [[ $target == menuconfig ]]; then
	program=mconf
	gcc -E -include ncurses.h -x c /dev/null >/dev/null 2>&1 ||
		die "menuconfig needs ncurses.h; install the Debian package libncurses-dev"
fi

export KERNEL_CONFIG=$kdir/.config
if [[ ! -s $KERNEL_CONFIG ]]; then
	note "no kernel configuration in '$kdir': everything that the driver needs counts as set"
	KERNEL_CONFIG=/dev/null
fi

# A build directory has a link to the source.
tree=''
for dir in "$kdir" "$kdir/source"; do
	if [[ -n $kdir && -e $dir/scripts/kconfig/mconf.c ]]; then
		tree=$(cd "$dir" && pwd -P)
		break
	fi
done
if [[ -z $tree ]]; then
	tree=$("$VB_LIB/fetch-source.sh" 7.3)
	tree=$(cd "$tree" && pwd -P)
fi

out=$VB_TOP/build/kconfig/${tree//\//_}
# A tree that was built in place refuses another build directory.
if [[ -e $tree/.config || -d $tree/include/config ]]; then
	out=$tree
fi
mkdir -p "$out" "$VB_TOP/build/kconfig/auto"
goal=build_config
[[ $program == conf ]] || goal=build_menuconfig
make -s -C "$tree" O="$out" "$goal" >&2 ||
	die "cannot build $program of $tree; it needs gcc, make, flex, bison and libncurses-dev"

cd "$VB_TOP"
export KCONFIG_CONFIG=${KCONFIG_CONFIG:-.config}
# Without a configuration, begin with what 'make' builds.
echo CONFIG_VHOST_BLK=m >build/kconfig/defconfig
export KCONFIG_DEFCONFIG_LIST=build/kconfig/defconfig
# The files for the kernel's own Makefile, which are not used here
export KCONFIG_AUTOCONFIG=build/kconfig/auto/auto.conf
export KCONFIG_AUTOHEADER=build/kconfig/auto/autoconf.h
export KCONFIG_RUSTCCFG=build/kconfig/auto/rustc_cfg
if [[ $program == mconf ]]; then
	"$out/scripts/kconfig/mconf" Kconfig
else
	"$out/scripts/kconfig/conf" "--$target" Kconfig
fi
