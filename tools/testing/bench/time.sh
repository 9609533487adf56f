#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: time.sh [OPTION…] [CONTENDER…]
#
# Measures IOPS, latency and the CPU time of the host for each load.  The contenders take
# turns (A B C … A B C …) on the same null_blk.  Prints a line of JSON for each
# measurement, of which table.py makes a table.
#
#   --host HOST    UML host, default uml-7.3-fast
#   --rounds N     number of rounds, default 5
#   --seconds S    duration of one measurement, default 1
#   --dev DEVICE   run on this machine, which must have /dev/vhost-blk, on this block
#                  device.  ITS DATA IS LOST, so the environment must have
#                  I_KNOW_IT_IS_LOST=DEVICE, and nothing may use the device.  Contenders
#                  with a file are left out, and vhost-scsi if the kernel lacks it
#   --kernel FILE  write version and configuration of the host's kernel to FILE
#   --qemu SERIES  10.0 (default) or 7.2, which has no iothread-vq-mapping
#   --short        only 4k random reads with one queue at depth 1 and 32
#   --tiny         one short load of each kind, to test this script
#
# Loads: 4k random reads and writes with one queue of one device at depth 1 2 4 8 32 128;
# 128k sequential reads and writes at depth 8; 4k random reads at depth 32 with 2 4 8
# queues, and with 4 16 devices.
#
# Contenders: vhost-blk vhost-blk-workers vhost-blk-poll vhost-blk-file uring
# uring-file fio vhost-user-native vhost-user-io_uring vhost-scsi
# vhost-scsi-workers, and disks of a QEMU without a vCPU: qemu-vhost-blk
# qemu-virtio-native qemu-virtio-io_uring qemu-virtio-nopoll qemu-virtio-mapping
# (contenders.sh).  Those with -workers or -mapping have one worker or IOThread per queue
# and run only the loads with several queues; files and fio run those with one queue.
#
# For the disks of QEMU, QEMU's main loop and its qtest act as KVM: they handle each kick
# and each interrupt, of all these contenders alike.
#
# A UML host measures CPU time in ticks, so a measurement must last for many ticks.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/bench/device.sh
. "$VB_TOP/tools/testing/bench/device.sh"

here=$VB_TOP/tools/testing/bench
host=uml-7.3-fast rounds=5 seconds=1 size='' inside='' dev='' kernel='' qemu=10.0
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--host) host=$2; shift ;;
	--rounds) rounds=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	--dev) dev=$2; shift ;;
	--kernel) kernel=$2; shift ;;
	--qemu) qemu=$2; shift ;;
	--short | --tiny) size=$1 ;;
	--inside) inside=1 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
if [[ -n $dev ]]; then
	device_may_be_lost "$dev"
	[[ -c /dev/vhost-blk ]] || die "there is no /dev/vhost-blk; run modprobe vhost_blk"
fi
if ((!$#)); then
	set -- vhost-blk vhost-blk-workers vhost-blk-poll uring fio vhost-user-native \
		vhost-user-io_uring
	if [[ -z $dev ]] || modprobe -qa vhost_scsi target_core_iblock; then
		set -- "$@" vhost-scsi vhost-scsi-workers
	else
		note "vhost-scsi is left out, because this kernel lacks it or target_core_iblock"
	fi
	set -- "$@" qemu-vhost-blk qemu-virtio-native qemu-virtio-io_uring qemu-virtio-nopoll
	[[ $qemu == 7.2 ]] || set -- "$@" qemu-virtio-mapping
	[[ -n $dev ]] || set -- "$@" vhost-blk-file uring-file
fi
if [[ -z $inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN
	if [[ "$*" == *qemu-* ]]; then
		VHOST_BENCH_QEMU=$("$VB_TOP/qemu/build.sh" "$qemu" | tail -n 1)
		export VHOST_BENCH_QEMU
	fi
	if [[ -z $dev ]]; then
		if [[ -n $kernel ]]; then
			cp "$("$VB_HOSTS/host-build.sh" "$host")/config" "$kernel"
		fi
		exec "$VB_HOSTS/uml-run.sh" "$host" --timeout 14400 --env VB_START -- "$0" --inside \
			--rounds "$rounds" --seconds "$seconds" ${size:+"$size"} "$@"
	fi
fi
if [[ -n $kernel && -n $dev ]]; then
	{
		uname -a
		cat /proc/cmdline
		cat "/boot/config-$(uname -r)" || echo "there is no configuration in /boot"
	} >"$kernel"
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"

case $size in
--short) loads=("--depth 1" "--depth 32") ;;
--tiny) loads=("--depth 32 --queues 2" "--depth 4 --devices 2" "--write --depth 4") ;;
*)
	loads=()
	for op in "" "--write "; do
		for depth in 1 2 4 8 32 128; do
			loads+=("$op--depth $depth")
		done
		loads+=("$op--sequential --block 131072 --depth 8")
	done
	for several in "--queues 2" "--queues 4" "--queues 8" "--devices 4" "--devices 16"; do
		loads+=("--depth 32 $several")
	done
	;;
esac

# takes_part CONTENDER LOAD: does this contender run this load?
takes_part() {
	case $1 in
	*-workers | *-mapping) [[ $2 == *--queues* ]] ;;
	qemu-*) [[ $2 != *--devices* ]] ;;
	*-file) [[ $2 != *--queues* && $2 != *--devices* && $2 != *--sequential* ]] ;;
	fio) [[ $2 != *--queues* && $2 != *--devices* ]] ;;
	esac
}

