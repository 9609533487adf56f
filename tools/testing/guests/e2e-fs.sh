# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Part of e2e.sh: a crash of QEMU, then one guest with many kinds of disk.

# QEMU is killed while the guest writes; `stable` becomes the last file of which
# the guest had said that it is stable.
crash_boot() {
	local line killed=0
	guest_script tap.sh fs.sh crash.sh run-crash.sh >"$tmp/script"
	while read -r line; do
		echo "$line"
		[[ $line == "stable 25" ]] || continue
		kill -KILL "$(<"$tmp/pid")" && killed=1
	done < <(run_guest --timeout 300 --script "$tmp/script" -- -pidfile "$tmp/pid" \
			-device "vhost-blk-pci,path=$tmp/mnt/crash" 2>&1) >"$tmp/crash"
	stable=$(sed -n 's/^stable //p' "$tmp/crash" | tail -n 1)
	((killed)) || cat "$tmp/crash"
	((killed && stable >= 25))
}

make_disks() {
	local dir=$tmp/mnt
	make_null_blk nullb0 256 discard=1
	make_null_blk nullb2 64 discard=1 blocksize=4096
	make_null_blk nullb3 8
	make_null_blk nullb4 8
	dd if=/dev/urandom of=/dev/nullb3 bs=1M count=8 status=none
	blockdev --setro /dev/nullb3
	truncate -s 384M "$dir/direct"
	truncate -s $((96 * 1024 * 1024 + 512)) "$dir/buffered"
	truncate -s 48M "$dir/trimmed"
	head -c 1M /dev/urandom >"$dir/readonly"
	head -c 24M /dev/urandom >"$dir/discarded"
	sync "$dir/discarded"
	# Limits of which no two are alike.  A ramdisk is there once it is opened.
	mknod /dev/ram0 b 1 0
	mknod /dev/ram1 b 1 1
	blockdev --getsz /dev/ram0 /dev/ram1 >/dev/null
	dmsetup create --noudevsync striped \
		--table '0 15360 striped 2 128 /dev/ram0 1 /dev/ram1 1'
}

# same_limits SERIAL BLOCKDEV: the guest sees what the host's device has.
same_limits() {
	local attribute value most=$((4 << 30))
	while read -r attribute; do
		value=$(<"/sys/block/$2/$attribute")
		# More can't be said in the 32 bits of the request.
		[[ $attribute != queue/discard_max_bytes ]] || value=$((value < most ? value : most))
		says "$tmp/fs" "limits $1 $attribute $value" || return
	done < <(sed -n "s/^limits $1 \(.*\) .*/\1/p" "$tmp/fs")
}

# file_limits SERIAL: blocks of the file system are the physical ones.
file_limits() {
	local line
	for line in "physical_block_size 4096" "minimum_io_size 4096" "discard_granularity 4096" \
			"logical_block_size $2" "discard_max_bytes $((4 << 30))"; do
		says "$tmp/fs" "limits $1 queue/$line" || return
	done
}

# The blocks and contents that the guest discarded in its thrown_away().
thrown_away() {
	local file=$tmp/mnt/discarded expected=$tmp/mnt/expected kept
	dd if=/dev/zero of="$expected" bs=1M seek=8 count=12 conv=notrunc status=none
	dd if=/dev/zero of="$expected" bs=512 seek=$((20 * 2048 + 3)) count=5 conv=notrunc status=none
	cmp "$file" "$expected" || return
	kept=$(stat -c %b "$file")
	echo "$kept of $((24 * 2048)) blocks are left"
	((kept <= 16 * 2048 + 64 && kept >= 16 * 2048 - 64))
}

trimmed() {
	local kept
	kept=$(stat -c %b "$tmp/mnt/trimmed")
	echo "$kept blocks are left"
	((kept < 16 * 2048))
}

# in_group COMMAND…: in a control group that may read and write 1 MiB of nullb4 a
# second.
in_group() {
	local group=/sys/fs/cgroup/guest
	echo +io >/sys/fs/cgroup/cgroup.subtree_control
	mkdir "$group"
	echo "$(</sys/block/nullb4/dev) rbps=1048576 wbps=1048576" >"$group/io.max"
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		"$@"
	)
}

fs_boot() {
	local dir=$tmp/mnt
	in_group run_guest --timeout 600 --mem 512M --script "$tmp/script" -- \
		-device vhost-blk-pci,path=/dev/nullb0,serial=block,num-queues=2 \
		-device vhost-blk-pci,path=/dev/nullb2,serial=block-4k \
		-device "vhost-blk-pci,path=$dir/direct,direct=on,serial=direct,queue-size=64" \
		-device "vhost-blk-pci,path=$dir/buffered,direct=off,serial=buffered,queue-size=1024,num-queues=1" \
		-device "vhost-blk-pci,path=$dir/readonly,readonly=on,serial=readonly" \
		-device vhost-blk-pci,path=/dev/nullb3,readonly=on,serial=readonly-block \
		-device vhost-blk-pci,path=/dev/nullb4,serial=limited \
		-device "vhost-blk-pci,path=$dir/crash,serial=crash" \
		-device "vhost-blk-pci,path=$dir/discarded,serial=discarded" \
		-device "vhost-blk-pci,path=$dir/trimmed,serial=trimmed,direct=off" \
		-device vhost-blk-pci,path=/dev/dm-0,serial=striped \
		${erase:+-device "vhost-blk-pci,path=$erase,serial=erase"} \
		>"$tmp/fs" || { local status=$?; tail -n 60 "$tmp/fs"; return "$status"; }
}

test_fs() {
	local stable=0 erase='' sum
	truncate -s 128M "$tmp/mnt/crash"
	check "a guest that fsyncs files is killed" crash_boot
	make_disks
	sum=$(cat "$tmp/mnt/readonly" /dev/nullb3 | sha256sum)
	cp "$tmp/mnt/discarded" "$tmp/mnt/expected"
	[[ ! -b /dev/vhost-blk-erase ]] || erase=/dev/vhost-blk-erase
	{
		echo "stable=$stable erase=$erase"
		guest_script tap.sh block.sh discard.sh fs.sh crash.sh run-fs.sh
	} >"$tmp/script"
	check "a guest with all kinds of disks comes to its end" fs_boot
	guest_results "$tmp/fs"
	check "what is read-only has not changed" \
		test "$sum" = "$(cat "$tmp/mnt/readonly" /dev/nullb3 | sha256sum)"
	check "limits: null_blk" same_limits block nullb0
	check "limits: null_blk of 4096 bytes" same_limits block-4k nullb2
	check "limits: striped, misaligned" same_limits striped dm-0
	check "limits: file, direct" file_limits direct 512
	check "limits: file, buffered" file_limits buffered 512
	check "discarded ranges are holes in the file, nothing else changed" thrown_away
	check "what the guest trimmed is gone from the file" trimmed
	dmsetup remove --noudevsync striped
	rm "$tmp"/mnt/{crash,direct,buffered,readonly,discarded,trimmed,expected}
}
