# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The other servers that the load generator can drive, over a block device, and what
# count.sh and time.sh share.
# $here is this directory.

here=${here:?}

bench_pids=()

# value NAME DEFAULT LOAD: of an option in it
value() {
	if [[ " $3 " =~ \ --$1\ ([0-9]+)\  ]]; then
		echo "${BASH_REMATCH[1]}"
	else
		echo "$2"
	fi
}

# bench_storage_daemon DEVICE AIO QUEUES [DEVICES]: QEMU's server in userspace, with
# a device or several, all on the same one, each with an iothread; the sockets are
# left in $bench_sockets, and the pid in $bench_pid.
bench_storage_daemon() {
	local dir i
	dir=$(mktemp -d)
	bench_sockets=()
	bench_command=(qemu-storage-daemon)
	for ((i = 0; i < ${4:-1}; i++)); do
		bench_sockets+=("$dir/socket$i")
		# shellcheck disable=SC2054 # QEMU's commas
		bench_command+=(
			--blockdev "driver=host_device,node-name=disk$i,filename=$1,locking=off,cache.direct=on,aio=$2"
			--object "iothread,id=io$i"
			--export "vhost-user-blk,id=export$i,node-name=disk$i,writable=on,num-queues=$3,iothread=io$i,addr.type=unix,addr.path=$dir/socket$i")
	done
	"${bench_command[@]}" >&2 &
	bench_pid=$!
	bench_pids+=("$bench_pid")
	for ((i = 0; i < 300; i++)); do
		[[ -S ${bench_sockets[-1]} ]] && return
		[[ -d /proc/$bench_pid ]] || break
		sleep 0.1
	done
	echo "qemu-storage-daemon does not start" >&2
	return 1
}

# Whatever was started is ended, and waited for.  qemu-storage-daemon 7.2 has been
# seen not to end after its client was gone: that is said, and no more waited for.
bench_stop() {
	local pid i stat
	for pid in "${bench_pids[@]}"; do
		kill "$pid"
		for ((i = 0; i < 20; i++)); do
			# It may be gone before it has been read.
			stat=$(cat "/proc/$pid/stat" 2>/dev/null) || break
			[[ $stat != *") Z "* ]] || break
			sleep 0.1
		done
		if ((i == 20)); then
			echo "process $pid does not end: killed" >&2
			kill -KILL "$pid"
		fi
		wait "$pid" || :
	done
	bench_pids=()
}

# bench_scsi_targets DEVICE N: LIO's iblock on it, as N targets for vhost-scsi; their
# WWPNs are left in $bench_wwpns.  rtslib keeps its files below /etc, which is
# read-only in a test host.
bench_scsi_targets() {
	local i
	bench_wwpns=()
	for ((i = 1; i <= $2; i++)); do
		bench_wwpns+=("$(printf 'naa.5001405%09d' "$i")")
	done
	[[ -w /etc/rtslib-fb-target ]] || mount -t tmpfs tmpfs /etc/rtslib-fb-target
	/usr/bin/python3 "$here/scsi-target.py" "$1" "${bench_wwpns[@]}" >&2
}

bench_scsi_remove() {
	/usr/bin/python3 "$here/scsi-target.py" --remove "${bench_wwpns[@]}" >&2
}
