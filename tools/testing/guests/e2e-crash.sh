# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Part of e2e.sh: a guest fsyncs files on ext4 and xfs while dm-log-writes keeps
# a log of what reaches its disks; then the disk is checked as it was after each
# flush.  VHOST_CRASH_FILES is the number of files that are fsynced on each of the two,
# VHOST_CRASH_EXT4 and VHOST_CRASH_XFS the number of flushes that are checked, evenly
# spread, or 0 for all.

CRASH_MIB=64		# of a disk
CRASH_BATCH=16		# disks that are looked at in one boot of the guest
CRASH_LOG_MIB=2048

# crash_prepare GUEST: the program, and a guest that has it too, as a second archive
# behind the first, which the kernel unpacks as well.  Prints their directory.
crash_prepare() {
	local lib=$VB_TOP/tools/testing/selftests/vhost/lib/disk work entry
	entry=$VB_CACHE/guest/fscrash-$(cache_key "$VB_GUESTS/fscrash.c" "$VB_GUESTS/e2e-crash.sh" \
		"$lib/dm.c" "$lib/logwrites.c" "$(basename "$(realpath "$1")")")
	if [[ ! -e $entry ]]; then
		work=$(scratch_dir)
		mkdir -p "$work/root/bin" "$work/out"
		gcc -O2 -Wall -Wextra -Werror -static -pthread -s -I"$lib" -o "$work/out/fscrash" \
			"$VB_GUESTS/fscrash.c" "$lib/dm.c" "$lib/logwrites.c"
		cp "$work/out/fscrash" "$work/root/bin/"
		(cd "$work/root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/more"
		cat "$1/initrd" "$work/more" >"$work/out/initrd"
		cp "$1/vmlinuz" "$work/out/"
		publish "$work/out" "$entry"
		rm -rf "$work"
		keep_newest 2 "$VB_CACHE/guest/fscrash-"*
	fi
	echo "$entry"
}

# crash_disk NAME: a disk with a log; dm_of[NAME] becomes its node.
crash_disk() {
	make_null_blk "$1" "$CRASH_MIB" irqmode=2 completion_nsec=50000
	make_null_blk "$1-log" "$CRASH_LOG_MIB"
	dmsetup create "$1" --noudevsync --table \
		"0 $((CRASH_MIB * 2048)) log-writes $(null_blk_node "$1") $(null_blk_node "$1-log")"
	dm_of[$1]=/dev/dm-$(dmsetup info -c --noheadings -o minor "$1" | tr -d ' ')
}

null_blk_node() {
	local node=/dev/$1
	[[ -b $node ]] || node=/dev/nullb$(<"/sys/kernel/config/nullb/$1/index")
	echo "$node"
}

remove_null_blk() {
	echo 0 >"/sys/kernel/config/nullb/$1/power"
	rmdir "/sys/kernel/config/nullb/$1"
}

# The load; each file that the guest says to be stable is a mark in the log.
crash_load() {
	local ended
	{
		cat "$VB_GUESTS/guest/tap.sh"
		cat <<-EOT
			mkdir /ext4 /xfs
			mkfs.ext4 -q -F /dev/\$(disk ext4) && mount -t ext4 /dev/\$(disk ext4) /ext4 || exit
			mkfs.xfs --unsupported -q -f -l size=10m /dev/\$(disk xfs) && mount -t xfs /dev/\$(disk xfs) /xfs || exit
			fscrash run ext4 /ext4 $VHOST_CRASH_FILES >/dev/ttyS1 &
			fscrash run xfs /xfs $VHOST_CRASH_FILES >/dev/ttyS1
			status=\$?
			wait \$! && exit \$status
		EOT
	} >"$tmp/script"
	run_guest --timeout $((VHOST_CRASH_FILES + 300)) --mem 512M --script "$tmp/script" -- \
		-device "vhost-blk-pci,path=${dm_of[ext4]},serial=ext4" \
		-device "vhost-blk-pci,path=${dm_of[xfs]},serial=xfs,num-queues=2" |
		"$fscrash" mark ext4 xfs >"$tmp/load"
	ended=("${PIPESTATUS[@]}")
	((!ended[0] && !ended[1])) || { tail -n 30 "$tmp/load"; return 1; }
}

# crash_replay FS FIRST STEP COUNT: the disks to the null_blk $images; prints the points
crash_replay() {
	"$fscrash" replay "$(null_blk_node "$1-log")" $((CRASH_MIB << 20)) "$images" "${@:2}"
}

# host_point LOOP FILES…
host_point() {
	local status=0
	mount -t ext4 "$1" "$tmp/image" || return
	"$fscrash" check "$tmp/image" "${@:2}" || status=$?
	umount "$tmp/image" && e2fsck -f -n "$1" || return
	return "$status"
}

# host_points POINTS: ext4, which this kernel has.
host_points() {
	local at=1 flush files loop status=0
	while read -r flush files; do
		[[ $flush != flushes ]] || continue
		loop=$(losetup --show -f -o "${at}M" --sizelimit "${CRASH_MIB}M" "$images")
		echo "ext4, flush $flush:"
		# shellcheck disable=SC2086 # they are words
		host_point "$loop" $files || status=$?
		losetup -d "$loop"
		((!status)) || return "$status"
		at=$((at + CRASH_MIB))
	done <"$1"
}

# guest_points POINTS: xfs, as the partitions of one disk.
guest_points() {
	local nr=0 flush files status=0
	{
		echo "label: gpt"
		for ((nr = 0; nr < CRASH_BATCH; nr++)); do
			echo "start=$((2048 * (1 + nr * CRASH_MIB))), size=$((2048 * CRASH_MIB))"
		done
	} | sfdisk -q --no-reread --no-tell-kernel "$images" || return
	{
		cat <<-'EOT'
			point() {
				part=/dev/vda$1
				echo "xfs, flush $2:"
				mount -t xfs "$part" /mnt || exit
				shift 2
				fscrash check /mnt "$@" || exit
				umount /mnt && xfs_repair -n "$part" >/tmp/repair 2>&1 && return
				cat /tmp/repair
				exit 1
			}
		EOT
		nr=0
		while read -r flush files; do
			[[ $flush == flushes ]] || echo "point $((++nr)) $flush $files"
		done <"$1"
	} >"$tmp/script"
	run_guest --timeout 1800 --mem 512M --script "$tmp/script" -- \
		-device "vhost-blk-pci,path=$images" || status=$?
	return "$status"
}

# crash_points FS HOW COUNT: check COUNT flushes, or all if it is 0; sets `seen` to the
# number checked and `total` to that of all.
crash_points() {
	local fs=$1 how=$2 count=$3 step images first batch
	make_null_blk "images-$fs" 1
	images=$(null_blk_node "images-$fs")
	total=$(crash_replay "$fs" 1 1 0 | sed -n 's/^flushes //p')
	remove_null_blk "images-$fs"
	step=$((count ? (total + count - 1) / count : 1))
	echo "$fs: $total flushes, every ${step}th is looked at"
	((step)) || return
	for ((first = 1; first <= total; first += step * CRASH_BATCH)); do
		make_null_blk "images-$fs" $((CRASH_MIB * CRASH_BATCH + 2))
		images=$(null_blk_node "images-$fs")
		crash_replay "$fs" "$first" "$step" "$CRASH_BATCH" >"$tmp/points" || return
		batch=$(grep -cv '^flushes' "$tmp/points")
		"$how" "$tmp/points" || return
		seen=$((seen + batch))
		remove_null_blk "images-$fs"
		# check() shows output only after a failure, and this takes long.
		note "$fs: $seen of $(((total + step - 1) / step)) flushes looked at" 2>&"$progress"
	done
}

# crash_check FS HOW COUNT: in a subshell of check, so that the figures are printed
crash_check() {
	local seen=0 total=0
	crash_points "$@" || return
	echo "# $1: $seen of $total flushes were looked at: clean, and no file lost" >>"$tmp/figures"
	((seen >= 4))
}

test_crash() {
	local fscrash=$VHOST_E2E_GUEST/fscrash progress
	local -A dm_of=()
	exec {progress}>&2
	mkdir "$tmp/image"
	crash_disk ext4
	crash_disk xfs
	check "a guest fsyncs files on ext4 and xfs" crash_load
	dmsetup remove --noudevsync ext4
	dmsetup remove --noudevsync xfs
	echo "# $(grep -c '^crash ext4' "$tmp/load") files became stable on ext4, $(grep -c '^crash xfs' "$tmp/load") on xfs"
	check "ext4: each flush leaves a file system with all that was fsynced" \
		crash_check ext4 host_points "$VHOST_CRASH_EXT4"
	check "xfs: each flush leaves a file system with all that was fsynced" \
		crash_check xfs guest_points "$VHOST_CRASH_XFS"
	[[ ! -e $tmp/figures ]] || cat "$tmp/figures"
}
