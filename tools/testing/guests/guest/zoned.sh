#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of tap.sh and fs.sh; check calls those of this file.
# shellcheck disable=SC2317
#
# Part of a guest script: a host-managed zoned disk, of zones of ZONE sectors.
ZONE=8192

# zones DISK FIRST [COUNT]: "CONDITION POINTER" of each, as blkzone abbreviates
# them, the pointer from the start of the zone.
zones() {
	blkzone report -o $(($2 * ZONE)) -c "${3:-1}" "/dev/$1" |
		sed -n 's/.*wptr 0x0*\([0-9a-f]*[0-9a-f]\) .*zcond:.*(\(..\)).*/\2 \1/p'
}

# of COMMAND DISK ZONE [COUNT]
of() {
	blkzone "$1" -o $(($3 * ZONE)) -c "${4:-1}" "/dev/$2"
}

# write_zone DISK ZONE OFFSET BYTES, directly; the offset in the same units.
write_zone() {
	dd if=/dev/urandom of="/dev/$1" bs="$4" count=1 oflag=direct conv=notrunc \
		seek=$(($2 * ZONE * 512 / $4 + $3))
}

# says_error MESSAGE COMMAND…: it fails, and says why.
says_error() {
	message=$1
	shift
	! "$@" >/tmp/error 2>&1 || return
	cat /tmp/error
	grep -q "$message" /tmp/error
}

# zone_limits DISK: what the host compares with its own
zone_limits() {
	for attribute in zoned chunk_sectors nr_zones max_open_zones max_active_zones \
			zone_write_granularity zone_append_max_bytes; do
		echo "zoned $(cat "/sys/block/$1/serial") $attribute $(cat "/sys/block/$1/queue/$attribute")"
	done
}

# The life of a zone, and each step in the report
zone_conditions() {
	of reset "$1" 5 && is "$(zones "$1" 5)" "em 0" || return
	write_zone "$1" 5 0 65536 && is "$(zones "$1" 5)" "oi 80" || return
	of open "$1" 5 && is "$(zones "$1" 5)" "oe 80" || return
	of close "$1" 5 && is "$(zones "$1" 5)" "cl 80" || return
	write_zone "$1" 5 1 65536 && is "$(zones "$1" 5)" "oi 100" || return
	of finish "$1" 5 && is "$(zones "$1" 5 | cut -d' ' -f1)" "fu" || return
	! write_zone "$1" 5 2 65536 || return
	of reset "$1" 5 && is "$(zones "$1" 5)" "em 0"
}

# Where a zone may not be written it isn't, and its pointer stays.
write_pointer() {
	of reset "$1" 6 && write_zone "$1" 6 0 32768 || return
	! write_zone "$1" 6 3 32768 || return
	! write_zone "$1" 6 0 32768 || return
	is "$(zones "$1" 6)" "oi 40" || return
	# Conventional zones are written anywhere.
	write_zone "$1" 1 3 32768 && write_zone "$1" 1 1 32768 && is "$(zones "$1" 1)" "nw 0" || return
	! of reset "$1" 1 || return
	! of finish "$1" 0
}

# The device's limits have errors of their own.
zone_resources() {
	blkzone reset "/dev/$1" || return
	of open "$1" 10 6 || return
	says_error 'Too many references' of open "$1" 20 || return
	# Only a zone that has been written stays active when it is closed.
	for zone in 10 11 12 13 14 15; do
		write_zone "$1" $zone 0 4096 && of close "$1" $zone || return
	done
	is "$(zones "$1" 10 6 | sort -u)" "cl 8" && of open "$1" 20 4 || return
	says_error 'Value too large' of open "$1" 30 || return
	is "$(zones "$1" 30)" "em 0"
}

# Sequential zones one and all, by one request
reset_all() {
	blkzone reset "/dev/$1" || return
	is "$(zones "$1" 2 62 | sort -u)" "em 0"
}

# zoned_fio DISK ARGUMENT…: a write may become several zones, and resets them.
zoned_fio() {
	disk=$1
	shift
	run_fio --filename="/dev/$disk" --zonemode=zbd --max_open_zones=4 --direct=1 \
		--offset=$((2 * ZONE * 512)) --size=$((12 * ZONE * 512)) \
		--verify=crc32c --verify_fatal=1 "$@"
}

# report_of DISK ZONES CONVENTIONAL: all of them, or from the one on that holds a
# sector, and no more than asked for.
report_of() {
	is "$(blkzone report "/dev/$1" | wc -l)" "$2" || return
	is "$(blkzone report "/dev/$1" | grep -c 'CONVENTIONAL')" "$3" || return
	is "$(blkzone report -o $((7 * ZONE + 5)) -c 3 "/dev/$1" | sed 's/,.*//;s/.*0x0*//' | xargs)" \
		"e000 10000 12000"
}
