# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Protects the block devices of this machine from a benchmark that writes to them.
# Needs lib.sh.

# device_may_be_lost DEVICE: end the script, unless DEVICE is a block device that nothing
# uses and the user has confirmed that its data may be lost.
device_may_be_lost() {
	local mounted
	[[ -b $1 ]] || die "$1 is not a block device"
	[[ ${I_KNOW_IT_IS_LOST:-} == "$1" ]] ||
		die "this overwrites $1: set I_KNOW_IT_IS_LOST=$1 if its data may be lost"
	mounted=$(lsblk -nro MOUNTPOINTS "$1" | awk 'NF && !found++')
	[[ -z $mounted ]] || die "$1 or a part of it is in use: mounted at $mounted"
	[[ -z $(lsblk -nro TYPE "$1" | sed 1d) ]] ||
		die "$1 has partitions or devices on top of it: name one of these instead"
	# File systems, swap, device mapper and MD open the devices that they use
	# exclusively.
	/usr/bin/python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$1" \
		2>/dev/null || die "$1 is in use, or cannot be written"
}
