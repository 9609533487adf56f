#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Guest script of data.py.  The first boot leaves a mark on the disk and is reset by
# the host while it writes, the second reboots itself, the third verifies.
boot=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -d '\0')
echo "boot ${boot:=0}"
echo $((boot + 1)) | dd of=/dev/vda bs=512 count=1 conv=sync,fsync 2>/dev/null
case $boot in
0)
	echo "now" >/dev/kmsg
	fio --name=load --filename=/dev/vda --offset=1m --size=16m --rw=randrw \
		--bs=4k --direct=1 --ioengine=io_uring --iodepth=32 --numjobs=2 \
		--time_based --runtime=100 >/dev/null 2>&1 &
	sleep 3
	echo loaded
	sleep 90
	exit 1
	;;
1)
	reboot -f
	sleep 30
	exit 1
	;;
esac
fio --name=after --filename=/dev/vda --offset=32m --size=4m --rw=randwrite --bs=4k \
	--direct=1 --ioengine=io_uring --iodepth=8 --verify=crc32c --verify_fatal=1