done=0 total=0 begin=$SECONDS last=-10
for load in "${loads[@]}"; do
	for contender; do
		! takes_part "$contender" "$load" || total=$((total + rounds))
	done
done

# progress WHAT: print the progress and the time left, about every ten seconds.
progress() {
	local spent=$((SECONDS - begin))
	if ((done && SECONDS - last >= 10)); then
		last=$SECONDS
		note "$done of $total measurements, $((spent * (total - done) / done)) s left: $1"
	fi
	done=$((done + 1))
}

# shown COMMAND…: run it; in the first round, print it first.
shown() {
	((round)) || echo "\$ $*" >&2
	"$@"
}

# run LABEL ARGUMENT…: run $load
run() {
	local arguments
	read -ra arguments <<<"$load"
	shown "$VHOST_BENCH_BIN" --label "$1" --seconds "$seconds" "${arguments[@]}" "${@:2}"
}

# run_user AIO
run_user() {
	bench_storage_daemon "$disk" "$1" "$(value queues 1 "$load")" "$(value devices 1 "$load")"
	((round)) || echo "\$ ${bench_command[*]}" >&2
	run "vhost-user-$1" --frontend vhost-user --vmm "$bench_pid" "${bench_sockets[@]}"
	bench_stop
}

# run_qemu KIND
run_qemu() {
	bench_qemu "$1" "$disk" "$(value queues 1 "$load")"
	((round)) || echo "\$ ${bench_command[*]}" >&2
	run "qemu-$1" --frontend qemu --vmm "$bench_pid" "$bench_socket"
	bench_stop
}

# run_scsi LABEL ARGUMENT…
run_scsi() {
	run "$1" --frontend vhost-scsi --size "$disk_size" "${@:2}" \
		"${bench_wwpns[@]:0:$(value devices 1 "$load")}"
}

run_fio() {
	local order=rand op=read
	[[ $load != *--sequential* ]] || order=''
	[[ $load != *--write* ]] || op='write'
	shown fio --name=limit --filename="$disk" --direct=1 --ioengine=io_uring --time_based \
		--runtime="$(awk -v s="$seconds" 'BEGIN { printf "%dms", s * 1000 }')" --ramp_time=100ms --norandommap --rw="$order$op" \
		--bs="$(value block 4096 "$load")" --iodepth="$(value depth 1 "$load")" \
		--lat_percentiles=1 --clat_percentiles=0 --output-format=json | "$here/fio-line.py" fio
}

# measure CONTENDER
measure() {
	progress "$1 $load"
	case $1 in
	vhost-blk | uring) run "$1" --frontend "$1" "$disk" ;;
	vhost-blk-file | uring-file) run "$1" --frontend "${1%-file}" "$file" ;;
	vhost-blk-workers) run "$1" --workers 64 "$disk" ;;
	vhost-blk-poll) run "$1" --poll-us 50 "$disk" ;;
	vhost-scsi) run_scsi "$1" ;;
	vhost-scsi-workers) run_scsi "$1" --workers 64 ;;
	qemu-*) run_qemu "${1#qemu-}" ;;
	vhost-user-*) run_user "${1#vhost-user-}" ;;
	fio) run_fio ;;
	*) die "no such contender: $1" ;;
	esac
}

disk=$dev
if [[ -z $dev ]]; then
	disk=$(bench_nullb memory_backed=1 size=128)
	dd if=/dev/zero of="$disk" bs=1M count=128 status=none
	if [[ " $* " == *-file\ * ]]; then
		file=$(bench_file "$(bench_nullb memory_backed=1 size=160)" 128)
	fi
fi
disk_size=$(blockdev --getsize64 "$disk")
if [[ " $* " == *" vhost-scsi"* ]]; then
	trap bench_scsi_remove EXIT
	bench_scsi_targets "$disk" 16
fi
for ((round = 0; round < rounds; round++)); do
	for load in "${loads[@]}"; do
		for contender; do
			! takes_part "$contender" "$load" || measure "$contender"
		done
	done
done
