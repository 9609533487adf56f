#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: check-vhost-abi.sh VHOST OUR_KO [VMLINUX_BTF]
#
# Exit 0 when vhost_blk.ko was built with the same vhost structures as the
# vhost module that it will call.  Symbol versions do not notice a wrong
# vhost.h; a module built with one would corrupt memory.
#
#   VHOST        vhost.ko (also .xz, .zst, .gz), or BTF as /sys/kernel/btf/vhost
#   OUR_KO       vhost_blk.ko, with its debug information
#   VMLINUX_BTF  BTF of the kernel (default /sys/kernel/btf/vmlinux)
set -euo pipefail

case ${1:-} in
--help | -h) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit ;;
esac
(($# >= 2)) || { sed -n '3p' "$0" >&2; exit 2; }
theirs=$1 ours=$2 base=${3:-/sys/kernel/btf/vmlinux}

die() {
	echo "check-vhost-abi.sh: error: $*" >&2
	exit 1
}
command -v pahole >/dev/null || die "pahole is missing (package pahole)"
for file in "$theirs" "$ours" "$base"; do
	[[ -r $file ]] || die "can't read $file"
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
case $theirs in
*.xz) xz -dc "$theirs" >"$tmp/vhost.ko"; theirs=$tmp/vhost.ko ;;
*.zst) zstd -qdc "$theirs" >"$tmp/vhost.ko"; theirs=$tmp/vhost.ko ;;
*.gz) gzip -dc "$theirs" >"$tmp/vhost.ko"; theirs=$tmp/vhost.ko ;;
esac

# One line for each member: name, offset, size; then the size of the whole.
# Types are spelled differently in DWARF and BTF, so they are left out.
layout() {
	sed -nE -e 's/ *__attribute__\(\(__aligned__\([0-9]+\)\)\)//' \
		-e 's@^.*[ *(]([A-Za-z_0-9]+)(\[[0-9]*\])*(\)\(.*\))?(:[0-9]+)?;[ \t]*/\*[ \t]*([0-9]+)(:[ \t]*[0-9]+)?[ \t]+([0-9]+)[ \t]*\*/.*@\1 \5\6 \7@p' \
		-e 's@^[ \t]*/\* size: ([0-9]+),.*@size \1@p'
}

theirs_of() {
	pahole -F btf --btf_base "$base" -C "$1" "$theirs" 2>"$tmp/stderr" | layout
}

ours_of() {
	pahole -F dwarf,btf -C "$1" "$ours" 2>"$tmp/stderr" | layout
}

bad=0
compared=0
# What vhost_blk touches, or embeds in its own structures.  vhost_worker is
# there from 6.4 on.
for struct in vhost_dev vhost_virtqueue vhost_work vhost_poll vhost_worker \
	      vhost_log vhost_iotlb vhost_iotlb_map; do
	theirs_of "$struct" >"$tmp/theirs"
	ours_of "$struct" >"$tmp/ours"
	# Not every one is known in every kernel, nor used by both.
	if [[ ! -s $tmp/ours ]]; then
		continue
	elif [[ ! -s $tmp/theirs ]]; then
		echo "struct $struct: not in $1"
		bad=1
	elif ! diff -u --label "$1" --label "$2" "$tmp/theirs" "$tmp/ours"; then
		echo "struct $struct: the layouts differ"
		bad=1
	fi
	compared=$((compared + 1))
done

((compared >= 3)) && [[ $bad == 0 ]] && {
	echo "the $compared structures of vhost are laid out alike"
	exit
}
((compared >= 3)) || die "no vhost structures found in $2: is its debug information there?"
die "$2 was built with another vhost.h than the vhost module: it must not be loaded"
