# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Parts of e2e.sh in which QEMU is told things while it runs: another disk, a
# smaller one, none at all, a reset.

# QEMU's machine protocol, over a pair of pipes that stay open.
qmp_arguments=(-chardev "pipe,id=qmp,path=$tmp/qmp" -mon "chardev=qmp,mode=control")

qmp_open() {
	mkfifo "$tmp/qmp.in" "$tmp/qmp.out"
	exec {qmp_in}<>"$tmp/qmp.in" {qmp_out}<>"$tmp/qmp.out"
}

qmp_close() {
	exec {qmp_in}>&- {qmp_out}>&-
	rm "$tmp/qmp.in" "$tmp/qmp.out"
}

# qmp [--gone ID] COMMAND [KEY=VALUE]…: prints what it returns, strings without
# quotes; waits until that device is deleted, too, whichever comes first.  Its virtio
# device has an event of its own, without an id, which may come before.
qmp() {
	local id='' seen=1 request pair value line answer=''
	if [[ $1 == --gone ]]; then
		id=$2 seen=0
		shift 2
	fi
	request="{\"execute\": \"$1\", \"arguments\": {"
	for pair in "${@:2}"; do
		value=${pair#*=}
		[[ $value =~ ^[0-9]+$ ]] || value="\"${value//\"/\\\"}\""
		request+="\"${pair%%=*}\": $value, "
	done
	echo "${request%, }}}" >&"$qmp_in"
	until [[ -n $answer ]] && ((seen)); do
		read -r -t 60 -u "$qmp_out" line || { echo "no answer to $*" >&2; return 1; }
		line=${line%$'\r'}
		case $line in
		*'"event": "DEVICE_DELETED"'*"\"device\": \"$id\""*) seen=1 ;;
		'{"return": '*) answer=${line#*: } answer=${answer%\}} ;;
		'{"error": '*)
			line=${line#*\"desc\": \"}
			echo "${line%\"\}\}}" >&2
			return 1 ;;
		esac
	done
	[[ $answer != \"*\" ]] || answer=${answer:1:-1}
	printf '%b\n' "${answer//\\\"/\"}"
}

# qmp_refused PATTERN COMMAND…: an error, in one line, that matches.
qmp_refused() {
	local pattern=$1 out
	shift
	if out=$(qmp "$@" 2>&1); then
		echo "no error: $out"
		return 1
	fi
	echo "$out"
	[[ $out =~ $pattern && $out != *$'\n'* ]]
}

swap() {
	qmp qom-set path="/machine/peripheral/$1" property=path "value=$2"
}

swap_refused() {
	qmp_refused "$1" qom-set path="/machine/peripheral/$2" property=path "value=$3"
}

# property DEVICE NAME VALUE
property() {
	local value
	value=$(qmp qom-get path="/machine/peripheral/$1" property="$2")
	echo "$2 is $value"
	[[ $value == "$3" ]]
}

# A machine that waits for QMP, without a guest.
start_machine() {
	qmp_open
	env ${object:+"LD_PRELOAD=$object"} "$qemu" -accel tcg -nodefaults \
		-no-user-config -display none -L /usr/share/qemu -L /usr/share/seabios \
		"${qmp_arguments[@]}" "$@" &
	machine=$!
	qmp qmp_capabilities
}

stop_machine() {
	local status=0
	qmp quit && wait "$machine" || status=1
	qmp_close
	return "$status"
}

# Devices come and go, with few queues and with many.
each_queue_count() {
	local n
	truncate -s 1M "$file.q"
	for n in 1 2 7 33 64; do
		qmp device_add driver=vhost-blk-pci id=q "path=$other" num-queues="$n" addr=9.0 &&
			property q num-queues "$n" &&
			property q vectors "$((n + 1))" &&
			qmp qom-set path=/machine/peripheral/q property=path "value=$file.q" || return 1
		# Without a guest that lets go of it, the machine's reset does.
		qmp device_del id=q && qmp --gone q system_reset || return 1
	done
	rm "$file.q"
}

# qtree DEVICE TEXT: the lines of that device have this one.
qtree() {
	local out
	out=$(qmp human-monitor-command command-line="info qtree" | tr -d '\r' |
	      awk -v id="id \"$1\"" '
		/dev: / && match($0, /[^ ]/) <= depth { depth = 0 }
		index($0, id) { depth = match($0, /[^ ]/) }
		depth')
	echo "$out"
	grep -qE "^ *$2( |\$)" <<<"$out"
}

errors_of_a_swap() {
	local old
	old=$(qmp qom-get path=/machine/peripheral/disk property=path)
	blockdev --setro /dev/nullb0
	swap_refused '^path: .*No such file' disk /no/such &&
		swap_refused '^path: .* is a directory' disk "$tmp" &&
		swap_refused '^path: .* is a pipe' disk "$tmp/pipe" &&
		swap_refused '^path: .*No such file' disk "" &&
		swap_refused '^path: .* is read-only; use readonly=on' disk /dev/nullb0 &&
		swap_refused '^exclusive: .* already in use, mounted' disk /dev/nullb1 &&
		swap_refused '^path: .* is zoned' disk /dev/nullb2 &&
		swap_refused '^exclusive: .* already in use' disk "$old" &&
		swap_refused '^exclusive: .* already in use' disk "$file.own" &&
		qmp_refused "after it was realized" qom-set path=/machine/peripheral/disk \
			property=serial value=other &&
		property disk path "$old" || return 1
	blockdev --setrw /dev/nullb0
	refused ' exclusive: .* in use' -- ",path=$old"
}

test_machine() {
	local file=$tmp/mnt/file other=$tmp/mnt/other
	truncate -s 16M "$file" "$file.own" "$file.ro"
	truncate -s 24M "$other"
	mkfifo "$tmp/pipe"
	make_null_blk nullb2 64 zoned=1 zone_size=4

	check "a machine without a guest" start_machine -S -machine pc -smp 3 \
		-device "vhost-blk-pci,id=disk,path=$file,write-cache=off" \
		-device "vhost-blk-pci,id=ro,path=$file.ro,readonly=on" \
		-blockdev "file,node-name=own,filename=$file.own" \
		-device virtio-blk-pci,id=own,drive=own
	check "num-queues=auto is one per vCPU" property disk num-queues 3
	check "vectors are one more" property disk vectors 4
	check "info qtree: path" qtree disk "path = \"$file\""
	check "info qtree: num-queues" qtree disk 'num-queues = 3'
	check "info qtree: write-cache" qtree disk 'write-cache = "off"'
	check "path set on the device" swap disk "$other"
	check "it reads back" property disk path "$other"
	check "the old file is free" accepted -- ",path=$file"
	check "the new one is not" refused ' exclusive: .* in use' -- ",path=$other"
	check "path set on its backend" swap disk/virtio-backend "$file"
	check "it reads back on the device" property disk path "$file"
	check "what can't be swapped in leaves the old file" errors_of_a_swap
	blockdev --setro /dev/nullb0
	check "a read-only disk takes a read-only block device" swap ro /dev/nullb0
	blockdev --setrw /dev/nullb0
	check "hotplug and swap with 1 to 64 queues" each_queue_count
	check "it ends" stop_machine
	rm "$file" "$file.own" "$file.ro" "$other" "$tmp/pipe"
}

# Runs in the guest, which has three disks: vda is swapped, resized and taken
# from its driver, vdb is resized, vdc is served by a legacy device.  It says
# when the host is to act, and sees for itself what became of it.
live_script() {
	cat <<-'SCRIPT'
	sys=/sys/block
	failed=0
	# load DISK SECONDS: I/O that must not fail, in the background
	load() {
		fio --name=load --filename=/dev/$1 --offset=1m --size=8m --rw=randrw \
			--bsrange=4k-64k --direct=1 --ioengine=io_uring --iodepth=32 \
			--numjobs=2 --time_based --runtime=$2 --output-format=terse \
			--terse-version=3 --group_reporting >/tmp/fio.$1 2>&1 &
		loader=$!
	}
	reads() {
		local nr rest
		read -r nr rest <$sys/$1/stat
		echo "$nr"
	}
	# doomed DISK RW: I/O in the background that is to fail, once it is under way.
	# fio must not create a file of the disk's name when the disk is gone.  It may also
	# take the disk, which has no sectors then, for one that it has read to the end,
	# and start again until its time is over.
	doomed() {
		local i before
		before=$(reads $1)
		fio --name=load --filename=/dev/$1 --size=8m --rw=$2 --bs=4k --direct=1 \
			--allow_file_create=0 --ioengine=io_uring --iodepth=32 --numjobs=2 \
			--time_based --runtime=6 >/dev/null 2>&1 &
		for i in $(seq 300); do
			[ $(reads $1) -gt $((before + 100)) ] && return
			sleep 0.1
		done
		echo "no load on $1"
		failed=1
	}
	# From the disk, not from what the guest has cached.
	first() {
		blockdev --flushbufs /dev/$1
		dd if=/dev/$1 bs=512 count=1 2>/dev/null | tr -d '\0'
	}
	# Field 5 of the terse line is its error.
	loaded() {
		error=$(sed -n '/^3;/p' /tmp/fio.$1 | cut -d';' -f5)
		[ "$error" = 0 ] || { cat /tmp/fio.$1; failed=1; }
		echo "load on $1: error $error"
	}
	# until_size DISK SECTORS: waits for it
	until_size() {
		local i
		for i in $(seq 600); do
			[ "$(cat $sys/$1/size 2>/dev/null)" = $2 ] && return
			sleep 0.1
		done
		echo "$1 still has $(cat $sys/$1/size) sectors"
		failed=1
		return 1
	}
	for disk in vda vdb vdc; do
		echo "$disk: $(cat $sys/$disk/size) ro=$(cat $sys/$disk/ro)" \
			"$(cat $sys/$disk/queue/write_cache)," \
			"$(cat $sys/$disk/queue/max_segments) segments," \
			"virtio 1.0: $(cut -c33 $sys/$disk/device/features)"
		echo "$disk: $(fdisk -l /dev/$disk | grep -o '[0-9]* heads, [0-9]* sectors/track')," \
			"at most $(cat $sys/$disk/queue/discard_max_hw_bytes) bytes of discard," \
			"$(cat $sys/$disk/queue/write_zeroes_max_bytes) of zeroes"
	done

	echo "cache vdb"
	load vda 1000
	old=65536
	for i in 1 2 3 4 5 6; do
		new=$((163840 - old))
		echo "swap vda"
		until_size vda $new
		echo "vda has $new sectors, and begins with $(first vda)"
		echo "seen-$new-$i" | dd of=/dev/vda bs=512 seek=$i conv=sync,fsync 2>/dev/null
		old=$new
	done
	kill -INT $loader
	wait
	loaded vda

	for size in 131072 49152 98304; do
		for disk in vda vdb; do
			echo "resize $disk $size"
			until_size $disk $size
			echo "$disk has $size sectors"
		done
	done
	echo "pause"
	until_size vda 81920
	echo "vda has 81920 sectors after the pause"

	load vdc 2
	wait
	loaded vdc

	echo "write through" >$sys/vda/cache_type
	echo "vda: cache $(cat $sys/vda/cache_type), $(cat $sys/vda/queue/write_cache)"
	echo "write back" >$sys/vdb/cache_type
	echo "vdb: cache $(cat $sys/vdb/cache_type), $(cat $sys/vdb/queue/write_cache)"
	echo "cache vdb"
	virtio=$(basename $(readlink -f $sys/vda/device))
	bound=0
	for i in 1 2 3 4 5 6 7 8 9 10; do
		doomed vda randread
		echo $virtio >/sys/bus/virtio/drivers/virtio_blk/unbind
		[ ! -e $sys/vda ] || failed=1
		wait
		echo $virtio >/sys/bus/virtio/drivers/virtio_blk/bind
		[ "$(first vda)" ] && bound=$((bound + 1))
	done
	echo "vda: bound anew $bound times, cache $(cat $sys/vda/cache_type)"

	plugged=0
	for i in 1 2 3 4 5; do
		echo "plug"
		until_size vdd 65536 && plugged=$((plugged + 1))
		doomed vdd randrw
		echo "unplug"
		wait
		[ ! -e $sys/vdd ] || failed=1
	done
	echo "plugged $plugged times"
	# One more is there only when the host has seen the last one go; and then may we.
	echo "plug"
	until_size vdd 65536
	exit $failed
	SCRIPT
}

# The field `writeback` of the device open as descriptor 9, as the kernel has it:
# VHOST_BLK_GET_CONFIG of one byte at 32.
kernel_writeback() {
	perl -e '$config = pack("LLC", 32, 1, 255);
		 ioctl(STDIN, 0x8008af52, $config) or die $!;
		 print unpack("x8C", $config), "\n"' <&9
}

# Do the host's part of each step that the guest asks for.
live_host() {
	local line swaps=0
	qmp qmp_capabilities
	while read -r line; do
		echo "$line"
		case $line in
		"swap vda")
			swaps=$((swaps + 1))
			swap disk "$dir/$((swaps % 2 ? 98304 : 65536))" ;;
		"cache vdb") echo "writeback in the kernel: $(kernel_writeback)" ;;
		"resize vda "*) truncate -s $((${line##* } * 512)) "$dir/65536" ;;
		"resize vdb "*)
			truncate -s $((${line##* } * 512)) "$dir/loop"
			losetup -c "$loop" ;;
		pause)
			qmp stop >/dev/null
			truncate -s 40M "$dir/65536"
			sleep 2
			qmp cont >/dev/null ;;
		plug)
			qmp device_add driver=vhost-blk-pci id=hot bus=rp "path=$dir/hot" ;;
		unplug)
			qmp --gone hot device_del id=hot ;;
		esac || echo "the host failed"
	done
}

# Every mark is on the disk that the guest saw then, and on no other.
marks() {
	local file i expected found
	for file in 65536 98304; do
		for i in {1..6}; do
			expected=''
			((i % 2 == (file == 98304))) && expected=seen-$file-$i
			found=$(dd "if=$dir/$file" bs=512 skip="$i" count=1 iflag=direct \
				2>/dev/null | tr -d '\0')
			[[ $found == "$expected" ]] || {
				echo "$file, sector $i: '$found' instead of '$expected'"
				return 1
			}
		done
	done
}

test_live() {
	local dir=$tmp/mnt loop line size
	live_script >"$tmp/script"
	for size in 65536 98304; do
		printf 'disk-%s' "$size" >"$dir/$size"
		truncate -s $((size * 512)) "$dir/$size"
	done
	truncate -s 32M "$dir/loop" "$dir/hot"
	loop=$(losetup --show -f "$dir/loop")

	live_guest() {
		local status=0
		qmp_open
		exec 9<>/dev/vhost-blk
		run_guest --timeout 400 --script "$tmp/script" -- \
			"${qmp_arguments[@]}" \
			-device "vhost-blk-pci,id=disk,path=$dir/65536" \
			-device "vhost-blk-pci,id=loop,path=$loop,vhostfd=9,write-cache=off,cyls=100,heads=5,secs=7,max-discard-sectors=2048,max-write-zeroes-sectors=1024" \
			-device vhost-blk-pci,path=/dev/nullb0,disable-modern=on,disable-legacy=off,num-queues=64,queue-size=1024,write-cache=off,config-wce=off \
			-device pcie-root-port,id=rp,chassis=1,slot=1 |
			live_host >"$tmp/live" || status=$?
		exec 9>&-
		qmp_close
		cat "$tmp/live"
		((!status)) && ! grep -q "^the host failed" "$tmp/live"
	}
	check "a guest whose disks change comes to its end" live_guest
	check "modern device" says "$tmp/live" \
		"vda: 65536 ro=0 write back, 254 segments, virtio 1.0: 1"
	check "write-cache=off" says "$tmp/live" \
		"vdb: 65536 ro=0 write through, 254 segments, virtio 1.0: 1"
	check "the kernel's geometry and limits" says "$tmp/live" \
		"vda: 16 heads, 63 sectors/track, at most 4294967296 bytes of discard, 33554432 of zeroes"
	check "cyls, heads, secs, max-discard-sectors, max-write-zeroes-sectors" says "$tmp/live" \
		"vdb: 5 heads, 7 sectors/track, at most 1048576 bytes of discard, 524288 of zeroes"
	check "legacy device, 64 queues of 1024, config-wce=off" says "$tmp/live" \
		"vdc: 524288 ro=0 write through, 1022 segments, virtio 1.0: 0"
	check "path swapped under load: the guest reads the new disk" says "$tmp/live" \
		"vda has 98304 sectors, and begins with disk-98304"
	check "and the first one again" says "$tmp/live" \
		"vda has 65536 sectors, and begins with disk-65536"
	check "it writes to the disk that it sees" marks
	check "no request fails by a swap" says "$tmp/live" "load on vda: error 0"
	for size in 131072 49152 98304; do
		check "file resized to $size sectors" says "$tmp/live" "vda has $size sectors"
		check "loop device resized to $size sectors" says "$tmp/live" "vdb has $size sectors"
	done
	check "file resized while the guest is paused" says "$tmp/live" \
		"vda has 81920 sectors after the pause"
	check "I/O on the legacy device" says "$tmp/live" "load on vdc: error 0"
	check "the guest switches to write through" says "$tmp/live" \
		"vda: cache write through, write through"
	check "and to write back where it began with the other" says "$tmp/live" \
		"vdb: cache write back, write back"
	check "the kernel is told of both modes" test 0,1 = "$(sed -n \
		's/^writeback in the kernel: //p' "$tmp/live" | paste -sd,)"
	check "driver unbound under load and bound anew" says "$tmp/live" \
		"vda: bound anew 10 times, cache write back"
	check "hotplug, and hot-unplug under load" says "$tmp/live" "plugged 5 times"
	losetup -d "$loop"
	rm "$dir/65536" "$dir/98304" "$dir/loop" "$dir/hot"
}
