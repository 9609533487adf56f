#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: qtest-to-tree.sh QEMUTREE
#
# Modify QEMU's qtests of virtio-blk-pci, in a source tree of QEMU 7.2, to test
# vhost-blk-pci, and add the tests of this project, tests/qtest/vhost-blk*.c.
# The test cases of QEMU are unchanged, except that
#
#   - the device is vhost-blk-pci with path= instead of drive=.  The path is in
#     the environment variable VHOST_QTEST_IMAGE, or VHOST_QTEST_SECOND for the
#     hotplug test.
#   - the file is truncated instead of calling block_resize, which needs QEMU's
#     block layer.
#
# The script fails if an edit does not change exactly the expected number of
# lines, so no test case is lost with another version of the source.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../tools/lib/messages.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
tree=${1:?usage: qtest-to-tree.sh QEMUTREE}
here=$(cd "$(dirname "$0")" && pwd)
cd "$tree/tests/qtest"

# edit FILE LINES SCRIPT: run a sed script that must change exactly LINES lines
# (the lines that diff shows).
edit() {
	local file=$1 lines=$2 changed
	sed -i.before "$3" "$file"
	changed=$(diff "$file.before" "$file" | grep -c '^[<>]') || :
	rm "$file.before"
	[[ $changed == "$lines" ]] ||
		die "$changed instead of $lines lines of $file were changed by: $3"
}

# adapt FILE FUNCTION: apply FUNCTION to the original FILE.  Do not touch the
# file if the result is unchanged, so that it is not compiled again.
adapt() {
	local file=$1 function=$2
	[[ -e $file.of-virtio-blk ]] || cp "$file" "$file.of-virtio-blk"
	cp "$file.of-virtio-blk" new.c
	"$function" new.c
	cmp -s new.c "$file" || cp new.c "$file"
	rm new.c
}

image='getenv("VHOST_QTEST_IMAGE")'

test_cases() {
	edit "$1" 10 's/"virtio-blk-pci"/"vhost-blk-pci"/'
	edit "$1" 12 "/qmp_discard_response(.*block_resize/,/;\$/c\\
    g_assert_cmpint(truncate($image, n_size), ==, 0);"
	edit "$1" 3 "s/fd = g_file_open_tmp(.*);/t_path = g_strdup($image);\\
    fd = open(t_path, O_RDWR | O_CREAT | O_TRUNC, 0600);/"
	edit "$1" 7 '/g_string_append_printf(cmd_line,/,/;$/c\
    g_assert_nonnull(tmp_path);'
	edit "$1" 4 "s/'drive': 'drive1'/'path': %s/
s/stringify(PCI_SLOT_HP) \".0\");/stringify(PCI_SLOT_HP) \".0\", getenv(\"VHOST_QTEST_SECOND\"));/"
}

libqos_driver() {
	edit "$1" 6 's/("virtio-blk-pci"/("vhost-blk-pci"/'
	edit "$1" 2 "s/\"id=drv0,drive=drive0,addr=%x.%x\",/\"id=drv0,path=%s,addr=%x.%x\", $image,/"
}

list_of_tests() {
	edit "$1" 3 "s/^  'virtio-blk-test.c',/&\\
  'vhost-blk-test.c',/
s/^qtests_i386 = /&(config_all_devices.has_key('CONFIG_VHOST_BLK') ? ['vhost-blk-iommu-test', 'vhost-blk-mmio-test', 'vhost-blk-refusals-test'] : []) + /"
}

for file in "$here"/tests/qtest/*.c; do
	cmp -s "$file" "${file##*/}" || install -m 644 "$file" .
done
adapt meson.build list_of_tests
adapt virtio-blk-test.c test_cases
adapt libqos/virtio-blk.c libqos_driver
