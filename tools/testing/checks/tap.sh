# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Writing TAP from a shell script: results as they come, the plan at the end,
# so that a script that dies has no plan and can't count as complete.

tap_count=0
tap_failed=0
# Of the last result
tap_status=0

# tap_result STATUS NAME
tap_result() {
	tap_count=$((tap_count + 1))
	# shellcheck disable=SC2034 # for who asks
	tap_status=$1
	if [[ $1 == 0 ]]; then
		echo "ok $tap_count $2"
	else
		echo "not ok $tap_count $2"
		tap_failed=1
	fi
}

# tap_run NAME COMMAND…: passes if COMMAND does; its output is shown if not.
tap_run() {
	local name=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	if ((status)); then
		echo "# ${output//$'\n'/$'\n# '}"
	fi
	tap_result "$status" "$name"
}

# tap_end: the plan; and exit.
tap_end() {
	echo "1..$tap_count"
	exit "$tap_failed"
}
