#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: time.sh [--host HOST] [--rounds N] [--seconds S] [--short] [CONTENDER…]
#
# IOPS, latency and the host's CPU time of each contender, in turns (A B C … A B
# C …), each on the same null_blk with the same load.  Prints a line of JSON for
# each measurement; table.py makes a table of them.
#
#   --host HOST   a UML host (default uml-7.3-fast)
#   --rounds N    default 5
#   --seconds S   of a measurement, default 1
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
host=uml-7.3-fast rounds=5 seconds=1 short='' inside=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--host) host=$2; shift ;;
	--rounds) rounds=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	--short) short=1 ;;
	--inside) inside=1 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
(($#)) || set -- vhost-blk vhost-blk-file vhost-blk-workers vhost-blk-poll uring uring-file \
	vhost-user-native vhost-user-io_uring
if [[ -z $inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN
	exec "$VB_VM/uml-run.sh" "$host" --timeout 7200 --env VB_START -- "$0" --inside \
		--rounds "$rounds" --seconds "$seconds" ${short:+--short} "$@"
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

# run_loads LABEL ARGUMENT…: every load of one contender
run_loads() {
	local label=$1 load arguments
	shift
	for load in "${loads[@]}"; do
		# A server of one device is no contender for several.
		if [[ $label == vhost-user-* && $load == *--devices* ]]; then
			continue
		fi
		progress "$label $load"
		read -ra arguments <<<"$load"
		"$VHOST_BENCH_BIN" --label "$label" --seconds "$seconds" "${arguments[@]}" "$@"
	done
}

disk=$(bench_nullb 0 memory_backed=1 size=128)
dd if=/dev/zero of="$disk" bs=1M count=128 status=none
file=$(bench_file "$(bench_nullb 1 memory_backed=1 size=160)" 128)
for ((round = 0; round < rounds; round++)); do
	for contender; do
		case $contender in
		vhost-blk | uring) run_loads "$contender" --frontend "$contender" "$disk" ;;
		vhost-blk-file | uring-file)
			run_loads "$contender" --frontend "${contender%-file}" "$file" ;;
		vhost-blk-workers) run_loads "$contender" --workers 64 "$disk" ;;
		vhost-blk-poll) run_loads "$contender" --poll-us 50 "$disk" ;;
		vhost-user-*)
			bench_storage_daemon "$disk" "${contender#vhost-user-}" 8
			run_loads "$contender" --frontend vhost-user --vmm "$bench_pid" "$bench_socket"
			bench_stop
			;;
		*) die "no such contender: $contender" ;;
		esac
	done
done
