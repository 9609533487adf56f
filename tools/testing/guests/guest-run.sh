#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest-run.sh --qemu BINARY --guest DIR --script FILE [OPTION…] [--] QEMU_ARGUMENT…
#
# Boots the guest that guest-build.sh made, with the devices that the QEMU
# arguments name, runs FILE in it with busybox's shell, prints what it prints
# and exits with its status.
#
#   --accel kvm|tcg   (default: KVM where /dev/kvm can be opened)
#   --smp N           vCPUs (default 2)
#   --mem SIZE        memory (default 384M)
#   --timeout SECONDS until QEMU is killed (default 300)
#   --reboots         let the guest reboot; the script is run again
#   --preload OBJECT  a shared object to preload into QEMU
#   --print           say the QEMU command line first
#   --klog FILE       keep the guest's kernel log there
#
# Exit 125: the guest did not come to its end (panic, timeout, QEMU failed).
# Exit 99: the script succeeded, but the guest's kernel log has a report.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

qemu='' guest='' script='' smp=2 mem=384M timeout=300 reboots=0 preload='' print=0 klog='' accel=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--qemu) qemu=$2; shift ;;
	--guest) guest=$2; shift ;;
	--script) script=$2; shift ;;
	--accel) accel=$2; shift ;;
	--smp) smp=$2; shift ;;
	--mem) mem=$2; shift ;;
	--timeout) timeout=$2; shift ;;
	--preload) preload=$2; shift ;;
	--klog) klog=$2; shift ;;
	--reboots) reboots=1 ;;
	--print) print=1 ;;
	--) shift; break ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
[[ -n $qemu && -n $guest && -n $script ]] || { usage >&2; exit 2; }

run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
nonce=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')

uml=0
[[ $(</proc/cpuinfo) == *"User Mode Linux"* ]] && uml=1

# Opening it is the test for KVM; but what can be seen in a UML host through
# hostfs is not its own.
if [[ -z $accel ]]; then
	accel=tcg
	if ((!uml)) && (: <>/dev/kvm) 2>/dev/null; then
		accel=kvm
	fi
fi
case $accel in
kvm) machine=(-accel kvm -cpu host -machine q35) ;;
# Some kernels panic on a TCG vCPU with cx16.  In UML one thread is all that can
# run: a thread for each vCPU only makes them wait for each other.
tcg) machine=(-accel "tcg,thread=$( ((uml)) && echo single || echo multi)" -cpu "max,-cx16" -machine "q35,hpet=off") ;;
*) usage >&2; exit 2 ;;
esac
args=("${machine[@]}" -smp "$smp" -m "$mem"
	-nodefaults -no-user-config -display none
	-L /usr/share/qemu -L /usr/share/seabios
	-kernel "$guest/vmlinuz" -initrd "$guest/initrd"
	-append "console=ttyS0 tsc=reliable no_timer_check nokaslr mitigations=off panic=-1 oops=panic"
	-fw_cfg "name=opt/vhost-blk/script,file=$script"
	-fw_cfg "name=opt/vhost-blk/nonce,string=$nonce"
	-serial "file:$run/klog" -serial stdio)
((reboots)) || args+=(-no-reboot)

# In an SMP UML the threads of one process take turns; a single CPU is what
# they can share without hanging.
pin=()
((!uml)) || pin=(taskset -c 0)

command=("$qemu" "${args[@]}" "$@")
((print)) && note "guest: ${command[*]@Q}"

status=0
: >"$run/klog"
timeout -k 5 "$timeout" "${pin[@]}" env ${preload:+"LD_PRELOAD=$preload"} \
	"${command[@]}" </dev/null 2>"$run/errors" |
	tee "$run/output" | grep --line-buffered -v "^guest-run: $nonce exit " ||
	status=("${PIPESTATUS[@]}")
[[ ! -s $run/errors ]] || sed 's/^/# /' "$run/errors" >&2
[[ -z $klog ]] || cp "$run/klog" "$klog"

result=$(sed -n "s/^guest-run: $nonce exit \([0-9]*\)\$/\1/p" "$run/output")
if ((status[0])) || [[ ! $result =~ ^[0-9]+$ ]]; then
	note "error: the guest did not come to its end (QEMU: status ${status[0]})"
	tail -n 30 "$run/klog" >&2
	exit 125
fi
# A kernel that goes down while its log is still being written may cut a line:
# the check is for what a kernel reports, so that is no matter.
if ! "$VB_HOSTS/klog-check.sh" "$run/klog" >&2; then
	note "error: the guest's kernel log has reports"
	((result)) || result=99
fi
exit "$result"
