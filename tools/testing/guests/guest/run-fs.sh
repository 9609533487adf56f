#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of the parts before; the host sets `stable`, the last file that
# was stable before the crash, and `erase`, which is empty if no disk offers secure erase.
# shellcheck disable=SC2154
#
# Last part of the guest script of filesystems.py.
block=$(disk block) block4k=$(disk block-4k)
direct=$(disk direct) buffered=$(disk buffered)
check "crash: the journal is replayed, fsynced files are intact" \
	crash_recovered "$(disk crash)" "$stable"
check "crash: e2fsck finds no error" check_fs ext4 "$(disk crash)"
check "discarded: discarded and zeroed ranges read as zeroes" thrown_away "$(disk discarded)"
check "trimmed: fstrim" trims "$(disk trimmed)"
check "striped: secure erase is not offered, bad ranges are refused" \
	bad_ranges "$(disk striped)" 512
if [ -n "$erase" ]; then
	# Do not erase: Linux passes the ranges of a secure erase in a buffer that the device
	# may only write.
	check "erase: I/O to a disk that offers secure erase" unaligned "$(disk erase)"
else
	skip "erase: I/O to a disk that offers secure erase" "this host has none"
fi
for disk in $block $block4k $direct $buffered "$(disk striped)"; do
	limits "$disk"
done
for disk in $block $block4k $buffered; do
	name=$(cat "/sys/block/$disk/serial")
	size=$(cat "/sys/block/$disk/queue/logical_block_size")
	check "$name: fio verifies, four engines" engines "$disk"
	check "$name: buffers that are not page-aligned" unaligned "$disk"
	check "$name: O_DIRECT in units of logical blocks" direct_alignment "$disk" "$size"
	check "$name: the last block is writable, the next one is refused" end_of_device "$disk" "$size"
	check "$name: partitions" partitions "$disk" "$size"
	check "$name: zeroing changes nothing outside its range" zeroed "$disk" "$size"
done
for disk in $block $buffered; do
	name=$(cat "/sys/block/$disk/serial")
	check "$name: requests of 4 MiB" large "$disk"
	check "$name: direct and buffered I/O at the same time" mixed "$disk"
	check "$name: fsync sends a flush" fsync_flushes "$disk"
	check "$name: writes after a discard" discard_then_write "$disk"
	check "$name: cache_type is switched under load" cache_type "$disk"
done
check "block: number of queues is num-queues" queues "$block" 2 254
check "block: each queue while the others are idle" each_queue "$block"
check "direct: one queue per vCPU, 62 segments for queue-size=64" queues "$direct" 2 62
check "buffered: one queue, 1022 segments for queue-size=1024" queues "$buffered" 1 1022
check "io.max of the control group limits one disk and not another" \
	throttled "$(disk limited)" "$block"
check "read-only file: writes are refused" read_only "$(disk readonly)"
check "read-only block device: writes are refused" read_only "$(disk readonly-block)"
check_file_system ext4 "$block"
check_file_system xfs "$direct"
finish
