#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The functions are those of tap.sh.
#
# Guest script of live.py.  The backend of vda is swapped and resized and vda's driver is
# unbound, vdb is resized, vdc is a legacy device.  The script prints a command for the
# host, waits for its effect, and prints what it finds.
sys=/sys/block
failed=0

# load DISK SECONDS: start I/O in the background that must not fail.
load() {
	fio --name=load --filename="/dev/$1" --offset=1m --size=8m --rw=randrw \
		--bsrange=4k-64k --direct=1 --ioengine=io_uring --iodepth=32 \
		--numjobs=2 --time_based --runtime="$2" --output-format=terse \
		--terse-version=3 --group_reporting >"/tmp/fio.$1" 2>&1 &
	loader=$!
}

# loaded DISK: print the error of load().
loaded() {
	error=$(terse "/tmp/fio.$1" 5)
	[ "$error" = 0 ] || { cat "/tmp/fio.$1"; failed=1; }
	echo "load on $1: error $error"
}

# doomed DISK RW: start I/O that will fail when the disk is removed, and wait until it
# runs.  After the removal, fio must not create a file with the name of the disk.  The
# runtime is short, because fio may take a disk of 0 sectors for one that it has read to
# the end, and then starts from the beginning until its time is over.
doomed() {
	fio --name=load --filename="/dev/$1" --size=8m --rw="$2" --bs=4k --direct=1 \
		--allow_file_create=0 --ioengine=io_uring --iodepth=32 --numjobs=2 \
		--time_based --runtime=6 >/dev/null 2>&1 &
	wait_for_io "$1" 100 || failed=1
}

# first DISK: print the first sector, read from the disk and not from the guest's cache.
first() {
	blockdev --flushbufs "/dev/$1"
	dd if="/dev/$1" bs=512 count=1 2>/dev/null | tr -d '\0'
}

# until_size DISK SECTORS: wait until the disk has this size.
until_size() {
	for _ in $(seq 600); do
		[ "$(cat "$sys/$1/size" 2>/dev/null)" = "$2" ] && return
		sleep 0.1
	done
	echo "$1 still has $(cat "$sys/$1/size") sectors"
	failed=1
	return 1
}

for disk in vda vdb vdc; do
	echo "$disk: $(cat $sys/$disk/size) ro=$(cat $sys/$disk/ro)" \
		"$(cat $sys/$disk/queue/write_cache)," \
		"$(cat $sys/$disk/queue/max_segments) segments," \
		"virtio 1.0: $(cut -c33 $sys/$disk/device/features)"
	echo "$disk: $(fdisk -l /dev/$disk | grep -o '[0-9]* heads, [0-9]* sectors/track')," \
		"at most $(cat $sys/$disk/queue/discard_max_hw_bytes) bytes of discard," \
		"$(cat $sys/$disk/queue/write_zeroes_max_bytes) of zeroes"
done

echo "cache vdb"
load vda 1000
wait_for_io vda 100 || failed=1
old=65536
for i in 1 2 3 4 5 6; do
	new=$((163840 - old))
	echo "swap vda"
	until_size vda $new
	echo "vda has $new sectors, and begins with $(first vda)"
	echo "seen-$new-$i" | dd of=/dev/vda bs=512 seek=$i conv=sync,fsync 2>/dev/null
	old=$new
done
kill -INT "$loader"
wait
loaded vda

for size in 131072 49152 98304; do
	for disk in vda vdb; do
		echo "resize $disk $size"
		until_size $disk $size
		echo "$disk has $size sectors"
	done
done
echo "pause"
until_size vda 81920
echo "vda has 81920 sectors after the pause"

load vdc 2
wait
loaded vdc

echo "write through" >$sys/vda/cache_type
echo "vda: cache $(cat $sys/vda/cache_type), $(cat $sys/vda/queue/write_cache)"
echo "write back" >$sys/vdb/cache_type
echo "vdb: cache $(cat $sys/vdb/cache_type), $(cat $sys/vdb/queue/write_cache)"
echo "cache vdb"

virtio=$(basename "$(readlink -f $sys/vda/device)")
bound=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	doomed vda randread
	echo "$virtio" >/sys/bus/virtio/drivers/virtio_blk/unbind
	[ ! -e $sys/vda ] || failed=1
	wait
	echo "$virtio" >/sys/bus/virtio/drivers/virtio_blk/bind
	[ "$(first vda)" ] && bound=$((bound + 1))
done
echo "vda: bound again $bound times, cache $(cat $sys/vda/cache_type)"

plugged=0
for _ in 1 2 3 4 5; do
	echo "plug"
	until_size vdd 65536 && plugged=$((plugged + 1))
	doomed vdd randrw
	echo "unplug"
	wait
	[ ! -e $sys/vdd ] || failed=1
done
echo "plugged $plugged times"
# Plug one more disk: it appears only after the host has handled the removal of the last
# one, so the script can end then.
echo "plug"
until_size vdd 65536
exit $failed
