#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: run.sh [--short] [--model] [--list] [--but SUITE]… [SUITE…]
#
# Runs the vhost-blk selftests on this kernel, as root, and prints one TAP
# stream.  Any POSIX shell will do, busybox's too; so do its small tools.
#
#   --short  the form for slow hosts: fewer sizes, layouts and requests
#   --model  on the model device of the test programs, not on /dev/vhost-blk
#   --list   the tests, one a line, and nothing is run
#   --but SUITE  without this one
#
# The suites `model`, `soak` and `backend_full` are run by name only.  The first
# tests the tests, and needs neither the device nor root; the second takes as long as is wanted
# (VHOST_SOAK_SECONDS, VHOST_SOAK_VMS); the third fills up VHOST_TEST_DIR.
#
# The backings are null_blk devices, or loop devices where there is no null_blk,
# and files on an ext4 of its own, or on tmpfs where there is no mkfs.ext4 (the
# tests with O_DIRECT skip there on kernels older than 6.6).  Some suites make
# what they need besides: device mapper, control groups, zoned null_blk.
# VHOST_TEST_BDEV, VHOST_TEST_SLOW_BDEV and VHOST_TEST_DIR name others; what is on
# a device named so is lost.  VHOST_TEST_SEED repeats a run, VHOST_TEST_REQUESTS
# sets how many requests the notification tests make, VHOST_TEST_TIMEOUT the
# seconds a suite may take.
# VHOST_TEST_ALL_FAULTS=1 has every allocation of every ioctl fail once.
#
# Exit 0: every test passed or said why it was skipped.  1: something failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
# What changes a disk's elevator or tags (cgroup_ioprio, backend_hang) comes
# before what uses NBD (backend_error, backend_remove): in Linux 7.3 lockdep finds
# a circle through NBD's socket.
all='example ioctl uapi queue_states config data layout request_status discard
	discard_space cache_mode pagecache powerloss block_limits readonly resize
	backend_swap cgroup_ioprio zoned zoned_report_append scsi nowait notify
	busyloop tracepoints drain stop live_change dirty_log iotlb iotlb_invalidate
	memory_regions hostile_chains backend_hang backend_error backend_remove
	vmm_exit hostile_requests hostile_addresses ioctl_race fault_injection
	resource_limits credentials shared_file filesystems stop_long_requests
	vmm_isolation'
suites='' list='' but=' '
scratch='' mounted=''
nullb=/sys/kernel/config/nullb

usage() {
	sed -n '3,/^# Exit/s/^# \{0,1\}//p' "$0"
}

note() {
	printf '# %s\n' "$*"
}

while [ $# -gt 0 ]; do
	case $1 in
	--short) export VHOST_TEST_SHORT=1 ;;
	--model) export VHOST_TEST_MODEL=1 ;;
	--list) list=1 ;;
	--but)
		[ $# -gt 1 ] || { usage >&2; exit 2; }
		shift
		but="$but${1#vhost_blk_} "
		;;
	-h | --help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) suites="$suites ${1#vhost_blk_}" ;;
	esac
	shift
done

chosen=''
for suite in ${suites:-$all}; do
	case $but in
	*" $suite "*) ;;
	*) chosen="$chosen $suite" ;;
	esac
done
suites=$chosen
for suite in $suites; do
	if [ ! -x "$here/vhost_blk_$suite" ]; then
		echo "run.sh: no program vhost_blk_$suite (is it built?)" >&2
		exit 2
	fi
done

if [ -n "$list" ]; then
	for suite in $suites; do
		"$here/vhost_blk_$suite" -l 2>&1 | awk -v suite="$suite" '
			/^#/ || /^---/ { next }
			{ print suite "." $NF }' | sort -u
	done
	exit 0
fi

# A module that is built in, or not there at all, is no error: what needs it
# says so when it is missing.
load() {
	if command -v modprobe >/dev/null && ! modprobe -q "$@" 2>/dev/null; then
		note "modprobe $*: not loaded"
	fi
}

prepare_configfs() {
	[ -d "$nullb" ] && return
	load null_blk nr_devices=0
	if [ -d /sys/kernel/config ] && [ ! -d "$nullb" ]; then
		mount -t configfs none /sys/kernel/config || note 'no configfs'
	fi
	[ -d "$nullb" ] || note 'no null_blk: loop devices instead, and nothing slow'
}

