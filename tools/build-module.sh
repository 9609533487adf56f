#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: build-module.sh KERNELBUILD VHOSTSOURCE OUTDIR [MAKE-ARGUMENT…]
#
# Build OUTDIR/vhost_blk.ko.
#
#   KERNELBUILD  build directory of the kernel, such as /lib/modules/*/build
#   VHOSTSOURCE  directory with drivers/vhost/vhost.h of exactly that kernel,
#                which distributions do not ship in their kernel headers
#   OUTDIR       directory for the module.  The sources are copied here first,
#                so that the build writes no files next to them.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/lib/messages.sh"

case ${1:-} in
--help | -h) usage; exit ;;
esac
(($# >= 3)) || { usage >&2; exit 2; }
kernel=$1 vhost=$(cd "$2" && pwd) out=$3
shift 3
top=$(cd "$(dirname "$0")/.." && pwd)

[[ -f $kernel/Makefile ]] ||
	die "$kernel is not a kernel build directory; install the kernel headers (on Debian, linux-headers-VERSION)"
[[ -f $vhost/vhost.h ]] ||
	die "$vhost has no vhost.h; it must be drivers/vhost of the source of this kernel"

# update FILE TO: copy FILE to TO, unless they are the same already.
update() {
	cmp -s "$1" "$2" || install -D -m 644 "$1" "$2"
}

mkdir -p "$out/tree"
out=$(cd "$out" && pwd)
# Keep the layout of the project: compat/module.mk uses relative paths.
for part in drivers/vhost/blk include/uapi compat; do
	[[ -d $top/$part ]] || continue
	mkdir -p "$out/tree/$part"
	(cd "$top/$part" && find . -type f \( -name '*.[ch]' -o -name Kconfig \) \
		! -name '*.mod.c' -print0) |
	while IFS= read -r -d '' file; do
		update "$top/$part/$file" "$out/tree/$part/$file"
	done
done
cat "$top/drivers/vhost/blk/Makefile" "$top/compat/module.mk" >"$out/Makefile"
update "$out/Makefile" "$out/tree/drivers/vhost/blk/Makefile"

make -C "$kernel" M="$out/tree/drivers/vhost/blk" VHOST_SRC="$vhost" \
	CONFIG_VHOST_BLK=m "$@" modules
cp "$out/tree/drivers/vhost/blk/vhost_blk.ko" "$out/vhost_blk.ko"
