#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: swap.sh [--rounds N] [HOST]
#
# A guest that swaps on its vhost-blk disks (a block device, a file opened
# directly and one opened buffered) while the test host HOST (default uml-7.3)
# has no free memory, and swaps too: the guest's memory among others.  A program
# in the guest checks all that comes back; prints TAP.
#
#   --rounds N   how often all of its memory is looked at (default 3)
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/guests/guest-lib.sh
. "$VB_GUESTS/guest-lib.sh"

# full_null_blk NAME MIB: a disk in memory that will not want any more of it
full_null_blk() {
	local dir=/sys/kernel/config/nullb/$1
	mkdir "$dir"
	echo 1 >"$dir/memory_backed"
	echo "$2" >"$dir/size"
	echo 1 >"$dir/power"
	dd if=/dev/zero of="/dev/$1" bs=1M count="$2" oflag=direct status=none
}

# make_swap_disks DIR: in the test host; it swaps from here on.
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

guest_options "rounds" "$@"
guest_test swap.py make_swap_disks --mem 1G --timeout 2400
