# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # of inside.sh: $f, $variant, $run
#
# The table [files]: files, and loop devices on them, on each file system.

# MiB: small enough to be filled up, and the minimum of the file systems
files_mib=48

mount_on() {
	mkdir -p "$2" && mount -t "${@:3}" "$1" "$2" || return
	later umount "$2"
}

# file_system KIND: mount a file system at $where, on a device with ${f[sector]}.
file_system() {
	local kind=$1
	where=/mnt/geo-$kind
	if [[ $kind == tmpfs ]]; then
		mount_on none "$where" tmpfs -o size=24m
		return
	fi
	file "$kind" "$files_mib" && loop "$file" "${f[sector]}" || return
	case $kind in
	ext2 | ext4) mkfs."$kind" -q -F -b 4096 -m 0 "$dev" ;;
	# Without these variables, mkfs.xfs refuses a file system of this size.
	xfs) TEST_DIR=1 TEST_DEV=1 QA_CHECK_FS=1 mkfs.xfs -q -f -s size="${f[sector]}" \
		-m reflink=1 "$dev" ;;
	btrfs) mkfs.btrfs -q -f --mixed "$dev" ;;
	esac || return
	mount_on "$dev" "$where" "$kind" || return
	# Without this, btrfs needs new blocks for each write to an existing file.
	[[ $kind != btrfs || ${f[state]} != full ]] || chattr +C "$where"
}

overlay() {
	file_system ext4 || return
	local upper=$where
	where=/mnt/geo-overlay
	mkdir -p /mnt/geo-lower "$upper/upper" "$upper/work" &&
	mount_on overlay "$where" overlay \
		-o "lowerdir=/mnt/geo-lower,upperdir=$upper/upper,workdir=$upper/work"
}

files_loop() {
	truncate -s 6M "$where/image" || return
	later rm "$where/image"
	case ${f[state]} in
	preallocated) fallocate -l 6M "$where/image" ;;
	written) dd if=/dev/zero of="$where/image" bs=1M count=6 conv=fsync status=none ;;
	esac && loop "$where/image" "${f[sector]}" || return
	export VHOST_TEST_BDEV=$dev
}

make_files() {
	if [[ ${f[fs]} == overlay ]]; then
		overlay
	else
		file_system "${f[fs]}"
	fi || return
	export VHOST_TEST_DIR=$where
	case ${f[use]}/${f[state]} in
	loop/full) variant=loop run=backend_full ;;
	loop/*) files_loop ;;
	*/full) variant=file_${f[use]} run=backend_full ;;
	*)
		variant=file_${f[use]}
		export VHOST_TEST_FILE=${f[state]}
		;;
	esac
}
