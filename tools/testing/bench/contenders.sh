# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of count.sh, time.sh and guest.sh that start and stop the other servers that
# the load generator can drive, on a block device.  The script that sources this file
# sets $here to this directory.

here=${here:?}

bench_pids=() bench_dirs=()

# value NAME DEFAULT LOAD: print the value of the option --NAME in LOAD.
value() {
	if [[ " $3 " =~ \ --$1\ ([0-9]+)\  ]]; then
		echo "${BASH_REMATCH[1]}"
	else
		echo "$2"
	fi
}

# bench_start SOCKET: start $bench_command and wait until it has created SOCKET.  Sets
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
	echo "${bench_command[0]##*/} did not start: there is no $1" >&2
	return 1
}

# bench_storage_daemon DEVICE AIO QUEUES [DEVICES]: start QEMU's vhost-user-blk server
# with one or several devices, all on DEVICE, each with an IOThread.  Sets
# $bench_sockets and $bench_pid.
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

# bench_qemu_device KIND DEVICE QUEUES: set $bench_device to the arguments for a disk of
# QEMU.  KIND is one of
#   vhost-blk          vhost-blk-pci with its default properties
#   vhost-blk-single   with one worker
#   vhost-blk-workers  with one worker per queue
#   vhost-blk-poll     with one worker, which polls empty queues
#   virtio-native      virtio-blk-pci with an IOThread and aio=native
#   virtio-io_uring    with an IOThread and aio=io_uring
#   virtio-nopoll      like virtio-io_uring, but the IOThread does not poll
#   virtio-mapping     like virtio-io_uring, with one IOThread per queue
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
	*) die "no such disk of QEMU: $1" ;;
	esac
	[[ -z $virtio ]] || bench_device+=(-drive
		"if=none,id=disk,file=$2,format=raw,cache.direct=on,aio=$aio" -device "$virtio")
}

# bench_qemu KIND DEVICE QUEUES: start $VHOST_BENCH_QEMU without a vCPU.  The program
# that connects to its qtest socket acts as the guest.  Sets $bench_socket and $bench_pid.
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

# End all processes that were started, wait for them, and remove their files.
# qemu-storage-daemon 7.2 sometimes does not end after its client has disconnected; it is
# killed after two seconds, with a message.
bench_stop() {
	local pid i stat
	for pid in "${bench_pids[@]}"; do
		kill "$pid"
		for ((i = 0; i < 20; i++)); do
			# The process may end before the file is read.
			stat=$(cat "/proc/$pid/stat" 2>/dev/null) || break
			[[ $stat != *") Z "* ]] || break
			sleep 0.1
		done
		if ((i == 20)); then
			echo "process $pid does not end and is killed" >&2
			kill -KILL "$pid"
		fi
		wait "$pid" || :
	done
	bench_pids=()
	rm -rf "${bench_dirs[@]}"
	bench_dirs=()
}

# bench_scsi_targets DEVICE N: create N targets for vhost-scsi that use LIO's iblock on
# DEVICE.  Sets $bench_wwpns.  rtslib keeps its files below /etc, which is read-only in a
# test host.
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
