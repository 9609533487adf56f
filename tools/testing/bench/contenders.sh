# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The other servers that the load generator can drive, over a block device, and what
# count.sh, time.sh and guest.sh share.
# $here is this directory.

here=${here:?}

bench_pids=() bench_dirs=()

# value NAME DEFAULT LOAD: of an option in it
value() {
	if [[ " $3 " =~ \ --$1\ ([0-9]+)\  ]]; then
		echo "${BASH_REMATCH[1]}"
	else
		echo "$2"
	fi
}

# bench_start SOCKET: $bench_command, until its socket is there; its pid is left in
# $bench_pid.
bench_start() {
	local i
	"${bench_command[@]}" >&2 &
	bench_pid=$!
	bench_pids+=("$bench_pid")
	for ((i = 0; i < 300; i++)); do
		[[ -S $1 ]] && return
		[[ -d /proc/$bench_pid ]] || break
		sleep 0.1
	done
	echo "${bench_command[0]##*/} does not start" >&2
	return 1
}

# bench_storage_daemon DEVICE AIO QUEUES [DEVICES]: QEMU's server in userspace, with
# a device or several, all on the same one, each with an iothread; the sockets are
# left in $bench_sockets, and the pid in $bench_pid.
bench_storage_daemon() {
	local dir i
	dir=$(mktemp -d)
	bench_dirs+=("$dir")
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
	bench_start "${bench_sockets[-1]}"
}

# bench_qemu_device KIND DEVICE QUEUES: QEMU's arguments for its disk, in $bench_device.
# KIND: vhost-blk (as it is by default), vhost-blk-single (one worker), vhost-blk-workers
# (one for each queue), vhost-blk-poll, or virtio-blk with an IOThread and
# virtio-native, virtio-io_uring, virtio-nopoll (io_uring; the IOThread sleeps at once
# where there is nothing to do), virtio-mapping (io_uring, an IOThread for each queue).
bench_qemu_device() {
	local i vhost="vhost-blk-pci,path=$2,num-queues=$3" virtio='' aio=io_uring mapping=''
	case $1 in
	vhost-blk) bench_device=(-device "$vhost") ;;
	vhost-blk-single) bench_device=(-device "$vhost,workers=1") ;;
	vhost-blk-workers) bench_device=(-device "$vhost,workers=$3") ;;
	vhost-blk-poll) bench_device=(-device "$vhost,workers=1,poll-us=50") ;;
	virtio-native | virtio-io_uring | virtio-nopoll)
		[[ $1 != virtio-native ]] || aio=native
		bench_device=(-object "iothread,id=io0")
		[[ $1 != virtio-nopoll ]] || bench_device=(-object "iothread,id=io0,poll-max-ns=0")
		virtio="virtio-blk-pci,drive=disk,num-queues=$3,iothread=io0"
		;;
	virtio-mapping)
		bench_device=()
		for ((i = 0; i < $3; i++)); do
			bench_device+=(-object "iothread,id=io$i")
			mapping+="${mapping:+,}{\"iothread\":\"io$i\"}"
		done
		virtio="{\"driver\":\"virtio-blk-pci\",\"drive\":\"disk\",\"num-queues\":$3,"
		virtio+="\"iothread-vq-mapping\":[$mapping]}"
		;;
	*) die "no such disk of QEMU's: $1" ;;
	esac
	[[ -z $virtio ]] || bench_device+=(-drive
		"if=none,id=disk,file=$2,format=raw,cache.direct=on,aio=$aio" -device "$virtio")
}

# bench_qemu KIND DEVICE QUEUES: $VHOST_BENCH_QEMU without a vCPU, whose guest is whoever
# has its qtest socket, which is left in $bench_socket, and its pid in $bench_pid.
bench_qemu() {
	local dir
	dir=$(mktemp -d)
	bench_dirs+=("$dir")
	bench_socket=$dir/qtest
	truncate -s 256M "$bench_socket.mem"
	bench_qemu_device "$@"
	bench_command=("$VHOST_BENCH_QEMU" -accel qtest -machine "q35,memory-backend=ram" -m 256M
		-object "memory-backend-file,id=ram,size=256M,share=on,mem-path=$bench_socket.mem"
		-nodefaults -no-user-config -display none -L /usr/share/qemu -L /usr/share/seabios
		-qtest "unix:$bench_socket,server=on,wait=off" -qtest-log none "${bench_device[@]}")
	bench_start "$bench_socket"
}

# Whatever was started is ended, and waited for, and its files are removed.
# qemu-storage-daemon 7.2 has been seen not to end after its client was gone: that is
# said, and no more waited for.
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
	rm -rf "${bench_dirs[@]}"
	bench_dirs=()
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
