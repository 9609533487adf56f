#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: count.sh [--short] [CONTENDER…]
#
# Instructions by request: in a TCG host under -icount the clock of the one CPU
# counts them, whatever else this machine does.  Prints a line of JSON for each
# period; there are two of different length, so that what a period costs by
# itself falls out of their difference (table.py).  The backing is a null_blk
# that moves no data: a copy counts by the byte there, and it is the same copy
# for everybody.
#
#   --short   reads at queue depth 1 and 32; vhost-blk and uring where no other
#             contender is named
#
# Contenders: vhost-blk vhost-blk-file uring uring-file fio vhost-user vhost-scsi
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
here=$VB_TOP/tools/testing/bench
all=(vhost-blk vhost-blk-file uring uring-file fio vhost-user vhost-scsi)
if [[ ${1:-} != --inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN VHOST_BENCH_SHORT=''
	[[ ${1:-} == --short ]] && { VHOST_BENCH_SHORT=1; shift; }
	[[ -n $VHOST_BENCH_SHORT ]] || "$VB_VM/packages.sh" bench
	exec "$VB_VM/tcg-run.sh" --icount --timeout 3600 \
		--load "target_core_mod target_core_iblock vhost_scsi" -- "$0" --inside "$@"
fi
shift
if ((!$#)); then
	set -- "${all[@]}"
	[[ -z $VHOST_BENCH_SHORT ]] || set -- "${all[@]:0:4}"
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"

depths=(1 2 4 8 32 128)
writes=('' --write)
[[ -n $VHOST_BENCH_SHORT ]] && depths=(1 32) writes=('')
short=1000 long=9000
size=$((32 << 20))

# Without the time, which is not ours here.
say() {
	echo "count: $1" >&2
}

# count LABEL ARGUMENT…: at each depth
count() {
	local label=$1 depth write
	shift
	say "$label"
	for write in "${writes[@]}"; do
		for depth in "${depths[@]}"; do
			# shellcheck disable=SC2086 # $write may be nothing
			"$VHOST_BENCH_BIN" --label "$label" --depth "$depth" $write --size "$size" \
				--warm 500 --requests "$short,$long" "$@"
		done
	done
}

# fio says how long it ran in milliseconds, so it has to run longer; its start is
# no part of that.
count_fio() {
	local depth write n op
	say fio
	for write in "${writes[@]}"; do
		op=${write#--}
		op=${op:-read}
		for depth in "${depths[@]}"; do
			for n in $short $((short + 4 * long)); do
				fio --name=limit --filename="$1" --direct=1 --ioengine=io_uring --bs=4k \
					--rw="rand$op" --iodepth="$depth" --size="$size" --norandommap \
					--io_size="$((n * 4096))" --output-format=terse --terse-version=3 |
					awk -F';' -v op="$op" -v depth="$depth" -v n="$n" '$1 == 3 {
						printf "{\"label\":\"fio\",\"op\":\"%s\",\"depth\":%d,", op, depth
						printf "\"requests\":%d,", n
						printf "\"clock\":%d000000}\n", op == "read" ? $9 : $50 }'
			done
		done
	done
}

disk=$(bench_nullb 0 size=64)
for contender; do
	case $contender in
	*-file)
		if [[ -z ${file:-} ]]; then
			# Data is kept here: a file system needs it.
			file=$(bench_file "$(bench_nullb 1 memory_backed=1 size=48)" 32)
		fi
		count "$contender" --frontend "${contender%-file}" "$file"
		;;
	vhost-blk | uring) count "$contender" --frontend "$contender" "$disk" ;;
	fio) count_fio "$disk" ;;
	vhost-user)
		bench_storage_daemon "$disk" io_uring 1
		count "$contender" --frontend vhost-user --vmm "$bench_pid" "$bench_socket"
		bench_stop
		;;
	vhost-scsi)
		bench_scsi_target "$disk"
		count "$contender" --frontend vhost-scsi "$bench_wwpn"
		;;
	*) die "no such contender: $contender" ;;
	esac
done
