#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# `points` is the host's: lines of a flush and the files that it must have left.
# shellcheck disable=SC2154
#
# Guest script of crash.py: each partition is xfs as one flush left it.
number=0
echo "$points" | while read -r flush files; do
	number=$((number + 1))
	part=/dev/vda$number
	echo "xfs, flush $flush:"
	mount -t xfs "$part" /mnt || exit
	# shellcheck disable=SC2086 # they are words
	fscrash check /mnt $files || exit
	umount /mnt || exit
	xfs_repair -n "$part" >/tmp/repair 2>&1 || { cat /tmp/repair; exit 1; }
done
