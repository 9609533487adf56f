#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: klog-check.sh [--allow-maple-rcu] [--kcsan FUNCTIONS] LOG
#
# Exits with status 0 if the kernel log LOG contains no report: warning, BUG, oops,
# panic, sanitizer, lockdep, leak, stall or hung task.  Otherwise prints the reports.
#
# --allow-maple-rcu: ignore the two lockdep reports in lib/maple_tree.c that every 6.1
# kernel makes at boot, each at most once.  They are false alarms.
#
# --kcsan FUNCTIONS: a report of KCSAN counts only if one of its stacks has a function
# of that file.  The others are only listed.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../../lib/messages.sh"

allow=0 functions=''
while [[ ${1:-} == --* ]]; do
	case $1 in
	--help) usage; exit ;;
	--allow-maple-rcu) allow=1 ;;
	--kcsan) functions=$2; shift ;;
	*) echo "klog-check.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done
log=${1:?"usage: klog-check.sh [--allow-maple-rcu] [--kcsan FUNCTIONS] LOG"}
[[ -s $log ]] || { echo "klog-check.sh: $log: no kernel log"; exit 1; }
[[ -z $functions || -s $functions ]] || { echo "klog-check.sh: $functions: no functions"; exit 1; }

# One kind of report per line.  "Call Trace" and "stack backtrace" catch all reports that
# the other lines miss.
bad='WARNING:
BUG:
BUG [a-zA-Z0-9_-]+ \(
kernel BUG at
Oops
Kernel panic
Call Trace:
stack backtrace:
general protection fault
Unable to handle kernel
KASAN:
KFENCE:
KCSAN:
UBSAN:
ODEBUG:
kmemleak: [0-9]+ new suspected
kmemleak: .*unreferenced object
sleeping function called
scheduling while atomic
possible (circular|recursive) locking
inconsistent lock state
suspicious (RCU|rcu)
held lock freed
turning off the locking correctness validator
trying to register non-static key
blocked for more than
blocked in I/O wait for more than
soft lockup
hard LOCKUP
rcu.*(stall|detected .*stalls)
(list_add|list_del) corruption
refcount_t:
Objects remaining
double-free|double free
bad page state|Bad page
page allocation failure
stack-protector:
Internal error
unregister_netdevice: waiting'
pattern=$(paste -sd'|' <<<"$bad")

without_other_kcsan() {
	if [[ -z $functions ]]; then
		cat
	else
		awk -v functions="$functions" -f "$(dirname "$0")/kcsan-filter.awk"
	fi
}

# Remove the allowed reports of lib/maple_tree.c.  A report begins with a line of "=" and
# ends with the last line of its stack.
without_maple() {
	if ((!allow)); then
		cat
		return
	fi
	awk '
	function text(line) { sub(/^\[ *[0-9.]+\](\[ *[A-Z0-9]+\])? ?/, "", line); return line }
	function flush(i) { for (i = 0; i < held; i++) print hold[i]; held = 0; state = 0 }
	{
		t = text($0)
		if (state == 2) {		# in the stack of an allowed report
			if (t ~ /^ +(\[<|\? |[A-Za-z_])/ || t ~ /^ *$/)
				next
			state = 0
		}
		if (state == 1 && t ~ /^=====+$/ && held > 1)
			flush()
		if (state == 0 && t ~ /^=====+$/) {
			state = 1; known = 0
		}
		if (state == 1) {
			hold[held++] = $0
			if (held == 2 && t != "WARNING: suspicious RCU usage")
				flush()
			else if (t ~ /^lib\/maple_tree\.c:(816|860) suspicious rcu_dereference_check\(\) usage!$/ &&
				 !seen[t]++)
				known = 1
			else if (t ~ /^Call Trace:/) {
				if (known) { held = 0; state = 2 } else flush()
			} else if (held > 60)
				flush()
			next
		}
		print
	}
	END { flush() }'
}

# Status 1 of grep means that nothing was found.  Other errors must not pass as a clean log.
found=$(tr -d '\r' <"$log" | without_other_kcsan | without_maple |
	{ grep -nE -A 25 "$pattern" || (($? == 1)); } | awk 'NR <= 120')
[[ -z $found ]] && exit 0
echo "klog-check.sh: $log has reports:"
echo "$found"
exit 1
