#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: smoke.sh [HOST]
#
# Tests the benchmark, in a test host (default uml-7.3).  Each frontend of the load
# generator reads and writes, and verifies all data; the load generator also fails if its
# counts are not consistent.  Then the shortest form of each part of 'make bench' runs with
# the contenders that this host supports (no vhost-scsi), with its table and its plots.
# Last, a device that is in use must be refused.  Prints TAP; no result depends on time.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
here=$VB_TOP/tools/testing/bench
if [[ ${1:-} != --inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	qtest=$("$VB_TOP/qemu/build.sh" 7.2 --qtest | tail -n 1)
	VHOST_BENCH_QEMU=$(dirname "$qtest")/qemu-system-x86_64
	VHOST_BENCH_GUEST=$("$VB_GUESTS/guest-build.sh" | tail -n 1)
	export VHOST_BENCH_BIN VHOST_BENCH_QEMU VHOST_BENCH_GUEST VHOST_BENCH_SHORT=--tiny
	exec "$VB_HOSTS/uml-run.sh" "${1:-uml-7.3}" --mem 1536M --timeout 600 -- "$0" --inside
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"

# counted REQUESTS COMMAND…: the result has this number of requests, and other values.
# shellcheck disable=SC2317 # called by tap_run
counted() {
	local want=$1 line
	shift
	line=$("$@") || return 1
	echo "$line"
	[[ $line == *"\"requests\":$want,"* && $line == *'"iops":'[1-9]* &&
	   $line == *'"p999_us":'[1-9]* ]]
}

# refused TEXT COMMAND…: the command must fail with a message that contains TEXT.
# shellcheck disable=SC2317 # called by tap_run
refused() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "it succeeded: $said"
		return 1
	fi
	echo "$said"
	[[ $said == *"$what"* ]]
}

tmp=$(mktemp -d)
load=("$VHOST_BENCH_BIN" --size $((2 << 20)) --verify --warm 20 --depth 8)
disk=$(bench_nullb memory_backed=1 size=8)
other=$(bench_nullb memory_backed=1 size=8)
file=$(bench_file "$(bench_nullb memory_backed=1 size=64)" 8)

for frontend in vhost-blk uring; do
	run=("${load[@]}" --frontend "$frontend")
	tap_run "$frontend: 2 queues read" counted 600 "${run[@]}" --queues 2 --requests 300 "$disk"
	tap_run "$frontend: 2 queues write" counted 600 "${run[@]}" --queues 2 --requests 300 \
		--write "$disk"
	tap_run "$frontend: 2 devices write 128k" counted 80 "${run[@]}" --devices 2 --requests 40 \
		--block 131072 --depth 4 --sequential --write "$disk" "$other"
	tap_run "$frontend: a file is read" counted 300 "${run[@]}" --requests 300 "$file"
	tap_run "$frontend: for a time" "${run[@]}" --seconds 0.2 --write "$disk"
done
bench_storage_daemon "$disk" io_uring 2
user=("${load[@]}" --frontend vhost-user --check "$disk" --requests 300)
tap_run "vhost-user: 2 queues read" counted 600 "${user[@]}" --queues 2 "${bench_sockets[0]}"
tap_run "vhost-user: 2 queues write" counted 600 "${user[@]}" --queues 2 --write "${bench_sockets[0]}"
bench_stop
for kind in vhost-blk virtio-io_uring; do
	bench_qemu "$kind" "$disk" 2
	run=("${load[@]}" --frontend qemu --vmm "$bench_pid" --check "$disk" --requests 300 --queues 2)
	tap_run "qemu-$kind: 2 queues read" counted 600 "${run[@]}" "$bench_socket"
	tap_run "qemu-$kind: 2 queues write" counted 600 "${run[@]}" --write "$bench_socket"
	tap_run "qemu-$kind: the same device once more" counted 600 "${run[@]}" "$bench_socket"
	bench_stop
done
tap_run "two threads that wake each other" counted 600 "$VHOST_BENCH_BIN" --frontend wake --depth 4 \
	--requests 300 --queues 2 "$disk"
tap_run "vhost-blk: no indirect descriptors" counted 300 "${load[@]}" --direct-desc --requests 300 \
	"$disk"
tap_run "vhost-blk: a driver that doesn't sleep" counted 50 "${load[@]}" --spin --requests 50 "$disk"
tap_run "vhost-blk: a driver that works between requests" counted 300 "${load[@]}" --single \
	--think 1000 --requests 300 "$disk"
tap_run "a device that fails gives no result" refused "a request failed" \
	"$VHOST_BENCH_BIN" --requests 300 "$(bench_nullb memory_backed=1 size=8 badblocks=+0-8191)"

# part NAME LINES QUEUES COMMAND…: run a part as bench.sh does; it has LINES results.
# shellcheck disable=SC2317 # called by tap_run
part() {
	local name=$1 lines=$2 queues=$3 out prefix=''
	shift 3
	[[ $name != guest ]] || prefix=guest-
	out=$(mktemp -d)
	"$@" >"$out/json" || return 1
	"$here/table.py" "$name" "$out/json" || return 1
	"$here/table.py" --csv "$name" "$out/json" >"$out/csv" || return 1
	if (($(grep -c '^{"label"' "$out/json") != lines || $(wc -l <"$out/csv") != lines + 1)); then
		echo "the number of results is not $lines"
		return 1
	fi
	# These parts have no plots.
	[[ $name != count && $name != cpus ]] || return 0
	"$here/plot.sh" "$out/csv" "$out" "$queues" ${prefix:+"$prefix"} || return 1
	compgen -G "$out/$prefix*-iops.svg" >/dev/null
}

# The spread is computed only with three rounds and more.
tiny=(--inside --rounds 1 --seconds 0.1 --tiny)
tap_run "count.sh" part count 18 1 "$here/count.sh" --inside vhost-blk qemu-vhost-blk
tap_run "time.sh" part time 19 1 "$here/time.sh" "${tiny[@]}" vhost-blk vhost-blk-workers \
	vhost-blk-poll uring fio vhost-user-io_uring vhost-blk-file qemu-vhost-blk qemu-virtio-io_uring
tap_run "cpus.sh" part cpus 6 1 "$here/cpus.sh" --inside --cpus 1 --rounds 1 --seconds 0.1
tap_run "guest.sh" part guest 1 2 "$here/guest.sh" --inside --rounds 1 --tiny \
	guest-vhost-blk

# None of these may write to the device.
dev=("$here/time.sh" "${tiny[@]}" --dev)
# shellcheck disable=SC2317 # called by tap_run
lost() { I_KNOW_IT_IS_LOST=$1 "${dev[@]}" "$1" vhost-blk; }
mounted=$(findmnt -n -o SOURCE --target "$file")
tap_run "a device: without confirmation" refused "set I_KNOW_IT_IS_LOST=$disk" \
	"${dev[@]}" "$disk"
tap_run "a device: another one was confirmed" refused "set I_KNOW_IT_IS_LOST=$disk" \
	env I_KNOW_IT_IS_LOST="$other" "${dev[@]}" "$disk"
tap_run "a device: a file" refused "not a block device" lost "$file"
tap_run "a device: mounted" refused "in use" lost "$mounted"
dmsetup create bench-holder --table "0 8 linear $other 0"
tap_run "a device: something on top of it" refused "$other" lost "$other"
dmsetup remove bench-holder
addpart "$other" 1 0 64
tap_run "a device: partitions" refused "has partitions" lost "$other"
delpart "$other" 1
# An exclusive open, as for swap, which lsblk does not show
python3 -c 'import os, sys, time
os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL); print(flush=True); time.sleep(60)' "$other" >"$tmp/up" &
holder=$!
until [[ -s $tmp/up ]]; do sleep 0.1; done
tap_run "a device: open exclusively" refused "is in use" lost "$other"
kill "$holder"
wait "$holder" || :
tap_run "a device: free again" lost "$other"
tap_end
