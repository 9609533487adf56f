#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: cpus.sh [OPTION…]
#
# Measures the effect of several CPUs, in a TCG host.  Prints a line of JSON for each
# measurement, of which table.py makes tables.  Each CPU of the host is a thread of this
# machine, so nothing else should run on this machine.
#
#   scaling   4k random reads at depth 1 and 32 with 1, 2, 4 … CPUs online: of n queues
#             of one device and of n devices, each with a thread that drives it and a
#             worker; of io_uring; and of pairs of threads that wake each other, which
#             is the limit for everything that sleeps
#   polling   4k random reads at depth 1 by a driver that polls for completions, so that
#             the latency does not contain the wake-up of a guest: io_uring in the host,
#             vhost-blk, and vhost-blk with busy polling
#
#   --host NAME   test host, default x86-7.3; "" is Debian's kernel 6.1, which has one
#                 worker for all queues
#   --cpus N      CPUs of the host, default: as many as this machine has
#   --rounds N    number of rounds, default 5; the contenders take turns
#   --seconds S   duration of one measurement, default 1
#
# ACCEL=kvm uses KVM.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

here=$VB_TOP/tools/testing/bench
host=x86-7.3 cpus=$(nproc) rounds=5 seconds=1 inside=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--cpus | --rounds)
		[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a number greater than 0"
		printf -v "${1#--}" %s "$2"
		shift
		;;
	--seconds) seconds=${2:?}; shift ;;
	--host) host=$2; shift ;;
	--inside) inside=1 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
if [[ -z $inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN
	exec "$VB_HOSTS/qemu-run.sh" ${host:+--host "$host"} --cpus "$cpus" --timeout 14400 --env VB_START -- "$0" --inside \
		--host "$host" --cpus "$cpus" --rounds "$rounds" --seconds "$seconds"
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"

# online N: leave N CPUs online.
online() {
	local cpu
	for ((cpu = 1; cpu < cpus; cpu++)); do
		echo $((cpu < $1)) >"/sys/devices/system/cpu/cpu$cpu/online"
	done
}

# run LABEL ARGUMENT…: one measurement
run() {
	((round)) || echo "\$ $VHOST_BENCH_BIN ${*:2}" >&2
	"$VHOST_BENCH_BIN" --label "$1" --size $((32 << 20)) --seconds "$seconds" "${@:2}" "$disk"
}

scaling() {
	local n depth frontend load
	for depth in 1 32; do
		for ((n = 1; n <= cpus; n *= 2)); do
			online "$n"
			for frontend in vhost-blk uring wake; do
				load=("$frontend" --frontend "$frontend" --depth "$depth")
				((n == 1)) || run "${load[@]}" --devices "$n"
				# With one worker, several queues do not scale.
				((n > 1)) && [[ -z $host ]] && continue
				run "${load[@]}" --queues "$n" --workers "$n"
			done
		done
	done
	online "$cpus"
}

polling() {
	run uring --frontend uring --spin
	run vhost-blk --spin
	run vhost-blk-poll --spin --poll-us 1000
}

disk=$(bench_nullb size=64)
begin=$SECONDS
for ((round = 0; round < rounds; round++)); do
	((!round)) || note "$round of $rounds rounds, $(((SECONDS - begin) * (rounds - round) / round)) s left"
	scaling
	((cpus == 1)) || polling
done
