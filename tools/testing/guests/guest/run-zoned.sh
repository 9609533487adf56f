#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Last part of the guest script of zoned.py; the functions are those of the
# parts before.
zoned=$(disk zoned) btrfs=$(disk btrfs)
zone_limits "$zoned"
zone_limits "$btrfs"
check "report of all zones and of some zones" report_of "$zoned" 64 2
check "write, open, close, finish, reset" zone_conditions "$zoned"
check "writes that do not begin at the write pointer are refused" write_pointer "$zoned"
check "errors for too many open and too many active zones" zone_resources "$zoned"
check "reset of all zones" reset_all "$zoned"
check "fio writes zones and verifies" zoned_fio "$zoned" --name=sequential \
	--rw=write --bs=64k --ioengine=io_uring --iodepth=8 --io_size=12m
check "fio writes zones at random and verifies" zoned_fio "$zoned" --name=random \
	--rw=randwrite --bs=16k --ioengine=libaio --iodepth=4 --io_size=8m
check "discards and zeroes are not offered" is 00 \
	"$(cd "/sys/block/$zoned/queue" && cat discard_max_bytes write_zeroes_max_bytes | tr -d '\n')"
check "btrfs: made and mounted" make_fs btrfs "$btrfs"
check "btrfs: fio verifies" run_fio --directory=/mnt --size=2m --rw=randwrite --bs=4k \
	--fsync=32 --verify=crc32c --verify_fatal=1 \
	--name=buffered --ioengine=psync --name=direct --ioengine=libaio --direct=1
check "btrfs: files are intact after unmount and mount" copied btrfs "$btrfs"
check "btrfs: scrub finds no error" btrfs scrub start -B /mnt
check "btrfs: unmounted" unmount
check "btrfs: its checker finds no error" check_fs btrfs "$btrfs"
blkzone report "/dev/$zoned" | sed 's/^/zoned /'
blkzone report "/dev/$btrfs" | sed 's/^/btrfs /'
finish
