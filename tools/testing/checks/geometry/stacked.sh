# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # of inside.sh: $f, $variant, $run, $verify
#
# The table [stacked]: a device on top of others.  There is no udev in the host, only the
# device nodes that the kernel creates in devtmpfs.

# members COUNT MIB: create the lower devices; sets $devs.
members() {
	local i list=()
	case ${f[member]} in
	scsi)
		scsi "$1" "$2" sector_size="${f[logical]}" lbpu="${f[discard]}" \
			lbpws="${f[discard]}" per_host_store="${store:-1}" || return
		list=("${devs[@]}")
		;;
	nullb)
		for ((i = 0; i < $1; i++)); do
			nullb "$2" blocksize="${f[logical]}" discard="${f[discard]}" || return
			list+=("$dev")
		done
		;;
	loop)
		for ((i = 0; i < $1; i++)); do
			file "member$i" "$2" && loop "$file" "${f[logical]}" || return
			list+=("$dev")
		done
		;;
	esac
	devs=("${list[@]}")
	for dev in "${devs[@]}"; do
		tune_member "$(queue "$dev")" || return
	done
}

tune_member() {
	if [[ ${f[sectors]} == small ]]; then
		put 8 "$1/max_sectors_kb" || return
	fi
	[[ ${f[discard]} == 1 ]] || put 0 "$1/discard_max_bytes"
}

sectors_of() {
	echo $(($(<"/sys/block/${1#/dev/}/size")))
}

# dm NAME TABLE: create a device mapper device; sets $dev.
dm() {
	dmsetup create --noudevsync --noudevrules "geo-$1" --table "$2" || return
	later retry 10 dmsetup remove --noudevsync --noudevrules "geo-$1"
	dev=/dev/$(dmsetup info -c --noheadings -o blkdevname "geo-$1")
	[[ -b $dev ]]
}

# Sectors: the devices are small, because tests fill and read them many times.
top=$((6 * 2048))

# --- MD

stop_md() {
	retry 20 mdadm --quiet --stop /dev/md0
}

md() {
	rm -f /dev/md0
	load md_mod && mknod /dev/md0 b 9 0 || return
	mdadm --quiet --create /dev/md0 --run --force --metadata=1.2 --assume-clean \
		--size=$((top / 2)) "$@" || return
	later stop_md
	dev=/dev/md0
}

stack_raid1() {
	members 2 8 && md --level=1 --raid-devices=2 --bitmap=none "${devs[@]}" || return
	verify=no_mismatches
}

stack_writebehind() {
	members 2 8 && md --level=1 --raid-devices=2 --bitmap=internal --write-behind=256 \
		"${devs[0]}" --write-mostly "${devs[1]}" || return
	verify=no_mismatches
}

# Half the size, because two of the three disks have data
stack_raid5() {
	members 3 8 && top=$((3 * 2048)) md --level=5 --raid-devices=3 --chunk=64 \
		--bitmap=none "${devs[@]}" || return
	verify=no_mismatches
}

idle_md() {
	is idle /sys/block/md0/md/sync_action >/dev/null
}

# Fail if copies, or data and parity, differ.
no_mismatches() {
	put check /sys/block/md0/md/sync_action &&
	retry 60 idle_md &&
	is 0 /sys/block/md0/md/mismatch_cnt
}

# --- device mapper

stack_crypt() {
	local key
	key=$(printf '%064d' 0 | tr 0 7)
	members 1 8 &&
	dm crypt "0 $top crypt aes-xts-plain64 $key 0 ${devs[0]} 0 $2 sector_size:$1"
}

stack_crypt512() {
	stack_crypt 512 0
}

stack_crypt4096() {
	stack_crypt 4096 '2 iv_large_sectors'
}

