# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that create block devices and file systems in a test host, and remove them.
#
# A function that creates something registers the command that removes it with `later`.
# `undo` runs these commands in reverse order.  A step that fails ends the function with
# an error.

undo_list=()

# later COMMAND...: register a command for undo().
later() {
	undo_list+=("$(printf '%q ' "$@")")
}

# Run all registered commands, even if some fail.
undo() {
	local i status=0
	for ((i = ${#undo_list[@]} - 1; i >= 0; i--)); do
		eval "${undo_list[i]}" || {
			echo "this command failed: ${undo_list[i]}"
			status=1
		}
	done
	undo_list=()
	return "$status"
}

load() {
	modprobe -d "$VHOST_MODULES" "$@"
}

# retry SECONDS COMMAND...: repeat the command until it succeeds.
retry() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done 2>/dev/null
}

queue() {
	echo "/sys/block/${1#/dev/}/queue"
}

# put VALUE FILE: write the value to the file.
put() {
	echo "$1" >"$2"
}

# is VALUE FILE: fail if the file does not contain the value.
is() {
	[[ $(<"$2") == "$1" ]] || {
		echo "$2 is $(<"$2"), must be $1"
		return 1
	}
}

# nullb SIZE NAME=VALUE...: create a null_blk of SIZE MiB; sets $dev.
nullb_count=0
nullb() {
	local dir size=$1 attr
	dir=/sys/kernel/config/nullb/geo$((nullb_count++))
	shift
	mkdir "$dir" || return
	later rmdir "$dir"
	for attr in memory_backed=1 size="$size" irqmode=0 submit_queues=1 "$@" power=1; do
		put "${attr#*=}" "$dir/${attr%%=*}" || return
	done
	later put 0 "$dir/power"
	dev=/dev/nullb$(<"$dir/index")
	[[ -b $dev ]] || dev=/dev/${dir##*/}
	[[ -b $dev ]]
}

scsi_disks() {
	local disk
	devs=()
	for disk in /sys/block/sd*; do
		[[ -e $disk/device/model && $(<"$disk/device/model") == scsi_debug* &&
		   -b /dev/${disk##*/} ]] || continue
		devs+=("/dev/${disk##*/}")
	done
	((${#devs[@]} == $1))
}

# scsi DISKS SIZE NAME=VALUE...: create disks of SIZE MiB; sets $devs and $dev.
scsi() {
	local disks=$1 size=$2
	shift 2
	if [[ -d /sys/module/scsi_debug ]]; then
		retry 10 load -r scsi_debug || return
	fi
	load scsi_debug add_host="$disks" dev_size_mb="$size" delay=0 lbprz=1 "$@" || return
	later retry 20 load -r scsi_debug
	retry 10 scsi_disks "$disks" || return
	dev=${devs[0]}
}

# loop FILE BLOCK: create a loop device with blocks of BLOCK bytes; sets $dev.
loop() {
	dev=$(losetup -f) && losetup -b "$2" "$dev" "$1" || return
	later losetup -d "$dev"
}

# file NAME MIB: create a file in memory; sets $file.
file() {
	file=/dev/shm/geo-$1
	truncate -s "$2M" "$file" || return
	later rm "$file"
}

# by_serial SERIAL: find the disk of QEMU with this serial number; sets $dev.
by_serial() {
	local disk
	for disk in /sys/block/*; do
		local serial=''
		if [[ -e $disk/serial ]]; then
			serial=$(<"$disk/serial")
		elif [[ -e $disk/device/serial ]]; then
			serial=$(<"$disk/device/serial")
		fi
		if [[ ${serial// /} == "$1" ]]; then
			dev=/dev/${disk##*/}
			return
		fi
	done
	echo "no disk with the serial number $1"
	return 1
}
