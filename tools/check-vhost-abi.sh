#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: check-vhost-abi.sh VHOST OUR_KO [VMLINUX_BTF]
#
# Check that vhost_blk.ko was built with the same vhost structures as the vhost
# module of the kernel.  With a vhost.h of another kernel, vhost_blk would corrupt
# memory, and CONFIG_MODVERSIONS does not detect that.
#
#   VHOST        vhost.ko (or .ko.xz, .ko.zst, .ko.gz), or /sys/kernel/btf/vhost
#   OUR_KO       vhost_blk.ko with debug information
#   VMLINUX_BTF  BTF of that kernel (default /sys/kernel/btf/vmlinux, which is
#                that of the running kernel)
#
# Exit status: 0 if all structures match, 1 if not or on an error, 2 if arguments
# are missing.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/lib/messages.sh"

case ${1:-} in
--help | -h) usage; exit ;;
esac
(($# >= 2)) || { usage >&2; exit 2; }
theirs=$1 ours=$2 base=${3:-/sys/kernel/btf/vmlinux}

command -v pahole >/dev/null || die "pahole is missing; install the package pahole (or dwarves)"
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

# layout: convert the output of pahole to one line per member (name, offset and
# size) and the size of the structure.  Types are left out, as their names in
# DWARF and in BTF differ.
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
# The structures that vhost_blk accesses, or embeds in its own structures.  A
# kernel need not have all of them: vhost_worker is new in Linux 6.4.
for struct in vhost_dev vhost_virtqueue vhost_work vhost_poll vhost_worker \
	      vhost_log vhost_iotlb vhost_iotlb_map; do
	theirs_of "$struct" >"$tmp/theirs"
	ours_of "$struct" >"$tmp/ours"
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
	echo "the layouts of all $compared vhost structures match"
	exit
}
((compared >= 3)) || die "found no vhost structures in $2; does it have debug information?"
die "$2 was built with the vhost.h of another kernel; do not load it"
