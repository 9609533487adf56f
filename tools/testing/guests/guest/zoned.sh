#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of tap.sh and fs.sh; check calls those of this file.
# shellcheck disable=SC2317
#
# Part of a guest script: a host-managed zoned disk with zones of ZONE sectors.
ZONE=8192

# zones DISK FIRST [COUNT]: print "CONDITION POINTER" for each zone.  The condition is
# blkzone's abbreviation; the write pointer is in sectors from the start of the zone, in
# hexadecimal.
zones() {
	blkzone report -o $(($2 * ZONE)) -c "${3:-1}" "/dev/$1" |
		sed -n 's/.*wptr 0x0*\([0-9a-f]*[0-9a-f]\) .*zcond:.*(\(..\)).*/\2 \1/p'
}

# zone_op COMMAND DISK ZONE [COUNT]: run a command of blkzone.
zone_op() {
	blkzone "$1" -o $(($3 * ZONE)) -c "${4:-1}" "/dev/$2"
}

# write_zone DISK ZONE OFFSET BYTES: write BYTES with O_DIRECT.  OFFSET is relative to the
# start of the zone, in units of BYTES.
write_zone() {
	dd if=/dev/urandom of="/dev/$1" bs="$4" count=1 oflag=direct conv=notrunc \
		seek=$(($2 * ZONE * 512 / $4 + $3))
}

# says_error MESSAGE COMMAND...: the command fails with this message.
says_error() {
	message=$1
	shift
	! "$@" >/tmp/error 2>&1 || return
	cat /tmp/error
	grep -q "$message" /tmp/error
}

# zone_limits DISK: print the limits of the disk, which the host compares.
zone_limits() {
	for attribute in zoned chunk_sectors nr_zones max_open_zones max_active_zones \
			zone_write_granularity zone_append_max_bytes; do
		echo "zoned $(cat "/sys/block/$1/serial") $attribute $(cat "/sys/block/$1/queue/$attribute")"
	done
}

# zone_conditions DISK: after each operation, the report has the right condition and write
# pointer of the zone.
zone_conditions() {
	zone_op reset "$1" 5 && is "$(zones "$1" 5)" "em 0" || return
	write_zone "$1" 5 0 65536 && is "$(zones "$1" 5)" "oi 80" || return
	zone_op open "$1" 5 && is "$(zones "$1" 5)" "oe 80" || return
	zone_op close "$1" 5 && is "$(zones "$1" 5)" "cl 80" || return
	write_zone "$1" 5 1 65536 && is "$(zones "$1" 5)" "oi 100" || return
	zone_op finish "$1" 5 && is "$(zones "$1" 5 | cut -d' ' -f1)" "fu" || return
	! write_zone "$1" 5 2 65536 || return
	zone_op reset "$1" 5 && is "$(zones "$1" 5)" "em 0"
}

# write_pointer DISK: a write that does not begin at the write pointer fails, and does not
# move the write pointer.
write_pointer() {
	zone_op reset "$1" 6 && write_zone "$1" 6 0 32768 || return
	! write_zone "$1" 6 3 32768 || return
	! write_zone "$1" 6 0 32768 || return
	is "$(zones "$1" 6)" "oi 40" || return
	# Conventional zones can be written at any offset, but not reset or finished.
	write_zone "$1" 1 3 32768 && write_zone "$1" 1 1 32768 && is "$(zones "$1" 1)" "nw 0" || return
	! zone_op reset "$1" 1 || return
	! zone_op finish "$1" 0
}

# zone_resources DISK: exceeding the limits for open and for active zones gives different
# errors.
zone_resources() {
	blkzone reset "/dev/$1" || return
	zone_op open "$1" 10 6 || return
	says_error 'Too many references' zone_op open "$1" 20 || return
	# A zone that is closed stays active only if it has been written.
	for zone in 10 11 12 13 14 15; do
		write_zone "$1" $zone 0 4096 && zone_op close "$1" $zone || return
	done
	is "$(zones "$1" 10 6 | sort -u)" "cl 8" && zone_op open "$1" 20 4 || return
	says_error 'Value too large' zone_op open "$1" 30 || return
	is "$(zones "$1" 30)" "em 0"
}

# reset_all DISK: one request resets all sequential zones.
reset_all() {
	blkzone reset "/dev/$1" || return
	is "$(zones "$1" 2 62 | sort -u)" "em 0"
}

# zoned_fio DISK ARGUMENT...: fio writes several zones, and resets each before it writes it
# again.
zoned_fio() {
	disk=$1
	shift
	run_fio --filename="/dev/$disk" --zonemode=zbd --max_open_zones=4 --direct=1 \
		--offset=$((2 * ZONE * 512)) --size=$((12 * ZONE * 512)) \
		--verify=crc32c --verify_fatal=1 "$@"
}

# report_of DISK ZONES CONVENTIONAL: report all zones, or COUNT zones from the one that
# contains a sector.
report_of() {
	is "$(blkzone report "/dev/$1" | wc -l)" "$2" || return
	is "$(blkzone report "/dev/$1" | grep -c 'CONVENTIONAL')" "$3" || return
	is "$(blkzone report -o $((7 * ZONE + 5)) -c 3 "/dev/$1" | sed 's/,.*//;s/.*0x0*//' | xargs)" \
		"e000 10000 12000"
}