# The superblock has the usable size.  A sector has no checksum until it is written.
stack_integrity() {
	local sectors disk args
	members 1 12 || return
	disk=${devs[0]}
	args="integrity $disk 0 - J 2 internal_hash:crc32c block_size:${f[logical]}"
	dmsetup create --noudevsync --noudevrules geo-format --table "0 8 $args" &&
	dmsetup remove --noudevsync --noudevrules geo-format || return
	sectors=$(od -An -tu8 -j 16 -N 8 "$disk") || return
	((sectors >= top)) || { echo "room for ${sectors} sectors only"; return 1; }
	dm integrity "0 $top $args" &&
	dd if=/dev/zero of="$dev" bs=1M count=$((top / 2048)) oflag=direct status=none
}

# thin POOL SIZE: create a device of SIZE MiB in a pool of POOL MiB.
thin() {
	members 2 "$1" || return
	local blocks=$(($1 * 2048)) last
	dm pool "0 $blocks thin-pool ${devs[0]} ${devs[1]} 128 0 1 error_if_no_space" &&
	dmsetup message geo-pool 0 'create_thin 0' || return
	last=$dev
	dm thin "0 $(($2 * 2048)) thin $last 0"
}

# The pool is large: dm-thin counts the blocks that a discard has freed as free at once, but
# cannot allocate them before it commits, which it does each second.  A small pool fails
# writes after a discard until then.
stack_thin() {
	thin 32 6
}

stack_thinsmall() {
	thin 4 12 || return
	variant=bdev run=backend_full
}

stack_dmcache() {
	local mode=writeback
	[[ ${f[sectors]} == small ]] && mode=writethrough
	members 3 6 &&
	dm cache "0 $top cache ${devs[0]} ${devs[1]} ${devs[2]} 128 1 $mode default 0"
}

# Two SCSI disks with the same data
stack_multipath() {
	store=0 members 2 6 &&
	dm multipath "0 $top multipath 0 0 1 1 round-robin 0 2 1 ${devs[0]} 1 ${devs[1]} 1"
}

# --- bcache

stop_bcache() {
	local set
	put 1 /sys/block/bcache0/bcache/stop
	for set in /sys/fs/bcache/*-*-*; do
		put 1 "$set/stop" || return
	done
	retry 20 gone /sys/block/bcache0 && retry 20 no_sets
}

gone() {
	[[ ! -e $1 ]]
}

no_sets() {
	! compgen -G '/sys/fs/bcache/*-*-*' >/dev/null
}

# bcache needs more than 512 buckets, and is slow if few are free.  1/128 of them are its
# journal: with a smaller cache the journal is full after about 100 flushes, and then each
# flush waits for up to half a minute until bcache has written its keys.
stack_bcache() {
	local mode=() backing
	[[ ${f[sectors]} == large ]] && mode=(--writeback)
	members 1 6 && load bcache || return
	backing=${devs[0]}
	nullb 1024 blocksize="${f[logical]}" discard="${f[discard]}" || return
	make-bcache --block "${f[logical]}" --bucket 64k "${mode[@]}" -B "$backing" \
		-C "$dev" >/dev/null || return
	later stop_bcache
	put "$backing" /sys/fs/bcache/register &&
	put "$dev" /sys/fs/bcache/register &&
	retry 10 test -b /dev/bcache0 || return
	retry 10 is_in_set || return
	dev=/dev/bcache0
}

is_in_set() {
	[[ -e /sys/block/bcache0/bcache/cache ]]
}

# --- over the network, with the loopback interface

nvmet=/sys/kernel/config/nvmet

nvme_disk() {
	local disk
	for disk in /sys/class/nvme-subsystem/*; do
		if [[ -e $disk/subsysnqn && $(<"$disk/subsysnqn") == geo ]]; then
			dev=/dev/${disk##*/}n1
			dev=${dev/nvme-subsys/nvme}
			[[ -b $dev ]] && return
		fi
	done
	return 1
}

