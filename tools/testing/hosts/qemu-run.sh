#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: qemu-run.sh [OPTION…] [--] COMMAND…
#
# Boots a stock kernel of Debian in QEMU, loads vhost_blk.ko and the vhost.ko of that
# kernel, runs COMMAND in it as root in the current directory, and exits with the status
# of COMMAND.
#
#   --mem SIZE         memory of the host (default 1G)
#   --cpus N           CPUs of the host (default 2)
#   --timeout SECONDS  time limit after which the host is killed (default 600)
#   --out DIR          the only directory of this machine that COMMAND can write to
#   --env NAME         pass this variable, as VHOST_*, PATH, HOME and LANG are passed
#   --append ARGS      add to the command line of the kernel
#   --log FILE         copy the kernel log to FILE
#   --load MODULES     load more modules
#   --icount           one CPU whose clock counts instructions, 1 ns each, so that
#                      measurements do not depend on the load of this machine
#   --plugin ARG       load a TCG plugin into QEMU
#   --qemu ARGS        more arguments for QEMU, separated by blanks
#   --series SERIES    version of the stock kernel, 6.1 (default) or 6.12
#   --host NAME        boot a kernel of host-build.sh instead of a stock kernel: x86-7.3,
#                      x86-7.3-debug or x86-7.3-kcsan
#
# The root file system of the host is that of this machine, read-only, with empty file
# systems in memory on /tmp, /run, /var/tmp, /mnt and /dev/shm.  VHOST_MODULES is the
# directory for modprobe -d.  stdout and stderr of COMMAND are passed on.
#
# ACCEL=kvm uses KVM, which is much faster than the default, tcg.
#
# Exit status 125: the host did not shut down properly, because of a panic, the time
# limit, or COMMAND was not started.  99: COMMAND succeeded, but the kernel log has a
# report.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/hosts/host-lib.sh
. "$VB_HOSTS/host-lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host_options "$@"
need_tool qemu-system-x86_64
accel=${ACCEL:-tcg}
name=stock-$series check=()
if [[ -n $x86 ]]; then
	dir=$("$VB_HOSTS/host-build.sh" "$x86")
	name=$x86 modules='' load=''
	[[ -e $dir/functions ]] && check=(--kcsan "$dir/functions")
	boot=(-kernel "$dir/linux")
	append="root=root rootfstype=9p ro init=$VB_HOSTS/host-init.sh
		rootflags=trans=virtio,version=9p2000.L,msize=262144,cache=loose
		${host_parameters[*]} $append"
else
	stock=$("$VB_LIB/stock-fetch.sh" "$series")
	modules=$("$VB_HOSTS/stock-module.sh" "$series")/modules
	initramfs=$("$VB_HOSTS/stock-initramfs.sh" "$series")
	boot=(-kernel "$stock/vmlinuz" -initrd "$initramfs")
	# Drivers that are built in in the other hosts
	load="configfs vhost_blk null_blk:nr_devices=0 brd:rd_nr=0 loop dm_mod dm_flakey dm_delay
		ext4 sd_mod scsi_debug:add_host=0 nbd:nbds_max=2 $load"
	append="vhost_init=$VB_HOSTS/host-init.sh $append"
fi
# A clock that counts instructions jumps ahead when the host waits for its files.  Then
# only this script keeps the time limit.
cpus=${cpus:-2}
[[ -n $icount ]] && cpus=1
host_prepare modules="$modules" load="$load" cpus="$cpus" outtype=9p \
	outdev=/dev/ttyS1 errdev=/dev/ttyS2 ${icount:+timeout="$((timeout * 1000))"}

# tsc_khz: print the frequency of the time stamp counter, for an emulated kernel.  If the
# kernel measures it at boot, the result can be wrong: by a factor of 29 on a machine
# with ten other jobs.
tsc_khz() {
	local tool
	tool=$VB_CACHE/tools/tsc-khz-$(cache_key "$VB_HOSTS/tsc-khz.c")
	if [[ ! -x $tool ]]; then
		mkdir -p "$VB_CACHE/tools"
		gcc -O2 -o "$tool.$$" "$VB_HOSTS/tsc-khz.c"
		mv "$tool.$$" "$tool"
	fi
	"$tool"
}

# With cx16 a stock kernel panics at boot under TCG.  Without hpet and with a reliable tsc
# the clock does not depend on the load of this machine.  Without erms the kernel copies
# words, because QEMU's "rep movsb" copies bytes one by one.  Without la57 page tables
# have one level less.
cpu=max,-cx16,-erms,-fsrm,-la57
[[ $accel == kvm ]] && cpu=host
virtfs="local,security_model=none,multidevs=remap"
machine="q35,accel=$accel,hpet=off"
# Each CPU is a socket, because the firmware's old table of CPUs has one CPU per socket, and
# a kernel without ACPI reads that table.
extra=(${plugin:+-plugin "$plugin"})
if [[ -n $icount ]]; then
	machine=q35,hpet=off
	extra+=(-accel "tcg,thread=single" -icount "shift=0,sleep=off")
	# Counts of instructions are compared with those of other days.
	cpu=max,-cx16
elif [[ $accel == tcg ]]; then
	# A tracepoint that is switched while the other CPU runs changes the kernel's code.
	# QEMU 7.2 may translate a page while it is written to, and goes on with the old
	# code: "Oops: int3", once in a hundred runs.  So the event of queue_states is
	# on from the start; the suite tracepoints is not run here by default.
	append="tsc_early_khz=$(tsc_khz) trace_event=block:block_bio_queue $append"
fi
args=(-machine "$machine" "${extra[@]}" -cpu "$cpu" -smp "$cpus,sockets=$cpus" -m "$mem"
	-nodefaults -display none -nic none -no-reboot
	"${boot[@]}"
	-virtfs "$virtfs,path=/,mount_tag=root,readonly=on"
	-chardev "file,id=klog,path=$run/klog.fifo" -serial chardev:klog
	-chardev "file,id=out,path=$run/out.fifo" -serial chardev:out
	-chardev "file,id=err,path=$run/err.fifo" -serial chardev:err
	-append "console=ttyS0 tsc=reliable panic=-1 oops=panic ignore_loglevel
		printk.devkmsg=on mitigations=off vhost_run=$run $append")
read -ra more <<<"$qemu"
args+=("${more[@]}")
[[ -n $out ]] && args+=(-virtfs "$virtfs,path=$out,mount_tag=out")

# shellcheck disable=SC2317 # called by host_boot
boot() {
	exec setsid qemu-system-x86_64 "${args[@]}" </dev/null
}
host_boot boot
host_verdict "$name" "${check[@]}"
