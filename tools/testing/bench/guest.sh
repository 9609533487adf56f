#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest.sh [OPTION…] [CONTENDER…]
#
# Runs fio in a real guest under QEMU, in a UML host.  Measures IOPS, latency as the guest
# sees it, and the CPU time of QEMU's threads: the vCPUs, the main loop, and the others,
# which include the vhost workers and are the cost of the disk for the host.  The
# contenders take turns on the same null_blk.  Prints a line of JSON for each measurement.
#
#   --host HOST    test host, default uml-7.3-fast
#   --rounds N     number of rounds, default 5
#   --vcpus N      vCPUs of the guest and queues of its disk, default 2
#   --requests N   default 20000; a measurement has half of them at depth 8 and more, and
#                  a quarter at less.  It is a number instead of a duration, so that a
#                  slow machine completes as many
#   --patience S   seconds until a measurement is ended, default 120
#   --qemu SERIES  7.2 or 10.0 (default), which has iothread-vq-mapping
#   --dev DEVICE   run on this machine, with KVM if it has that, on this block device; ITS
#                  DATA IS LOST, see time.sh --help
#   --tiny         only the first load, to test this script
#
# Loads: 4k random reads at depth 1, 2, 4, 8, 32 and 128, writes at 1, 8 and 128.
#
# Contenders: guest-vhost-blk (default properties) guest-vhost-blk-single (one worker)
# guest-vhost-blk-poll guest-virtio-native guest-virtio-io_uring guest-virtio-mapping
# (io_uring, one IOThread per queue); contenders.sh has more.
#
# Under TCG, emulating the guest takes nearly all of the time, so IOPS are hardly
# comparable.  The main loop delivers interrupts, which the kernel does under KVM.  The CPU
# time of the disk is the same as with KVM, except for the VM exits.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/bench/device.sh
. "$VB_TOP/tools/testing/bench/device.sh"

here=$VB_TOP/tools/testing/bench
host=uml-7.3-fast rounds=5 requests=20000 patience=120 vcpus=2 qemu=10.0 tiny='' dev='' inside=''
options=()
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--host) host=$2; shift ;;
	--qemu) qemu=$2; shift ;;
	--dev) dev=$2; shift ;;
	--rounds | --requests | --patience | --vcpus)
		[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a number greater than 0"
		printf -v "${1#--}" %s "$2"
		options+=("$1" "$2")
		shift
		;;
	--tiny) tiny=1; options+=("$1") ;;
	--inside) inside=1 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
