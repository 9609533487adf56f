#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: coverage.sh LINUX PLACES
#
# Compares the addresses in PLACES (written by device_fuzz --save) with all
# instrumented addresses of the driver in LINUX, the kernel of that run.  Prints
# one line for each function that was not reached completely, then the sum.
#
# KCOV sees neither workqueues and interrupts nor code that runs at boot.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../../lib/messages.sh"

[[ ${1:-} == --help || $# != 2 ]] && { sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2; }
linux=$1 places=$2
trace=$(nm "$linux" | awk '$3 == "__sanitizer_cov_trace_pc" { sub(/^0+/, "", $1); print $1 }')
[[ -n $trace ]] || { echo "coverage.sh: $linux has no KCOV" >&2; exit 1; }

# On x86 the tracer is called by name.  UML uses the large code model: the address
# of the tracer is in a register, often one for a whole function.  (A branch may
# use that register for something else, which does not affect the code after the
# branch.)  A place is the return address of such a call.
objdump -d --no-show-raw-insn "$linux" | awk -v trace="\$0x$trace," -v places="$places" '
	BEGIN {
		# Tests, and what the macros of tracepoints make
		not_ours = "_test$|^check_|_gen_params$|^erase_|trace_|^__traceiter|^_sub_"
		while ((getline line <places) > 0) {
			sub(/^0x/, "", line)
			reached[line] = 1
		}
	}
	/^[0-9a-f]+ <.*>:$/ {
		fn = substr($2, 2, length($2) - 3)
		split("", holds)
		split("", held)
		next
	}
	NF < 2 { next }
	{
		addr = $1
		sub(/:$/, "", addr)
		if (called) {
			all[fn]++
			got[fn] += addr in reached
			delete reached[addr]
			called = 0
		}
		reg = $0
		if (!sub(/.*,%/, "", reg))
			reg = ""
	}
	$2 == "movabs" {
		holds[reg] = index($3, trace) == 1
		held[reg] = held[reg] || holds[reg]
		next
	}
	$2 == "call" && $4 == "<__sanitizer_cov_trace_pc>" {
		called = 1
		next
	}
	$2 == "call" && $3 ~ /^\*%/ {
		reg = substr($3, 3)
		called = reg in holds ? holds[reg] : held[reg] && reg ~ /^(rbx|rbp|r1[2-5])$/
		next
	}
	reg != "" && $2 !~ /^(cmp|test)/ { delete holds[reg] }
	END {
		for (fn in all) {
			if (fn ~ not_ours)
				continue
			sum += all[fn]
			hit += got[fn]
			fns++
			seen += got[fn] > 0
			if (got[fn] < all[fn])
				printf "%4d of %4d  %s\n", got[fn], all[fn], fn | "sort -k4"
		}
		close("sort -k4")
		printf "%d of %d places (%.1f %%), %d of %d functions\n", hit, sum,
			100 * hit / sum, seen, fns
		for (addr in reached)
			unknown++
		if (unknown)
			printf "%d more are the last of a function, and were seen in its caller\n", unknown
	}'
