# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Part of e2e.sh: host-managed zoned disks, one with every kind of limit for the
# requests, one without for a file system.

zoned_boot() {
	run_guest --timeout 600 --mem 512M --script "$tmp/script" -- \
		-device vhost-blk-pci,path=/dev/nullb0,serial=zoned \
		-device vhost-blk-pci,path=/dev/nullb2,serial=btrfs \
		>"$tmp/zoned" || { local status=$?; tail -n 60 "$tmp/zoned"; return "$status"; }
}

# same_zones SERIAL BLOCKDEV: the zones are what the guest took them for.
same_zones() {
	diff <(sed -n "s/^$1   start/  start/p" "$tmp/zoned") <(blkzone report "/dev/$2")
}

# same_zone_limits SERIAL BLOCKDEV: the guest sees the device's own; appends may be
# shorter.
same_zone_limits() {
	local attribute value
	for attribute in zoned chunk_sectors nr_zones max_open_zones max_active_zones \
			zone_write_granularity; do
		says "$tmp/zoned" "zoned $1 $attribute $(<"/sys/block/$2/queue/$attribute")" || return
	done
	value=$(sed -n "s/^zoned $1 zone_append_max_bytes //p" "$tmp/zoned")
	echo "appends of $value bytes"
	((value > 0 && value <= $(<"/sys/block/$2/queue/zone_append_max_bytes")))
}

test_zoned() {
	make_null_blk nullb0 256 zoned=1 zone_size=4 zone_capacity=3 zone_nr_conv=2 \
		zone_max_open=6 zone_max_active=10
	make_null_blk nullb2 512 zoned=1 zone_size=4
	guest_script tap.sh fs.sh zoned.sh run-zoned.sh >"$tmp/script"
	check "a guest with zoned disks comes to its end" zoned_boot
	guest_results "$tmp/zoned"
	check "limits: as the host has them" same_zone_limits zoned nullb0
	check "limits: none where the host has none" same_zone_limits btrfs nullb2
	check "the host sees the same zones" same_zones zoned nullb0
	check "the host sees the same zones of btrfs" same_zones btrfs nullb2
}
