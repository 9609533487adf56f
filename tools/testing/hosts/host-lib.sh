# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Common functions of uml-run.sh and qemu-run.sh: options, the directory of a run, the
# process of the host with its time limit, and the result.
#
# host-init.sh is PID 1 of a host.  Its input are the files in the directory of the run.
# Its output are lines in the kernel log that contain the nonce of the run: "start", and
# at the end "exit STATUS".
#
# Needs lib.sh.

# Drivers that are built in must not create devices at boot.
# shellcheck disable=SC2034 # uml-run.sh and qemu-run.sh use it
host_parameters=(null_blk.nr_devices=0 brd.rd_nr=0 scsi_debug.add_host=0 nbd.nbds_max=2)

# host_options "$@": parse the options and COMMAND.
# shellcheck disable=SC2034 # some are used by one script only
host_options() {
	mem=1G timeout=600 out='' append='' klog='' cpus='' icount='' plugin='' load='' x86='' qemu=''
	series=6.1
	command=()
	names=(PATH HOME LANG)
	while (($#)); do
		case $1 in
		--mem) mem=$2; shift ;;
		--cpus) cpus=$2; shift ;;
		--timeout) timeout=$2; shift ;;
		--out) out=$(realpath "$2"); shift ;;
		--env) names+=("$2"); shift ;;
		--append) append=$2; shift ;;
		--icount) icount=1 ;;
		--plugin) plugin=$2; shift ;;
		--qemu) qemu=$2; shift ;;
		--load) load=$2; shift ;;
		--host) x86=$2; shift ;;
		--series) series=$2; shift ;;
		--log) klog=$(realpath "$2"); shift ;;
		--) shift; break ;;
		-*) note "unknown option $1"; usage >&2; exit 2 ;;
		*) break ;;
		esac
		shift
	done
	command=("$@")
	(($#)) || { usage >&2; exit 2; }
}

# shellcheck disable=SC2317 # called by a trap
host_cleanup() {
	# A subshell that gets a signal before it has reset the traps of this script runs them.
	[[ $BASHPID == "$$" ]] || return 0
	[[ -n $host_pid ]] && kill -KILL -- "-$host_pid" 2>/dev/null
	rm -rf "$run"
}

# host_prepare NAME=VALUE…: create the directory of the run, with these settings for
# host-init.sh in addition to the common ones.
host_prepare() {
	local name cwd=$PWD keep=("$VB_CACHE" "$VB_TOP" "$PWD")
	# Not below /tmp, because the host mounts an empty file system on it.
	run=$(scratch_dir)
	host_pid=''
	trap host_cleanup EXIT
	trap 'exit 130' INT TERM
	nonce=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
	[[ -n $out ]] && keep+=("$out")
	printf '%s\0' "${command[@]}" >"$run/command"
	for name in "${names[@]}" $(compgen -e VHOST_); do
		[[ -v $name ]] && printf '%s=%s\0' "$name" "${!name}"
	done >"$run/environment"
	{
		declare -p nonce cwd out keep timeout
		for name; do
			printf '%s=%q\n' "${name%%=*}" "${name#*=}"
		done
	} >"$run/settings"
	mkfifo "$run"/{klog,out,err}.fifo
}

# choose_cpu LIST: set `cpu` to one of LIST, as "0,2-4", that no other host has, the last
# one first, and lock it until this script ends.  If others have all, any is chosen.
choose_cpu() {
	local range lock all=()
	for range in ${1//,/ }; do
		for ((cpu = ${range%-*}; cpu <= ${range#*-}; cpu++)); do
			all=("$cpu" "${all[@]}")
		done
	done
	mkdir -p "$VB_CACHE/lock"
	for cpu in "${all[@]}"; do
		exec {lock}>"$VB_CACHE/lock/cpu-$cpu"
		flock -n "$lock" && return
		exec {lock}>&-
	done
	cpu=${all[$$ % ${#all[@]}]}
}

# close_all FD…: close descriptors.
close_all() {
	local fd
	for fd; do
		exec {fd}>&-
	done
}

# host_boot COMMAND…: run the host, which writes to the fifos of the run.  COMMAND may be a
# shell function that sets up descriptors.
host_boot() {
	local name fd writers=() readers=() pids watchdog
	# A fifo ends when its last writer closes it.  A host that dies early has opened none
	# of them, so this script is a writer until the host has ended.
	for name in klog out err; do
		exec {fd}<>"$run/$name.fifo"
		writers+=("$fd")
		exec {fd}<"$run/$name.fifo"
		readers+=("$fd")
	done
	# The host gets pipes, because it may make its descriptors non-blocking, which
	# must not happen to those of the caller.  "sed -u" writes each line at once, so
	# that the last lines of a host that hangs are not lost.
	{ close_all "${writers[@]}"; exec sed -u 's/\r//g'; } <&"${readers[0]}" >"$run/klog" &
	pids=($!)
	{ close_all "${writers[@]}"; exec cat; } <&"${readers[1]}" &
	pids+=($!)
	{ close_all "${writers[@]}"; exec cat; } <&"${readers[2]}" >&2 &
	pids+=($!)
	close_all "${readers[@]}"

	ulimit -c 0
	{
		close_all "${writers[@]}"
		"$@"
	} &
	host_pid=$!
	# 'sleep' runs in the background, so that the trap can kill it.
	(
		close_all "${writers[@]}"
		trap 'kill "$!"; exit' TERM
		sleep "$timeout" &
		wait "$!"
		kill -KILL -- "-$host_pid"
	) 2>/dev/null &
	watchdog=$!
	host_status=0
	wait "$host_pid" 2>/dev/null || host_status=$?
	host_timedout=0
	kill -TERM "$watchdog" 2>/dev/null || host_timedout=1
	# Also kill the helper processes of UML.
	kill -KILL -- "-$host_pid" 2>/dev/null || :
	host_pid=''
	close_all "${writers[@]}"
	wait "${pids[@]}"
	[[ -n $klog ]] && cp "$run/klog" "$klog"
	return 0
}

# host_verdict NAME [OPTION-OF-KLOG-CHECK…]: exit with the status of the command if the
# host shut down properly and its kernel log has no reports; otherwise with an error.
host_verdict() {
	local name=$1 status why='' kept=$VB_CACHE/log/$1-failed.klog
	shift
	status=$("$VB_HOSTS/klog-status.sh" "$run/klog" "$nonce") || why=$status
	if ((host_timedout)); then
		why="no end within $timeout s"
	elif [[ -z $why ]] && ((host_status)); then
		why="the host's process ended with status $host_status"
	fi
	mkdir -p "$VB_CACHE/log"
	if [[ -n $why ]]; then
		cp "$run/klog" "$kept"
		tail -n 40 "$run/klog" >&2
		note "error: $name: $why (kernel log: $kept)"
		exit 125
	fi
	if ! "$VB_HOSTS/klog-check.sh" "$@" "$run/klog" >&2; then
		cp "$run/klog" "$kept"
		note "error: $name: the kernel log has reports, see above (all of it: $kept)"
		((status)) || status=99
	fi
	exit "$status"
}
