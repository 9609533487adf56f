# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions for scripts that run in a test host: backing devices in memory.

# bench_nullb [ATTRIBUTE=VALUE…]: create a null_blk that completes in softirq context, as
# a real device does, and print its path.
bench_nullb() {
	local dir=/sys/kernel/config/nullb/nullb nr=0 attribute
	while [[ -e $dir$nr ]]; do
		nr=$((nr + 1))
	done
	mkdir "$dir$nr"
	for attribute in irqmode=1 hw_queue_depth=256 submit_queues="$(nproc)" "$@" power=1; do
		echo "${attribute#*=}" >"$dir$nr/${attribute%%=*}"
	done
	echo none >"/sys/block/nullb$nr/queue/scheduler"
	echo "/dev/nullb$nr"
}

# bench_file DEVICE MEGABYTES: make an ext4 on DEVICE with a file that is written
# completely, and print the path of the file.
bench_file() {
	local dir
	dir=$(mktemp -d)
	mkfs.ext4 -q -O ^has_journal "$1" >&2
	mount "$1" "$dir"
	dd if=/dev/zero of="$dir/disk" bs=1M count="$2" conv=fsync status=none
	echo "$dir/disk"
}
