#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: time.sh [OPTION…] [CONTENDER…]
#
# For each load IOPS, latency and the host's CPU time of the contenders in turns (A B
# C … A B C …), all on the same null_blk.  Prints a line of JSON for each measurement;
# table.py makes a table of them.
#
#   --host HOST   a UML host (default uml-7.3-fast)
#   --rounds N    default 5
#   --seconds S   of a measurement, default 1
#   --dev DEVICE  on this machine, which must have /dev/vhost-blk, and on this
#                 block device: WHAT IS ON IT IS LOST, so I_KNOW_IT_IS_LOST=DEVICE
#                 must be in the environment; contenders with a file are left out
#   --kernel FILE what the host's kernel is, and its options, go there
#   --short       4k random reads of one queue at depth 1 and 32
#
# Contenders: vhost-blk vhost-blk-file vhost-blk-workers vhost-blk-poll uring
# uring-file vhost-user-native vhost-user-io_uring
#
# In a UML host CPU time is sampled by the tick: a measurement must have many.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

here=$VB_TOP/tools/testing/bench
host=uml-7.3-fast rounds=5 seconds=1 short='' inside='' dev='' kernel=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--host) host=$2; shift ;;
	--rounds) rounds=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	--dev) dev=$2; shift ;;
	--kernel) kernel=$2; shift ;;
	--short) short=1 ;;
	--inside) inside=1 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
contenders=(vhost-blk vhost-blk-workers vhost-blk-poll uring vhost-user-native vhost-user-io_uring)
[[ -n $dev ]] || contenders+=(vhost-blk-file uring-file)
(($#)) || set -- "${contenders[@]}"
if [[ -n $dev ]]; then
	[[ -b $dev ]] || die "$dev is no block device"
	[[ ${I_KNOW_IT_IS_LOST:-} == "$dev" ]] ||
		die "this writes to $dev: set I_KNOW_IT_IS_LOST=$dev if nothing on it is wanted"
	[[ -c /dev/vhost-blk ]] || die "no /dev/vhost-blk here: modprobe vhost_blk"
fi
if [[ -z $inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN
	if [[ -z $dev ]]; then
		if [[ -n $kernel ]]; then
			cp "$("$VB_VM/uml-build.sh" "$host")/config" "$kernel"
		fi
		exec "$VB_VM/uml-run.sh" "$host" --timeout 14400 --env VB_START -- "$0" --inside \
			--rounds "$rounds" --seconds "$seconds" ${short:+--short} "$@"
	fi
	if [[ -n $kernel ]]; then
		{ uname -a; cat /proc/cmdline "/boot/config-$(uname -r)"; } >"$kernel"
	fi
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"

# Each: OP-AND-BLOCK, queue depth, queues, devices
loads=()
for op in "" "--write"; do
	for depth in 1 2 4 8 32 128; do
		loads+=("$op --depth $depth")
	done
	loads+=("$op --sequential --block 131072 --depth 8")
	for queues in 2 4 8; do
		loads+=("$op --depth 32 --queues $queues")
	done
	loads+=("$op --depth 32 --devices 4" "$op --depth 32 --devices 16")
done
[[ -z $short ]] || loads=("--depth 1" "--depth 32")

done=0 total=$((rounds * $# * ${#loads[@]})) begin=$SECONDS

# progress WHAT: how far it is, and what is left, about every ten seconds
last=-10
progress() {
	local spent=$((SECONDS - begin))
	if ((done && SECONDS - last >= 10)); then
		last=$SECONDS
		note "$done of $total measurements, $((spent * (total - done) / done)) s left: $1"
	fi
	done=$((done + 1))
}

# run LABEL ARGUMENT…: the load of this turn
run() {
	local label=$1 command arguments
	shift
	progress "$label $load"
	read -ra arguments <<<"$load"
	command=("$VHOST_BENCH_BIN" --label "$label" --seconds "$seconds" "${arguments[@]}" "$@")
	((round)) || echo "\$ ${command[*]}" >&2
	"${command[@]}"
}

# measure CONTENDER
measure() {
	case $1 in
	vhost-blk | uring) run "$1" --frontend "$1" "$disk" ;;
	vhost-blk-file | uring-file) run "$1" --frontend "${1%-file}" "$file" ;;
	vhost-blk-workers) run "$1" --workers 64 "$disk" ;;
	vhost-blk-poll) run "$1" --poll-us 50 "$disk" ;;
	vhost-user-*)
		# A server of one device is no contender for several.
		[[ $load != *--devices* ]] || return 0
		bench_storage_daemon "$disk" "${1#vhost-user-}" 8
		((round)) || echo "\$ ${bench_command[*]}" >&2
		run "$1" --frontend vhost-user --vmm "$bench_pid" "$bench_socket"
		bench_stop
		;;
	*) die "no such contender: $1" ;;
	esac
}

disk=$dev
if [[ -z $dev ]]; then
	disk=$(bench_nullb 0 memory_backed=1 size=128)
	dd if=/dev/zero of="$disk" bs=1M count=128 status=none
	file=$(bench_file "$(bench_nullb 1 memory_backed=1 size=160)" 128)
fi
for ((round = 0; round < rounds; round++)); do
	for load in "${loads[@]}"; do
		for contender; do
			measure "$contender"
		done
	done
done