# An ext4 in a file, since O_DIRECT works there on every kernel
prepare_dir() {
	[ -n "${VHOST_TEST_DIR:-}" ] && return
	export VHOST_TEST_DIR="$scratch/dir"
	mkdir "$VHOST_TEST_DIR"
	PATH=$PATH:/usr/sbin:/sbin
	if ! command -v mkfs.ext4 >/dev/null; then
		note "no mkfs.ext4: files are where $scratch is"
		return
	fi
	load loop
	load ext4
	if dd if=/dev/zero of="$scratch/image" bs=1048576 count=0 seek=96 2>/dev/null &&
		mkfs.ext4 -q -F -b 4096 "$scratch/image" >"$scratch/mkfs.log" 2>&1 &&
		mount -t ext4 -o loop "$scratch/image" "$VHOST_TEST_DIR"; then
		mounted=$VHOST_TEST_DIR
	else
		note "no ext4 on a loop device: files are where $scratch is"
	fi
}

# Processes, null_blk devices and files of the tests that are still there
leftovers() {
	for comm in /proc/[0-9]*/comm; do
		name=''
		{ read -r name <"$comm"; } 2>/dev/null
		case $name in
		vhost_blk_*) echo "process ${comm%/comm}: $name" ;;
		esac
	done
	for thing in "$nullb"/vhost-test-* "$VHOST_TEST_DIR"/vhost-test-* /tmp/vhost-test-* \
		/sys/fs/cgroup/vhost-test-*; do
		[ -e "$thing" ] && echo "$thing"
	done
	for thing in /sys/block/dm-*/dm/name; do
		name=''
		{ read -r name <"$thing"; } 2>/dev/null
		case $name in
		vhost-test-*) echo "device mapper's $name" ;;
		esac
	done
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	for dev in "$nullb"/vhost-test-*; do
		[ -d "$dev" ] && rmdir "$dev"
	done
	[ -n "$mounted" ] && umount "$mounted"
	[ -n "$scratch" ] && rm -rf "$scratch"
}

# TAP of one suite on stdin, its numbers to follow those before; the new count
# of tests and of failures goes to $scratch/count.
renumber() {
	awk -v suite="$1" -v n="$tests" -v bad="$failed" -v out="$scratch/count" \
		-v status="$scratch/status" '
	/^TAP version/ { next }
	/^1\.\.[0-9]+/ { plan = substr($0, 4) + 0; next }
	/^(not )?ok [0-9]+/ {
		line = $0
		not_ok = sub(/^not /, "", line)
		sub(/^ok [0-9]+ (- )?/, "", line)
		printf "%sok %d %s.%s\n", not_ok ? "not " : "", ++n, suite, line
		bad += not_ok
		seen++
		fflush()
		next
	}
	/^#  (RUN| +OK)/ { next }
	{ print (/^#/ ? "" : "# ") $0; fflush() }
	END {
		getline code <status
		if (seen != plan || (code && code != 1) || !plan) {
			printf "not ok %d %s.complete\n", ++n, suite
			printf "# %d of %d tests, exit status %d\n", seen, plan, code
			bad++
		}
		print n, bad >out
	}'
}

run_suite() {
	start=$(date +%s)
	note "suite $1"
	# The progress of the soak does not wait for an awk that reads in blocks.
	messages=1
	[ "$1" != soak ] || messages=3
	{
		timeout "${VHOST_TEST_TIMEOUT:-900}" "$here/vhost_blk_$1" 2>&"$messages"
		echo $? >"$scratch/status"
	} 3>&2 | renumber "$1"
	read -r tests failed <"$scratch/count"
	note "suite $1 took $(($(date +%s) - start)) s"
}

trap 'exit 130' INT TERM
trap cleanup EXIT
echo 'TAP version 13'
if [ -z "${VHOST_TEST_MODEL:-}" ] && [ ! -c "${VHOST_TEST_DEV:-/dev/vhost-blk}" ]; then
	echo 'Bail out! no /dev/vhost-blk'
	exit 1
fi
scratch=$(mktemp -d /tmp/vhost-selftest.XXXXXX) || exit 1
prepare_configfs
prepare_dir
load dm-mod
load dm-log-writes

tests=0 failed=0
for suite in $suites; do
	run_suite "$suite"
done

tests=$((tests + 1))
left=$(leftovers)
if [ -n "$mounted" ] && ! umount "$mounted"; then
	left="$left $mounted is busy"
fi
mounted=''
if [ -z "$left" ]; then
	echo "ok $tests run.leftovers"
else
	echo "not ok $tests run.leftovers"
	note "$left"
	failed=$((failed + 1))
fi
echo "1..$tests"
note "$((tests - failed)) passed or skipped, $failed failed"
[ "$failed" -eq 0 ]
