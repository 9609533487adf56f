# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the bash scripts of the project: directories of the project, messages, --help, and
# a message if a command ends a script.  Scripts that are installed or run inside a host
# or guest do not source it.

VB_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034
VB_TOP=$(cd "$VB_LIB/../.." && pwd)
VB_NAME=$(basename "$0" .sh)
VB_START=${VB_START:-$(date +%s)}
export VB_START

# PATH for builds, without the python or perl of a version manager
# shellcheck disable=SC2034
VB_BUILD_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Messages go to stderr: stdout is for results (a path, TAP).
note() {
	printf '[%4ds] %s: %s\n' "$(($(date +%s) - VB_START))" "$VB_NAME" "$*" >&2
}

die() {
	note "error: $*"
	exit 1
}

# A command that fails ends the script (set -e), often without a message: print its
# file and line.  Inside "$(…)" bash does not apply "set -e", and continues.
script_failed() {
	[[ $- == *e* ]] || return 0
	note "error: $2:$3: status $1 of: $4"
	# 128 + SIGPIPE
	(($1 != 141)) || note "a command wrote to a pipe whose reader had ended"
}
set -E
trap 'script_failed "$?" "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND"' ERR

# Print the comment block at the head of the calling script: its --help.
usage() {
	sed -n '2,/^[^#]/{/^# SPDX/d;/^[^#]/d;/^$/d;s/^# \{0,1\}//;p}' "$0"
}

need_tool() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null ||
			die "$tool is missing: run tools/lib/packages.sh"
	done
}

# run_logged WHAT LOG COMMAND…: write the output of the command to LOG, and print a line
# of progress every 30 seconds.  If it fails, print the end of the log.
run_logged() {
	local what=$1 log=$2 start pid ticks=0 status=0
	shift 2
	mkdir -p "$(dirname "$log")"
	start=$(date +%s)
	note "$what (log: $log)"
	# The command gets a process group, so that an interrupt can be passed on to all
	# its processes, and time to clean up.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	trap 'kill -TERM -- "-$pid" 2>/dev/null; wait "$pid"; exit 130' INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		ticks=$((ticks + 1))
		if ((ticks % 30 == 0)); then
			note "$what: $(($(date +%s) - start)) s, $(wc -l <"$log") lines of log"
		fi
	done
	wait "$pid" || status=$?
	trap - INT TERM
	if ((status)); then
		note "$what FAILED with status $status; the end of $log:"
		tail -n 30 "$log" >&2
		return "$status"
	fi
	note "$what: done in $(($(date +%s) - start)) s"
}
