# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For what runs in a test host: backings in memory.

# bench_nullb [ATTRIBUTE=VALUE…]: one more null_blk, which completes in softirq
# context as a real device does; prints its path.
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

# bench_file DEVICE MEGABYTES: a file on an ext4 on it, all of it written once;
# prints its path.
bench_file() {
	local dir
	dir=$(mktemp -d)
	mkfs.ext4 -q -O ^has_journal "$1" >&2
	mount "$1" "$dir"
	dd if=/dev/zero of="$dir/disk" bs=1M count="$2" conv=fsync status=none
	echo "$dir/disk"
}
