# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the tests in Python: their options, QEMU, the guest, and in it the programs
# that keep account of disks (blkledger.c) and of memory (memhog.c).  Needs lib.sh.

# guest_options "NAME…" "$@": HOST, and the options, those of the names with a
# value, which is in the variable of that name too.
guest_options() {
	local values=$1 name
	shift
	host=uml-7.3 inside=0 options=()
	while (($#)); do
		name=${1#--}
		case $1 in
		--help) usage; exit ;;
		--inside) inside=1 ;;
		--short) options+=("$1") ;;
		-*)
			[[ $# -gt 1 && " $values " == *" $name "* ]] || { usage >&2; exit 2; }
			options+=("$1" "$2")
			printf -v "$name" %s "$2"
			shift
			;;
		*) host=$1 ;;
		esac
		shift
	done
}

# guest_test PROGRAM DISKS OPTION…: the Python program, in a test host that is
# booted with these options of uml-run.sh.  The function DISKS makes disks there.
guest_test() {
	local program=$1 make_disks=$2 disks
	shift 2
	if ((!inside)); then
		guest_prepare
		exec "$VB_HOSTS/uml-run.sh" "$host" "$@" -- "$0" --inside "${options[@]}"
	fi
	disks=$(mktemp -d)
	"$make_disks" "$disks"
	exec /usr/bin/python3 -B "$VB_GUESTS/$program" "${options[@]}" "$disks"
}

# The programs, static, for the host; and for the guest as a second archive behind
# the first, which the kernel unpacks as well.
build_programs() {
	local name
	mkdir -p "$1/root/bin" "$1/out"
	for name in blkledger memhog; do
		gcc -O2 -Wall -Wextra -Werror -static -pthread -s -o "$1/out/$name" "$VB_GUESTS/$name.c"
		cp "$1/out/$name" "$1/root/bin/"
	done
	{
		cat "$VHOST_E2E_GUEST/initrd"
		(cd "$1/root" && find . | cpio --quiet -o -H newc | gzip -1)
	} >"$1/out/initrd"
}

# guest_prepare: VHOST_E2E_* say to the test host what there is.
guest_prepare() {
	local entry work
	"$VB_LIB/packages.sh" kernel guest python
	VHOST_E2E_QEMU=$("$VB_TOP/qemu/build.sh" 7.2 | tail -n 1)
	VHOST_E2E_OTHER=''
	[[ -z ${other:-} ]] || VHOST_E2E_OTHER=$("$VB_TOP/qemu/build.sh" "$other" | tail -n 1)
	VHOST_E2E_GUEST=$("$VB_GUESTS/guest-build.sh" | tail -n 1)
	entry=$VB_CACHE/guest/blkledger-$(cache_key "$VB_GUESTS"/{blkledger,memhog}.c "$VB_GUESTS/guest-lib.sh" \
		"$(basename "$(realpath "$VHOST_E2E_GUEST")")")
	if [[ ! -e $entry ]]; then
		work=$(scratch_dir)
		build_programs "$work"
		publish "$work/out" "$entry"
		rm -rf "$work"
		keep_newest 3 "$VB_CACHE/guest/blkledger-"*
	fi
	export VHOST_E2E_QEMU VHOST_E2E_OTHER VHOST_E2E_GUEST
	export VHOST_E2E_INITRD=$entry/initrd VHOST_E2E_LEDGER=$entry/blkledger
	export VHOST_E2E_HOG=$entry/memhog
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
