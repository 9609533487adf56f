#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: host-build.sh HOST
#
# Builds the kernel of a test host, with vhost_blk, and prints its directory, which has
#
#   linux, config  the kernel and its configuration
#   modules/       its modules, if it has any
#   functions      the names of the driver's functions, if the kernel has KCSAN
#   vmlinux        the kernel with symbols, if the kernel has KCOV and linux has no symbols
#   gcov/          the files of gcov for the driver, if the kernel counts lines
#
# HOST is the name of a file configs/HOST.host: uml-7.3, uml-6.1, uml-7.3-smp and
# uml-7.3-fast are User-Mode Linux, for uml-run.sh; x86-7.3, x86-7.3-debug and
# x86-7.3-kcsan are for qemu-run.sh.
#
# The result is cached under a hash of all inputs.  The object files are kept too, so
# that a build after a change of the driver takes seconds.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host=${1:-}
[[ -n $host && -f $VB_HOSTS/configs/$host.host ]] || { usage >&2; exit 2; }
series='' fragments='' arch=um image=linux make_args=()
# shellcheck source=tools/testing/hosts/configs/uml-7.3.host
. "$VB_HOSTS/configs/$host.host"
read -ra fragments <<<"$fragments"
fragments=("${fragments[@]/#/$VB_HOSTS/configs/}")
fragments=("${fragments[@]/%/.config}")

PATH=$VB_BUILD_PATH
need_tool gcc make flex bison bc xz
tree=$("$VB_LIB/fetch-source.sh" "$series")
version=$(<"$tree/.debian-version")

toolchain=$(cache_key "$version" "$(gcc --version)" "$(ld --version)")
key=$(cache_key "$host" "$toolchain" "${make_args[@]}" "${fragments[@]}" "$VB_HOSTS/host-build.sh" \
	"$VB_TOP/tools/overlay.sh" "$VB_TOP/drivers/vhost" "$VB_TOP/compat" \
	"$VB_TOP/tools/testing/kernel" \
	"$VB_TOP/include/uapi/linux/vhost_blk.h")
entry=$VB_CACHE/hosts/$host/$key
if [[ -e $entry/linux ]]; then
	touch "$entry"
	echo "$entry"
	exit
fi

# One build of a source tree at a time: the overlay of one checkout must not
# change under the build of another.
take_lock "build-$series"
if [[ -e $entry/linux ]]; then
	echo "$entry"
	exit
fi

obj=$VB_CACHE/obj/$host
log=$VB_CACHE/log/$host.log
# A build that was killed may leave objects that make takes for finished; one
# that failed or was interrupted has cleaned up after itself.
if [[ -e $obj/.vhost-blk-building ]]; then
	note "the last build of $host was cut off: starting over"
	rm -rf "$obj"
elif [[ -d $obj && $(cat "$obj/.vhost-blk-toolchain") != "$toolchain" ]]; then
	note "other kernel source or compiler than last time: starting over"
	rm -rf "$obj"
fi
mkdir -p "$obj"
echo "$toolchain" >"$obj/.vhost-blk-toolchain"

"$VB_TOP/tools/overlay.sh" --tests "$tree"

kmake() {
	make -C "$tree" O="$obj" ARCH="$arch" -j"$(nproc)" "${make_args[@]}" "$@"
}

# The symbols that the fragments ask for; the last fragment that names a symbol decides,
# as in merge_config.sh.
asked() {
	awk '
	/^(CONFIG_|# CONFIG_.* is not set)/ {
		match($0, /CONFIG_[A-Za-z0-9_]+/)
		last[substr($0, RSTART, RLENGTH)] = $0
	}
	END { for (symbol in last) print last[symbol] }' "${fragments[@]}"
}

# Fail if a symbol of the fragments is missing from .config.
check_config() {
	local line bad=0
	while IFS= read -r line; do
		grep -qxF "$line" "$obj/.config" && continue
		# "is not set" is also true if the symbol does not exist.
		if [[ $line == '# CONFIG_'* ]]; then
			line=${line#\# }
			grep -q "^${line%% *}=" "$obj/.config" || continue
		fi
		echo "not in the configuration that resulted: $line"
		bad=1
	done < <(asked)
	return "$bad"
}

# Only if the fragments have changed: a new .config makes kbuild check every file.
configure() {
	local want
	want=$(cache_key "${fragments[@]}" "$VB_TOP/drivers/vhost/blk/Kconfig" \
		"$VB_TOP/tools/testing/kernel/Kconfig")
	[[ -e $obj/.config && $(cat "$obj/.vhost-blk-config") == "$want" ]] && return
	kmake tinyconfig &&
	"$tree/scripts/kconfig/merge_config.sh" -m -O "$obj" "$obj/.config" "${fragments[@]}" &&
	kmake olddefconfig &&
	check_config &&
	echo "$want" >"$obj/.vhost-blk-config"
}

build() {
	local status=0
	# make removes half-written files when it is told to stop; wait until it
	# has removed them.
	trap : INT TERM
	touch "$obj/.vhost-blk-building"
	configure && kmake || status=$?
	rm "$obj/.vhost-blk-building"
	return "$status"
}

touch "$obj/.vhost-blk-config"
run_logged "building $host (Linux $version)" "$log" build

# compiled SUFFIX: the results of the driver's files, but not those of files that have
# been removed since.
compiled() {
	local file
	for file in "$VB_TOP"/drivers/vhost/blk/*.c; do
		file=${file##*/}
		echo "$obj/drivers/vhost/blk/${file%.c}.$1"
	done
}

tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT
cp "$obj/$image" "$tmp/linux"
cp "$obj/.config" "$tmp/config"
if grep -q '=m$' "$tmp/config"; then
	run_logged "installing its modules" "$log.modules" \
		kmake INSTALL_MOD_PATH="$tmp/modules" modules_install
fi
if grep -q '^CONFIG_GCOV_KERNEL=y' "$tmp/config"; then
	mkdir "$tmp/gcov"
	mapfile -t files < <(compiled gcno)
	cp "${files[@]}" "$tmp/gcov"
fi
if [[ $image != linux ]] && grep -q '^CONFIG_KCOV=y' "$tmp/config"; then
	cp "$obj/vmlinux" "$tmp/vmlinux"
fi
if grep -q '^CONFIG_KCSAN=y' "$tmp/config"; then
	mapfile -t files < <(compiled o)
	nm "${files[@]}" | awk '$2 ~ /^[tT]$/ { print $3 }' >"$tmp/functions"
fi
publish "$tmp" "$entry"
keep_newest 12 "$VB_CACHE/hosts/$host"/*
echo "$entry"
