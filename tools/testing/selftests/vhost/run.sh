#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: run.sh [--short] [--model] [--list] [--but SUITE]… [--but-variant NAME]…
#        [SUITE…]
#
# Runs the vhost-blk selftests on this kernel, as root, and prints one TAP stream.
# Without SUITE it runs all suites, except for those below that run only by name.
# A POSIX shell with its usual tools is sufficient, also that of busybox.
#
#   --short      fewer sizes, layouts and requests, for slow hosts
#   --model      use the model device of the test programs, not /dev/vhost-blk; load no
#                module and mount nothing
#   --list       print the tests, one per line, and run none
#   --but SUITE  skip this suite; may be repeated
#   --but-variant NAME
#                skip tests with the variant NAME, such as bdev_direct; may be repeated
#
# Suites that run only by name:
#
#   model         tests of the tests; needs neither the device nor root
#   soak          runs as long as you want: VHOST_SOAK_SECONDS, VHOST_SOAK_VMS
#   backend_full  fills up the file system of VHOST_TEST_DIR
#
# The backends are null_blk devices, or loop devices if there is no null_blk, and
# files on a new ext4, or on tmpfs if there is no mkfs.ext4.  (On kernels before 6.6
# tests with O_DIRECT are skipped on tmpfs.)  Some suites need device mapper, control
# groups or a zoned null_blk, and create what they use.
#
# Environment:
#
#   VHOST_TEST_BDEV, VHOST_TEST_SLOW_BDEV  other block devices; their data is lost
#   VHOST_TEST_DIR                         another directory for files
#   VHOST_TEST_BLOCK_SIZE                  logical block size of the guest's disks
#   VHOST_TEST_SEED                        repeats the random numbers of a run
#   VHOST_TEST_REQUESTS                    requests of the notification tests
#   VHOST_TEST_TIMEOUT                     seconds per suite (900)
#   VHOST_TEST_ALL_FAULTS                  1: let every allocation of every ioctl fail
#
# Exit 0: every test passed, or was skipped with a reason.  1: a test failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
# All suites but those that run only by name.  The Makefile builds a program for each.
# A new suite may have any place, with one exception: suites that change the elevator or
# the tags of a disk (cgroup_ioprio, backend_hang) come before those that use NBD
# (backend_error, backend_remove).  Otherwise lockdep reports a circular dependency with
# the socket of NBD in Linux 7.3.
all='example ioctl uapi queue_states config data layout request_status discard
	discard_space cache_mode pagecache powerloss block_limits block_size readonly resize
	backend_swap cgroup_ioprio zoned zoned_report_append scsi nowait notify
	busyloop tracepoints stats drain stop live_change dirty_log iotlb iotlb_invalidate
	memory_regions hostile_chains backend_hang flush_hang slow_memory backend_error
	park backend_remove vmm_exit hostile_requests hostile_addresses ioctl_race fault_injection
	resource_limits credentials shared_file filesystems stop_long_requests
	vmm_isolation'
suites='' list='' but=' ' variants=''
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
	--but-variant)
		[ $# -gt 1 ] || { usage >&2; exit 2; }
		shift
		variants="$variants -V $1"
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

# A missing or built-in module is not an error: the tests that need it are skipped.
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
	[ -d "$nullb" ] || note 'no null_blk: loop devices are used, and no slow devices'
}

# Make an ext4 in a file, because it supports O_DIRECT on every kernel.
prepare_dir() {
	[ -n "${VHOST_TEST_DIR:-}" ] && return
	export VHOST_TEST_DIR="$scratch/dir"
	mkdir "$VHOST_TEST_DIR"
	[ -z "${VHOST_TEST_MODEL:-}" ] || return
	PATH=$PATH:/usr/sbin:/sbin
	if ! command -v mkfs.ext4 >/dev/null; then
		note "no mkfs.ext4: files are in $scratch"
		return
	fi
	load loop
	load ext4
	if dd if=/dev/zero of="$scratch/image" bs=1048576 count=0 seek=96 2>/dev/null &&
		mkfs.ext4 -q -F -b 4096 "$scratch/image" >"$scratch/mkfs.log" 2>&1 &&
		mount -t ext4 -o loop "$scratch/image" "$VHOST_TEST_DIR"; then
		mounted=$VHOST_TEST_DIR
	else
		note "no ext4 on a loop device: files are in $scratch"
	fi
}

# of_other_run DIR: DIR in /proc is a process of the tests that another run has started.
of_other_run() {
	name=''
	{ read -r name <"$1/comm"; } 2>/dev/null
	case $name in
	vhost_blk_*) ;;
	*) return 1 ;;
	esac
	environment=$({ tr '\0' '\n' <"$1/environ"; } 2>/dev/null)
	case $environment in
	'' | *"VHOST_TEST_RUN=$VHOST_TEST_RUN"*) return 1 ;;
	esac
}

# Print the processes, null_blk devices and files of tests.
leftovers() {
	for comm in /proc/[0-9]*/comm; do
		name=''
		{ read -r name <"$comm"; } 2>/dev/null
		case $name in
		vhost_blk_*) of_other_run "${comm%/comm}" || echo "process ${comm%/comm}: $name" ;;
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

# Print what this run has left: what was not there before, and has not the number of a
# process of another run in its name.
new_leftovers() {
	leftovers | while IFS= read -r thing; do
		for number in $(echo "${thing##*/vhost-test-}" | tr -c '0-9\n' ' '); do
			if [ -d "/proc/$number" ] && of_other_run "/proc/$number"; then
				continue 2
			fi
		done
		echo "$thing"
	done | awk -v before="$scratch/before" '
		BEGIN { while ((getline line <before) > 0) old[line] }
		!($0 in old)'
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -e "$scratch/before" ] && new_leftovers | while IFS= read -r dev; do
		case $dev in
		"$nullb"/*) rmdir "$dev" ;;
		esac
	done
	[ -n "$mounted" ] && umount "$mounted"
	[ -n "$scratch" ] && rm -rf "$scratch"
}

# Reads the TAP of one suite from stdin, and prints it with numbers that continue the
# previous ones.  The new counts of tests and of failures are in $scratch/count.
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
		own += not_ok
		seen++
		fflush()
		next
	}
	/^#  (RUN| +OK)/ { next }
	{ print (/^#/ ? "" : "# ") $0; fflush() }
	END {
		getline code <status
		if (seen != plan || !plan || (code && (code != 1 || !own))) {
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
	# The progress of the soak bypasses awk, which may read in blocks.
	messages=1
	[ "$1" != soak ] || messages=3
	{
		# shellcheck disable=SC2086 # options
		timeout "${VHOST_TEST_TIMEOUT:-900}" "$here/vhost_blk_$1" $variants 2>&"$messages"
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
[ -n "${VHOST_TEST_MODEL:-}" ] || prepare_configfs
prepare_dir
if [ -z "${VHOST_TEST_MODEL:-}" ]; then
	load dm-mod
	load dm-log-writes
fi
VHOST_TEST_RUN=$$.$(date +%s)
export VHOST_TEST_RUN
leftovers >"$scratch/before"

tests=0 failed=0
for suite in $suites; do
	run_suite "$suite"
done

tests=$((tests + 1))
left=$(new_leftovers)
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
