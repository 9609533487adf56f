#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest-test.sh [OPTION…] PROGRAM [ARGUMENT…]
#
# Runs PROGRAM, a test in Python of this directory, in a test host that has disks for
# it.  Prints TAP.  PROGRAM finds QEMU, the guest and the programs of the guest by
# VHOST_E2E_*, and the disks in the directory that is its last argument.
#
#   --host HOST        the test host (default uml-7.3)
#   --mem SIZE         its memory (default 2G)
#   --timeout SECONDS  until it is killed (default 900)
#   --disks test|swap  which disks (default test)
#   --other SERIES     a second QEMU of that series, for a migration
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

host=uml-7.3 mem=2G timeout=900 disks=test other='' inside=0
while [[ ${1:-} == --* ]]; do
	case $1 in
	--help) usage; exit ;;
	--host) host=$2; shift ;;
	--mem) mem=$2; shift ;;
	--timeout) timeout=$2; shift ;;
	--disks) disks=$2; shift ;;
	--other) other=$2; shift ;;
	--inside) inside=1 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
program=${1:-}
[[ -n $program && -f $VB_GUESTS/$program && $disks =~ ^(test|swap)$ ]] || { usage >&2; exit 2; }
shift

# The programs that keep account of disks (blkledger.c) and of memory (memhog.c),
# static, for the host; and for the guest as a second archive behind the first, which
# the kernel unpacks as well.
build_programs() {
	local name
	mkdir -p "$1/root/bin" "$1/out"
	for name in blkledger memhog; do
		gcc -O2 -Wall -Wextra -Werror -static -pthread -s -o "$1/out/$name" "$VB_GUESTS/$name.c"
		cp "$1/out/$name" "$1/root/bin/"
	done
	{
		cat "$VHOST_E2E_GUEST/initrd"
		(cd "$1/root" && find . | cpio --quiet -o -H newc | gzip -1)
	} >"$1/out/initrd"
}

# VHOST_E2E_* say to the test host what there is.
prepare() {
	local entry work
	"$VB_LIB/packages.sh" kernel guest python
	VHOST_E2E_QEMU=$("$VB_TOP/qemu/build.sh" 7.2 | tail -n 1)
	VHOST_E2E_OTHER=''
	[[ -z $other ]] || VHOST_E2E_OTHER=$("$VB_TOP/qemu/build.sh" "$other" | tail -n 1)
	VHOST_E2E_GUEST=$("$VB_GUESTS/guest-build.sh" | tail -n 1)
	entry=$VB_CACHE/guest/blkledger-$(cache_key "$VB_GUESTS"/{blkledger,memhog}.c \
		"$VB_GUESTS/guest-test.sh" "$(basename "$(realpath "$VHOST_E2E_GUEST")")")
	if [[ ! -e $entry ]]; then
		work=$(scratch_dir)
		build_programs "$work"
		publish "$work/out" "$entry"
		rm -rf "$work"
		keep_newest 3 "$VB_CACHE/guest/blkledger-"*
	fi
	export VHOST_E2E_QEMU VHOST_E2E_OTHER VHOST_E2E_GUEST
	export VHOST_E2E_INITRD=$entry/initrd VHOST_E2E_LEDGER=$entry/blkledger
	export VHOST_E2E_HOG=$entry/memhog
}

# null_blk NAME MIB: a block device in memory
null_blk() {
	local dir=/sys/kernel/config/nullb/$1
	mkdir "$dir"
	echo 1 >"$dir/memory_backed"
	echo "$2" >"$dir/size"
	echo 1 >"$dir/power"
}

# make_test_disks DIR: a file system with three files, one of them behind a block
# device; their names are in DIR.
make_test_disks() {
	null_blk nullb0 1536
	mkfs.ext4 -q -O ^has_journal /dev/nullb0
	mkdir "$1/mnt"
	mount /dev/nullb0 "$1/mnt"
	truncate -s 64M "$1/mnt/file" "$1/mnt/behind-loop" "$1/mnt/buffered"
	ln -s mnt/file "$1/file"
	ln -s mnt/buffered "$1/buffered"
	ln -s "$(losetup --show -f "$1/mnt/behind-loop")" "$1/block"
}

# full_null_blk NAME MIB: one that has all the memory it will ever want
full_null_blk() {
	null_blk "$@"
	dd if=/dev/zero of="/dev/$1" bs=1M count="$2" oflag=direct status=none
}

# make_swap_disks DIR: a block device and two files; and the host swaps from here on.
make_swap_disks() {
	local name
	full_null_blk nullb0 320
	mkswap /dev/nullb0 >/dev/null
	swapon /dev/nullb0
	full_null_blk nullb1 40
	ln -s /dev/nullb1 "$1/block"
	full_null_blk nullb2 104
	mkfs.ext4 -q /dev/nullb2
	mkdir "$1/mnt"
	mount /dev/nullb2 "$1/mnt"
	for name in direct buffered; do
		dd if=/dev/zero of="$1/mnt/$name" bs=1M count=40 status=none
		ln -s "mnt/$name" "$1/$name"
	done
	sync
}

if ((!inside)); then
	prepare
	exec "$VB_HOSTS/uml-run.sh" "$host" --mem "$mem" --timeout "$timeout" -- \
		"$0" --inside --disks "$disks" "$program" "$@"
fi
dir=$(mktemp -d)
"make_${disks}_disks" "$dir"
exec /usr/bin/python3 -B "$VB_GUESTS/$program" "$@" "$dir"
