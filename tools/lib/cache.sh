# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The cache directory: keys of its entries, locks, and the publication of what
# was built.
#
# The rules of the cache: a finished entry appears by one rename(), so what can
# be seen is whole; its name holds the hash of everything that went in, so it
# never has to be checked for age.

# shellcheck source=tools/lib/messages.sh
. "$(dirname "${BASH_SOURCE[0]}")/messages.sh"
VB_CACHE=${VHOST_BLK_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/vhost-blk}

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