if ((!$#)); then
	set -- guest-vhost-blk guest-vhost-blk-single guest-vhost-blk-poll guest-virtio-native \
		guest-virtio-io_uring
	[[ $qemu == 7.2 ]] || set -- "$@" guest-virtio-mapping
fi
[[ -z $dev ]] || device_may_be_lost "$dev"
if [[ -z $inside ]]; then
	VHOST_BENCH_QEMU=$("$VB_TOP/qemu/build.sh" "$qemu" | tail -n 1)
	VHOST_BENCH_GUEST=$("$VB_GUESTS/guest-build.sh" | tail -n 1)
	export VHOST_BENCH_QEMU VHOST_BENCH_GUEST
	[[ -n $dev ]] || exec "$VB_HOSTS/uml-run.sh" "$host" --mem 1536M --timeout 14400 --env VB_START -- "$0" \
		--inside "${options[@]}" "$@"
fi
# shellcheck source=tools/testing/bench/host.sh
. "$here/host.sh"
# shellcheck source=tools/testing/bench/contenders.sh
. "$here/contenders.sh"
tmp=$(mktemp -d)
tick=$((1000000000 / $(getconf CLK_TCK)))

# OP:DEPTH:REQUESTS of each load
loads=''
for op in read write; do
	for depth in 1 2 4 8 32 128; do
		[[ $op == read || $depth =~ ^(1|8|128)$ ]] || continue
		loads+="$op:$depth:$((depth < 8 ? requests / 4 : requests / 2)) "
	done
done
[[ -z $tiny ]] || loads=${loads%% *}

# fio writes a line to the serial port when a load begins and when it ends, so that its
# own start is not counted, which takes longer than the load under TCG.  The results come
# from its terse output: kilobytes, IOPS and milliseconds of the reads or the writes, and
# percentiles of the latency.
cat >"$tmp/script" <<-SCRIPT
	for load in $loads; do
		op=\${load%%:*}
		n=\${load##*:}
		depth=\${load#*:}
		depth=\${depth%:*}
		at=6
		[ \$op = read ] || at=47
		fio --name=load --filename=/dev/vda --direct=1 --ioengine=io_uring --bs=4k \
			--size=64m --io_size=\$((n * 4))k --norandommap --rw=rand\$op --iodepth=\$depth \
			--runtime=$patience --lat_percentiles=1 --clat_percentiles=0 \\
			--exec_prerun="echo begin >/dev/ttyS1; true" \\
			--exec_postrun="echo end >/dev/ttyS1; true" \\
			--output-format=terse --terse-version=3 >/tmp/out 2>&1
		status=\$?
		line=\$(sed -n '/^3;/p' /tmp/out)
		if [ "\$status \$(echo "\$line" | cut -d';' -f5)" != "0 0" ]; then
			cat /tmp/out
			exit 1
		fi
		percentiles=\$(echo "\$line" | cut -d';' -f\$((at + 12))-\$((at + 31)) | tr ';' '\n' |
			sed -n 's/^\(50\.0\|99\.0\|99\.90\)0*%=//p' | tr '\n' ' ')
		echo "figures \$op \$depth \$(echo "\$line" | cut -d';' -f\$at,\$((at + 2)),\$((at + 3)) |
			tr ';' ' ') \$percentiles"
	done
	# QEMU must not end before its CPU time has been read.
	sleep 2
SCRIPT

# ticks STAT: print the CPU time of a thread, or nothing if it has ended.
ticks() {
	local words
	# utime and stime, without the name of the thread, which may contain spaces
	read -ra words < <(sed 's/.*) //' "$1" 2>/dev/null) || return 0
	echo $((words[11] + words[12]))
}

# cpu_ticks: print the CPU time of the vCPUs, of QEMU's main loop, and of all other
# threads that work for QEMU.  A vhost worker is a thread of QEMU since Linux 6.4, and a
# process before that.
cpu_ticks() {
	local pid thread comm n vcpu=0 main=0 rest=0
	pid=$(pidof -s qemu-system-x86_64) || { echo "0 0 0"; return; }
	for thread in "/proc/$pid"/task/* $(pgrep -x "vhost-$pid" | sed 's|^|/proc/|'); do
		comm=$(cat "$thread/comm" 2>/dev/null) || continue
		n=$(ticks "$thread/stat")
		case $comm in
		*/TCG | */KVM) vcpu=$((vcpu + n)) ;;
		*) if [[ ${thread##*/} == "$pid" ]]; then main=$n; else rest=$((rest + n)); fi ;;
		esac
	done
	echo "$vcpu $main $rest"
}

# figures LABEL: read the output of the guest from stdin and print JSON.
figures() {
	local word op depth kb iops ms p50 p99 p999 before=() after=() n vcpu main rest
	while read -r word op depth kb iops ms p50 p99 p999; do
		case $word in
		begin) read -ra before < <(cpu_ticks) ;;
		end) read -ra after < <(cpu_ticks) ;;
		figures)
			n=$((kb / 4))
			((n)) || die "$1: nothing completed within $patience s ($op, depth $depth, $ms ms)"
			((${#before[@]} && ${#after[@]})) || die "$1: fio did not report begin and end of the load"
			vcpu=$((after[0] - before[0]))
			main=$((after[1] - before[1]))
			rest=$((after[2] - before[2]))
			# A short load may take less than a tick.
			((after[0] > 0)) || die "$1: QEMU has no vCPU thread"
			printf '{"label":"%s","op":"%s","order":"random","block":4096,"queues":%d,' "$1" "$op" "$vcpus"
			printf '"devices":1,"depth":%d,"requests":%d,"iops":%s,' "$depth" "$n" "$iops"
			printf '"p50_us":%s,"p99_us":%s,"p999_us":%s,' "$p50" "$p99" "$p999"
			printf '"vcpu_cpu_ns":%d,"main_cpu_ns":%d,"host_cpu_ns":%d,"all_cpu_ns":%d}\n' \
				$((vcpu * tick / n)) $((main * tick / n)) $((rest * tick / n)) \
				$(((vcpu + main + rest) * tick / n))
			before=() after=()
			;;
		*) echo "guest: $word $op $depth $kb $iops $ms $p50 $p99 $p999" >&2 ;;
		esac
	done
}

disk=$dev
if [[ -z $dev ]]; then
	disk=$(bench_nullb memory_backed=1 size=96)
	dd if=/dev/zero of="$disk" bs=1M count=96 status=none
fi
done=0 begin=$SECONDS
for ((round = 0; round < rounds; round++)); do
	for contender; do
		((!done)) || note "$done of $((rounds * $#)) guests," \
			"$(((SECONDS - begin) * (rounds * $# - done) / done)) s left: $contender"
		done=$((done + 1))
		bench_qemu_device "${contender#guest-}" "$disk" "$vcpus"
		print=()
		((round)) || print=(--print)
		"$VB_GUESTS/guest_run.py" --qemu "$VHOST_BENCH_QEMU" --guest "$VHOST_BENCH_GUEST" \
			--script "$tmp/script" --timeout 900 --smp "$vcpus" "${print[@]}" -- \
			-name "guest,debug-threads=on" "${bench_device[@]}" | figures "$contender"
	done
	# The next round begins with another contender, because the load of the machine may drift.
	set -- "${@:2}" "$1"
done
