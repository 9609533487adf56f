# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What stands between a block device of this machine and a benchmark that writes
# to it.  Needs lib.sh.

# device_may_be_lost DEVICE: or nothing of this is done.
device_may_be_lost() {
	local mounted
	[[ -b $1 ]] || die "$1 is no block device"
	[[ ${I_KNOW_IT_IS_LOST:-} == "$1" ]] ||
		die "this writes to $1: set I_KNOW_IT_IS_LOST=$1 if nothing on it is wanted"
	mounted=$(lsblk -nro MOUNTPOINTS "$1" | awk 'NF && !found++')
	[[ -z $mounted ]] || die "$1 or a part of it is in use: $mounted"
	[[ -z $(lsblk -nro TYPE "$1" | sed 1d) ]] ||
		die "$1 has partitions or devices on top of it: take the one that is meant"
	# The kernel's own answer: a file system, swap, device mapper and MD hold what
	# they use exclusively.
	/usr/bin/python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$1" \
		2>/dev/null || die "$1 is in use, or may not be written"
}
