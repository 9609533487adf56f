#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of tap.sh.
#
# Guest script of data.py: prints serial, size and limits of each disk.  fio writes and
# verifies each writable disk; then the script writes random data, which the host
# compares.  vdd is read-only and must refuse writes.
for disk in vda vdb vdc vdd vde; do
	sys=/sys/block/$disk
	echo "$disk: $(cat $sys/serial) $(cat $sys/size) ro=$(cat $sys/ro)" \
		"queues=$(find $sys/mq -mindepth 1 -maxdepth 1 | wc -l)" \
		"segments=$(cat $sys/queue/max_segments)"
done
failed=0
for disk in vda vdb vdc vde; do
	run_fio --name=$disk --filename=/dev/$disk --rw=randwrite --bsrange=512-64k \
		--bs_unaligned=0 --blockalign=512 --offset=1m --size=6m \
		--direct=1 --ioengine=io_uring --iodepth=16 --numjobs=2 \
		--offset_increment=16m --group_reporting --verify=crc32c \
		--verify_fatal=1 --fsync=64
	status=$?
	echo "fio $disk: $status"
	[ $status = 0 ] || failed=1
	# 1 MiB of random data at offset 64 MiB
	dd if=/dev/urandom of=/tmp/random bs=64k count=16 2>/dev/null
	dd if=/tmp/random of=/dev/$disk bs=64k seek=1024 conv=fsync 2>/dev/null || failed=1
	echo "sum $disk: $(sha256sum </tmp/random)"
done
# The 64 characters are feature bits 0 to 63; print bits 32 to 39.
echo "vde: features $(cut -c33-40 /sys/block/vde/device/features)"
if dd if=/dev/zero of=/dev/vdd bs=4k count=1 conv=fsync 2>/dev/null; then
	echo "vdd: written"
else
	echo "vdd: refused"
fi
echo "vdd: $(sha256sum </dev/vdd)"
echo "vdd: $(grep virtio3 /proc/interrupts | grep -oE 'IO-APIC|PCI-MSI' | sort -u)"
exit $failed
