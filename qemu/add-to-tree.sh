#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: add-to-tree.sh QEMUTREE
#
# Adds the vhost-blk device to a QEMU source tree (7.2 or newer): copies the
# files to the paths they have here, the uapi header of this project to
# linux-headers/, and adds the lines that build them.  Running it again brings
# the files up to date and adds nothing twice.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[[ ${1:-} == --help ]] && { sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit; }
tree=${1:?usage: add-to-tree.sh QEMUTREE}

# A file that did not change keeps its time, and what was built stays built.
copy() {
	cmp -s "$1" "$2" || install -D -m 644 "$1" "$2"
}

# add_after FILE PATTERN LINES: below the last line that matches, instead of
# what an earlier version of this script put there: statements of meson that
# end with their second parenthesis.
add_after() {
	local file=$tree/$1 pattern=$2 lines=$3
	if [[ $1 != *meson.build ]] && grep -q 'VHOST_BLK\b' "$file"; then
		return
	fi
	grep -q "$pattern" "$file" || {
		echo "add-to-tree.sh: no line in $file matches: $pattern" >&2
		exit 1
	}
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

[[ -f $tree/hw/virtio/vhost.c ]] || {
	echo "add-to-tree.sh: $tree is not a QEMU source tree" >&2
	exit 1
}

# The name of vhost-blk-backend.c in earlier versions.
rm -f "$tree/hw/block/vhost-blk-backing.c"

while IFS= read -r file; do
	copy "$here/$file" "$tree/$file"
done < <(cd "$here" && find hw include -type f)
copy "$here/../include/uapi/linux/vhost_blk.h" "$tree/linux-headers/linux/vhost_blk.h"

add_after hw/block/meson.build "'CONFIG_VHOST_USER_BLK'" \
"specific_ss.add(when: 'CONFIG_VHOST_BLK',
                if_true: files('vhost-blk.c', 'vhost-blk-backend.c',
                               'vhost-blk-config.c', 'vhost-blk-kernel.c'))"
add_after hw/virtio/meson.build "'CONFIG_VHOST_USER_BLK'" \
"virtio_pci_ss.add(when: 'CONFIG_VHOST_BLK', if_true: files('vhost-blk-pci.c'))"
add_after hw/block/Kconfig 'depends on VIRTIO && VHOST_USER && LINUX' "
config VHOST_BLK
    bool
    # There is a PCI device alone
    default y if VIRTIO_PCI
    depends on VIRTIO && VHOST_KERNEL && LINUX"
