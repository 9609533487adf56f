#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest-programs.sh GUEST
#
# Add the C programs of this directory to the guest that guest-build.sh built in the
# directory GUEST, and print the directory of the new guest.  The directory also has
# the programs themselves, which are static, for use on the test host.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
(($# == 1)) || { usage >&2; exit 2; }
guest=$1
lib=$VB_TOP/tools/testing/selftests/vhost/lib/disk
entry=$VB_CACHE/guest/programs-$(cache_key "$VB_GUESTS"/{blkledger,memhog,fscrash}.c \
	"$lib"/{dm,logwrites}.[ch] "$VB_GUESTS/guest-programs.sh" "$(basename "$(realpath "$guest")")")
if [[ ! -e $entry ]]; then
	work=$(scratch_dir)
	mkdir -p "$work/root/bin"
	for name in blkledger memhog fscrash; do
		sources=("$VB_GUESTS/$name.c")
		[[ $name != fscrash ]] || sources+=("$lib"/{dm,logwrites}.c)
		gcc -O2 -Wall -Wextra -Werror -static -pthread -s -I"$lib" \
			-o "$work/root/bin/$name" "${sources[@]}"
	done
	mkdir "$work/out"
	cp "$guest/vmlinuz" "$work/root/bin/"* "$work/out/"
	# The kernel unpacks concatenated archives one after the other.
	{
		cat "$guest/initrd"
		(cd "$work/root" && find . | cpio --quiet -o -H newc | gzip -1)
	} >"$work/out/initrd"
	publish "$work/out" "$entry"
	rm -rf "$work"
	keep_newest 4 "$VB_CACHE/guest/programs-"*
fi
echo "$entry"
