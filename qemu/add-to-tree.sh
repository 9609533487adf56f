#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: add-to-tree.sh QEMUTREE
#
# Add the vhost-blk device to a QEMU source tree (7.2 or newer): copy the files
# under hw/, include/ and docs/ to the same paths and the uapi header of this
# project to linux-headers/; add the entries to meson.build files and to the list
# of documents, and those of entries/ to Kconfig, trace-events and MAINTAINERS.
#
# Run it again to update all of these.
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

# edit FILE PROGRAM [VARIABLE=VALUE]: change a file of the tree with awk.
edit() {
	local file=$tree/$1 program=$2
	awk "${@:3}" "$program" "$file" >"$file.new"
	copy "$file.new" "$file"
	rm "$file.new"
}

# add_after FILE PATTERN LINES: add LINES below the last line that matches.  Those
# that an earlier run has added are removed first.  They are
#
#   a statement of meson that begins at CONFIG_VHOST_BLK and ends with "))"
#   a paragraph that begins with "config VHOST_BLK"
#   one line with "devices/vhost-blk."
add_after() {
	local file=$tree/$1 pattern=$2
	grep -q "$pattern" "$file" ||
		die "no line of $file matches '$pattern'; is this QEMU 7.2 or newer?"
	# shellcheck disable=SC2016
	edit "$1" '
		/'"'CONFIG_VHOST_BLK'"'|^config VHOST_BLK$|devices\/vhost-blk\./ { old = 1 }
		/^config VHOST_BLK$/ && text[n] == "" { n-- }
		old && /^$/ { old = 0 }
		!old { text[++n] = $0 }
		!old && $0 ~ pattern { last = n }
		/\)\)$/ || /devices\/vhost-blk\./ { old = 0 }
		END {
			for (i = 1; i <= n; i++) {
				print text[i]
				if (i == last)
					print lines
			}
		}' -v pattern="$pattern" -v lines="$3"
}

[[ -f $tree/hw/virtio/vhost.c ]] ||
	die "$tree is not a QEMU source tree (it has no hw/virtio/vhost.c)"

# vhost_blk_file_fd() relies on this.
first=$(awk '/^typedef struct BDRVRawState {/ { getline; print $0 }' "$tree/block/file-posix.c")
[[ $first =~ ^\ +int\ fd\;$ ]] ||
	die "the first member of struct BDRVRawState in $tree/block/file-posix.c is not 'int fd'"

while IFS= read -r file; do
	copy "$here/$file" "$tree/$file"
done < <(cd "$here" && find hw include docs -type f)
copy "$here/../include/uapi/linux/vhost_blk.h" "$tree/linux-headers/linux/vhost_blk.h"

add_after hw/block/meson.build "'CONFIG_VHOST_USER_BLK'" \
"specific_ss.add(when: 'CONFIG_VHOST_BLK',
                if_true: files('vhost-blk.c', 'vhost-blk-compare.c',
                               'vhost-blk-config.c', 'vhost-blk-error.c',
                               'vhost-blk-file.c', 'vhost-blk-kernel.c',
                               'vhost-blk-migrate.c', 'vhost-blk-node.c',
                               'vhost-blk-parked.c', 'vhost-blk-swap.c'))"
add_after hw/virtio/meson.build "'CONFIG_VHOST_USER_BLK'" \
"virtio_pci_ss.add(when: 'CONFIG_VHOST_BLK', if_true: files('vhost-blk-pci.c'))"
add_after hw/s390x/meson.build "'CONFIG_VHOST_VSOCK'" \
"virtio_ss.add(when: 'CONFIG_VHOST_BLK', if_true: files('vhost-blk-ccw.c'))"
add_after hw/block/Kconfig 'depends on VIRTIO && VHOST_USER && LINUX' "$(<"$here/entries/Kconfig")"
add_after docs/system/device-emulation.rst 'devices/usb.rst' '   devices/vhost-blk.rst'

# Trace events are at the end of the file, the entry of MAINTAINERS is a paragraph.
edit hw/block/trace-events '
	/^$/ { blank++; next }
	!/^# vhost-blk|^vhost_blk_/ { for (; blank; blank--) print ""; print }
	END { print ""; while ((getline <entries) > 0) print }' -v entries="$here/entries/trace-events"
edit MAINTAINERS '
	/^vhost-blk$/ { old = 1 }
	/^vhost-user-blk$/ { while ((getline line <entries) > 0) print line }
	!old { print }
	/^$/ { old = 0 }' -v entries="$here/entries/MAINTAINERS"
