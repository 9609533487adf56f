#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The functions are those of tap.sh.
#
# Guest script of data.py.  Each boot increments a number on the disk.  The host resets
# the first boot while fio runs, the second boot reboots, and the third one verifies data.
boot=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -d '\0')
echo "boot ${boot:=0}"
echo $((boot + 1)) | dd of=/dev/vda bs=512 count=1 conv=sync,fsync 2>/dev/null
case $boot in
0)
	echo "now" >/dev/kmsg
	fio --name=load --filename=/dev/vda --offset=1m --size=16m --rw=randrw \
		--bs=4k --direct=1 --ioengine=io_uring --iodepth=32 --numjobs=2 \
		--time_based --runtime=100 >/dev/null 2>&1 &
	wait_for_io vda 100 || exit
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
