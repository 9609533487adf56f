# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # $f: the factors of the backend
#
# The table [simple]: one block device of each kind

simple_nullb() {
	local attrs=(blocksize="${f[logical]}" virt_boundary="${f[boundary]}"
		discard="${f[discard]}" hw_queue_depth="${f[depth]}")
	local size=6
	[[ ${f[sectors]} == small ]] && attrs+=(max_sectors=16)
	[[ ${f[cache]} == wbfua ]] && attrs+=(cache_size=1)
	if [[ ${f[zoned]} == 1 ]]; then
		attrs+=(zoned=1 zone_size=2 zone_nr_conv=3)
		size=8
	fi
	nullb "$size" "${attrs[@]}"
}

simple_scsi() {
	local attrs=(sector_size="${f[logical]}" lbpu="${f[discard]}" lbpws="${f[discard]}"
		max_queue="${f[depth]}") size=6 exponent=0
	while ((f[logical] << exponent < f[physical])); do
		exponent=$((exponent + 1))
	done
	attrs+=(physblk_exp="$exponent")
	[[ ${f[integrity]} == 1 ]] && attrs+=(dif=1 dix=1)
	if [[ ${f[zoned]} == 1 ]]; then
		attrs+=(zbc=managed zone_size_mb=2 zone_nr_conv=3)
		size=8
	fi
	scsi 1 "$size" "${attrs[@]}" || return
	# WRITE SAME of scsi_debug does not update the guard tags.
	[[ ${f[integrity]} == 0 ]] ||
		put 0 "$(echo "/sys/block/${dev#/dev/}/device/scsi_disk"/*)/max_write_same_blocks"
}

simple_loop() {
	file loop 6 && loop "$file" "${f[logical]}"
}

# QEMU has this disk through the arguments of geometry.sh.
simple_nvme() {
	load nvme && retry 10 by_serial "geo$id"
}

simple_virtio() {
	load virtio_blk && retry 10 by_serial "geo$id"
}

# Change settings of an existing device.
simple_tune() {
	local queue
	queue=$(queue "$dev")
	put "${f[rotational]}" "$queue/rotational" || return
	if [[ ${f[sectors]} == small ]]; then
		put 8 "$queue/max_sectors_kb" || return
	fi
	if [[ ${f[discard]} == 0 ]]; then
		put 0 "$queue/discard_max_bytes" || return
	fi
	if [[ ${f[cache]} == none ]]; then
		put 'write through' "$queue/write_cache"
	fi
}

# Fail if the device does not have the properties in the table.
simple_is() {
	local queue segments boundary
	queue=$(queue "$dev")
	segments=$(<"$queue/max_segments")
	boundary=$(<"$queue/virt_boundary_mask")
	is "${f[logical]}" "$queue/logical_block_size" &&
	is "${f[physical]}" "$queue/physical_block_size" &&
	is "$((f[dma] - 1))" "$queue/dma_alignment" &&
	is "${f[rotational]}" "$queue/rotational" &&
	same boundary "$((boundary > 0))" &&
	same segments "$( ((segments > 128)) && echo many || echo few)" &&
	same discard "$(($(<"$queue/discard_max_bytes") > 0))" &&
	same zoned "$([[ $(<"$queue/zoned") != none ]] && echo 1 || echo 0)" &&
	same cache "$(cache_of "$queue")"
}

cache_of() {
	case $(<"$1/write_cache")/$(<"$1/fua") in
	'write back/0') echo wb ;;
	'write back/1') echo wbfua ;;
	*) echo none ;;
	esac
}

same() {
	[[ ${f[$1]} == "$2" ]] || {
		echo "$1 is $2, must be ${f[$1]}"
		return 1
	}
}
