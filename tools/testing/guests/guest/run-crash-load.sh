#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions are those of tap.sh; the host sets `files`.
# shellcheck disable=SC2154
#
# Last part of a guest script of crash.py: fscrash fsyncs files on ext4 and xfs, and
# reports each file that is stable.
mkdir /ext4 /xfs
ext4=/dev/$(disk ext4) xfs=/dev/$(disk xfs)
mkfs.ext4 -q -F "$ext4" && mount -t ext4 "$ext4" /ext4 || exit
mkfs.xfs --unsupported -q -f -l size=10m "$xfs" && mount -t xfs "$xfs" /xfs || exit
fscrash run ext4 /ext4 "$files" >/dev/ttyS1 &
fscrash run xfs /xfs "$files" >/dev/ttyS1
status=$?
wait $! && exit $status
