#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: inside.sh [--short] BACKENDS SUITE…
#
# Runs in a test host, in the directory of the built selftests.  Creates each backend of
# the file BACKENDS, whose lines are "ID TABLE FACTOR=VALUE...", runs the suites on it, and
# removes it.  Prints for geometry.sh
#
#   @begin ID
#   @result ID STEP pass|fail|skip SECONDS PASSED REASON...
#   @end ID
#
# and comments that begin with "#".  STEP is "make", a suite, "verify", "remove", "kernel"
# for the kernel log, or "hung".  If something hangs and cannot be killed, the script ends
# without @end.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export MDADM_NO_UDEV=1
dev=''
# shellcheck source=tools/testing/checks/geometry/lib.sh
. "$here/lib.sh"
# shellcheck source=tools/testing/checks/geometry/simple.sh
. "$here/simple.sh"
# shellcheck source=tools/testing/checks/geometry/files.sh
. "$here/files.sh"
# shellcheck source=tools/testing/checks/geometry/stacked.sh
. "$here/stacked.sh"

short=''
[[ ${1:-} == --short ]] && { short=1; shift; }
export VHOST_TEST_SHORT=1
tests=$PWD tmp=$(mktemp -d)
# Time limits in seconds: of a suite, and of a backend
limit=${VHOST_GEOMETRY_TIMEOUT:-240}
most=1200
suites=${*:2}

# The tests of the short form: those of each suite whose requests differ most
declare -A chosen=(
	[data]='many_segments'
	[layout]='random_cuts'
	[request_status]='past_the_end'
	[discard]='mix'
	[cache_mode]='under_load'
	[stop]='answered'
	[backend_full]=''
)

result() {
	echo "@result $id $*"
}

# Print the first reason in the output of a suite that skipped all its tests.
reason() {
	sed -n '/^#  *SKIP  */{s///p;q}' "$1"
}

# Print the failures in the output of a suite, with the messages before them.
explain() {
	grep -m 40 -E '^not ok|^# .*(Expected|: status|must be|[Tt]imeout|\.c:)' "$1" |
		sed 's/^#* */#   /'
}

# run_suite NAME FIXTURE VARIANT: run a suite on the backend and print its result.
run_suite() {
	local args=() name begin=$SECONDS status=0 passed failed
	if [[ -n $short && -n ${chosen[$1]} ]]; then
		for name in ${chosen[$1]}; do
			args+=(-r "$2.$3.$name")
		done
	else
		args=(-v "$3")
	fi
	timeout -k 5 "$limit" "$tests/vhost_blk_$1" "${args[@]}" >"$tmp/out" 2>&1 || status=$?
	passed=$(sed -n 's/^# Totals: pass:\([0-9]*\) .*/\1/p' "$tmp/out")
	failed=$(grep -c '^not ok' "$tmp/out")
	if ((status == 0 && ${passed:-0} > 0)); then
		result "$1" pass $((SECONDS - begin)) "$passed"
	elif ((status == 0 || status == 4)) && [[ -n $(reason "$tmp/out") ]]; then
		result "$1" skip $((SECONDS - begin)) 0 "$(reason "$tmp/out")"
	else
		explain "$tmp/out"
		result "$1" fail $((SECONDS - begin)) "${passed:-0}" \
			"$failed failed, exit status $status"
		((status != 124 && status != 137)) || alive "vhost_blk_$1"
	fi
}

# alive NAME: end the script if a killed process has not ended; it keeps the backend open.
alive() {
	local comm
	sleep 2
	for comm in /proc/[0-9]*/comm; do
		if [[ $(cat "$comm" 2>/dev/null) == "${1:0:15}" ]]; then
			result hung fail 0 0 "$1 cannot be killed"
			echo w >/proc/sysrq-trigger
			exit 1
		fi
	done
}

# End this script if a backend takes too long: md or a mount may hang in the kernel.
watch_over() {
	(
		trap 'kill "$!"; exit' TERM
		sleep "$most" &
		wait "$!"
		result hung fail "$most" 0 "no end within $most s"
		echo w >/proc/sysrq-trigger
		kill -KILL "$$"
	) &
	watchdog=$!
}

# step NAME COMMAND...: run the command; if it fails, print its output and a result.
step() {
	local name=$1 begin=$SECONDS
	shift
	if "$@" >"$tmp/step" 2>&1; then
		return
	fi
	sed 's/^/#   /' "$tmp/step" | tail -n 20
	result "$name" fail $((SECONDS - begin)) 0 "$(tail -n 1 "$tmp/step")"
	return 1
}

# Check the kernel messages since the last call.
look_at_log() {
	dmesg --read-clear >"$tmp/klog"
	if [[ -s $tmp/klog ]] && ! "$here/../../hosts/klog-check.sh" "$tmp/klog" >"$tmp/step" 2>&1; then
		sed 's/^/#   /;60q' "$tmp/step"
		result kernel fail 0 0 "the kernel log has a report"
	fi
}

one_backend() {
	local word suite
	id=$1 table=$2
	shift 2
	declare -gA f=()
	for word; do
		f[${word%%=*}]=${word#*=}
	done
	echo "@begin $id"
	watch_over
	unset VHOST_TEST_BDEV VHOST_TEST_DIR VHOST_TEST_FILE VHOST_TEST_BLOCK_SIZE
	[[ ${f[guest]} == same ]] || export VHOST_TEST_BLOCK_SIZE=${f[guest]}
	verify=''
	fixture=disk variant=bdev_direct run=$suites
	if step make "make_$table"; then
		for suite in $run; do
			case $suite in
			discard) run_suite discard ranges "${variant/bdev_direct/bdev}" ;;
			stop) run_suite stop flight "${variant/bdev_direct/bdev}" ;;
			backend_full) run_suite backend_full full "$variant" ;;
			*) run_suite "$suite" "$fixture" "$variant" ;;
			esac
		done
		[[ -z $verify ]] || step verify "$verify" || :
	fi
	step remove undo || :
	look_at_log
	kill -TERM "$watchdog"
	wait "$watchdog" || :
	echo "@end $id"
}

make_simple() {
	"simple_${f[kind]}" && simple_tune && simple_is || return
	export VHOST_TEST_BDEV=$dev
}

mkdir -p /run/lock
dmesg --read-clear >/dev/null
while read -r -u 3 -a words; do
	one_backend "${words[@]}"
done 3<"$1"
