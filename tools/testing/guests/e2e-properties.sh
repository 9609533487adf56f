# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Part of e2e.sh: bad properties of the device.  Each ends QEMU with one line
# that names the property and the cause.

# start WRAPPER… -- PROPERTIES [ARGUMENT…]: create the device, then quit.
start() {
	local wrapper=() properties
	while [[ $1 != -- ]]; do
		wrapper+=("$1")
		shift
	done
	properties=$2
	shift 2
	echo quit | "${wrapper[@]}" timeout 60 env ${object:+"LD_PRELOAD=$object"} "$qemu" \
		-accel tcg -machine q35 -nodefaults -no-user-config -display none -S \
		-L /usr/share/qemu -L /usr/share/seabios -monitor stdio \
		-device "vhost-blk-pci$properties" "$@"
}

# refused PATTERN [WRAPPER…] -- PROPERTIES [ARGUMENT…]: no device, one line
# about it, which matches.
refused() {
	local pattern=$1 status=0 out
	shift
	out=$(start "$@" 2>&1) || status=$?
	out=$(grep -v '^QEMU .* monitor' <<<"$out" | tr -d '\r') || :
	echo "status $status, QEMU said: $out"
	[[ $status == 1 && $out != *$'\n'* && $out =~ $pattern ]]
}

accepted() {
	start "$@"
}

# in_private_dev COMMAND… : with a /dev of its own, without /dev/vhost-blk.
in_private_dev() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m bash -euc '
		number=$(stat -c "%Hr %Lr" /dev/vhost-blk)
		mount -t tmpfs -o mode=755 tmpfs /dev
		mknod -m 666 /dev/null c 1 3
		mknod -m 666 /dev/urandom c 1 9
		[[ $1 == absent ]] || mknod -m 000 /dev/vhost-blk c $number
		shift
		exec "$@"' bash "$@"
}

# Runs a QEMU that has the file FILE, and COMMAND while it does.
while_in_use() {
	local device=$1 status=0 holder
	shift
	mkfifo "$tmp/hold.in" "$tmp/hold.out"
	exec {hold}<>"$tmp/hold.in" {answer}<>"$tmp/hold.out"
	# shellcheck disable=SC2086 # words
	env ${object:+"LD_PRELOAD=$object"} "$qemu" -accel tcg -machine q35 -nodefaults \
		-no-user-config -display none -S -L /usr/share/qemu -L /usr/share/seabios \
		-chardev "pipe,id=hold,path=$tmp/hold" -mon chardev=hold $device &
	holder=$!
	# It has its first prompt before its devices; it answers behind them.
	echo "info status" >&"$hold"
	read -r -t 60 -d ':' -u "$answer" || status=1
	((status)) || "$@" || status=$?
	echo quit >&"$hold"
	wait "$holder" || status=1
	exec {hold}>&- {answer}>&-
	rm "$tmp/hold.in" "$tmp/hold.out"
	return "$status"
}

