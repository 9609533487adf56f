# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The other servers that the load generator can drive, over a block device.
# $here is this directory.

here=${here:?}

bench_pids=()

# bench_storage_daemon DEVICE AIO QUEUES: QEMU's server in userspace; the
# socket's path is left in $bench_socket, and the pid in $bench_pid.
bench_storage_daemon() {
	local dir addr i
	dir=$(mktemp -d)
	bench_socket=$dir/socket
	addr=addr.type=unix,addr.path=$bench_socket
	# shellcheck disable=SC2054 # QEMU's commas
	bench_command=(qemu-storage-daemon
		--blockdev "driver=host_device,node-name=disk,filename=$1,cache.direct=on,aio=$2"
		--object iothread,id=io0
		--export "vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=$3,iothread=io0,$addr")
	"${bench_command[@]}" >&2 &
	bench_pid=$!
	bench_pids+=("$bench_pid")
	for ((i = 0; i < 300; i++)); do
		[[ -S $bench_socket ]] && return
		[[ -d /proc/$bench_pid ]] || break
		sleep 0.1
	done
	echo "qemu-storage-daemon does not start" >&2
	return 1
}

# Whatever was started is ended, and waited for.  qemu-storage-daemon 7.2 has been
# seen not to end after its client was gone: that is said, and no more waited for.
bench_stop() {
	local pid i
	for pid in "${bench_pids[@]}"; do
		kill "$pid"
		for ((i = 0; i < 100; i++)); do
			[[ -d /proc/$pid && $(<"/proc/$pid/stat") != *") Z "* ]] || break
			sleep 0.1
		done
		if ((i == 100)); then
			echo "process $pid does not end: killed" >&2
			kill -KILL "$pid"
		fi
		wait "$pid" || :
	done
	bench_pids=()
}

# bench_scsi_target DEVICE: LIO's iblock on it, as a target for vhost-scsi; its
# WWPN is left in $bench_wwpn.  rtslib keeps its files below /etc, which is
# read-only in a test host.
bench_scsi_target() {
	bench_wwpn=naa.5001405000000001
	mountpoint -q /etc/rtslib-fb-target || mount -t tmpfs tmpfs /etc/rtslib-fb-target
	/usr/bin/python3 "$here/scsi-target.py" "$1" "$bench_wwpn" >&2
}
