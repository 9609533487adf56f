#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# PID 1 of a test host, which uml-run.sh or qemu-run.sh boots.  vhost_run= on the kernel
# command line names the directory of the run.  Any error here causes a kernel panic, so
# that the kernel log lacks the exit marker and the run has failed.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
run=${vhost_run:?}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
say() { echo "vhost-run: $*" >/dev/kmsg; }
trap 'say "init failed at line $LINENO: $BASH_COMMAND"' ERR

nonce='' cwd=/ out='' timeout=0 cpus='' keep=()
modules='' load='' outtype='' outdev='' errdev=''
# shellcheck source=/dev/null
. "$run/settings"

online=$(getconf _NPROCESSORS_ONLN)
if ((online != cpus)); then
	say "the host has $online CPUs instead of $cpus"
	exit 1
fi

mount -t debugfs debugfs /sys/kernel/debug
# Disable the kernel's own scan every ten minutes: it may run while a pointer is being
# moved, and report a false leak.  The scans at the end are used instead.
leaks=/sys/kernel/debug/kmemleak
if [[ -e $leaks ]]; then
	echo scan=off >$leaks
fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sfn /proc/self/fd /dev/fd

# The root of the machine is mounted read-only, so mount memory on the directories that
# programs write to.  A directory in use by the caller may be below one of these: bind it
# to its path again.
mount -t tmpfs tmpfs /run
mkdir /run/keep
kept=0
for dir in "${keep[@]}"; do
	mkdir "/run/keep/$kept"
	mount --bind "$dir" "/run/keep/$kept"
	kept=$((kept + 1))
done
for dir in /tmp /var/tmp /mnt; do
	if [[ -d $dir ]]; then
		mount -t tmpfs -o mode=1777 tmpfs "$dir"
	fi
done
kept=0
for dir in "${keep[@]}"; do
	if ! [[ $dir -ef /run/keep/$kept ]]; then
		mkdir -p "$dir"
		mount --bind "/run/keep/$kept" "$dir"
	fi
	kept=$((kept + 1))
done
case ${out:+$outtype} in
hostfs) mount -t hostfs -o "$out" hostfs "$out" ;;
9p) mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 out "$out" ;;
esac

# The modules of the kernel are not below /lib/modules of the machine.
if [[ -n $modules ]]; then
	printf '#!/bin/sh\nexec modprobe -d "%s" "$@"\n' "$modules" >/run/modprobe
	chmod +x /run/modprobe
	echo /run/modprobe >/proc/sys/kernel/modprobe
	# shellcheck disable=SC2086 # name:parameter=value, no spaces in them
	for module in $load; do
		/run/modprobe ${module//:/ }
	done
fi
# configfs is a module in some kernels, so it is mounted after the modules are loaded.
mount -t configfs configfs /sys/kernel/config

echo 60 >/proc/sys/kernel/hung_task_timeout_secs
# stdout and stderr of the command.  They stay open, because a UML console cannot be
# opened again after its last close.
exec 8>"$outdev" 9>"$errdev"
stty raw -echo <&8
stty raw -echo <&9

declare -a environment command
mapfile -d '' environment <"$run/environment"
mapfile -d '' command <"$run/command"

# Shortly before the time limit, log the stacks of all tasks.
(
	sleep "$((timeout > 20 ? timeout - 10 : timeout))"
	say "$nonce timeout"
	echo w >/proc/sysrq-trigger
	echo t >/proc/sysrq-trigger
) &
disown

say "$nonce start"
status=0
cd "$cwd"
env -i "${environment[@]}" ${modules:+VHOST_MODULES="$modules"} setsid -w "${command[@]}" </dev/null >&8 2>&9 8>&- 9>&- || status=$?
cd /

# Processes that are left over would keep devices open and hide leaks.
kill -KILL -1 || :
wait || :
if [[ -n $modules && -d /sys/module/vhost_blk ]]; then
	modprobe -d "$modules" -r vhost_blk
fi

# kmemleak reports objects that are older than five seconds.  Scan twice: during the first
# scan a stale pointer may still be in a register or on a stack.
if [[ -e $leaks ]]; then
	sleep 5.2
	echo scan >$leaks
	echo scan >$leaks
	while IFS= read -r line; do
		say "kmemleak: $line"
	done <$leaks
fi
say "$nonce exit $status"
# When the devices are shut down, no page of a program can be read any more.  So start no
# program, and wait once before, because that maps the code of bash for it.  Whether other
# pages are cached differs; drop them, so that all hosts end in the same way.
mkfifo /run/never
exec {never}<>/run/never
wait_seconds() {
	read -rt "$1" <&"$never" || : # the time is over
}
echo 3 >/proc/sys/vm/drop_caches
wait_seconds 0.01
off=1
[[ -d /sys/firmware/acpi ]] || grep -q 'User Mode Linux' /proc/cpuinfo || off=''
echo o >/proc/sysrq-trigger
if [[ ! $off ]]; then
	# Without ACPI the kernel shuts down, but cannot power off.  QEMU ends at a reset.
	wait_seconds 3
	echo b >/proc/sysrq-trigger
fi
wait_seconds 60
