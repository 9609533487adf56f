# SPDX-License-Identifier: GPL-2.0
#
# Removes from a kernel log the reports of KCSAN in whose stacks there is no function of
# the file `functions`, and lists on stderr what was removed.
#
# One race between two functions of the vhost core is known and removed with any caller:
# see Documentation/virt/vhost-blk/testing.rst.
#
# A report begins and ends with a line of "=".  Messages of other CPUs may be between its
# lines; they stay in the log.
function text(line) {
	sub(/^\[ *[0-9.]+\](\[ *[A-Z0-9]+\])? ?/, "", line)
	return line
}

function is_ruler(t) { return t ~ /^=====+$/ }

function belongs(t) {
	return t == "" ||
	       t ~ /^BUG: KCSAN: / ||
	       t ~ /^(race at unknown origin, with )?(assert no accesses|assert no writes|(read|write|read-write))( \(.*\))? to 0x[0-9a-f]+ of [0-9]+ bytes by / ||
	       t ~ /^ *(\? )?[A-Za-z_][A-Za-z0-9_.]*\+0x[0-9a-f]+\/0x[0-9a-f]+( \[[a-z0-9_]+\])?$/ ||
	       t ~ /^ *(\||\+-> reordered to: .*)$/ ||
	       t ~ /^value changed: / ||
	       t ~ /^(Reported by Kernel Concurrency Sanitizer on:|CPU: |Hardware name: |Tainted: )/
}

# The function in a line of a stack, or ""
function of_stack(t) {
	if (t !~ /^ *(\? )?[A-Za-z_][A-Za-z0-9_.]*\+0x/)
		return ""
	sub(/^ *(\? )?/, "", t)
	sub(/\+0x.*/, "", t)
	return t
}

function finish(keep,  i) {
	for (i = 0; keep && i < held; i++)
		print hold[i]
	if (!keep) {
		sub(/\+0x[0-9a-f]+\/0x[0-9a-f]+/, "", title)
		others[title]++
		total++
	}
	held = 0
	state = "out"
}

BEGIN {
	while ((status = (getline name <functions)) > 0)
		ours[name] = 1
	if (status < 0) {
		print "kcsan-filter.awk: cannot read " functions >"/dev/stderr"
		exit 2
	}
	state = "out"
	known["BUG: KCSAN: data-race in vhost_run_work_list / vhost_worker_queue"] = 1
}

{
	t = text($0)
	if (state == "out" && !is_ruler(t)) {
		print
		next
	}
	if (state == "out") {
		state = "ruler"
		hold[held++] = $0
		next
	}
	# The line of "=" does not begin a report of KCSAN.
	if (state == "ruler" && t !~ /^BUG: KCSAN: /) {
		finish(1)
		if (is_ruler(t)) {
			state = "ruler"
			hold[held++] = $0
		} else {
			print
		}
		next
	}
	if (state == "ruler") {
		state = "report"
		mine = 0
		title = t
	}
	if (!is_ruler(t) && !belongs(t)) {
		print
		next
	}
	hold[held++] = $0
	if (of_stack(t) in ours && !(title in known))
		mine = 1
	if (is_ruler(t))
		finish(mine)
}

# Keep a report without an end.
END {
	if (held)
		finish(1)
	if (total) {
		printf "%d reports of KCSAN that are not about the driver:\n", total >"/dev/stderr"
		for (title in others)
			printf "%6d %s\n", others[title], substr(title, 13) >"/dev/stderr"
	}
}