disconnect() {
	local control
	for control in /sys/class/nvme/*; do
		if [[ $(<"$control/subsysnqn") == geo ]]; then
			put 1 "$control/delete_controller" || return
		fi
	done
	! nvme_disk
}

stack_nvmet() {
	members 1 6 && ip link set lo up && load nvmet-tcp && load nvme-tcp || return
	mkdir "$nvmet/subsystems/geo" && later rmdir "$nvmet/subsystems/geo" || return
	put 1 "$nvmet/subsystems/geo/attr_allow_any_host" || return
	mkdir "$nvmet/subsystems/geo/namespaces/1" &&
		later rmdir "$nvmet/subsystems/geo/namespaces/1" || return
	put "${devs[0]}" "$nvmet/subsystems/geo/namespaces/1/device_path" &&
	put 1 "$nvmet/subsystems/geo/namespaces/1/enable" || return
	later put 0 "$nvmet/subsystems/geo/namespaces/1/enable"
	mkdir "$nvmet/ports/1" && later rmdir "$nvmet/ports/1" || return
	put tcp "$nvmet/ports/1/addr_trtype" && put ipv4 "$nvmet/ports/1/addr_adrfam" &&
	put 127.0.0.1 "$nvmet/ports/1/addr_traddr" && put 4420 "$nvmet/ports/1/addr_trsvcid" &&
	ln -s "$nvmet/subsystems/geo" "$nvmet/ports/1/subsystems/geo" || return
	later rm "$nvmet/ports/1/subsystems/geo"
	put nqn=geo,transport=tcp,traddr=127.0.0.1,trsvcid=4420 /dev/nvme-fabrics || return
	later retry 20 disconnect
	retry 10 nvme_disk
}

nbd_is_there() {
	(($(sectors_of /dev/nbd0) > 0))
}

stack_nbd() {
	local server=$tmp/nbd trim=false
	[[ ${f[discard]} == 1 ]] && trim=true
	members 1 6 && ip link set lo up || return
	printf '[generic]\nallowlist = true\n[geo]\nexportname = %s\nflush = true\nfua = true\ntrim = %s\n' \
		"${devs[0]}" "$trim" >"$server.conf"
	nbd-server -C "$server.conf" -p "$server.pid" || return
	later end_nbd_server "$server.pid"
	nbd-client 127.0.0.1 /dev/nbd0 -N geo -b "${f[logical]}" >/dev/null || return
	later nbd-client -d /dev/nbd0
	retry 10 nbd_is_there || return
	dev=/dev/nbd0
}

end_nbd_server() {
	local pid
	pid=$(<"$1") && kill "$pid" && retry 10 gone "/proc/$pid"
}

# --- DRBD, with both nodes in this host

drbd=/lib/drbd/drbdsetup-84

# drbd_node MINOR NAME DISK PORT PEER: start a node that connects to port PEER.
drbd_node() {
	drbdmeta --force "$1" v08 "$3" internal create-md >/dev/null &&
	"$drbd" new-resource "$2" || return
	later "$drbd" down "$2"
	"$drbd" new-minor "$2" "$1" 0 &&
	"$drbd" attach "$1" "$3" "$3" internal &&
	"$drbd" connect "$2" "127.0.0.1:$4" "127.0.0.1:$5" --protocol=C \
		--data-integrity-alg=crc32c
}

in_sync() {
	[[ $("$drbd" dstate 0) == UpToDate/UpToDate ]]
}

stack_drbd() {
	members 2 6 && ip link set lo up &&
	load drbd usermode_helper=disabled &&
	drbd_node 0 geo-a "${devs[0]}" 7788 7789 &&
	drbd_node 1 geo-b "${devs[1]}" 7789 7788 &&
	"$drbd" primary 0 --force || return
	later "$drbd" secondary 0
	retry 30 in_sync || return
	dev=/dev/drbd0
}

make_stacked() {
	variant=bdev_direct
	"stack_${f[kind]}" || return
	export VHOST_TEST_BDEV=$dev
}
