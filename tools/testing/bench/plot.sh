#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: plot.sh CSV DIRECTORY QUEUES [qemu-|guest-]
#
# Plots IOPS, latency and CPU time over the queue depth, for 4k random reads and writes
# with QUEUES queues of one device, as SVG and PNG.  The plots have the contenders whose
# name begins with the last argument; without it, all but the disks of QEMU.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
(($# == 3 || $# == 4)) || { usage >&2; exit 2; }
csv=$1 out=$2 queues=$3 prefix=${4:-} where='' cpu="all_cpu_ns:CPU time of the whole host"
case $prefix in
qemu-) where="a disk of QEMU, " ;;
guest-) where="in a guest with $queues vCPU, " ;;
esac
# CPU time of a QEMU that is not caused by its disk is left out.
[[ -z $prefix ]] || cpu="host_cpu_ns:CPU time of the disk"
name=$prefix
((queues == 1)) || name+=${queues}q-
need_tool gnuplot
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# points OP COLUMN: print a block for each contender, with its median at each depth.
points() {
	awk -F, -v op="$1" -v column="$2" -v queues="$queues" -v prefix="$prefix" '
	NR == 1 {
		sub(/\r$/, "")
		for (i = 1; i <= NF; i++) at[$i] = i
		next
	}
	$at["op"] == op && $at["order"] == "random" && $at["block"] == 4096 &&
	$at["queues"] == queues && $at["devices"] == 1 && $at[column] != "" {
		label = $at["label"]
		if (prefix ? index(label, prefix) != 1 : label ~ /^qemu-/) next
		depth = $at["depth"]
		if (!(label in seen)) { seen[label] = 1; labels[++nlabels] = label }
		if (!(depth in wanted)) { wanted[depth] = 1; depths[++ndepths] = depth }
		value[label, depth, ++n[label, depth]] = $at[column]
	}
	function median(label, depth,    i, j, m, t) {
		m = n[label, depth]
		for (i = 1; i <= m; i++) v[i] = value[label, depth, i] + 0
		for (i = 1; i <= m; i++)
			for (j = i + 1; j <= m; j++)
				if (v[j] < v[i]) { t = v[i]; v[i] = v[j]; v[j] = t }
		return m % 2 ? v[(m + 1) / 2] : (v[m / 2] + v[m / 2 + 1]) / 2
	}
	END {
		for (l = 1; l <= nlabels; l++) {
			printf "\"%s\"\n", labels[l]
			for (d = 1; d <= ndepths; d++)
				if (n[labels[l], depths[d]])
					print depths[d], median(labels[l], depths[d])
			print "\n"
		}
	}' "$csv"
}

for op in read write; do
	for figure in "iops:IOPS" "p99_us:99th percentile of latency (us)" \
		"$cpu per request (ns)"; do
		column=${figure%%:*}
		# Times of contenders differ by factors of ten.
		scale="set logscale y"
		[[ $column != iops ]] || scale="set yrange [0:*]"
		points "$op" "$column" >"$tmp/points"
		# No plot without a value above 0.
		awk '!/^"/ && $2 > 0 { found = 1 } END { exit !found }' "$tmp/points" || continue
		blocks=$(grep -c '^"' "$tmp/points")
		for format in svg png; do
			gnuplot <<-END
				set terminal $format size 900,600
				set output "$out/$name$op-$column.$format"
				set title "${where}4k random $op: ${figure#*:}" noenhanced
				set logscale x 2
				set xlabel "queue depth"
				$scale
				set linetype 9 lc rgb "#808080"
				set linetype 10 lc rgb "#a0522d"
				set grid
				set key outside noenhanced autotitle columnhead
				plot for [i=0:$((blocks - 1))] "$tmp/points" index i using 1:2 with linespoints
			END
		done
	done
done
note "plots: $out/*.svg, *.png"
