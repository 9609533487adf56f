#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# First process of the guest: runs the script that QEMU gave as
# opt/vhost-blk/script through fw_cfg.  Its output and, in a last line that
# holds the nonce of this run, its exit status go to the second serial port;
# only the kernel writes to the first.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
echo /bin/modprobe >/proc/sys/kernel/modprobe
while read -r module; do
	modprobe "$module" || echo "guest-init: no module $module" >/dev/kmsg
done </modules

given=/sys/firmware/qemu_fw_cfg/by_name/opt/vhost-blk
# At once: should the guest be moved to another version of QEMU, the directory that
# the kernel has read is not that one's.
nonce=$(cat "$given/nonce/raw")
# The tty would turn a newline into two characters.
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1

cd /tmp || exit 1
cat "$given/script/raw" >/tmp/script
sh /tmp/script
status=$?
printf 'guest-run: %s exit %d\n' "$nonce" "$status"
sync
# Closing waits for the port to be drained.
exec >/dev/null 2>&1
poweroff -f
