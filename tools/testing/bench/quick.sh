#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: quick.sh
#
# A short benchmark for work on the driver ('make bench-quick'): instructions per 4k read,
# which do not depend on the load of this machine, then IOPS and CPU time in a UML host,
# which do.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
here=$VB_TOP/tools/testing/bench
out=$VB_TOP/build/bench/quick
"$VB_LIB/packages.sh" kernel tcg abi selftest python
mkdir -p "$out"
note "1 of 2: instructions, in a TCG host under -icount"
"$here/count.sh" --short >"$out/count.json"
note "2 of 2: time, in a UML host; load of this machine: $(cut -d' ' -f1-3 /proc/loadavg)"
"$here/time.sh" --short --rounds 3 --seconds 1 vhost-blk vhost-blk-file uring uring-file \
	vhost-user-io_uring >"$out/time.json"
"$here/table.py" count "$out/count.json" | tee "$out/report.txt"
"$here/table.py" time "$out/time.json" | tee -a "$out/report.txt"
note "the report: $out/report.txt; load of this machine: $(cut -d' ' -f1-3 /proc/loadavg)"
