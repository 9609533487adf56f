#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: uml-run.sh HOST [OPTION…] [--] COMMAND…
#
# Boots the User-Mode-Linux test host HOST (built first where it is not in the
# cache: see uml-build.sh), runs COMMAND in it as root in the current
# directory, and exits with COMMAND's status.
#
#   --mem SIZE        memory of the host (default 1G)
#   --cpus N          CPUs of an SMP host (default 2)
#   --timeout SECONDS until the host is killed (default 600)
#   --out DIR         the one directory of this machine that COMMAND may write
#   --env NAME        pass this variable too (VHOST_*, PATH, HOME and LANG are)
#   --append ARGS     for the kernel's command line
#   --log FILE        keep the kernel log there
#
# Inside, the root is this machine's, read-only, with empty memory over /tmp,
# /run, /var/tmp, /mnt and /dev/shm.  stdout and stderr come through.
#
# Exit 125: the host did not come to its end (panic, timeout, COMMAND never
# ran).  Exit 99: COMMAND succeeded, but the kernel log has a report.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host=${1:-}
[[ -n $host && -f $VB_VM/configs/$host.host ]] || { usage >&2; exit 2; }
shift
mem=1G timeout=600 out='' append='' klog='' ncpus='' series='' cpus=''
names=(PATH HOME LANG)
while (($#)); do
	case $1 in
	--mem) mem=$2; shift ;;
	--cpus) cpus=$2; shift ;;
	--timeout) timeout=$2; shift ;;
	--out) out=$(realpath "$2"); shift ;;
	--env) names+=("$2"); shift ;;
	--append) append=$2; shift ;;
	--log) klog=$(realpath "$2"); shift ;;
	--) shift; break ;;
	-*) note "unknown option $1"; usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
(($#)) || { usage >&2; exit 2; }
# shellcheck source=tools/testing/vm/configs/uml-7.3.host
. "$VB_VM/configs/$host.host"

dir=$("$VB_VM/uml-build.sh" "$host")
# Not below /tmp by default, which the host replaces.
run=$(scratch_dir)
pid=''
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[[ -n $pid ]] && kill -KILL -- "-$pid" 2>/dev/null
	rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

nonce=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
modules='' load=''
[[ -d $dir/modules ]] && modules=$dir/modules load=vhost_blk
keep=("$VB_CACHE" "$VB_TOP" "$PWD")
[[ -n $out ]] && keep+=("$out")
printf '%s\0' "$@" >"$run/command"
for name in "${names[@]}" $(compgen -e VHOST_); do
	[[ -v $name ]] && printf '%s=%s\0' "$name" "${!name}"
done >"$run/environment"
cwd=$PWD
declare -p nonce cwd modules load out keep timeout >"$run/settings"

args=(mem="$mem" root=/dev/root rootfstype=hostfs rootflags=/ ro
	init="$VB_VM/uml-init.sh" vhost_run="$run"
	con=null con0="fd:0,fd:1" con1="null,fd:3" con2="null,fd:4"
	ignore_loglevel printk.devkmsg=on oops=panic kasan_multi_shot
	null_blk.nr_devices=0 brd.rd_nr=0 kunit.enable=0)
[[ $series == 6.1 ]] || args+=(seccomp=on)
pin=()
if [[ -n ${ncpus:-} ]]; then
	args+=(ncpus="${cpus:-$ncpus}")
else
	# Unpinned, it runs at a quarter of the speed.  Several hosts at a
	# time take different CPUs.
	mkdir -p "$VB_CACHE/lock"
	for ((cpu = $(nproc) - 1; cpu > 0; cpu--)); do
		exec {lock}>"$VB_CACHE/lock/cpu-$cpu"
		flock -n "$lock" && break
	done
	pin=(taskset -c "$cpu")
fi
read -ra append <<<"$append"

# UML makes its descriptors non-blocking; through pipes of our own, that does
# not reach the caller's.
mkfifo "$run"/{klog,out,err}.fifo
tr -d '\r' <"$run/klog.fifo" >"$run/klog" &
readers=($!)
cat "$run/out.fifo" &
readers+=($!)
cat "$run/err.fifo" >&2 &
readers+=($!)

ulimit -c 0
setsid "${pin[@]}" "$dir/linux" "${args[@]}" "${append[@]}" \
	</dev/null >"$run/klog.fifo" 2>&1 3>"$run/out.fifo" 4>"$run/err.fifo" &
pid=$!

# The watchdog; 'sleep' in its own right, so that a wait does not hang on it.
(
	trap 'kill "$!"; exit' TERM
	sleep "$timeout" &
	wait "$!"
	kill -KILL -- "-$pid"
) 2>/dev/null &
watchdog=$!
hoststatus=0
wait "$pid" || hoststatus=$?
kill -TERM "$watchdog" 2>/dev/null && timedout=0 || timedout=1
# Helper threads of UML are processes of their own.
kill -KILL -- "-$pid" 2>/dev/null || :
pid=''
wait "${readers[@]}"
[[ -n $klog ]] && cp "$run/klog" "$klog"

# Keep the log of a failed run where the next one does not remove it.
failed() {
	local kept=$VB_CACHE/log/$host-failed.klog
	mkdir -p "$VB_CACHE/log"
	cp "$run/klog" "$kept"
	note "error: $host: $1 (kernel log: $kept)"
}

marker="vhost-run: $nonce"
status=$(sed -n "s/^.*$marker exit \([0-9]\{1,3\}\)\$/\1/p" "$run/klog")
if ((timedout)) || [[ ! $status =~ ^[0-9]+$ ]] || ((hoststatus)) ||
   ! grep -q 'reboot: Power down' "$run/klog"; then
	if ((timedout)); then
		failed "no end within $timeout s"
	elif ! grep -q "$marker start" "$run/klog"; then
		failed "did not get as far as the command"
	else
		failed "did not come to its end (status $hoststatus)"
	fi
	tail -n 40 "$run/klog" >&2
	exit 125
fi

check=()
[[ $series == 6.1 ]] && check=(--allow-maple-rcu)
if ! "$VB_VM/klog-check.sh" "${check[@]}" "$run/klog" >&2; then
	failed "the kernel log has reports, see above"
	((status)) || status=99
fi
exit "$status"
