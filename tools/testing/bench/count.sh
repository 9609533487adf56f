#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: count.sh [--short] [--qemu SERIES] [CONTENDER…]
#
# Instructions by request: in a TCG host under -icount the clock of the one CPU
# counts them, whatever else this machine does.  Prints a line of JSON for each
# period; there are two of different length, so that what a period costs by
# itself falls out of their difference (table.py).  The backing is a null_blk
# that moves no data: a copy counts by the byte there, and it is the same copy
# for everybody.
#
# Loads: 4k random reads and writes at queue depth 1 2 4 8 32 128; and of all but the
# files and fio, one thing changed at a time, 128k sequential reads and writes
# at depth 8, 4k reads of 2 4 8 queues and of 4 16 64 devices at depth 1 and 32.
#
#   --short   reads at queue depth 1 and 32; vhost-blk and uring where no other
#             contender is named
#   --tiny    a few requests of one load of each kind: does it run?
#   --qemu SERIES  10.0 (default) or 7.2, which has no iothread-vq-mapping
#
# Contenders: vhost-blk vhost-blk-file uring uring-file fio vhost-user vhost-scsi, and
# disks of a QEMU without a vCPU (contenders.sh): qemu-vhost-blk qemu-virtio-native
# qemu-virtio-io_uring qemu-virtio-nopoll qemu-virtio-mapping.  Of these what counts is
# the IOThread or the worker; QEMU's main loop stands for KVM.
# No worker polls, as there can be one CPU only under -icount and a worker that polls
# it away from the driver finds nothing; and none has several workers, which Linux
# 6.1 has not.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
here=$VB_TOP/tools/testing/bench
all=(vhost-blk vhost-blk-file uring uring-file fio vhost-user vhost-scsi
	qemu-vhost-blk qemu-virtio-native qemu-virtio-io_uring qemu-virtio-nopoll
	qemu-virtio-mapping)
if [[ ${1:-} != --inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN VHOST_BENCH_SHORT=''
	qemu=10.0
	while [[ ${1:-} == -* ]]; do
		case $1 in
		--short | --tiny) VHOST_BENCH_SHORT=$1 ;;
		--qemu) qemu=$2; shift ;;
		*) usage >&2; exit 2 ;;
		esac
		shift
	done
	if ((!$#)); then
		[[ $qemu != 7.2 ]] || unset "all[-1]"
		set -- "${all[@]}"
		[[ $VHOST_BENCH_SHORT != --short ]] || set -- "${all[@]:0:4}"
	fi
	[[ $VHOST_BENCH_SHORT == --short ]] || "$VB_LIB/packages.sh" bench
	if [[ "$*" == *qemu-* ]]; then
		VHOST_BENCH_QEMU=$("$VB_TOP/qemu/build.sh" "$qemu" | tail -n 1)
		export VHOST_BENCH_QEMU
	fi
	exec "$VB_HOSTS/tcg-run.sh" --icount --mem 3G --timeout 3600 \
		--load "target_core_mod target_core_iblock vhost_scsi" -- "$0" --inside "$@"
fi
shift
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"

depths=(1 2 4 8 32 128) writes=('' --write) several=()
for depth in 1 32; do
	several+=("--depth $depth --queues "{2,4,8} "--depth $depth --devices "{4,16,64})
done
sequential=("--sequential --block 131072 --depth 8" "--write --sequential --block 131072 --depth 8")
short=1000 long=9000 warm=500
case $VHOST_BENCH_SHORT in
--short) depths=(1 32) writes=('') several=() sequential=() ;;
--tiny) depths=(4) several=("--depth 4 --queues 2" "--depth 4 --devices 4") short=100 long=300 warm=20 ;;
esac
size=$((32 << 20))

# Without the time, which is not ours here.
say() {
	echo "count: $1" >&2
}

# count_load LABEL LOAD ARGUMENT…: so many requests, whatever the number of queues.
# Each is warmed up by as many: it may take hundreds until the scheduler has come to
# one way of having worker and driver take turns.
count_load() {
	local lanes load
	lanes=$(("$(value queues 1 "$2")" * "$(value devices 1 "$2")"))
	read -ra load <<<"$2"
	"$VHOST_BENCH_BIN" --label "$1" --size "$size" --warm "$warm" \
		--requests "$((short / lanes + 10)),$((long / lanes + 10))" "${load[@]}" "${@:3}"
}

# count LABEL ARGUMENT…: at each depth
count() {
	local depth write
	say "$1"
	for write in "${writes[@]}"; do
		for depth in "${depths[@]}"; do
			count_load "$1" "$write --depth $depth" "${@:2}"
		done
	done
}

# count_several LABEL KIND ARGUMENT…: several queues or devices
count_several() {
	local load
	say "$1, several $2"
	for load in "${several[@]}"; do
		[[ $load != *--$2* ]] || count_load "$1" "$load" "${@:3}"
	done
}

# count_sequential LABEL ARGUMENT…
count_sequential() {
	local load
	say "$1, 128k"
	for load in "${sequential[@]}"; do
		count_load "$1" "$load" "${@:2}"
	done
}

# count_all LABEL ARGUMENT…
count_all() {
	count "$@"
	count_sequential "$@"
	count_several "$1" queues "${@:2}"
	count_several "$1" devices "${@:2}"
}

# count_qemu CONTENDER: at each depth with one queue, then with several, each time a QEMU
# that has as many.
count_qemu() {
	local load
	bench_qemu "${1#qemu-}" "$disk" 1
	count "$1" --frontend qemu --vmm "$bench_pid" "$bench_socket"
	bench_stop
	say "$1, several queues"
	for load in "${several[@]}"; do
		[[ $load == *--queues* ]] || continue
		bench_qemu "${1#qemu-}" "$disk" "$(value queues 1 "$load")"
		count_load "$1" "$load" --frontend qemu --vmm "$bench_pid" "$bench_socket"
		bench_stop
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

disk=$(bench_nullb size=64)
for contender; do
	case $contender in
	*-file)
		if [[ -z ${file:-} ]]; then
			# Data is kept here: a file system needs it.
			file=$(bench_file "$(bench_nullb memory_backed=1 size=48)" 32)
		fi
		count "$contender" --frontend "${contender%-file}" "$file"
		;;
	vhost-blk | uring) count_all "$contender" --frontend "$contender" "$disk" ;;
	fio) count_fio "$disk" ;;
	vhost-user)
		bench_storage_daemon "$disk" io_uring 8
		user=(--frontend vhost-user --vmm "$bench_pid")
		count "$contender" "${user[@]}" "${bench_sockets[0]}"
		count_sequential "$contender" "${user[@]}" "${bench_sockets[0]}"
		count_several "$contender" queues "${user[@]}" "${bench_sockets[0]}"
		bench_stop
		;;
	vhost-scsi)
		# Each device has 64 KiB in one piece in the kernel, and more: of 64 the
		# fifty-sixth had none left in 3 GiB.
		several=("${several[@]/*--devices 64/}")
		bench_scsi_targets "$disk" 16
		count_all "$contender" --frontend vhost-scsi "${bench_wwpns[@]}"
		;;
	qemu-*) count_qemu "$contender" ;;
	*) die "no such contender: $contender" ;;
	esac
done
