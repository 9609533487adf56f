#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# First process of the guest: runs the script that QEMU passes in the fw_cfg file
# opt/vhost-blk/script.  The output of the script goes to the second serial port, and
# then a last line with the nonce of this run and the exit status of the script.
# Only the kernel writes to the first serial port.
export PATH=/bin

# mount_on DIRECTORY TYPE: if this fails, PID 1 exits, the kernel panics, and QEMU ends.
mount_on() {
	mount -t "$2" "$2" "$1" && return
	echo "guest-init: no $2 on $1"
	exit 1
}

mount_on /proc proc
mount_on /sys sysfs
mount_on /dev devtmpfs
mount_on /tmp tmpfs
echo /bin/modprobe >/proc/sys/kernel/modprobe
while read -r module; do
	modprobe "$module" || echo "guest-init: no module $module" >/dev/kmsg
done </modules

given=/sys/firmware/qemu_fw_cfg/by_name/opt/vhost-blk
# Read it now: after a migration to another QEMU version, the fw_cfg directory that the
# kernel has cached may be wrong.
nonce=$(cat "$given/nonce/raw")
# A tty that is not raw translates "\n" to "\r\n".
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1

cd /tmp || exit 1
cat "$given/script/raw" >/tmp/script
sh /tmp/script
status=$?
printf 'guest-run: %s exit %d\n' "$nonce" "$status"
sync
# Closing the port waits until its output has been sent.
exec >/dev/null 2>&1
poweroff -f
