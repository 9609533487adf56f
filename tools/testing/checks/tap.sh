# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions for shell scripts that print TAP.  The plan comes at the end, so that the
# output of a script that dies is incomplete.

tap_count=0
tap_failed=0
# Status of the last result
tap_status=0

# tap_result STATUS NAME: print a result; status 0 is a pass.
tap_result() {
	tap_count=$((tap_count + 1))
	# shellcheck disable=SC2034 # for the script that sources this file
	tap_status=$1
	if [[ $1 == 0 ]]; then
		echo "ok $tap_count $2"
	else
		echo "not ok $tap_count $2"
		tap_failed=1
	fi
}

# tap_run NAME COMMAND…: print the result of COMMAND, and its output if it fails.
tap_run() {
	local name=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	if ((status)); then
		echo "# ${output//$'\n'/$'\n# '}"
	fi
	tap_result "$status" "$name"
}

# tap_end: print the plan and exit; the status is 1 if a result was a failure.
tap_end() {
	echo "1..$tap_count"
	exit "$tap_failed"
}
