#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# First part of a guest script that makes checks or uses these functions.  It prints one
# line "ok WHAT" or "not ok WHAT" for each check, which the host counts, and the output
# of a check that failed.
checks=0

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

# Last command of a script: the host wants to see as many results.
finish() {
	echo "checks: $checks"
	exit 0
}

# disk SERIAL: the name of the disk that has it.
disk() {
	for sys in /sys/block/vd*; do
		[ "$(cat "$sys/serial")" != "$1" ] || echo "${sys##*/}"
	done
}

is() {
	[ "$1" = "$2" ] && return
	echo "it is '$1', not '$2'"
	return 1
}

# run_fio ARGUMENT…: fio may end with 0 after an error; the terse line's field
# 5 is the error of a job.
run_fio() {
	fio --output-format=terse --terse-version=3 "$@" >/tmp/fio.out 2>&1
	fio_status=$?
	cut -c1-300 /tmp/fio.out
	is "$fio_status $(sed -n '/^3;/p' /tmp/fio.out | cut -d';' -f5 | sort -u)" "0 0"
}

# bytes FILE OFFSET COUNT: what lies there.
bytes() {
	dd if="$1" bs=64k iflag=skip_bytes,count_bytes skip="$2" count="$3" 2>/dev/null
}

sum() {
	bytes "$@" | sha256sum
}

# Drop the caches, so that the next read is one of the disk.
forget() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}
