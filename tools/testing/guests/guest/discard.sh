#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of tap.sh; check calls those of this file.
# shellcheck disable=SC2317
#
# Part of a guest script: discards, zeroes, the limits of both, and the cache.

# limits DISK: print the limits of the disk, which the host compares.
limits() {
	for attribute in alignment_offset queue/logical_block_size queue/physical_block_size \
			queue/minimum_io_size queue/optimal_io_size \
			queue/discard_max_bytes queue/discard_granularity; do
		echo "limits $(cat "/sys/block/$1/serial") $attribute" \
			"$(cat "/sys/block/$1/$attribute")"
	done
}

MIB=1048576

# is_zero DISK OFFSET BYTES
is_zero() {
	head -c "$3" /dev/zero >/tmp/zeroes
	bytes "/dev/$1" "$2" "$3" | cmp - /tmp/zeroes
}

# thrown_away DISK: discard and zero ranges of a disk that the host has filled.  The host
# compares the file afterwards (filesystems.py, thrown_away()).
thrown_away() {
	blkdiscard -o $((8 * MIB)) -l $((4 * MIB)) "/dev/$1" || return
	fallocate -p -o $((12 * MIB)) -l $((4 * MIB)) "/dev/$1" || return
	fallocate -z -o $((16 * MIB)) -l $((2 * MIB)) "/dev/$1" || return
	blkdiscard -z -o $((18 * MIB)) -l $((2 * MIB)) "/dev/$1" || return
	blkdiscard -z -o $((20 * MIB + 1536)) -l 2560 "/dev/$1" || return
	forget
	is_zero "$1" $((8 * MIB)) $((12 * MIB)) && is_zero "$1" $((20 * MIB + 1536)) 2560
}

# zeroed DISK BLOCK: a range that was zeroed, in any way, reads as zeroes, and the data
# around it has not changed.
zeroed() {
	for how in "blkdiscard -z" "fallocate -z" "fallocate -p"; do
		head -c 131072 /dev/urandom >/tmp/old
		dd if=/tmp/old of="/dev/$1" bs=64k conv=fsync || return
		$how -o $(($2 * 7)) -l $(($2 * 13)) "/dev/$1" || return
		dd if=/dev/zero of=/tmp/old bs="$2" seek=7 count=13 conv=notrunc || return
		forget
		is "$(sum "/dev/$1" 0 131072)" "$(sha256sum </tmp/old)" || return
	done
}

# discard_then_write DISK: a discard has no effect on data that is written after it.
discard_then_write() {
	for round in 1 2 3; do
		head -c $MIB /dev/urandom >/tmp/new
		blkdiscard -o $MIB -l $((8 * MIB)) "/dev/$1" || return
		dd if=/tmp/new of="/dev/$1" bs=$MIB seek=$((round + 1)) oflag=direct || return
		forget
		is "$(sum "/dev/$1" $(((round + 1) * MIB)) $MIB)" "$(sha256sum </tmp/new)" || return
	done
}

# bad_ranges DISK BLOCK: zeroing a range past the end or of partial blocks, and a secure
# erase, are refused, and nothing is changed.
bad_ranges() {
	size=$(blockdev --getsize64 "/dev/$1")
	head -c 65536 /dev/urandom >/tmp/end
	dd if=/tmp/end of="/dev/$1" bs=512 seek=$((size / 512 - 128)) conv=fsync || return
	! fallocate -z -o $((size - 65536)) -l 131072 "/dev/$1" || return
	! blkdiscard -z -o $((size - $2 / 2)) -l "$2" "/dev/$1" || return
	! blkdiscard -s "/dev/$1" || return
	forget
	is "$(sum "/dev/$1" $((size - 65536)) 65536)" "$(sha256sum </tmp/end)"
}

# trims DISK: fstrim frees the blocks of the host's file; the host checks that.  It looks
# at the file before fstrim, too, and then sends a line.
trims() {
	mkfs.ext4 -q -F -E nodiscard "/dev/$1" && mount -t ext4 "/dev/$1" /mnt || return
	dd if=/dev/urandom of=/mnt/file bs=64k count=384 conv=fsync || return
	before=$(sha256sum </mnt/file)
	forget
	is "$(sha256sum </mnt/file)" "$before" || return
	echo "before fstrim" >/dev/ttyS1
	read -r _ </dev/ttyS1
	rm /mnt/file && sync && fstrim -v /mnt && umount /mnt
}

# cache_type DISK: switch the cache between write-through and write-back while fio writes
# and verifies.  The guest sends flushes only if the cache is write-back.
cache_type() {
	run_fio --filename="/dev/$1" --size=4m --rw=randwrite --bs=4k --direct=1 \
		--ioengine=libaio --iodepth=8 --fsync=8 --verify=crc32c --verify_fatal=1 \
		--time_based --runtime=4 --name=load &
	fio=$!
	wait_for_io "$1" 50 || return
	for type in through back through back through; do
		echo "write $type" >"/sys/block/$1/cache_type" || return
		is "$(cat "/sys/block/$1/cache_type") $(cat "/sys/block/$1/queue/write_cache") $(cat "/sys/block/$1/queue/fua")" \
			"write $type write $type 0" || return
		wait_for_io "$1" 50 || return
	done
	wait $fio || return
	before=$(flushes "$1")
	dd if=/dev/urandom of="/dev/$1" bs=4k count=4 conv=fsync || return
	is "$(flushes "$1")" "$before" || return
	echo "write back" >"/sys/block/$1/cache_type" && fsync_flushes "$1"
}
