# SPDX-License-Identifier: GPL-2.0
#
# Takes out of a kernel log the reports of KCSAN that none of the functions named
# in the file `functions` has a part in, and says on stderr what was left out.
#
# One race between two functions of the vhost core is known, with any caller: see
# Documentation/virt/vhost-blk/testing.rst.
#
# A report begins and ends with a ruler.  Messages of other CPUs may stand between its
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

# The function of a line of a stack
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
		print "kcsan-filter.awk: can't read " functions >"/dev/stderr"
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
	# The ruler of something else, or of nothing
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

# A report without an end counts.
END {
	if (held)
		finish(1)
	if (total) {
		printf "%d reports of KCSAN that are not about the driver:\n", total >"/dev/stderr"
		for (title in others)
			printf "%6d %s\n", others[title], substr(title, 13) >"/dev/stderr"
	}
}