# there_are_workers N: of all devices; their threads are QEMU's from Linux 6.4 on.
there_are_workers() {
	local found
	found=$(cat /proc/[0-9]*/task/*/comm | grep -c '^vhost-') || :
	echo "$found workers"
	((found == $1))
}

with_fd() {
	local redirection=$1
	shift
	eval "\"\$@\" 9$redirection"
}

test_properties() {
	local file=$tmp/mnt/file
	truncate -s 1M "$file"
	mkfifo "$tmp/pipe"

	check "it starts" accepted -- ",path=$file"
	check "no path" refused ' path: missing' -- ""
	check "no such file" refused ' path: .*No such file' -- ,path=/no/such
	check "a directory" refused ' path: .* is a directory' -- ",path=$tmp"
	check "a character device" refused ' path: .* is a character device' -- ,path=/dev/null
	check "a pipe" refused ' path: .* is a pipe' -- ",path=$tmp/pipe"
	check "path and fd" refused ' path: .*together with fd' -- ",path=$file,fd=3"
	check "fd: not open" refused ' fd: .*Bad file' -- ,fd=99
	check "fd: not a number" refused ' fd: ' -- ,fd=none
	check "fd: for reading alone" with_fd "<$file" \
		refused ' fd: .*readonly=on' -- ,fd=9
	check "fd: for reading alone, readonly=on" with_fd "<$file" \
		accepted -- ,fd=9,readonly=on
	check "fd: for writing alone" with_fd ">>$file" refused ' fd: .*write-only' -- ,fd=9
	check "fd: for both" with_fd "<>$file" accepted -- ,fd=9
	check "direct with fd" refused ' direct: .*fd' -- ,fd=9,direct=on
	for value in 0 2 3 100 2048; do
		check "queue-size=$value" refused " queue-size: $value is not a power of two" \
			-- ",path=$file,queue-size=$value"
	done
	for value in 0 65; do
		check "num-queues=$value" refused " num-queues: $value is not" \
			-- ",path=$file,num-queues=$value"
	done
	check "num-queues=64,queue-size=1024" accepted -- ",path=$file,num-queues=64,queue-size=1024"
	check "workers=0" refused ' workers: 0 is not' -- ",path=$file,workers=0"
	check "more workers than queues" refused ' workers: 3 is not' \
		-- ",path=$file,num-queues=2,workers=3"
	local each=3
	case $(uname -r) in
	6.[0-4].* | 6.[0-4]-*)
		each=1
		check "workers=2 on a kernel with one" refused ' workers: this kernel' \
			-- ",path=$file,num-queues=2,workers=2" ;;
	*)
		check "workers=2" accepted -- ",path=$file,num-queues=2,workers=2" ;;
	esac
	check "a worker for each queue, or the one that there is" while_in_use \
		"-device vhost-blk-pci,path=$file,num-queues=3" there_are_workers "$each"
	check "workers=1" while_in_use "-device vhost-blk-pci,path=$file,num-queues=3,workers=1" \
		there_are_workers 1
	check "poll-us" accepted -- ",path=$file,poll-us=50"
	check "write-cache=off" accepted -- ",path=$file,write-cache=off"
	check "write-cache=off,config-wce=off" accepted -- ",path=$file,write-cache=off,config-wce=off"
	check "a geometry" accepted -- ",path=$file,cyls=32,heads=16,secs=63,lcyls=32,lheads=16,lsecs=63"
	check "half a geometry" refused ' heads: 0 is not' -- ",path=$file,cyls=32"
	check "cyls=65536" refused ' cyls: 65536 is not' -- ",path=$file,cyls=65536,heads=1,secs=1"
	check "secs=256" refused ' secs: 256 is not' -- ",path=$file,cyls=1,heads=1,secs=256"
	for value in max-discard-sectors max-write-zeroes-sectors; do
		check "$value=0" refused " $value: 0" -- ",path=$file,$value=0"
	done
	check "a serial of 21 bytes" refused ' serial: longer than 20' \
		-- ",path=$file,serial=123456789012345678901"
	check "direct: not a switch" refused "'direct'" -- ",path=$file,direct=maybe"
	check "drive" refused "'vhost-blk-pci.drive' not found" -- ,drive=none
	check "iothread" refused "'vhost-blk-pci.iothread' not found" -- ",path=$file,iothread=none"

	check "vhostfd: given" with_fd "<>/dev/vhost-blk" accepted -- ",path=$file,vhostfd=9"
	check "vhostfd: something else" with_fd "<>/dev/null" \
		refused ' vhostfd: not a file descriptor of /dev/vhost-blk' -- ",path=$file,vhostfd=9"
	check "vhostfd: not open" refused ' vhostfd: .*Bad file' -- ",path=$file,vhostfd=99"
	check "/dev/vhost-blk: missing" refused ' vhostfd: .*No such file.*vhost_blk loaded' \
		in_private_dev absent -- ",path=$file"
	check "/dev/vhost-blk: not permitted" refused ' vhostfd: .*Permission denied' \
		in_private_dev closed setpriv --bounding-set=-dac_override,-dac_read_search \
		-- ",path=$file"

	check "a block device" accepted -- ,path=/dev/nullb0
	check "a mounted block device" refused ' exclusive: .* in use' -- ,path=/dev/nullb1
	check "a mounted block device, readonly=on" accepted -- ,path=/dev/nullb1,readonly=on
	blockdev --setro /dev/nullb0
	check "a read-only block device" refused ' path: .*readonly=on' -- ,path=/dev/nullb0
	check "a read-only block device, readonly=on" accepted -- ,path=/dev/nullb0,readonly=on
	blockdev --setrw /dev/nullb0

	check "a file that vhost-blk has" while_in_use "-device vhost-blk-pci,path=$file" \
		refused ' exclusive: .* in use' -- ",path=$file"
	check "a file that vhost-blk has, for reading" while_in_use "-device vhost-blk-pci,path=$file" \
		refused ' exclusive: .* in use' -- ",path=$file,readonly=on"
	check "a file that vhost-blk has, exclusive=off" while_in_use "-device vhost-blk-pci,path=$file" \
		accepted -- ",path=$file,exclusive=off"
	check "two readers of a file" while_in_use "-device vhost-blk-pci,path=$file,readonly=on" \
		accepted -- ",path=$file,readonly=on"
	check "a block device that vhost-blk has" while_in_use "-device vhost-blk-pci,path=/dev/nullb0" \
		refused ' exclusive: .* in use' -- ,path=/dev/nullb0
	check "a file that QEMU's block layer has" while_in_use \
		"-blockdev file,node-name=f,filename=$file -device virtio-blk-pci,drive=f" \
		refused ' exclusive: .* in use' -- ",path=$file"
	rm "$file"
}
