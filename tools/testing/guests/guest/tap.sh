#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# First part of most guest scripts: functions for checks, fio and disks.
checks=0

# check WHAT COMMAND...: print "ok WHAT", or "not ok WHAT" and the output of the command.
# The host counts these lines.
check() {
	what=$1
	shift
	checks=$((checks + 1))
	if ("$@") >/tmp/check 2>&1 </dev/null; then
		echo "ok $what"
	else
		echo "not ok $what"
		tail -n 60 /tmp/check | sed 's/^/# /'
	fi
}

# skip WHAT WHY
skip() {
	checks=$((checks + 1))
	echo "ok $1 # SKIP $2"
}

# Last command of a script with checks: prints their number, which the host compares.
finish() {
	echo "checks: $checks"
	exit 0
}

# disk SERIAL: the name of the disk with this serial number
disk() {
	for sys in /sys/block/vd*; do
		[ "$(cat "$sys/serial")" != "$1" ] || echo "${sys##*/}"
	done
}

# is FOUND EXPECTED
is() {
	[ "$1" = "$2" ] && return
	echo "it is '$1', not '$2'"
	return 1
}

# terse FILE FIELD: this field of each job in fio's terse output; 5 is the error, 8 and 49
# are the IOPS of reads and writes.
terse() {
	sed -n '/^3;/p' "$1" | cut -d';' -f"$2"
}

# run_fio ARGUMENT...: run fio, and check the error of each job, too: fio may exit with 0
# after an error.
run_fio() {
	fio --output-format=terse --terse-version=3 "$@" >/tmp/fio.out 2>&1
	fio_status=$?
	cut -c1-300 /tmp/fio.out
	is "$fio_status $(terse /tmp/fio.out 5 | sort -u)" "0 0"
}

# completed DISK: the number of reads and writes that the disk has completed
completed() {
	awk '{ print $1 + $5 }' "/sys/block/$1/stat"
}

# wait_for_io DISK COUNT: until the disk has completed COUNT more reads and writes
wait_for_io() {
	io_target=$(($(completed "$1") + $2))
	for _ in $(seq 300); do
		[ "$(completed "$1")" -lt $io_target ] || return 0
		sleep 0.1
	done
	echo "no load on $1"
	return 1
}

# bytes FILE OFFSET COUNT: print this part of the file.
bytes() {
	dd if="$1" bs=64k iflag=skip_bytes,count_bytes skip="$2" count="$3" 2>/dev/null
}

sum() {
	bytes "$@" | sha256sum
}

# Drop the caches, so that the next read comes from the disk.
forget() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}
