#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# `rounds` is the host's.
# shellcheck disable=SC2154
#
# Guest script of swap.py: a program that needs more memory than there is.
echo 600 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
for disk in vda vdb vdc; do
	mkswap /dev/$disk >/dev/null && swapon /dev/$disk || exit
done
exec </dev/ttyS1
echo ready
read -r _
# The disks are filled one after the other, so much that half of the last one is, too.
memhog "$(awk '$1 == "MemAvailable:" { print int($2 / 1024) + 100 }' /proc/meminfo)" "$rounds" || exit
grep pswp /proc/vmstat
for disk in vda vdb vdc; do
	awk -v disk=$disk '{ print disk, "reads", $1, "writes", $5 }' /sys/block/$disk/stat
done
grep -E 'oom_kill ' /proc/vmstat
