#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: smoke.sh [HOST]
#
# Is the benchmark's load generator to be believed?  In a test host (default
# uml-7.3) each frontend that it has reads and writes, all data is verified, and what it has
# counted must add up: the program itself fails if not.  Prints TAP; nothing is
# judged by time.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"
# shellcheck source=tools/testing/vm/checks/tap.sh
. "$VB_VM/checks/tap.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
here=$VB_TOP/tools/testing/bench
if [[ ${1:-} != --inside ]]; then
	VHOST_BENCH_BIN=$("$here/build.sh")
	export VHOST_BENCH_BIN
	exec "$VB_VM/uml-run.sh" "${1:-uml-7.3}" --timeout 300 -- "$0" --inside
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"

# counted REQUESTS COMMAND…: it says that it has made so many, and each figure.
# shellcheck disable=SC2317 # called by tap_run
counted() {
	local want=$1 line
	shift
	line=$("$@") || return 1
	echo "$line"
	[[ $line == *"\"requests\":$want,"* && $line == *'"iops":'[1-9]* &&
	   $line == *'"p999_us":'[1-9]* ]]
}

# refused TEXT COMMAND…: it must fail, and say this.
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

load=("$VHOST_BENCH_BIN" --size $((2 << 20)) --verify --warm 20 --depth 8)
disk=$(bench_nullb 0 memory_backed=1 size=8)
other=$(bench_nullb 1 memory_backed=1 size=8)
file=$(bench_file "$(bench_nullb 2 memory_backed=1 size=64)" 8)

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
tap_run "vhost-user: 2 queues read" counted 600 "${user[@]}" --queues 2 "$bench_socket"
tap_run "vhost-user: 2 queues write" counted 600 "${user[@]}" --queues 2 --write "$bench_socket"
bench_stop
tap_run "vhost-blk: no indirect descriptors" counted 300 "${load[@]}" --direct-desc --requests 300 \
	"$disk"
tap_run "a device that fails is no figure" refused "a request failed" \
	"$VHOST_BENCH_BIN" --requests 300 "$(bench_nullb 3 memory_backed=1 size=8 badblocks=+0-8191)"
tap_end
