#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The host sets `rounds`.
# shellcheck disable=SC2154
#
# Guest script of swap.py: memhog uses 100 MiB more than the available memory.
echo 600 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
for disk in vda vdb vdc; do
	mkswap /dev/$disk >/dev/null && swapon /dev/$disk || exit
done
exec </dev/ttyS1
echo ready
read -r _
# The kernel fills one swap device after the other.  Each has 40 MiB, so the last one is
# half full in the end.
memhog "$(awk '$1 == "MemAvailable:" { print int($2 / 1024) + 100 }' /proc/meminfo)" "$rounds" || exit
grep pswp /proc/vmstat
for disk in vda vdb vdc; do
	awk -v disk=$disk '{ print disk, "reads", $1, "writes", $5 }' /sys/block/$disk/stat
done
grep -E 'oom_kill ' /proc/vmstat
