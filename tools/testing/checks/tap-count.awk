# SPDX-License-Identifier: GPL-2.0
#
# Counts the results in a TAP or KTAP stream, nested or not, and prints
# "PASSED FAILED SKIPPED".  Writes failures, skips with their reasons, and everything that
# makes the stream incomplete to the file `report`, one per line.
#
# The result of a test with subtests is counted only if it failed and no subtest did.  A
# plan that is missing or not fulfilled, results that are not numbered 1, 2, 3…, a skip
# without a reason, and "Bail out!" are failures.

function say(what) { print what > report }
function fail(what) { failed++; say("FAIL: " what) }

# Everything nested deeper than `depth` has ended: check its plans.
function close_below(depth,	d) {
	for (d in count)
		if (d + 0 > depth)
			close_level(d)
}

function close_level(d) {
	if ((d in plan) && count[d] != plan[d])
		fail("planned " plan[d] " tests, got " (count[d] + 0) (name[d] ? " in " name[d] : ""))
	else if (!(d in plan) && count[d] > 0)
		fail("no plan" (name[d] ? " in " name[d] : ""))
	delete plan[d]; delete count[d]; delete bad[d]; delete name[d]; delete misnumbered[d]
}

{
	sub(/\r$/, "")
	match($0, /^ */)
	depth = RLENGTH
	line = substr($0, depth + 1)
}

line ~ /^Bail out!/ { fail(line) }

line ~ /^# Subtest: / { name[depth] = substr(line, 12) }

# KUnit prints no plan for a parameterised test, but the number of cases at the end.
line ~ /^# .*: pass:[0-9]+ fail:[0-9]+ skip:[0-9]+ total:[0-9]+$/ {
	number = line
	sub(/^.* total:/, "", number)
	for (d in count)
		if (d + 0 > depth && !(d in plan))
			plan[d] = number + 0
}

line ~ /^1\.\.[0-9]+/ {
	close_below(depth)
	# A second plan at this depth begins another stream.
	if (depth in plan)
		close_level(depth)
	number = line
	sub(/^1\.\./, "", number)
	plan[depth] = number + 0
	count[depth] += 0
	plans++
	if (plan[depth] == 0) {
		reason = line
		if (sub(/^1\.\.0 *# *[Ss][Kk][Ii][Pp][^ ]* */, "", reason) && reason != "") {
			skipped++
			say("SKIP: " reason)
		} else {
			fail("a plan of no tests, without a reason")
		}
	}
}

line ~ /^(not )?ok([ \t]|$)/ {
	parent = 0
	childbad = 0
	for (d in count)
		if (d + 0 > depth && count[d] > 0) {
			parent = 1
			childbad += bad[d]
		}
	before = failed
	close_below(depth)
	childbad += failed - before
	count[depth]++
	number = line
	sub(/^(not )?ok[ \t]*/, "", number)
	if (number ~ /^[0-9]/ && number + 0 != count[depth] && !misnumbered[depth]++)
		fail("result " count[depth] " has the number " (number + 0) ": " line)
	what = line
	sub(/^(not )?ok[ \t]*[0-9]*[ \t]*(- )?/, "", what)
	if (line ~ /^ok.*#[ \t]*[Ss][Kk][Ii][Pp]/) {
		reason = what
		sub(/^.*#[ \t]*[Ss][Kk][Ii][Pp][a-zA-Z]*[ \t:]*/, "", reason)
		if (reason == "")
			fail("skipped without a reason: " what)
		else if (!parent) {
			skipped++
			say("SKIP: " what)
		}
	} else if (line ~ /^not ok/) {
		bad[depth]++
		if (!parent || !childbad)
			fail(what)
	} else if (parent && childbad) {
		# A test that passed although a subtest failed
		bad[depth]++
	} else if (!parent) {
		passed++
	}
}

END {
	close_below(-1)
	if (!plans)
		fail("no plan: the run did not get as far as its first test")
	print passed + 0, failed + 0, skipped + 0
}
