# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every script of the test hosts shares: messages with elapsed time, the
# cache directory, cache keys, locks and the publication of what was built.
#
# The rules of the cache: a finished entry appears by one rename(), so what can
# be seen is whole; its name holds the hash of everything that went in, so it
# never has to be checked for age.

VB_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034
VB_TOP=$(cd "$VB_LIB/../.." && pwd)
VB_CACHE=${VHOST_BLK_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/vhost-blk}
VB_NAME=$(basename "$0" .sh)
VB_START=${VB_START:-$(date +%s)}
export VB_START

# A version manager's python or perl must not get into the builds.
# shellcheck disable=SC2034
VB_BUILD_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Messages go to stderr: stdout is for results (a path, TAP).
note() {
	printf '[%4ds] %s: %s\n' "$(($(date +%s) - VB_START))" "$VB_NAME" "$*" >&2
}

die() {
	note "error: $*"
	exit 1
}

# Print the comment block at the head of the calling script: its --help.
usage() {
	sed -n '2,/^[^#]/{/^# SPDX/d;/^[^#]/d;/^$/d;s/^# \{0,1\}//;p}' "$0"
}

need_tool() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null ||
			die "$tool is missing: run tools/lib/packages.sh"
	done
}

# Hash of the arguments' contents: files by name and content, directories by
# all the files in them (names relative to the checkout: two checkouts of the
# same sources share their cache), anything else as text.
cache_key() {
	local item
	for item; do
		if [[ -d $item ]]; then
			(cd "$item" &&
			 find . -type f ! -name '*.o' ! -name '*.ko' ! -name '.*' -print0 |
			 sort -z | xargs -0r sha256sum)
		elif [[ -f $item ]]; then
			echo "$(basename "$item") $(sha256sum <"$item")"
		else
			echo "text $item"
		fi
	done | sha256sum | cut -c1-16
}

# take_lock NAME: hold it until the script ends.
take_lock() {
	local fd
	mkdir -p "$VB_CACHE/lock"
	exec {fd}>"$VB_CACHE/lock/$1"
	flock -n "$fd" && return
	note "waiting for the lock $1 (another build is running)"
	flock "$fd"
}

# A scratch directory in the cache, on the same file system as the entries.
scratch_dir() {
	mkdir -p "$VB_CACHE/tmp"
	mktemp -d "$VB_CACHE/tmp/$VB_NAME.XXXXXX"
}

# publish DIR ENTRY: DIR, complete, becomes the cache entry.
publish() {
	sync -f "$1"
	mkdir -p "$(dirname "$2")"
	# Another checkout may have published the same: theirs is as good.
	if [[ -e $2 ]]; then
		rm -rf "$1"
	else
		mv -T "$1" "$2"
	fi
}

# keep_newest COUNT ENTRY…: remove all but the most recently used ones.
keep_newest() {
	local count=$1 entry
	shift
	while IFS= read -r entry; do
		rm -rf "$entry"
	done < <(stat -c '%Y %n' "$@" | sort -rn | tail -n "+$((count + 1))" | cut -d' ' -f2-)
}

# run_logged WHAT LOG COMMAND…: output to LOG, a line of progress every 30
# seconds; a failure shows the end of the log.
run_logged() {
	local what=$1 log=$2 start pid ticks=0 status=0
	shift 2
	mkdir -p "$(dirname "$log")"
	start=$(date +%s)
	note "$what (log: $log)"
	# In a process group of its own, so that an interrupt can be passed on
	# to all of it; then let it clean up after itself.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	trap 'kill -TERM -- "-$pid" 2>/dev/null; wait "$pid"; exit 130' INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		ticks=$((ticks + 1))
		if ((ticks % 30 == 0)); then
			note "$what: $(($(date +%s) - start)) s, $(wc -l <"$log") lines of log"
		fi
	done
	wait "$pid" || status=$?
	trap - INT TERM
	if ((status)); then
		note "$what FAILED with status $status; the end of $log:"
		tail -n 30 "$log" >&2
		return "$status"
	fi
	note "$what: done in $(($(date +%s) - start)) s"
}
