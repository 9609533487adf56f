# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the tests in Python: QEMU, the guest, and in it the program that keeps
# account (ledger.c).  Needs lib.sh.


# The ledger, static, for the host; and for the guest as a second archive behind
# the first, which the kernel unpacks as well.
build_ledger() {
	mkdir -p "$1/root/bin" "$1/out"
	gcc -O2 -Wall -Wextra -Werror -static -pthread -s -o "$1/out/ledger" "$VB_VM/ledger.c"
	cp "$1/out/ledger" "$1/root/bin/"
	{
		cat "$VHOST_E2E_GUEST/initrd"
		(cd "$1/root" && find . | cpio --quiet -o -H newc | gzip -1)
	} >"$1/out/initrd"
}

# guest_prepare: VHOST_E2E_* say to the test host what there is.
guest_prepare() {
	local entry work
	"$VB_VM/packages.sh" kernel guest python
	VHOST_E2E_QEMU=$("$VB_TOP/qemu/build.sh" 7.2 | tail -n 1)
	VHOST_E2E_GUEST=$("$VB_VM/guest-build.sh" | tail -n 1)
	entry=$VB_CACHE/guest/ledger-$(cache_key "$VB_VM/ledger.c" "$VB_VM/guest-lib.sh" \
		"$(basename "$(realpath "$VHOST_E2E_GUEST")")")
	if [[ ! -e $entry ]]; then
		work=$(scratch_dir)
		build_ledger "$work"
		publish "$work/out" "$entry"
		rm -rf "$work"
		keep_newest 3 "$VB_CACHE/guest/ledger-"*
	fi
	export VHOST_E2E_QEMU VHOST_E2E_GUEST
	export VHOST_E2E_INITRD=$entry/initrd VHOST_E2E_LEDGER=$entry/ledger
}

# make_test_disks DIR: in the test host, a file system on memory with three
# files, one of them behind a block device; their names are in DIR.
make_test_disks() {
	local dir=/sys/kernel/config/nullb/nullb0
	mkdir "$dir"
	echo 1 >"$dir/memory_backed"
	echo 1536 >"$dir/size"
	echo 1 >"$dir/power"
	mkfs.ext4 -q -O ^has_journal /dev/nullb0
	mkdir "$1/mnt"
	mount /dev/nullb0 "$1/mnt"
	truncate -s 64M "$1/mnt/file" "$1/mnt/behind-loop" "$1/mnt/buffered"
	ln -s mnt/file "$1/file"
	ln -s mnt/buffered "$1/buffered"
	ln -s "$(losetup --show -f "$1/mnt/behind-loop")" "$1/block"
}
