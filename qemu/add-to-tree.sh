#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: add-to-tree.sh QEMUTREE
#
# Add the vhost-blk device to a QEMU source tree (7.2 or newer): copy the files
# under hw/ and include/ to the same paths, the uapi header of this project to
# linux-headers/, and add the entries to meson.build and Kconfig.
#
# Run it again to update the files and the entries in meson.build.  An existing
# Kconfig entry is left as it is.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../tools/lib/messages.sh"

here=$(cd "$(dirname "$0")" && pwd)
[[ ${1:-} == --help ]] && { usage; exit; }
tree=${1:?usage: add-to-tree.sh QEMUTREE}

# Do not touch an unchanged file, so that it is not compiled again.
copy() {
	cmp -s "$1" "$2" || install -D -m 644 "$1" "$2"
}

# add_after FILE PATTERN LINES: add LINES below the last line that matches.
# Statements that an earlier run has added to a meson.build are removed first;
# they begin at CONFIG_VHOST_BLK and end with "))".
add_after() {
	local file=$tree/$1 pattern=$2 lines=$3
	if [[ $1 != *meson.build ]] && grep -q 'VHOST_BLK\b' "$file"; then
		return
	fi
	grep -q "$pattern" "$file" ||
		die "no line of $file matches '$pattern'; is this QEMU 7.2 or newer?"
	awk -v pattern="$pattern" -v lines="$lines" '
		/'"'CONFIG_VHOST_BLK'"'/ { old = 1 }
		!old { text[++n] = $0 }
		!old && $0 ~ pattern { last = n }
		/\)\)$/ { old = 0 }
		END {
			for (i = 1; i <= n; i++) {
				print text[i]
				if (i == last)
					print lines
			}
		}' "$file" >"$file.new"
	copy "$file.new" "$file"
	rm "$file.new"
}

[[ -f $tree/hw/virtio/vhost.c ]] ||
	die "$tree is not a QEMU source tree (it has no hw/virtio/vhost.c)"

# vhost_blk_file_fd() relies on this.
first=$(awk '/^typedef struct BDRVRawState {/ { getline; print $0 }' "$tree/block/file-posix.c")
[[ $first =~ ^\ +int\ fd\;$ ]] ||
	die "the first member of struct BDRVRawState in $tree/block/file-posix.c is not 'int fd'"

while IFS= read -r file; do
	copy "$here/$file" "$tree/$file"
done < <(cd "$here" && find hw include -type f)
copy "$here/../include/uapi/linux/vhost_blk.h" "$tree/linux-headers/linux/vhost_blk.h"

add_after hw/block/meson.build "'CONFIG_VHOST_USER_BLK'" \
"specific_ss.add(when: 'CONFIG_VHOST_BLK',
                if_true: files('vhost-blk.c', 'vhost-blk-config.c',
                               'vhost-blk-error.c', 'vhost-blk-file.c',
                               'vhost-blk-kernel.c', 'vhost-blk-migrate.c',
                               'vhost-blk-node.c', 'vhost-blk-swap.c'))"
add_after hw/virtio/meson.build "'CONFIG_VHOST_USER_BLK'" \
"virtio_pci_ss.add(when: 'CONFIG_VHOST_BLK', if_true: files('vhost-blk-pci.c'))"
add_after hw/block/Kconfig 'depends on VIRTIO && VHOST_USER && LINUX' "
config VHOST_BLK
    bool
    # PCI is the only supported transport
    default y if VIRTIO_PCI
    depends on VIRTIO && VHOST_KERNEL && LINUX"
