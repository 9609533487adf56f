#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of tap.sh.
#
# Guest script of move.py: fio writes and verifies.  The host's disk fails for a while,
# which the guest must not notice.
run_fio --name=stopped --filename=/dev/vda --size=8m --rw=randwrite --bs=4k --direct=1 \
	--ioengine=io_uring --iodepth=16 --rate_iops=200 --verify=crc32c --verify_fatal=1 \
	>/tmp/stopped 2>&1 &
fio=$!
wait_for_io vda 100 && echo writing
wait $fio
status=$?
cat /tmp/stopped
exit $status
