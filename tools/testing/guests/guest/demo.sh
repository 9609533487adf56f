#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# `verify` (1 or 0) and `seconds` are the host's.
# shellcheck disable=SC2154
#
# Guest script of demo.py: fio verifies and measures /dev/vda.
sys=/sys/block/vda
echo "/dev/vda: $(cat $sys/size) sectors, $(find $sys/mq -mindepth 1 -maxdepth 1 | wc -l) queues," \
	"driver virtio_blk, Linux $(uname -r)"

# run ARGUMENT…: fio; its terse line to /tmp/out, of which field 5 is the error, 8 and
# 49 the IOPS.
run() {
	set -- fio "$@" --filename=/dev/vda --direct=1 --ioengine=io_uring --bs=4k
	echo "\$ $*"
	"$@" --output-format=terse --terse-version=3 >/tmp/all 2>&1
	status=$?
	sed -n '/^3;/p' /tmp/all >/tmp/out
	[ "$status $(cut -d';' -f5 /tmp/out)" = "0 0" ] && return
	cat /tmp/all
	echo "fio FAILED"
	exit 1
}

if [ "$verify" = 1 ]; then
	run --name=verify --rw=randwrite --iodepth=32 --size=64m --verify=crc32c --verify_fatal=1
	echo "verified: 64 MiB written at random and read back, every crc32c right"
fi
for rw in randread randwrite; do
	for depth in 1 32; do
		run --name=measure --size=128m --time_based --runtime="$seconds" --rw=$rw --iodepth=$depth
		field=8
		[ $rw = randread ] || field=49
		echo "result $rw $depth $(cut -d';' -f$field /tmp/out)"
	done
done
