#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: bench.sh [--rounds N] [--seconds S] [--dev DEVICE] [--skip count|time|cpus|guest]…
#
# What 'make bench' runs: all contenders in turns on the same backing device with
# the same load, at least five rounds, in the test hosts:
#
#   count   instructions by request: count.sh, the load generator in a TCG host
#   time    IOPS, latency, CPU time: time.sh, the load generator in a UML host
#   cpus    n queues and n devices on n CPUs, and the latency of polling: cpus.sh, in a
#           TCG host
#   guest   what time has, of fio in a real guest of one vCPU and of two: guest.sh,
#           QEMU 10.0 in a UML host
#
# The contenders and loads of each are in its --help.  An hour and a half on two CPUs.
#
# The report, the figures as JSON and CSV, the plots as SVG and PNG, the versions
# and the kernel's options are in build/bench/full.
#
#   --rounds N   default 5
#   --seconds S  of one measurement, default 1
#   --dev DEVICE time and guest on this machine and this block device, which LOSES
#                WHAT IS ON IT: it says what it asks for; instructions are
#                counted all the same
#   --skip PART  leave this part out
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/bench/device.sh
. "$VB_TOP/tools/testing/bench/device.sh"

here=$VB_TOP/tools/testing/bench
rounds=5 seconds=1 dev='' parts=(count time cpus guest)
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--dev) dev=$2; shift ;;
	--rounds) rounds=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	--skip)
		left=()
		for part in "${parts[@]}"; do
			[[ $part == "$2" ]] || left+=("$part")
		done
		parts=("${left[@]}")
		shift
		;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
[[ $rounds =~ ^[0-9]+$ && $rounds -gt 0 ]] || die "--rounds wants a number"
[[ -z $dev ]] || device_may_be_lost "$dev"

"$VB_LIB/packages.sh" kernel tcg abi selftest guest qemu python bench
out=$VB_TOP/build/bench/full
mkdir -p "$out"
rm -f "$out"/*

# What the figures were made with
record() {
	echo "date: $(date -u +%FT%TZ)"
	echo "commit: $(git -C "$VB_TOP" describe --always --dirty 2>/dev/null || echo unknown)"
	echo "machine: $(nproc) CPUs, $(sed -n '0,/^model name/s/^model name.*: //p' /proc/cpuinfo)," \
		"Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg)"
	dpkg-query -W -f '${Package} ${Version}\n' qemu-system-x86 qemu-system-common fio \
		targetcli-fb python3-rtslib-fb gcc
	echo "rounds: $rounds, seconds of each: $seconds"
}
record | tee "$out/versions.txt" >&2

for part in "${parts[@]}"; do
	note "part: $part (of ${parts[*]}); load of this machine: $(cut -d' ' -f1-3 /proc/loadavg)"
	case $part in
	count) "$here/count.sh" >"$out/count.json" ;;
	time) "$here/time.sh" --rounds "$rounds" --seconds "$seconds" ${dev:+--dev "$dev"} \
		--kernel "$out/kernel.txt" >"$out/time.json" ;;
	cpus) "$here/cpus.sh" --rounds "$rounds" --seconds "$seconds" >"$out/cpus.json" ;;
	guest)
		guest=("$here/guest.sh" --rounds "$rounds" ${dev:+--dev "$dev"})
		"${guest[@]}" --vcpus 1 guest-vhost-blk guest-virtio-native guest-virtio-io_uring \
			>"$out/guest.json"
		"${guest[@]}" >>"$out/guest.json"
		;;
	esac
	"$here/table.py" "$part" "$out/$part.json" | tee -a "$out/report.txt"
	"$here/table.py" --csv "$part" "$out/$part.json" >"$out/$part.csv"
done
if [[ -s $out/time.json ]]; then
	"$here/plot.sh" "$out/time.csv" "$out" 1
	"$here/plot.sh" "$out/time.csv" "$out" 1 qemu-
fi
if [[ -s $out/guest.json ]]; then
	"$here/plot.sh" "$out/guest.csv" "$out" 1 guest-
	"$here/plot.sh" "$out/guest.csv" "$out" 2 guest-
fi
note "the report: $out/report.txt"
