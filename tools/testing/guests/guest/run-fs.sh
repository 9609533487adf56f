#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of the parts before; `stable` and `erase`
# are the host's.
# shellcheck disable=SC2154
#
# Last part of the guest script of filesystems.py.
block=$(disk block) block4k=$(disk block-4k)
direct=$(disk direct) buffered=$(disk buffered)
check "crash: the journal is replayed, fsynced files are whole" \
	crash_recovered "$(disk crash)" "$stable"
check "crash: e2fsck finds nothing" check_fs ext4 "$(disk crash)"
check "discarded: ranges are gone or zero" thrown_away "$(disk discarded)"
check "trimmed: fstrim" trims "$(disk trimmed)"
check "striped: secure erase is not offered, bad ranges are refused" \
	bad_ranges "$(disk striped)" 512
if [ -n "$erase" ]; then
	# No more than that: Linux passes the ranges of an erase in a buffer for the device to
	# write to.
	check "erase: a disk that offers it is taken" unaligned "$(disk erase)"
else
	skip "erase: a disk that offers it is taken" "this host has none"
fi
for disk in $block $block4k $direct $buffered "$(disk striped)"; do
	limits "$disk"
done
for disk in $block $block4k $buffered; do
	name=$(cat "/sys/block/$disk/serial")
	size=$(cat "/sys/block/$disk/queue/logical_block_size")
	check "$name: fio verifies, four engines" engines "$disk"
	check "$name: memory that begins within a page" unaligned "$disk"
	check "$name: O_DIRECT, in logical blocks" direct_alignment "$disk" "$size"
	check "$name: the last block, and none after it" end_of_device "$disk" "$size"
	check "$name: partitions" partitions "$disk" "$size"
	check "$name: zeroes, and nothing beside them" zeroed "$disk" "$size"
done
for disk in $block $buffered; do
	name=$(cat "/sys/block/$disk/serial")
	check "$name: requests of 4 MiB" large "$disk"
	check "$name: direct and buffered" mixed "$disk"
	check "$name: fsync becomes a flush" fsync_flushes "$disk"
	check "$name: written after a discard" discard_then_write "$disk"
	check "$name: cache_type is switched under load" cache_type "$disk"
done
check "block: as many queues as asked for" queues "$block" 2 254
check "block: each queue alone" each_queue "$block"
check "direct: a queue for each vCPU, 62 segments of 64" queues "$direct" 2 62
check "buffered: 1022 segments of 1024" queues "$buffered" 1 1022
check "a disk that the control group limits is slow, another is not" \
	throttled "$(disk limited)" "$block"
check "read-only file: refused" read_only "$(disk readonly)"
check "read-only block device: refused" read_only "$(disk readonly-block)"
check_file_system ext4 "$block"
check_file_system xfs "$direct"
finish
