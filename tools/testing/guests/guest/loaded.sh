#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of tap.sh; the host sets `fio_size`.
# shellcheck disable=SC2154
#
# Guest script of loaded.py: runs blkledger on each of two disks, and fio on the first.
# Until the host sends "end", it runs each line from the host as a command.

# Print the number of requests that all disks have completed.
requests() {
	awk '{ n += $1 + $5 + $16 } END { print n }' /sys/block/vd?/stat
}

# Run fio with verification until /tmp/stop exists.
verify() {
	rounds=0
	while [ ! -e /tmp/stop ]; do
		run_fio --name=verify --filename=/dev/vda --offset=32m --size="$fio_size" \
			--rw=randwrite --bsrange=512-16k --blockalign=512 --direct=1 \
			--ioengine=io_uring --iodepth=16 --rate_iops=200 --verify=crc32c \
			--verify_fatal=1 >/tmp/fio 2>&1 || { cat /tmp/fio /tmp/fio.out; exit 1; }
		rounds=$((rounds + 1))
	done
	echo "fio: $rounds rounds verified"
}

modprobe virtio_mem
# On a busy host, a vCPU may not run for this long.
echo 120 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
failed=0
blkledger run /dev/vda 0 4 4 >/tmp/vda 2>&1 &
vda=$!
blkledger run /dev/vdb 0 4 1 >/tmp/vdb 2>&1 &
vdb=$!
verify >/tmp/fio.log 2>&1 &
fio=$!
exec </dev/ttyS1
echo ready
while read -r command && [ "$command" != end ]; do
	eval "$command" 2>&1 | tr '\n' ' '
	echo
done
: >/tmp/stop
kill -TERM $vda $vdb
for job in $vda $vdb $fio; do
	wait "$job" || failed=1
done
sed 's/^/vda: /' /tmp/vda
sed 's/^/vdb: /' /tmp/vdb
cat /tmp/fio.log
for disk in vda vdb; do
	echo "$disk in flight: $(awk '{ print $1, $2 }' /sys/block/$disk/inflight)"
done
echo "requests: $(requests)"
exit $failed
