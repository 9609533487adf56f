#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of tap.sh; the host sets `verify` (1 or 0) and `seconds`.
# shellcheck disable=SC2154
#
# Guest script of demo.py: fio verifies data on /dev/vda and measures its IOPS.
sys=/sys/block/vda
echo "/dev/vda: $(cat $sys/size) sectors, $(find $sys/mq -mindepth 1 -maxdepth 1 | wc -l) queues," \
	"driver virtio_blk, Linux $(uname -r)"

# run ARGUMENT...: print fio's command line and run it.
run() {
	set -- "$@" --filename=/dev/vda --direct=1 --ioengine=io_uring --bs=4k
	echo "\$ fio $*"
	run_fio "$@" >/tmp/run && return
	cat /tmp/run
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
		echo "result $rw $depth $(terse /tmp/fio.out $field)"
	done
done
