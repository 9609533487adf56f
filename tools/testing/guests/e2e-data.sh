# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Parts of e2e.sh that need a guest: data, reset, firmware.

# Runs in the guest: identity of each disk, data by fio, a pattern that the
# host looks for, and a disk that must refuse writes.
data_script() {
	cat <<-'SCRIPT'
	for disk in vda vdb vdc vdd vde; do
		sys=/sys/block/$disk
		echo "$disk: $(cat $sys/serial) $(cat $sys/size) ro=$(cat $sys/ro)" \
			"queues=$(ls $sys/mq | wc -l)" \
			"segments=$(cat $sys/queue/max_segments)"
	done
	failed=0
	for disk in vda vdb vdc vde; do
		fio --name=$disk --filename=/dev/$disk --rw=randwrite --bsrange=512-64k \
			--bs_unaligned=0 --blockalign=512 --offset=1m --size=6m \
			--direct=1 --ioengine=io_uring --iodepth=16 --numjobs=2 \
			--offset_increment=16m --group_reporting --verify=crc32c \
			--verify_fatal=1 --fsync=64 \
			--output-format=terse --terse-version=3 >/tmp/fio 2>&1
		status=$?
		# Field 5 of the terse line is its error.
		error=$(sed -n '/^3;/p' /tmp/fio | cut -d';' -f5)
		[ "$status $error" = "0 0" ] || { cat /tmp/fio; status=1; }
		echo "fio $disk: $status"
		[ $status = 0 ] || failed=1
		# 1 MiB of random data, at 64 MiB
		dd if=/dev/urandom of=/tmp/random bs=64k count=16 2>/dev/null
		dd if=/tmp/random of=/dev/$disk bs=64k seek=1024 conv=fsync 2>/dev/null || failed=1
		echo "sum $disk: $(sha256sum </tmp/random)"
	done
	# Of the 64 characters the first is bit 0.
	echo "vde: features $(cut -c33-40 /sys/block/vde/device/features)"
	dd if=/dev/zero of=/dev/vdd bs=4k count=1 conv=fsync 2>/dev/null &&
		echo "vdd: written" || echo "vdd: refused"
	echo "vdd: $(sha256sum </dev/vdd)"
	echo "vdd: $(grep virtio3 /proc/interrupts | grep -oE 'IO-APIC|PCI-MSI' | sort -u)"
	exit $failed
	SCRIPT
}

arrived() {
	local disk=$1 file=$2 sum
	sum=$(dd if="$file" bs=64k skip=1024 count=16 iflag=direct 2>/dev/null | sha256sum)
	says "$tmp/data" "sum $disk: $sum"
}

test_data() {
	local dir=$tmp/mnt sum
	data_script >"$tmp/script"
	truncate -s 128M "$dir/direct" "$dir/buffered" "$dir/legacy"
	head -c 1M /dev/urandom >"$dir/readonly"
	sum=$(sha256sum <"$dir/readonly")
	: >"$tmp/data"

	data_guest() {
		run_guest --timeout 420 --script "$tmp/script" -- \
			-device vhost-blk-pci,path=/dev/nullb0,serial=block-device,num-queues=4 \
			-device "vhost-blk-pci,path=$dir/direct,direct=on,serial=a-direct-file-twenty,queue-size=64" \
			-device "vhost-blk-pci,path=$dir/buffered,direct=off,serial=buffered,queue-size=1024" \
			-device "vhost-blk-pci,path=$dir/readonly,readonly=on,serial=readonly,num-queues=1,vectors=0" \
			-device "vhost-blk-pci,path=$dir/legacy,disable-modern=on,disable-legacy=off,serial=legacy" \
			>"$tmp/data" || { local status=$?; cat "$tmp/data"; return "$status"; }
	}
	check "a guest runs fio on five disks to its end" data_guest
	check "block device: serial, size, queues" says "$tmp/data" \
		"vda: block-device 524288 ro=0 queues=2 segments=254"
	check "file: serial of 20 bytes, size, queues, segments of a queue of 64" says "$tmp/data" \
		"vdb: a-direct-file-twenty 262144 ro=0 queues=2 segments=62"
	check "read-only file: ro, one queue" says "$tmp/data" \
		"vdd: readonly 2048 ro=1 queues=1 segments=254"
	check "legacy: serial, size, queues" says "$tmp/data" \
		"vde: legacy 262144 ro=0 queues=2 segments=254"
	check "legacy: no bit above 31 was negotiated" says "$tmp/data" "vde: features 00000000"
	check "block device: fio verifies crc32c" says "$tmp/data" "fio vda: 0"
	check "file, direct: fio verifies crc32c" says "$tmp/data" "fio vdb: 0"
	check "file, buffered: fio verifies crc32c" says "$tmp/data" "fio vdc: 0"
	check "legacy: fio verifies crc32c" says "$tmp/data" "fio vde: 0"
	check "block device: the data is where the host expects it" arrived vda /dev/nullb0
	check "file, direct: the data is where the host expects it" arrived vdb "$dir/direct"
	check "file, buffered: the data is where the host expects it" arrived vdc "$dir/buffered"
	check "legacy: the data is where the host expects it" arrived vde "$dir/legacy"
	check "read-only file: a write is refused" says "$tmp/data" "vdd: refused"
	check "read-only file: served without MSI-X" says "$tmp/data" "vdd: IO-APIC"
	check "read-only file: the guest reads what is in it" says "$tmp/data" "vdd: $sum"
	check "read-only file: unchanged" test "$sum" = "$(sha256sum <"$dir/readonly")"
	rm "$dir/direct" "$dir/buffered" "$dir/readonly" "$dir/legacy"
}

