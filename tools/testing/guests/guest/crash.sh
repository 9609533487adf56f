#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of tap.sh and fs.sh; check calls those of this file.
# shellcheck disable=SC2317
#
# Part of a guest script: the files that run-crash.sh writes until the host kills QEMU,
# and the check for them after the next boot.

# crash_content FILE: print the contents of the file with this number.
crash_content() {
	awk -v size=$(($1 * 3571 % 65536 + 1)) \
		-v text="$1 of those that were there before the crash\n" 'BEGIN {
			while (length(text) < size)
				text = text text
			printf "%s", substr(text, 1, size)
		}'
}

# crash_recovered DISK LAST: mount replays the journal, and files 1 to LAST are intact.
crash_recovered() {
	mount -t ext4 "/dev/$1" /mnt || return
	for file in $(seq 1 "$2"); do
		crash_content "$file" >/tmp/content
		cmp /tmp/content "/mnt/file$file" || return
	done
	unmount
}
