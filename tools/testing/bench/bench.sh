#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: bench.sh [--rounds N] [--seconds S] [--dev DEVICE] [--skip count|time|cpus|guest]…
#
# Runs the whole benchmark ('make bench').  It has four parts, which run in test hosts.
# In each of them all contenders take turns on the same backing device with the same
# load:
#
#   count   instructions per request: count.sh, the load generator in a TCG host
#   time    IOPS, latency, CPU time: time.sh, the load generator in a UML host
#   cpus    n queues and n devices on n CPUs, and the latency of polling: cpus.sh, in a
#           TCG host
#   guest   IOPS, latency, CPU time of fio in a real guest, with one vCPU and with two:
#           guest.sh, QEMU 10.0 in a UML host
#
# The --help of each of these scripts lists its contenders and loads.  All of it takes an
# hour and a half on two CPUs.
#
# build/bench/full receives the report, the results as JSON and CSV, the plots as SVG and
# PNG, the versions of the programs, and the kernel's configuration.
#
#   --rounds N    number of rounds, default 5
#   --seconds S   duration of one measurement, default 1
#   --dev DEVICE  run the parts time and guest on this machine, on this block device; ITS
#                 DATA IS LOST, and the script asks for a confirmation.  The other parts
#                 run in test hosts as usual
#   --skip PART   leave this part out; may be repeated
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
[[ $rounds =~ ^[0-9]+$ && $rounds -gt 0 ]] || die "--rounds needs a number greater than 0"
[[ -z $dev ]] || device_may_be_lost "$dev"

"$VB_LIB/packages.sh" kernel tcg abi selftest guest qemu python bench
out=$VB_TOP/build/bench/full
mkdir -p "$out"
rm -f "$out"/*

# The machine and the versions that the results depend on
record() {
	echo "date: $(date -u +%FT%TZ)"
	echo "commit: $(git -C "$VB_TOP" describe --always --dirty 2>/dev/null || echo unknown)"
	echo "machine: $(nproc) CPUs, $(sed -n '0,/^model name/s/^model name.*: //p' /proc/cpuinfo)," \
		"Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg)"
	dpkg-query -W -f '${Package} ${Version}\n' qemu-system-x86 qemu-system-common fio \
		targetcli-fb python3-rtslib-fb gcc
	echo "rounds: $rounds, seconds per measurement: $seconds"
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
