#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest.sh [--host HOST] [--rounds N] [--seconds S] [CONTENDER…]
#
# fio in a real guest under QEMU, in a UML host: IOPS, and the CPU time of all
# of QEMU's threads but the vCPUs, the vhost worker among them.  In turns, each on
# the same null_blk; a line of JSON for each measurement.
#
#   --host HOST   default uml-7.3-fast
#   --rounds N    default 5
#   --seconds S   of a measurement, default 3
#
# Contenders: guest-vhost-blk guest-virtio-native guest-virtio-io_uring
#
# Under TCG the guest itself takes nearly all of the time, so IOPS say little here;
# the CPU time of the host's side is what it is on a machine with KVM too, but for
# the exits.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../vm/lib.sh"

here=$VB_TOP/tools/testing/bench
host=uml-7.3-fast rounds=5 seconds=3 inside=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--host) host=$2; shift ;;
	--rounds) rounds=$2; shift ;;
	--seconds) seconds=$2; shift ;;
	--inside) inside=1 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
(($#)) || set -- guest-vhost-blk guest-virtio-native guest-virtio-io_uring
if [[ -z $inside ]]; then
	VHOST_BENCH_QEMU=$("$VB_TOP/qemu/build.sh" 7.2 | tail -n 1)
	VHOST_BENCH_GUEST=$("$VB_VM/guest-build.sh" | tail -n 1)
	export VHOST_BENCH_QEMU VHOST_BENCH_GUEST
	exec "$VB_VM/uml-run.sh" "$host" --mem 1536M --timeout 14400 --env VB_START -- "$0" \
		--inside --rounds "$rounds" --seconds "$seconds" "$@"
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
tmp=$(mktemp -d)
tick=$((1000000000 / $(getconf CLK_TCK)))

# Says when each load begins, and how it ended: fields of fio's terse line are the
# error, and IOPS and milliseconds of reads or of writes.
cat >"$tmp/script" <<-SCRIPT
	for rw in randread randwrite; do
		at=8
		[ \$rw = randread ] || at=49
		for depth in 1 2 4 8 32; do
			echo "begin \$rw \$depth"
			fio --name=load --filename=/dev/vda --direct=1 --ioengine=io_uring --bs=4k \
				--size=64m --rw=\$rw --iodepth=\$depth --time_based --runtime=$seconds \
				--output-format=terse --terse-version=3 >/tmp/out 2>&1
			status=\$?
			line=\$(sed -n '/^3;/p' /tmp/out)
			if [ "\$status \$(echo "\$line" | cut -d';' -f5)" != "0 0" ]; then
				cat /tmp/out
				exit 1
			fi
			echo "end \$rw \$depth \$(echo "\$line" | cut -d';' -f\$at,\$((at + 1)) | tr ';' ' ')"
		done
	done
SCRIPT

# cpu_ticks: of the vCPUs, and of all else that is QEMU's
cpu_ticks() {
	local pid stat comm vcpu=0 rest=0
	pid=$(pidof -s qemu-system-x86_64) || { echo "0 0"; return; }
	for stat in "/proc/$pid"/task/*/stat; do
		[[ -r $stat ]] || continue
		comm=$(<"${stat%/stat}/comm")
		# Behind the name, which may have spaces: the 12th and 13th word
		read -ra words < <(sed 's/.*) //' "$stat")
		if [[ $comm == *"/TCG" || $comm == *"/KVM" ]]; then
			vcpu=$((vcpu + words[11] + words[12]))
		else
			rest=$((rest + words[11] + words[12]))
		fi
	done
	echo "$vcpu $rest"
}

# figures LABEL: what the guest prints on stdin, as JSON
figures() {
	local word rw depth iops ms before after n
	while read -r word rw depth iops ms; do
		case $word in
		begin) read -ra before < <(cpu_ticks) ;;
		end)
			read -ra after < <(cpu_ticks)
			n=$((${iops%.*} * ms / 1000))
			((n && after[0] > before[0])) || die "no figure: $word $rw $depth $iops $ms"
			printf '{"label":"%s","op":"%s","order":"random","block":4096,"queues":2,' "$1" "${rw#rand}"
			printf '"devices":1,"depth":%d,"requests":%d,"iops":%s,' "$depth" "$n" "$iops"
			printf '"vcpu_cpu_ns":%d,"host_cpu_ns":%d,"all_cpu_ns":%d}\n' \
				$(((after[0] - before[0]) * tick / n)) $(((after[1] - before[1]) * tick / n)) \
				$(((after[0] - before[0] + after[1] - before[1]) * tick / n))
			;;
		*) echo "guest: $word $rw $depth $iops $ms" >&2 ;;
		esac
	done
}

disk=$(bench_nullb 0 memory_backed=1 size=96)
dd if=/dev/zero of="$disk" bs=1M count=96 status=none
done=0 begin=$SECONDS
for ((round = 0; round < rounds; round++)); do
	for contender; do
		((!done)) || note "$done of $((rounds * $#)) guests," \
			"$(((SECONDS - begin) * (rounds * $# - done) / done)) s left"
		done=$((done + 1))
		case $contender in
		guest-vhost-blk) args=(-device "vhost-blk-pci,path=$disk,num-queues=2") ;;
		guest-virtio-*)
			args=(-object "iothread,id=io0"
				-drive "if=none,id=disk,file=$disk,format=raw,cache.direct=on,aio=${contender##*-}"
				-device "virtio-blk-pci,drive=disk,iothread=io0,num-queues=2")
			;;
		*) die "no such contender: $contender" ;;
		esac
		print=()
		((round)) || print=(--print)
		"$VB_VM/guest-run.sh" --qemu "$VHOST_BENCH_QEMU" --guest "$VHOST_BENCH_GUEST" \
			--script "$tmp/script" --timeout 900 "${print[@]}" -- \
			-name "guest,debug-threads=on" "${args[@]}" | figures "$contender"
	done
done
