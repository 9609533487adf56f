#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: klog-check.sh [--allow-maple-rcu] [--kcsan FUNCTIONS] LOG
#
# Exit 0 when the kernel log LOG holds no report of any kind: warning, BUG,
# oops, panic, sanitizer, lockdep, leak, stall or hung task.  Prints what it
# found otherwise.
#
# --allow-maple-rcu: let pass the two lockdep reports that every 6.1 kernel
# makes at boot in lib/maple_tree.c (a false alarm of that kernel's own), each
# at most once.  Anything else in the log still counts.
#
# --kcsan FUNCTIONS: a report of KCSAN counts when a function named in that file
# is in one of its stacks.  The others are listed, no more.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../../lib/messages.sh"

allow=0 functions=''
while [[ ${1:-} == --* ]]; do
	case $1 in
	--help) sed -n '3,15s/^# \{0,1\}//p' "$0"; exit ;;
	--allow-maple-rcu) allow=1 ;;
	--kcsan) functions=$2; shift ;;
	*) echo "klog-check.sh: unknown option $1" >&2; exit 2 ;;
	esac
	shift
done
log=${1:?"usage: klog-check.sh [--allow-maple-rcu] [--kcsan FUNCTIONS] LOG"}
[[ -s $log ]] || { echo "klog-check.sh: $log: no kernel log"; exit 1; }
[[ -z $functions || -s $functions ]] || { echo "klog-check.sh: $functions: no functions"; exit 1; }

# One class a line.  "Call Trace" is the net under the others: whatever prints
# a stack was worth one.
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

# Without the reports that are allowed.  One runs from its ruler to the last
# line of its stack.
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
		if (state == 2) {		# in the stack of an allowed one
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

# grep's 1 says that nothing was found; a filter that fails is no clean log.
found=$(tr -d '\r' <"$log" | without_other_kcsan | without_maple |
	{ grep -nE -A 25 "$pattern" || (($? == 1)); } | awk 'NR <= 120')
[[ -z $found ]] && exit 0
echo "klog-check.sh: $log has reports:"
echo "$found"
exit 1
