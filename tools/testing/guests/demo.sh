#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: demo.sh
#
# 'make demo' runs this: it builds all parts that are missing, boots a test host (or
# uses this machine) and in it a guest whose disk /dev/vda is served by
# /dev/vhost-blk, and runs fio in the guest.  Then it measures QEMU's own virtio-blk
# on the same file.  Exits 0 only if fio verified the data.
#
#   DEMO_HOST=uml-7.3-fast  the test host: any of uml-build.sh's, or "local":
#                           this machine, which must have /dev/vhost-blk
#   DEMO_QEMU=BINARY        a QEMU that has vhost-blk-pci (default: built)
#   DEMO_FILE=FILE          with "local": the backing file or block device,
#                           whose contents are LOST (default: a new file)
#   DEMO_SECONDS=3          how long each measurement takes
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host=${DEMO_HOST:-uml-7.3-fast}
seconds=${DEMO_SECONDS:-3}

if [[ ${1:-} != --inside ]]; then
	note "step 1 of 5: packages"
	if [[ $host == local ]]; then
		[[ -c /dev/vhost-blk ]] || die "no /dev/vhost-blk here: modprobe vhost_blk"
		"$VB_LIB/packages.sh" guest
	else
		"$VB_LIB/packages.sh" kernel guest
	fi
	note "step 2 of 5: QEMU with vhost-blk-pci"
	qemu=${DEMO_QEMU:-}
	[[ -n $qemu ]] || qemu=$("$VB_TOP/qemu/build.sh" 7.2 | tail -n 1)
	note "step 3 of 5: the guest (Debian's kernel, busybox, fio)"
	guest=$("$VB_GUESTS/guest-build.sh" | tail -n 1)
	export VHOST_DEMO_QEMU=$qemu VHOST_DEMO_GUEST=$guest VHOST_DEMO_SECONDS=$seconds \
		VHOST_DEMO_FILE=${DEMO_FILE:-} VHOST_DEMO_HOST=$host
	if [[ $host == local ]]; then
		note "step 4 of 5: this machine is the host"
		exec "$0" --inside
	fi
	note "step 4 of 5: the host $host"
	"$VB_HOSTS/uml-build.sh" "$host" >/dev/null
	exec "$VB_HOSTS/uml-run.sh" "$host" --mem 1536M --timeout 600 \
		--env VB_START -- "$0" --inside
fi

qemu=$VHOST_DEMO_QEMU guest=$VHOST_DEMO_GUEST seconds=$VHOST_DEMO_SECONDS file=$VHOST_DEMO_FILE
tmp=$(mktemp -d)
cleanup() {
	if [[ -d $tmp/disk ]] && mountpoint -q "$tmp/disk"; then
		umount "$tmp/disk"
	fi
	rm -rf "$tmp"
}
trap cleanup EXIT

# A file on a real file system; in a test host that is on a block device in memory.
if [[ -z $file ]]; then
	mkdir "$tmp/disk"
	if [[ $VHOST_DEMO_HOST != local ]]; then
		mkdir /sys/kernel/config/nullb/nullb0
		echo 1 >/sys/kernel/config/nullb/nullb0/memory_backed
		echo 512 >/sys/kernel/config/nullb/nullb0/size
		echo 1 >/sys/kernel/config/nullb/nullb0/power
		mkfs.ext4 -q /dev/nullb0
		mount /dev/nullb0 "$tmp/disk"
	fi
	file=$tmp/disk/disk.img
	# Write it once, because the first write to a block takes longer.
	dd if=/dev/zero of="$file" bs=1M count=256 conv=fsync status=none
fi

fio_base="--filename=/dev/vda --direct=1 --ioengine=io_uring --bs=4k"
fio_verify="fio --name=verify $fio_base --rw=randwrite --iodepth=32 --size=64m --verify=crc32c --verify_fatal=1"
fio_measure="fio --name=measure $fio_base --size=128m --time_based --runtime=$seconds"

# guest_script 0|1: measure only, or verify before that.
guest_script() {
	cat <<-SCRIPT
	sys=/sys/block/vda
	echo "/dev/vda: \$(cat \$sys/size) sectors, \$(ls \$sys/mq | wc -l) queues, driver virtio_blk, Linux \$(uname -r)"
	# run ARGUMENT…: fio; its terse line to /tmp/out, of which field 5 is the
	# error, 8 and 49 the IOPS.
	run() {
		echo "\$ \$*"
		"\$@" --output-format=terse --terse-version=3 >/tmp/all 2>&1
		status=\$?
		sed -n '/^3;/p' /tmp/all >/tmp/out
		[ "\$status \$(cut -d';' -f5 /tmp/out)" = "0 0" ] && return
		cat /tmp/all
		echo "fio FAILED"
		exit 1
	}
	if [ $1 = 1 ]; then
		run $fio_verify
		echo "verified: 64 MiB written at random and read back, every crc32c right"
	fi
	for rw in randread randwrite; do
		for depth in 1 32; do
			run $fio_measure --rw=\$rw --iodepth=\$depth
			field=8
			[ \$rw = randread ] || field=49
			echo "result \$rw \$depth \$(cut -d';' -f\$field /tmp/out)"
		done
	done
	SCRIPT
}

# measure NAME VERIFY QEMU_ARGUMENT…: figures to $tmp/NAME
measure() {
	local name=$1
	guest_script "$2" >"$tmp/script"
	shift 2
	note "guest with $name"
	"$VB_GUESTS/guest-run.sh" --qemu "$qemu" --guest "$guest" --script "$tmp/script" \
		--timeout 200 --print -- "$@" |
		tee "$tmp/$name" | grep -v '^result' | sed -u 's/^/    /' >&2
}

note "step 5 of 5: fio in the guest"
measure vhost-blk 1 -device "vhost-blk-pci,path=$file"
for aio in native io_uring; do
	measure "virtio-blk-$aio" 0 -object iothread,id=io0 \
		-drive "if=none,id=disk,file=$file,format=raw,cache.direct=on,aio=$aio" \
		-device virtio-blk-pci,drive=disk,iothread=io0
done

figure() {
	awk -v rw="$2" -v depth="$3" '$1 == "result" && $2 == rw && $3 == depth { print $4 }' "$tmp/$1"
}

cell() {
	local iops
	iops=$(figure "$@")
	[[ $iops =~ ^[0-9]+$ && $iops != 0 ]] || die "fio gave no figure for $*"
	printf ' %12s' "$iops"
}

{
	echo
	echo "IOPS of 4k requests in the guest (accelerator, host and file as printed above)"
	printf '%-28s %12s %12s %12s %12s\n' "" "read QD1" "read QD32" "write QD1" "write QD32"
	for name in vhost-blk virtio-blk-native virtio-blk-io_uring; do
		case $name in
		vhost-blk) label=vhost-blk-pci ;;
		*) label="virtio-blk-pci aio=${name##*-}" ;;
		esac
		printf '%-28s' "$label"
		for rw in randread randwrite; do
			for depth in 1 32; do
				cell "$name" "$rw" "$depth"
			done
		done
		echo
	done
	echo
} >"$tmp/table"
cat "$tmp/table"
grep -q '^verified: ' "$tmp/vhost-blk" || die "the guest did not verify"
note "fio verified the data: done"
