#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host sets `points`: in each line the number of a flush, and the files that must be
# there after it.
# shellcheck disable=SC2154
#
# Guest script of crash.py: each partition is an xfs in the state after one flush.
number=0
echo "$points" | while read -r flush files; do
	number=$((number + 1))
	part=/dev/vda$number
	echo "xfs, flush $flush:"
	{
		mount -t xfs "$part" /mnt || exit
		# shellcheck disable=SC2086 # one argument for each file
		fscrash check /mnt $files || exit
		umount /mnt || exit
		xfs_repair -n "$part" >/tmp/repair 2>&1 || { cat /tmp/repair; exit 1; }
	} </dev/null
	echo "xfs, flush $flush: checked"
done
