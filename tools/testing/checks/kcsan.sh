#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: kcsan.sh [--seconds N] SUITE…
#
# Runs suites of the selftests, then the soak for N seconds (60; 0 for none), in QEMU with
# two CPUs and a kernel with KCSAN, which detects data races.  Prints TAP.  The run fails
# (exit 99) if a stack of a report contains a function of the driver; other reports are
# only listed.
#
# With much less than 60 s, the warm-up of the soak is too short for its measurement of
# memory, and the soak fails.  ACCEL=kvm uses KVM, which is much faster.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

host=x86-7.3-kcsan
seconds=60 suites=()
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--seconds) seconds=$2; shift ;;
	-*) usage >&2; exit 2 ;;
	*) suites+=("$1") ;;
	esac
	shift
done
((${#suites[@]})) || { usage >&2; exit 2; }
((seconds == 0)) || suites+=(soak)

export VHOST_SOAK_SECONDS=$seconds VHOST_TEST_TIMEOUT=$((seconds * 5 / 4 + 600))
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tests=$("$VB_CHECKS/build-selftests.sh")
cd "$tests"
# shellcheck disable=SC2016 # for the shell in the host
"$VB_HOSTS/qemu-run.sh" --host "$host" --append vhost.max_mem_regions=509 \
	--timeout $((VHOST_TEST_TIMEOUT + 1800)) -- sh -c '
	./run.sh --short "$@"
	status=$?
	sed -n "/: [0-9]/s/^/# kcsan: /p" /sys/kernel/debug/kcsan
	exit "$status"' sh "${suites[@]}" | tee "$tmp/tap"
# Fail if KCSAN reports nothing because it checked nothing.
grep -qx '# kcsan: enabled: 1' "$tmp/tap" || die "KCSAN was not enabled until the end"
grep -Eqx '# kcsan: setup_watchpoints: [0-9]{4,}' "$tmp/tap" || die "KCSAN watched nothing"
