# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The cache directory: keys of entries, locks, and publishing an entry.
#
# An entry is published by one rename, so that it is always complete.  Its name contains
# the hash of all its inputs, so that it is never out of date.

# shellcheck source=tools/lib/messages.sh
. "$(dirname "${BASH_SOURCE[0]}")/messages.sh"
VB_CACHE=${VHOST_BLK_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/vhost-blk}

# cache_key ITEM…: print the hash of a list of items.  A file counts with its name and
# contents, a directory with all files in it, anything else as text.  Names are relative,
# so that two checkouts of the same sources share the cache.
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

# take_lock NAME: wait for the lock, and hold it until the script ends.
take_lock() {
	local fd
	mkdir -p "$VB_CACHE/lock"
	exec {fd}>"$VB_CACHE/lock/$1"
	flock -n "$fd" && return
	note "waiting for the lock $1 (another build is running)"
	flock "$fd"
}

# Create a directory for temporary files on the file system of the cache, and print it.
scratch_dir() {
	mkdir -p "$VB_CACHE/tmp"
	mktemp -d "$VB_CACHE/tmp/$VB_NAME.XXXXXX"
}

# publish DIR ENTRY: make the complete directory DIR the cache entry ENTRY.
publish() {
	sync -f "$1"
	mkdir -p "$(dirname "$2")"
	# Another checkout may have published this entry already.
	if [[ -e $2 ]]; then
		rm -rf "$1"
	else
		mv -T "$1" "$2"
	fi
}

# keep_newest COUNT ENTRY…: remove all but the COUNT most recently used entries.
keep_newest() {
	local count=$1 entry
	shift
	while IFS= read -r entry; do
		rm -rf "$entry"
	done < <(stat -c '%Y %n' "$@" | sort -rn | tail -n "+$((count + 1))" | cut -d' ' -f2-)
}
