#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The functions of tap.sh; check calls those of this file.
# shellcheck disable=SC2317
#
# Part of a guest script: file systems on a disk.

# make_fs TYPE DISK: create a file system and mount it on /mnt.
make_fs() {
	case $1 in
	ext4) mkfs.ext4 -q -F "/dev/$2" ;;
	xfs) mkfs.xfs -q -f "/dev/$2" ;;
	btrfs) mkfs.btrfs -q -f -d single -m single "/dev/$2" ;;
	esac && mount -t "$1" "/dev/$2" /mnt
}

# check_fs TYPE DISK: the checker of the unmounted file system finds no error.
check_fs() {
	case $1 in
	ext4) e2fsck -f -n "/dev/$2" ;;
	xfs) xfs_repair -n "/dev/$2" ;;
	btrfs) btrfs check "/dev/$2" ;;
	esac
}

unmount() {
	sync && umount /mnt
}

# stress SECONDS: run these stressors, which verify their files, at the same time.
stress() {
	stress-ng --temp-path /mnt --timeout "$1" --verify --metrics-brief \
		--hdd 1 --hdd-bytes 8M --hdd-opts wr-rnd,rd-rnd,direct,fsync \
		--iomix 1 --iomix-bytes 8M --aio 1 --aiol 1 \
		--seek 1 --seek-size 4M --seek-punch --fpunch 1 --sync-file 1 --sync-file-bytes 8M \
		--fallocate 1 --fallocate-bytes 8M --dentry 1 --dentries 256 \
		--rename 1 --dir 1 --dir-dirs 64
}

fio_on_file() {
	run_fio --directory=/mnt --size=1m --rw=randwrite --bs=4k --verify=crc32c \
		--verify_fatal=1 --fsync=64 \
		--name=mmap --ioengine=mmap \
		--name=psync --ioengine=psync \
		--name=direct --ioengine=libaio --iodepth=8 --direct=1 \
		--name=io_uring --ioengine=io_uring --iodepth=8 --direct=0 --bsrange=512-8k --blockalign=512
	rm -f /mnt/*.0.0
}

# After msync, a direct read returns what was written to a mapping; after a direct write,
# a buffered read returns the new data.
msync_then_direct() {
	xfs_io -f -c "truncate 1m" -c "mmap -rw 0 1m" -c "mwrite -S 0x5a 12k 200k" \
		-c "msync -s" -c fsync /mnt/mapped || return
	head -c 200k /dev/zero | tr '\0' '\132' >/tmp/mapped
	dd if=/mnt/mapped bs=4k skip=3 count=50 iflag=direct | cmp - /tmp/mapped || return
	dd if=/dev/zero of=/mnt/mapped bs=4k seek=10 count=1 oflag=direct conv=notrunc || return
	head -c 4k /dev/zero >/tmp/mapped
	dd if=/mnt/mapped bs=4k skip=10 count=1 | cmp - /tmp/mapped
}

# A file of data and holes reads back correctly after the caches were dropped.
holes() {
	xfs_io -f -c "pwrite -S 0x11 0 4m" -c fsync -c "fpunch 1m 512k" -c "fzero 2m 256k" \
		-c "pwrite -S 0x22 1200k 16k" -c "falloc 4m 1m" -c fsync /mnt/holes || return
	forget
	{
		head -c 1024k /dev/zero | tr '\0' '\021'
		head -c 176k /dev/zero
		head -c 16k /dev/zero | tr '\0' '\042'
		head -c 320k /dev/zero
		head -c 512k /dev/zero | tr '\0' '\021'
		head -c 256k /dev/zero
		head -c 1792k /dev/zero | tr '\0' '\021'
		head -c 1024k /dev/zero
	} >/tmp/holes
	cmp /mnt/holes /tmp/holes && rm /mnt/holes /tmp/holes
}

# copied TYPE DISK: files of random data have not changed after unmount and mount.
copied() {
	mkdir -p /mnt/files /tmp/files || return
	for file in 1 2 3 4 5 6 7 8; do
		head -c 300000 /dev/urandom >"/tmp/files/$file"
	done
	cp /tmp/files/* /mnt/files/ && unmount && mount -t "$1" "/dev/$2" /mnt || return
	for file in 1 2 3 4 5 6 7 8; do
		cmp "/tmp/files/$file" "/mnt/files/$file" || return
	done
	rm -r /tmp/files
}

# check_file_system TYPE DISK: make all checks of this file.
check_file_system() {
	check "$1: made and mounted" make_fs "$1" "$2"
	check "$1: files of fio by mmap, psync, libaio, io_uring" fio_on_file
	check "$1: direct I/O to a mapped file" msync_then_direct
	check "$1: punched and zeroed ranges" holes
	check "$1: stress-ng verifies" stress 4
	check "$1: files are intact after unmount and mount" copied "$1" "$2"
	check "$1: unmounted" unmount
	check "$1: its checker finds no error" check_fs "$1" "$2"
}
