#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of tap.sh; check calls those of this file.
# shellcheck disable=SC2317
#
# Part of a guest script: block device semantics, for each kind of backend.

# engines DISK: four of fio's I/O engines write and verify at the same time, each a range
# of its own.  (fio's mmap engine punches holes into a block device that it has written,
# so only fs.sh uses it.)
engines() {
	run_fio --filename="/dev/$1" --size=2m --rw=randwrite --bsrange=4k-64k \
		--blockalign=4k --verify=crc32c --verify_fatal=1 \
		--name=libaio --ioengine=libaio --iodepth=16 --direct=1 --offset=0 \
		--name=io_uring --ioengine=io_uring --iodepth=16 --direct=1 --offset=8m \
		--name=sync --ioengine=sync --iodepth=1 --direct=0 --fsync=16 --offset=16m \
		--name=psync --ioengine=psync --iodepth=1 --direct=1 --fsync=16 --offset=24m
}

# large DISK: blocks of 4 MiB, so the guest sends requests of the maximum size.
large() {
	run_fio --filename="/dev/$1" --size=8m --bs=4m --rw=write --direct=1 \
		--ioengine=io_uring --iodepth=4 --verify=crc32c --verify_fatal=1 --name=large
}

# unaligned DISK: buffers that are not page-aligned
unaligned() {
	run_fio --filename="/dev/$1" --size=1m --bs=8k --rw=randwrite --direct=1 \
		--ioengine=libaio --iodepth=8 --iomem_align=512 --verify=crc32c \
		--verify_fatal=1 --name=unaligned
}

# mixed DISK: direct and buffered I/O at the same time, on adjacent ranges
mixed() {
	run_fio --filename="/dev/$1" --size=4m --rw=randwrite --bs=4k --verify=crc32c \
		--verify_fatal=1 --time_based --runtime=1 \
		--name=direct --direct=1 --ioengine=libaio --iodepth=8 --offset=0 \
		--name=buffered --ioengine=sync --fsync=32 --offset=4m
}

# direct_alignment DISK BLOCK: O_DIRECT works in units of the logical block size, and
# smaller units are refused.  (busybox's dd is no test for this: if O_DIRECT fails, it
# continues without it.)
direct_alignment() {
	xfs_io -d -c "pwrite -b $2 $(($2 * 5)) $(($2 * 3))" \
		-c "pread -b $2 $(($2 * 5)) $(($2 * 3))" "/dev/$1" || return
	! xfs_io -d -c "pread -b $(($2 / 2)) 0 $(($2 / 2))" "/dev/$1" || return
	! xfs_io -d -c "pwrite $(($2 / 2)) $2" "/dev/$1"
}

# end_of_device DISK BLOCK: the last block can be written and read, and the one after it
# cannot, with direct and with buffered I/O.
end_of_device() {
	last=$(($(blockdev --getsize64 "/dev/$1") / $2 - 1))
	head -c "$2" /dev/urandom >/tmp/last
	for flag in oflag=direct conv=fsync; do
		dd if=/tmp/last of="/dev/$1" bs="$2" seek="$last" "$flag" || return
		forget
		is "$(dd if="/dev/$1" bs="$2" skip="$last" count=2 | sha256sum)" \
			"$(sha256sum </tmp/last)" || return
		! dd if=/dev/zero of="/dev/$1" bs="$2" seek=$((last + 1)) count=1 \
			"$flag" || return
	done
}

# partitions DISK BLOCK: create two partitions, check their start and size, and delete
# them.
partitions() {
	mib=$((1048576 / $2))
	printf '%d %d\n' $mib $mib $((4 * mib)) $((2 * mib)) | sfdisk -q "/dev/$1" || return
	is "$(cat "/sys/block/$1/$1"2/start) $(cat "/sys/block/$1/$1"2/size)" "8192 4096" || return
	head -c 65536 /dev/urandom >/tmp/part
	dd if=/tmp/part of="/dev/${1}2" bs=64k seek=3 conv=fsync || return
	! dd if=/dev/zero of="/dev/${1}1" bs=4k seek=256 count=1 oflag=direct || return
	is "$(sum "/dev/$1" $((4194304 + 3 * 65536)) 65536)" "$(sha256sum </tmp/part)" || return
	dd if=/dev/zero of="/dev/$1" bs=4k count=1 conv=fsync || return
	blockdev --rereadpt "/dev/$1" || return
	[ ! -e "/dev/${1}1" ]
}

# flushes DISK: print the number of flushes that the disk has completed.
flushes() {
	awk '{ print $16 }' "/sys/block/$1/stat"
}

# fsync_flushes DISK: an fsync of the disk sends a flush.
fsync_flushes() {
	before=$(flushes "$1")
	dd if=/dev/urandom of="/dev/$1" bs=4k count=4 conv=fsync || return
	after=$(flushes "$1")
	echo "$before flushes before, $after after"
	[ "$after" -gt "$before" ]
}

# read_only DISK: the disk is read-only, and writes are refused.
read_only() {
	is "$(cat "/sys/block/$1/ro") $(blockdev --getro "/dev/$1")" "1 1" || return
	for flag in oflag=direct conv=fsync; do
		! dd if=/dev/zero of="/dev/$1" bs=4k count=1 "$flag" || return
	done
	# The guest can clear the flag, but the device still refuses writes.
	blockdev --setrw "/dev/$1"
	! dd if=/dev/zero of="/dev/$1" bs=4k count=1 oflag=direct || return
	! blkdiscard -z "/dev/$1"
}

# queues DISK COUNT SEGMENTS: number of hardware queues, and of segments in a request
queues() {
	is "$(find "/sys/block/$1/mq" -mindepth 1 -maxdepth 1 | wc -l)" "$2" || return
	is "$(cat "/sys/block/$1/queue/max_segments")" "$3"
}

# each_queue DISK: I/O from one CPU at a time, so that the other queues are idle
each_queue() {
	for cpu in $(seq 0 $(($(nproc) - 1))); do
		run_fio --filename="/dev/$1" --size=256k --offset="${cpu}m" --rw=randwrite --bs=4k \
			--direct=1 --ioengine=libaio --iodepth=8 --cpus_allowed="$cpu" \
			--verify=crc32c --verify_fatal=1 --name="cpu$cpu" || return
	done
}

# duration DISK: the time to write 2 MiB and to read 2 MiB, in hundredths of a second
duration() {
	begin=$(cut -d' ' -f1 /proc/uptime | tr -d .)
	dd if=/dev/zero of="/dev/$1" bs=64k count=32 oflag=direct 2>/dev/null
	dd if="/dev/$1" of=/dev/null bs=64k count=32 iflag=direct 2>/dev/null
	echo $(($(cut -d' ' -f1 /proc/uptime | tr -d .) - begin))
}

# throttled DISK OTHER: the host limits QEMU's control group to 1 MiB/s on DISK, and does
# not limit it on OTHER.
throttled() {
	limited=$(duration "$1") free=$(duration "$2")
	echo "$limited with a limit, $free without, in hundredths of a second"
	[ "$limited" -gt 300 ] && [ "$free" -lt $((limited / 2)) ]
}
