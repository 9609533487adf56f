#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Last part of a guest script of filesystems.py: writes and fsyncs files and prints the
# number of each, until the host kills QEMU.  Two more loops write other files.
make_fs ext4 vda || exit
for writer in 1 2; do
	while :; do
		dd if=/dev/zero of="/mnt/noise$writer" bs=64k count=32 conv=fsync 2>/dev/null
	done &
done
for file in $(seq 1 5000); do
	crash_content "$file" >/tmp/content
	dd if=/tmp/content of="/mnt/file$file" bs=64k conv=fsync 2>/dev/null || exit
	echo "stable $file"
done
