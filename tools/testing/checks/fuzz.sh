#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: fuzz.sh [OPTION…]
#
# Fuzzes request.c in userspace (libFuzzer, ASAN, UBSAN), then the device in a
# test host, guided by KCOV if the host has it.  Prints TAP.  build/fuzz/ has the
# findings, and the corpus of request.c, which the next run continues with.
#
#   --seconds N      run each of the two for N seconds (60)
#   --short          run each for a fixed number of inputs that take 20 s of CPU time
#   --part PART      request or device, not both
#   --host HOST      test host of host-run.sh (uml-7.3; uml-7.3-smp and x86-7.3-debug have
#                    two CPUs, for races)
#   --seed N         seed of both fuzzers
#
# To reproduce a finding: build/fuzz/bin/request_replay FILE, and
# host-run.sh HOST tools/testing/fuzz/device.sh build/fuzz/bin/device_fuzz --replay FILE.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

seconds=60 short='' parts="request device" host=uml-7.3 seed=$((RANDOM << 15 | RANDOM))
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--short) short=1; shift; continue ;;
	--seconds) seconds=$2 ;;
	--part) parts=$2 ;;
	--host) host=$2 ;;
	--seed) seed=$2 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift 2 || { usage >&2; exit 2; }
done

request=(-max_total_time="$seconds") device=(--seconds "$seconds")
[[ -n $short ]] && request=(-runs=100000) device=(--runs 1500)

fuzz=$VB_TOP/tools/testing/fuzz
out=$VB_TOP/build/fuzz
mkdir -p "$out/bin" "$out/corpus" "$out/found" "$out/device"

build() {
	local tree
	tree=$("$VB_LIB/fetch-source.sh" 7.3)
	run_logged "building the fuzzer of $1" "$VB_CACHE/log/fuzz-$1.log" \
		make -C "$fuzz" KSRC="$tree" OUTPUT="$out/bin" "$1"
}

# percent_lines: print the percentage of the lines of request.c that the corpus reaches.
percent_lines() (
	cd "$out/bin"
	rm -f ./*.gcda
	find "$out/corpus" "$out/seeds" -type f -print0 | xargs -0 ./request_replay
	gcov -n request_replay-request.gcda |
		awk -F'[:%.]' '/request\.c/ { ours = 1 } ours && /^Lines/ && !found++ { print $2 }'
)

fuzz_request() {
	local log=$out/request.log status=0 lines
	build request
	rm -rf "$out/seeds"
	mkdir "$out/seeds"
	"$out/bin/request_seeds" "$out/seeds"
	run_logged "fuzzing request.c" "$log" "$out/bin/request_fuzz" -seed="$seed" \
		"${request[@]}" -max_len=4096 -use_value_profile=1 -print_final_stats=1 \
		-artifact_prefix="$out/found/" "$out/corpus" "$out/seeds" || status=$?
	awk '/cov: / { cov = $0 } /^stat::(number_of_exec|average)/ { print "# " $0 }
		END { sub(/.*cov:/, "cov:", cov); print "# " cov }' "$log"
	tap_result "$status" "request.c obeys its rules, with --seed $seed"
	lines=$(percent_lines)
	echo "# the corpus reaches $lines % of the lines of request.c"
	tap_run "the corpus reaches 95 % of the lines of request.c" test "$lines" -ge 95
}

# has_kcov HOST: is KCOV in the configuration of this host?  Stock kernels have none.
has_kcov() {
	local fragment fragments=''
	[[ -e $VB_HOSTS/configs/$1.host ]] || return
	# shellcheck source=tools/testing/hosts/configs/uml-7.3.host
	. "$VB_HOSTS/configs/$1.host"
	for fragment in $fragments; do
		if grep -qx 'CONFIG_KCOV=y' "$VB_HOSTS/configs/$fragment.config"; then
			return
		fi
	done
	return 1
}

# The corpus of the device is valid for one kernel only, so its directory is emptied.
fuzz_device() {
	local log=$out/device.log status=0 linux
	"$VB_CHECKS/build-selftests.sh" >/dev/null
	build device
	rm -rf "$out/device"
	mkdir "$out/device"
	"$VB_HOSTS/host-run.sh" "$host" --timeout "$((seconds + 900))" --out "$out/device" -- \
		"$fuzz/device.sh" "$out/bin/device_fuzz" "${device[@]}" --seed "$seed" \
		--save "$out/device" | tee "$log" || status=$?
	tap_result "$status" "nothing found in $host, with --seed $seed"
	tap_run "the device, reset, and a fresh one served good requests" \
		grep -Eq 'at the end: .* [1-9][0-9]* proofs, 0 findings' "$log"
	# Without KCOV there are no places.
	if ! has_kcov "$host"; then
		tap_result 0 "half of the driver was reached # SKIP $host has no KCOV"
		return
	fi
	if [[ ! -e $out/device/places ]]; then
		echo "# the fuzzer has not written what it reached, although $host has KCOV"
		tap_result 1 "half of the driver was reached"
		return
	fi
	# The directory of a compressed kernel has vmlinux too, which has the symbols.
	linux=$("$VB_HOSTS/host-build.sh" "$host")
	linux=$linux/$([[ -e $linux/vmlinux ]] && echo vmlinux || echo linux)
	"$fuzz/coverage.sh" "$linux" "$out/device/places" | sed 's/^/# /' | tee "$out/coverage"
	# shellcheck disable=SC2016 # awk's variables
	tap_run "half of the driver was reached" \
		awk '/ places \(/ { exit !($2 >= $4 / 2) }' "$out/coverage"
}

for part in $parts; do
	case $part in
	request) fuzz_request ;;
	device) fuzz_device ;;
	*) die "no such part: $part" ;;
	esac
done
tap_end
