#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: geometry.sh [--short] [--list] [WORD...]
#
# Runs selftests on backends of all geometries: block devices of each kind, files on each
# file system, and stacked devices, in Debian's stock kernel in QEMU.  The backends
# contain all pairs of values in geometry/factors.  Prints TAP, with a result for each
# backend and suite, and a table of the results at the end.
#
#   WORD     only backends whose line contains it, as kind=raid5, fs=xfs, stacked, "#12"
#   --list   print the backends, and run nothing
#   --short  run a few tests of each suite, and without a WORD only the simple backends
#            and twenty stacked ones
#
# If the host crashes or hangs, the current backend has failed, and the others are tested
# in another host.  A backend also fails if the kernel logs a report.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

dir=$VB_CHECKS/geometry
short='' list='' words=()
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--short) short=1 ;;
	--list) list=1 ;;
	-*) usage >&2; exit 2 ;;
	*) words+=("$1") ;;
	esac
	shift
done

# Number of backends per host, because a boot takes ten seconds or more
batch=20

# Keep the simple backends and twenty stacked ones: first one of each kind, then others.
shorten() {
	awk '$2 == "files" { next }
	     { match($0, /kind=[^ ]*/); kind = substr($0, RSTART, RLENGTH)
	       print $2 == "simple" ? 0 : seen[kind]++ ? 2 : 1, $0 }' |
		sort -n -k 1 -k 2 | awk '!$1 || n++ < 20' | cut -d ' ' -f 2- | sort -n
}

backends=()
while IFS= read -r line; do
	take=$((${#words[@]} == 0))
	for word in "${words[@]}"; do
		[[ " #$line " == *" $word "* ]] && take=1
	done
	((take)) && backends+=("$line")
done < <("$dir/pairs.py" | nl -w 1 -s ' ' | if [[ -n $short && ${#words[@]} == 0 ]]; then shorten; else cat; fi)
((${#backends[@]})) || die "no such backend: ${words[*]}"
if [[ -n $list ]]; then
	printf '#%s\n' "${backends[@]}"
	exit
fi

tests=$("$VB_CHECKS/build-selftests.sh")
tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT

# Print the arguments of QEMU for these backends.  The serial number of a disk is "geo"
# and the number of the backend.
qemu_args() {
	local backend words word
	for backend; do
		read -ra words <<<"$backend"
		declare -A f=()
		for word in "${words[@]:2}"; do
			f[${word%%=*}]=${word#*=}
		done
		case "${words[1]} ${f[kind]:-}" in
		'simple nvme')
			backing "${words[0]}"
			echo "-device nvme,id=ctrl${words[0]},serial=geo${words[0]}"
			echo "-device nvme-ns,bus=ctrl${words[0]},drive=geo${words[0]}," \
				"logical_block_size=${f[logical]},physical_block_size=${f[physical]}" \
				"$( ((f[integrity])) && echo ,ms=8,pi=1)"
			;;
		'simple virtio')
			backing "${words[0]}"
			echo "-device virtio-blk-pci,drive=geo${words[0]},serial=geo${words[0]}," \
				"logical_block_size=${f[logical]},physical_block_size=${f[physical]}," \
				"num-queues=1,queue-size=$([[ ${f[segments]} == few ]] && echo 8 || echo 256)," \
				"discard=$([[ ${f[discard]} == 1 ]] && echo on || echo off)"
			;;
		esac | sed 's/, /,/g;s/ ,/,/g'
	done
}

backing() {
	truncate -s 6M "$tmp/disk$1"
	echo "-blockdev driver=file,node-name=geo$1,filename=$tmp/disk$1,discard=unmap"
}

name_of() {
	printf '%s\n' "${backends[@]}" | sed -n "s/^$1 //p"
}

declare -A outcome=() seconds=()
running='' in_backend=''

# take_line LINE: process a line of the host's output.
take_line() {
	local kind id step how secs passed reason
	case $1 in
	@begin*)
		read -r kind running <<<"$1"
		in_backend=1
		note "$((${#done_ids[@]} + 1)) of ${#backends[@]}: $(name_of "$running")"
		;;
	@result*)
		read -r kind id step how secs passed reason <<<"$1"
		outcome[$id.$step]=$how
		seconds[$id]=$((${seconds[$id]:-0} + secs))
		case $how in
		pass) tap_result 0 "$(name_of "$id"): $step ($passed tests, $secs s)" ;;
		skip) tap_result 0 "$(name_of "$id"): $step # SKIP $reason" ;;
		*)
			echo "# $reason"
			tap_result 1 "$(name_of "$id"): $step"
			;;
		esac
		;;
	@end*)
		read -r kind id <<<"$1"
		done_ids+=("$id")
		running=''
		;;
	'#'*) echo "$1" ;;
	*) echo "# $1" ;;
	esac
}

# Run one host.  Adds the backends that it completed to done_ids.
run_host() {
	local status=0 line args
	printf '%s\n' "$@" >"$tmp/list"
	args=$(qemu_args "$@" | paste -sd' ')
	while IFS= read -r line; do
		if [[ $line == @status* ]]; then
			status=${line#@status }
		else
			take_line "$line"
		fi
	done < <(cd "$tests" && {
		s=0
		"$VB_HOSTS/qemu-run.sh" --mem 2G --timeout $((120 + $# * 300)) --qemu "$args" \
			--append "slub_debug=FZ" -- \
			"$dir/inside.sh" ${short:+--short} "$tmp/list" "${suites[@]}" \
			2>"$tmp/messages" || s=$?
		echo "@status $s"
	})
	tail -n 20 "$tmp/messages" | sed 's/^/# host: /' >"$tmp/last"
	if [[ -n $running ]]; then
		cat "$tmp/last"
		outcome[$running.host]=fail
		tap_result 1 "$(name_of "$running"): the host came to its end"
		done_ids+=("$running")
		running=''
	elif ((status == 125)); then
		cat "$tmp/last"
		tap_result 1 "hosts come to their end"
	elif ((status && status != 1)); then
		cat "$tmp/last"
		tap_result 1 "hosts have nothing to report"
	fi
	[[ -n $in_backend ]] || die "the host ended before its first backend"
	in_backend=''
}

# Print the results of the suites, one backend per line.
print_table() {
	local backend id name step row mark
	echo "# outcome: . passed, s skipped, F failed, - not run"
	echo "#      ${columns[*]} backend"
	for backend in "${backends[@]}"; do
		read -r id name <<<"$backend"
		row=$(printf '# %-4s' "$id")
		for step in "${columns[@]}"; do
			case ${outcome[$id.$step]:--} in
			pass) mark=. ;;
			skip) mark=s ;;
			fail) mark=F ;;
			*) mark=- ;;
			esac
			row+=$(printf ' %-*s' "${#step}" "$mark")
		done
		row+=" $name"
		for step in make verify remove kernel hung host; do
			[[ -z ${outcome[$id.$step]:-} ]] || row+=" [$step failed]"
		done
		echo "$row"
	done
}

suites=(data layout request_status discard cache_mode stop)
# backend_full runs instead of these on a backend that is too small.
columns=("${suites[@]}" backend_full)
done_ids=()
tap_run 'any two values are together in a backend' "$dir/pairs.py" --check

left=("${backends[@]}")
while ((${#left[@]})); do
	run_host "${left[@]:0:batch}"
	next=()
	for backend in "${left[@]}"; do
		[[ " ${done_ids[*]} " == *" ${backend%% *} "* ]] || next+=("$backend")
	done
	((${#next[@]} < ${#left[@]})) || die "the host completed no backend"
	left=("${next[@]}")
done
print_table
tap_end
