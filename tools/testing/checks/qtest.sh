#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: qtest.sh [HOST]
#
# Runs QEMU's qtests of virtio-blk-pci on vhost-blk-pci, in the test host HOST (default
# uml-7.3), and the qtests of the project, qemu/tests/qtest.  qemu/qtest-to-tree.sh
# describes the changes to QEMU's tests.  vhost-blk-refusals-test needs no kernel
# module, and can be run anywhere.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

# The first eight are all cases of virtio-blk-test.c in QEMU 7.2 for a PCI device.
cases=(basic config hotplug idx indirect msix nxvirtq resize
	broken-chain bad-queue-enable bad-rings config-size discard early-kick early-kick-unusable
	generation masked-vector queue-reset transport-feature writeback zoned)

if [[ ${1:-} != --inside ]]; then
	[[ ${1:-} == --help ]] && { usage; exit; }
	VHOST_QTEST_BINARY=$("$VB_TOP/qemu/build.sh" 7.2 --qtest | tail -n 1)
	VHOST_QTEST_QEMU=$(dirname "$VHOST_QTEST_BINARY")/qemu-system-x86_64
	export VHOST_QTEST_QEMU VHOST_QTEST_BINARY
	exec "$VB_HOSTS/uml-run.sh" "${1:-uml-7.3}" --timeout 300 -- "$0" --inside
fi

tmp=$(mktemp -d)
make_null_blk() {
	local dir=/sys/kernel/config/nullb/$1 attribute
	mkdir "$dir"
	for attribute in memory_backed=1 "${@:2}" power=1; do
		echo "${attribute#*=}" >"$dir/${attribute%%=*}"
	done
}
make_null_blk nullb0 size=256
make_null_blk nullb1 size=64 zoned=1 zone_size=4
make_null_blk nullb2 size=16
mkfs.ext4 -q /dev/nullb0
mkdir "$tmp/mnt"
mount /dev/nullb0 "$tmp/mnt"
export VHOST_QTEST_IMAGE=$tmp/mnt/image VHOST_QTEST_SECOND=$tmp/mnt/second \
	VHOST_QTEST_THIRD=$tmp/mnt/third VHOST_QTEST_ZONED=/dev/nullb1 \
	VHOST_QTEST_BLOCK=/dev/nullb2
truncate -s 16M "$VHOST_QTEST_SECOND" "$VHOST_QTEST_THIRD"

# qos-test derives the architecture from the name of the binary.
cat >"$tmp/qemu-system-x86_64" <<-SCRIPT
	#!/bin/sh
	exec $VHOST_QTEST_QEMU -nodefaults -L /usr/share/qemu -L /usr/share/seabios "\$@"
SCRIPT
chmod +x "$tmp/qemu-system-x86_64"
export QTEST_QEMU_BINARY=$tmp/qemu-system-x86_64

mapfile -t paths < <("$VHOST_QTEST_BINARY" -l | grep /vhost-blk-pci/)
names=$(printf '%s\n' "${paths[@]##*/}" | sort | paste -sd' ')
expected=$(printf '%s\n' "${cases[@]}" | sort | paste -sd' ')
[[ $names == "$expected" ]] || die "test cases: $names; expected: $expected"

# Run each case in a process of its own, because a failure ends the process.
# shellcheck disable=SC2317 # called by tap_run
run_case() {
	local output
	output=$("$VHOST_QTEST_BINARY" --tap -k -p "$1" 2>&1) || { echo "$output"; return 1; }
	grep -qxF "ok 1 $1" <<<"$output" || { echo "$output"; return 1; }
}

for path in "${paths[@]}"; do
	tap_run "${path##*/}" run_case "$path"
done
# shellcheck disable=SC2317 # called by tap_run
run_all_of() {
	local output
	output=$("${VHOST_QTEST_BINARY%/*}/$1" --tap -k 2>&1) || { echo "$output"; return 1; }
}
for test in vhost-blk-{iommu,mmio,refusals}-test; do
	tap_run "$test" run_all_of "$test"
done
umount "$tmp/mnt"
tap_end
