#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: overlay.sh KERNELTREE
#
# Puts vhost-blk into a kernel source tree: the driver, its uapi header, its
# selftests and the two lines of drivers/vhost/{Kconfig,Makefile} that mainline
# would carry.  May be repeated: a file that did not change keeps its time, so
# the next build of the tree compiles what changed and nothing else.
#
# compat/ goes to drivers/vhost/blk/compat: the driver's Makefile uses what it
# needs of it, and on the newest kernel that is nothing.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-} in
--help | -h) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit ;;
esac
tree=${1:?"usage: overlay.sh KERNELTREE"}
[[ -f $tree/drivers/vhost/vhost.h ]] || {
	echo "overlay.sh: error: $tree is not a kernel source tree with drivers/vhost" >&2
	exit 1
}

# The source files of DIR, by name relative to it.
sources() {
	(cd "$1" && find . -type f \( -name '*.[chS]' -o -name Kconfig -o -name Makefile \
		-o -name '*.sh' -o -name '*.py' -o -name config -o -name settings \
		-o -name .gitignore -o -name '.kunitconfig' \) ! -name '*.mod.c' -printf '%P\n')
}

# mirror FROM TO [KEEP]: TO holds the sources of FROM and no others, except in
# its subdirectory KEEP.
mirror() {
	local from=$1 to=$2 keep=${3:-} file
	mkdir -p "$to"
	while IFS= read -r file; do
		[[ -n $keep && $file == "$keep"/* ]] && continue
		[[ -e $from/$file ]] || rm -f "$to/$file"
	done < <(sources "$to")
	while IFS= read -r file; do
		cmp -s "$from/$file" "$to/$file" && continue
		mkdir -p "$(dirname "$to/$file")"
		cp "$from/$file" "$to/$file"
		if [[ -x $from/$file ]]; then chmod +x "$to/$file"; fi
	done < <(sources "$from")
}

# add_line FILE LINE BEFORE: LINE, once, in front of the last line BEFORE.
add_line() {
	local file=$1 line=$2 before=$3 at
	grep -qxF "$line" "$file" && return
	at=$(grep -nxF "$before" "$file" | tail -n 1 | cut -d: -f1)
	[[ -n $at ]] || {
		echo "overlay.sh: error: no line '$before' in $file" >&2
		exit 1
	}
	sed -i "${at}i\\$line" "$file"
}

mirror "$top/drivers/vhost/blk" "$tree/drivers/vhost/blk" compat
if [[ -d $top/compat ]]; then
	mirror "$top/compat" "$tree/drivers/vhost/blk/compat"
fi
if [[ -d $top/tools/testing/selftests/vhost ]]; then
	mirror "$top/tools/testing/selftests/vhost" "$tree/tools/testing/selftests/vhost"
fi
header=include/uapi/linux/vhost_blk.h
cmp -s "$top/$header" "$tree/$header" || cp "$top/$header" "$tree/$header"

# Inside "if VHOST_MENU", whose end is the last of the file's endifs.
add_line "$tree/drivers/vhost/Kconfig" 'source "drivers/vhost/blk/Kconfig"' endif
# shellcheck disable=SC2016 # make's variable
line='obj-$(CONFIG_VHOST_BLK) += blk/'
grep -qxF "$line" "$tree/drivers/vhost/Makefile" ||
	echo "$line" >>"$tree/drivers/vhost/Makefile"
