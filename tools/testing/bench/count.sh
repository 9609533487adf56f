#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: count.sh [--short] [--qemu SERIES] [CONTENDER…]
#
# Counts instructions per request.  In a TCG host under -icount the clock of the only CPU
# counts instructions, so the load of this machine does not matter.  Prints a line of
# JSON for each period.  There are two periods of different length per load: their
# difference does not contain the constant cost of a period (table.py).  The backing
# device is a null_blk that moves no data, because TCG counts a copy byte by byte, and
# all contenders would make the same copy.
#
# Loads: 4k random reads and writes at queue depth 1 2 4 8 32 128.  All contenders but
# files and fio also run 128k sequential reads and writes at depth 8, and 4k random reads
# with 2 4 8 queues and with 4 16 64 devices at depth 1 and 32.
#
#   --short        only reads at queue depth 1 and 32; contenders by default: the first four
#   --tiny         a few requests of one load of each kind, to test this script
#   --qemu SERIES  10.0 (default) or 7.2, which has no iothread-vq-mapping
#
# Contenders: vhost-blk vhost-blk-file uring uring-file fio vhost-user vhost-scsi, and
# disks of a QEMU without a vCPU (contenders.sh): qemu-vhost-blk qemu-virtio-native
# qemu-virtio-io_uring qemu-virtio-nopoll qemu-virtio-mapping.  For these, table.py counts
# only the IOThread or the worker; QEMU's main loop acts as KVM.
# No contender polls: -icount has only one CPU, and a worker that polls would keep the
# driver from running.  No contender has several workers, which Linux 6.1 lacks.
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
	exec "$VB_HOSTS/qemu-run.sh" --icount --mem 3G --timeout 3600 \
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

# Without a time stamp, because the clock of the host counts instructions.
say() {
	echo "count: $1" >&2
}

# count_load LABEL LOAD ARGUMENT…: two periods with $short and $long requests in total,
# divided among the queues.  $warm requests per queue come first: the scheduler may need
# hundreds until worker and driver take turns in a regular way.
count_load() {
	local lanes load
	lanes=$(("$(value queues 1 "$2")" * "$(value devices 1 "$2")"))
	read -ra load <<<"$2"
	"$VHOST_BENCH_BIN" --label "$1" --size "$size" --warm "$warm" \
		--requests "$((short / lanes + 10)),$((long / lanes + 10))" "${load[@]}" "${@:3}"
}

# count LABEL ARGUMENT…: 4k random requests at each depth
count() {
	local depth write
	say "$1"
	for write in "${writes[@]}"; do
		for depth in "${depths[@]}"; do
			count_load "$1" "$write --depth $depth" "${@:2}"
		done
	done
}

# count_several LABEL KIND ARGUMENT…: several queues or devices, as KIND says
count_several() {
	local load
	say "$1, several $2"
	for load in "${several[@]}"; do
		[[ $load != *--$2* ]] || count_load "$1" "$load" "${@:3}"
	done
}

# count_sequential LABEL ARGUMENT…: 128k sequential requests
count_sequential() {
	local load
	say "$1, 128k"
	for load in "${sequential[@]}"; do
		count_load "$1" "$load" "${@:2}"
	done
}

# count_all LABEL ARGUMENT…: all loads
count_all() {
	count "$@"
	count_sequential "$@"
	count_several "$1" queues "${@:2}"
	count_several "$1" devices "${@:2}"
}

# count_qemu CONTENDER: each depth with one queue, then several queues.  QEMU is started
# again for each number of queues.
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

# fio reports its run time in milliseconds, so it must run longer than the others.  This
# time does not include the start of the program.
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
			# A file system needs a device that keeps data.
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
		# The kernel allocates contiguous memory for each device: with 64 devices
		# the fifty-sixth allocation failed in a host of 3 GiB.
		several=("${several[@]/*--devices 64/}")
		bench_scsi_targets "$disk" 16
		count_all "$contender" --frontend vhost-scsi "${bench_wwpns[@]}"
		;;
	qemu-*) count_qemu "$contender" ;;
	*) die "no such contender: $contender" ;;
	esac
done
