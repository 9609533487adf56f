#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: e2e.sh [--preload] PART [HOST]
#
# End to end: in the test host HOST (default uml-7.3) QEMU runs a guest whose
# disks go through /dev/vhost-blk; prints TAP.  The guest's own programs judge
# the data, the host compares what arrived in the backing files.  A report in
# the kernel log of guest or host fails the run.  PART is
#
#   crash  what is on the disk after each flush of ext4 and xfs: the full guest
#
#   --preload  Debian's stock QEMU with the device preloaded, instead of a
#              QEMU that was built with it (minutes quicker on a cold cache)
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

host=uml-7.3 preload=0 inside=0 part=''
for arg; do
	case $arg in
	--help) usage; exit ;;
	--preload) preload=1 ;;
	--inside) inside=1 ;;
	-*) usage >&2; exit 2 ;;
	crash) part=$arg ;;
	*) host=$arg ;;
	esac
done
[[ -n $part ]] || { usage >&2; exit 2; }

# shellcheck source=tools/testing/guests/e2e-crash.sh
. "$VB_GUESTS/e2e-crash.sh"

if ((!inside)); then
	"$VB_LIB/packages.sh" kernel guest selftest
	export VHOST_E2E_QEMU='' VHOST_E2E_OBJECT='' VHOST_E2E_GUEST=''
	if ((preload)); then
		VHOST_E2E_QEMU=$(command -v qemu-system-x86_64)
		VHOST_E2E_OBJECT=$("$VB_TOP/qemu/build.sh" 7.2 --preload | tail -n 1)
	else
		VHOST_E2E_QEMU=$("$VB_TOP/qemu/build.sh" 7.2 | tail -n 1)
	fi
	VHOST_E2E_GUEST=$("$VB_GUESTS/guest-build.sh" full | tail -n 1)
	mem=1536M timeout=2400
	if [[ $part == crash ]]; then
		VHOST_E2E_GUEST=$(crash_prepare "$VHOST_E2E_GUEST")
		export VHOST_CRASH_FILES=${VHOST_CRASH_FILES:-50}
		export VHOST_CRASH_EXT4=${VHOST_CRASH_EXT4:-8} VHOST_CRASH_XFS=${VHOST_CRASH_XFS:-4}
		mem=3G timeout=$((2400 + VHOST_CRASH_FILES * 20))
	fi
	exec "$VB_HOSTS/uml-run.sh" "$host" --mem "$mem" --timeout "$timeout" -- "$0" --inside "$part"
fi

qemu=$VHOST_E2E_QEMU object=$VHOST_E2E_OBJECT guest=$VHOST_E2E_GUEST
tmp=$(mktemp -d)
tests=0 failures=0

# check WHAT COMMAND…: one line of TAP; what the command prints is shown where
# it failed.
check() {
	local what=$1
	shift
	tests=$((tests + 1))
	if "$@" >"$tmp/check" 2>&1 </dev/null; then
		echo "ok $tests $what"
	else
		echo "not ok $tests $what"
		sed 's/^/# /' "$tmp/check"
		failures=$((failures + 1))
	fi
}

# says FILE LINE: the guest printed exactly this.
says() {
	grep -qxF "$2" "$1" || { echo "expected: $2; it printed:"; cat "$1"; return 1; }
}

run_guest() {
	"$VB_GUESTS/guest-run.sh" --qemu "$qemu" --guest "$guest" \
		${object:+--preload "$object"} "$@"
}

# guest_script PART…: one script of these files of guest/.
guest_script() {
	cat "${@/#/$VB_GUESTS/guest/}"
}

# guest_results FILE: the checks that the guest made are this script's own.
guest_results() {
	local line
	while IFS= read -r line; do
		case $line in
		"ok "*)
			tests=$((tests + 1))
			echo "ok $tests ${line#ok }"
			;;
		"not ok "*)
			tests=$((tests + 1)) failures=$((failures + 1))
			echo "not ok $tests ${line#not ok }"
			;;
		"# "*) echo "$line" ;;
		esac
	done <"$1"
	check "as many checks as the guest made" says "$1" \
		"checks: $(grep -cE '^(not )?ok ' "$1")"
}

# make_null_blk NAME MEGABYTES [ATTRIBUTE=VALUE…]
make_null_blk() {
	local dir=/sys/kernel/config/nullb/$1 attribute
	mkdir "$dir"
	for attribute in memory_backed=1 size="$2" "${@:3}" power=1; do
		echo "${attribute#*=}" >"$dir/${attribute%%=*}"
	done
}


# A file system for files that are backends
make_null_blk nullb1 512 discard=1
mkfs.ext4 -q -O ^has_journal /dev/nullb1
mkdir "$tmp/mnt"
mount /dev/nullb1 "$tmp/mnt"

echo "TAP version 13"
case $part in
crash) test_crash ;;
esac
umount "$tmp/mnt"
rm -rf "$tmp"
echo "1..$tests"
if ((failures)); then
	exit 1
fi
