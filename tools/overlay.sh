#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: overlay.sh [--tests] KERNELTREE
#
# Add vhost-blk to a kernel source tree (Linux 6.1 or newer):
#
#   - copy the driver, its uapi header, its selftests and its documentation
#   - copy compat/ to drivers/vhost/blk/compat, and include it in the driver's
#     Makefile, for kernels that are older than the one that the driver is
#     written for
#   - add the lines of drivers/vhost/{Kconfig,Makefile} and of MAINTAINERS
#   - add vhost-blk to Documentation/virt/index.rst, to ioctl-number.rst and to
#     the TARGETS of the selftests
#   - write kernel/configs/vhost-blk.config, with the options of the driver that
#     'make menuconfig' wrote to .config (or to the file KCONFIG_CONFIG), and
#     with CONFIG_VHOST_BLK=m if there is none
#
# Run 'make vhost-blk.config' in the kernel tree afterwards, to add these options
# to the configuration of the kernel.
#
# With --tests, for the kernel of a test host, also copy tools/testing/kernel to
# drivers/vhost/blk/testing and include it in the driver's Kconfig and Makefile.
# An option of tools/testing/kernel in .config implies it.
#
# Run it again to update the tree.  Files that did not change are not touched,
# so the next build compiles only what changed.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/lib/messages.sh"

top=$(cd "$(dirname "$0")/.." && pwd)
tests=
case ${1:-} in
--tests) tests=1; shift ;;
--help | -h) usage; exit ;;
esac
tree=${1:?"usage: overlay.sh [--tests] KERNELTREE"}

config=${KCONFIG_CONFIG:-.config}
[[ $config == /* ]] || config=$top/$config
[[ -e $config ]] || config=
if [[ -n $config ]] && grep -q '^CONFIG_VHOST_BLK_ERASE_DISK=y' "$config"; then
	tests=1
fi
[[ -f $tree/drivers/vhost/vhost.h ]] ||
	die "$tree is not a kernel source tree (it has no drivers/vhost/vhost.h)"

# sources DIR: the source files in DIR, relative to DIR.
sources() {
	(cd "$1" && find . -type f \( -name '*.[chS]' -o -name Kconfig -o -name Makefile \
		-o -name '*.sh' -o -name '*.py' -o -name config -o -name settings \
		-o -name '*.rst' -o -name '*.svg' \
		-o -name .gitignore -o -name '.kunitconfig' \) ! -name '*.mod.c' -printf '%P\n')
}

# update FILE TO: copy FILE to TO, unless they are the same already.
update() {
	cmp -s "$1" "$2" && return
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2"
}

# mirror FROM TO [KEEP]: copy the source files of FROM to TO, and remove others
# from TO, except in its subdirectory KEEP.
mirror() {
	local from=$1 to=$2 keep=${3:-} file
	mkdir -p "$to"
	while IFS= read -r file; do
		[[ -n $keep && $file == "$keep"/* ]] && continue
		[[ -e $from/$file ]] || rm -f "$to/$file"
	done < <(sources "$to")
	while IFS= read -r file; do
		update "$from/$file" "$to/$file"
		if [[ -x $from/$file ]]; then chmod +x "$to/$file"; fi
	done < <(sources "$from")
}

# insert FILE before|after REGEX TEXT: insert TEXT before or after the last line
# that matches REGEX, unless FILE has this text already.
insert() {
	local file=$tree/$1 where=$2 regex=$3 text=$4
	[[ $'\n'$(<"$file")$'\n' != *$'\n'"$text"$'\n'* ]] || return 0
	where=$where regex=$regex text=$text awk '
		$0 ~ ENVIRON["regex"] { found = NR }
		{ line[NR] = $0 }
		END {
			for (i = 1; i <= NR; i++) {
				if (i == found && ENVIRON["where"] == "before")
					print ENVIRON["text"]
				print line[i]
				if (i == found && ENVIRON["where"] == "after")
					print ENVIRON["text"]
			}
			exit !found
		}' "$file" >"$file.overlay" || {
		rm -f "$file.overlay"
		die "no line of $file matches '$regex'; is this Linux 6.1 or newer?"
	}
	# Not mv: the file keeps its owner and mode.
	cat "$file.overlay" >"$file"
	rm "$file.overlay"
}

# The lines of FILE that are not comments.
lines_of() {
	grep -v '^#' "$1" | sed '/./,$!d'
}

# The entry of MAINTAINERS without the directories in the top directory of the project:
# most do not exist in a kernel tree, and tools/ there belongs to others.
maintainers_entry() {
	grep -vE $'^F:\t[^/]*/$' "$top/MAINTAINERS"
}

# The options of the driver, for kernel/configs.
options() {
	echo '# Written by overlay.sh of vhost-blk'
	echo CONFIG_VHOST_MENU=y
	if [[ -n $config ]]; then
		sed -nE '/^(# )?CONFIG_VHOST_BLK[ =_]/p' "$config"
	else
		echo CONFIG_VHOST_BLK=m
	fi
}

# Files of the project

driver=$(mktemp -d)
trap 'rm -rf "$driver"' EXIT
cp -r "$top/drivers/vhost/blk/." "$driver"
cat "$top/compat/overlay.mk" >>"$driver/Makefile"
if [[ -n $tests ]]; then
	cp -r "$top/tools/testing/kernel" "$driver/testing"
	echo 'source "drivers/vhost/blk/testing/Kconfig"' >>"$driver/Kconfig"
	# shellcheck disable=SC2016 # make's variable
	echo 'include $(srctree)/drivers/vhost/blk/testing/Makefile' >>"$driver/Makefile"
fi
mirror "$driver" "$tree/drivers/vhost/blk" compat
mirror "$top/compat" "$tree/drivers/vhost/blk/compat"
mirror "$top/tools/testing/selftests/vhost" "$tree/tools/testing/selftests/vhost"
mirror "$top/Documentation/virt/vhost-blk" "$tree/Documentation/virt/vhost-blk"
update "$top/include/uapi/linux/vhost_blk.h" "$tree/include/uapi/linux/vhost_blk.h"

fragment=$tree/kernel/configs/vhost-blk.config
[[ -e $fragment && $(<"$fragment") == "$(options)" ]] || options >"$fragment"

# Lines in files of the kernel

# The last endif is that of "if VHOST_MENU".
insert drivers/vhost/Kconfig before '^endif$' "$(lines_of "$top/drivers/vhost/Kconfig")"
insert drivers/vhost/Makefile after '' "$(lines_of "$top/drivers/vhost/Makefile")"
insert tools/testing/selftests/Makefile before '^TARGETS \+= x86$' 'TARGETS += vhost'
insert Documentation/virt/index.rst after '^   hyperv/index$' '   vhost-blk/index'
insert Documentation/userspace-api/ioctl/ioctl-number.rst after '^0xAF  00-1F' \
	'0xAF  50-5F  linux/vhost_blk.h'
insert MAINTAINERS before '^VIA RHINE NETWORK DRIVER$' "$(maintainers_entry)"$'\n'