# The first boot leaves a mark and is reset by the host while it writes, the
# second reboots itself, the third verifies.
reset_script() {
	cat <<-'SCRIPT'
	boot=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -d '\0')
	echo "boot ${boot:=0}"
	printf $((boot + 1)) | dd of=/dev/vda bs=512 count=1 conv=sync,fsync 2>/dev/null
	case $boot in
	0)	echo "now" >/dev/kmsg
		fio --name=load --filename=/dev/vda --offset=1m --size=16m --rw=randrw \
			--bs=4k --direct=1 --ioengine=io_uring --iodepth=32 --numjobs=2 \
			--time_based --runtime=100 >/dev/null 2>&1 &
		sleep 3
		echo loaded
		sleep 90
		exit 1 ;;
	1)	reboot -f
		sleep 30
		exit 1 ;;
	esac
	fio --name=after --filename=/dev/vda --offset=32m --size=4m --rw=randwrite --bs=4k \
		--direct=1 --ioengine=io_uring --iodepth=8 --verify=crc32c --verify_fatal=1
	SCRIPT
}

test_reset() {
	local disk=$tmp/mnt/reset
	reset_script >"$tmp/script"
	truncate -s 64M "$disk"
	mkfifo "$tmp/monitor.in" "$tmp/monitor.out"

	reset_guest() {
		local status=0
		exec {monitor}<>"$tmp/monitor.in"
		exec {answers}<>"$tmp/monitor.out"
		# Resets when the guest says that its disk is busy.
		run_guest --timeout 240 --reboots --script "$tmp/script" -- \
			-chardev "pipe,id=monitor,path=$tmp/monitor" -mon chardev=monitor \
			-device "vhost-blk-pci,path=$disk" |
		while read -r line; do
			echo "$line"
			[[ $line != loaded ]] || echo system_reset >&"$monitor"
		done >"$tmp/reset" || status=$?
		exec {monitor}>&- {answers}>&-
		((!status)) || cat "$tmp/reset"
		return "$status"
	}
	check "reset by the host under load, reboot, verify" reset_guest
	check "three boots" test "$(grep -c '^boot [012]$' "$tmp/reset")" = 3
	rm "$disk"
}

# A boot sector that says so on the serial port and leaves QEMU by its debug
# port: SeaBIOS has read it through queue 0 of the device.
boot_sector() {
	# 48 bytes, and zeroes up to the signature
	printf '\x31\xc0\x8e\xd8\xbe\x19\x7c\xfc\xac\x84\xc0\x74\x06\xba\xf8\x03\xee\xeb\xf5'
	printf '\xb0\x10\xe6\xf4\xeb\xfe'
	printf 'booted from vhost-blk\n\0'
	head -c $((510 - 48)) /dev/zero
	printf '\x55\xaa'
}

test_seabios() {
	local disk=$tmp/mnt/boot
	boot_sector >"$disk"
	truncate -s 1M "$disk"

	boot() {
		local status=0
		timeout 60 env ${object:+"LD_PRELOAD=$object"} "$qemu" \
			-accel tcg -machine q35 -nodefaults -no-user-config -display none \
			-L /usr/share/qemu -L /usr/share/seabios -no-reboot \
			-device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$tmp/boot" \
			-device "vhost-blk-pci,path=$disk,bootindex=1,num-queues=4" || status=$?
		cat "$tmp/boot"
		# 0x10, as isa-debug-exit makes an exit status of it
		[[ $status == 33 ]] && says "$tmp/boot" "booted from vhost-blk"
	}
	check "SeaBIOS boots from it (bootindex)" boot
	rm "$disk"
}
