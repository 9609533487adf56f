#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# PID 1 of a test host; started by uml-run.sh or tcg-run.sh, which gives the
# directory of the run as vhost_run= on the kernel command line.  Any error here
# ends in a kernel panic without the exit marker, and so in a failed run.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
run=${vhost_run:?}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
say() { echo "vhost-run: $*" >/dev/kmsg; }
trap 'say "init failed at line $LINENO: $BASH_COMMAND"' ERR

nonce='' cwd=/ out='' timeout=0 keep=()
modules='' load='' outtype='' outdev='' errdev=''
# shellcheck source=/dev/null
. "$run/settings"

mount -t debugfs debugfs /sys/kernel/debug
# The kernel's own scan every ten minutes may look while a pointer is on its way from
# one place to another, and suspects what is no leak; the scans at the end decide.
leaks=/sys/kernel/debug/kmemleak
if [[ -e $leaks ]]; then
	echo scan=off >$leaks
fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -sfn /proc/self/fd /dev/fd

# The machine's root is mounted read-only; what programs write to is memory.
# A directory that the caller works in may lie below one of these: it is put
# back at its own path.
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

# The modules of the kernel are in a directory of their own, if it has any.
if [[ -n $modules ]]; then
	printf '#!/bin/sh\nexec modprobe -d "%s" "$@"\n' "$modules" >/run/modprobe
	chmod +x /run/modprobe
	echo /run/modprobe >/proc/sys/kernel/modprobe
	# shellcheck disable=SC2086 # name:parameter=value, no spaces in them
	for module in $load; do
		/run/modprobe ${module//:/ }
	done
fi
# A module in some kernels.
mount -t configfs configfs /sys/kernel/config

echo 60 >/proc/sys/kernel/hung_task_timeout_secs
# The command's stdout and stderr.  Held open: a UML console can't be opened a
# second time after its last close.
exec 8>"$outdev" 9>"$errdev"
stty raw -echo <&8
stty raw -echo <&9

declare -a environment command
mapfile -d '' environment <"$run/environment"
mapfile -d '' command <"$run/command"

# Shortly before uml-run.sh gives up, say what everybody is waiting for.
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

# Processes that the command left behind would keep devices open and hide leaks.
kill -KILL -1 || :
wait || :
if [[ -n $modules && -d /sys/module/vhost_blk ]]; then
	modprobe -d "$modules" -r vhost_blk
fi

# kmemleak counts what is older than five seconds, and wants two scans: the
# first may still find a stale pointer in a register or on a stack.
if [[ -e $leaks ]]; then
	sleep 5.2
	echo scan >$leaks
	echo scan >$leaks
	while IFS= read -r line; do
		say "kmemleak: $line"
	done <$leaks
fi
say "$nonce exit $status"
# Not by a program: once the devices go, none can be started any more.
mkfifo /run/never
exec {never}<>/run/never
echo o >/proc/sysrq-trigger
read -rt 60 <&"$never"
