#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: lint.sh
#
# checkpatch --strict over the kernel's C files, sparse with endian checks and
# W=1 over the driver for each kernel series, shellcheck over every shell script.
# Clean means: not one message.
#
# What was found clean is remembered in the cache under everything the verdict
# depends on, and not looked at again until one of these changes.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/vm/checks/tap.sh
. "$VB_VM/checks/tap.sh"

PATH=$VB_BUILD_PATH
cd "$VB_TOP"
tree=$("$VB_VM/fetch-source.sh" 7.3)

clean=$VB_CACHE/lint
mkdir -p "$clean"
find "$clean" -type f -mtime +30 -delete

# lint KEY NAME COMMAND…: one result, remembered under KEY when it is good.
lint() {
	local key=$1
	shift
	if [[ -e $clean/$key ]]; then
		touch "$clean/$key"
		tap_result 0 "$1"
		return
	fi
	tap_run "$@"
	if ((tap_status == 0)); then
		touch "$clean/$key"
	fi
}

# The files of the checkout, and nothing that a build left there.
files() {
	git ls-files -co --exclude-standard -- "$@" | sort -u
}

# What checkpatch can't know.  compat/ is there to compare kernel versions, in
# the kernel's own idiom, and to drop arguments that an older kernel lacks;
# the layout of TRACE_EVENT, and the fields that its users share by a macro, are
# those of the kernel's own tracing headers.
ignored() {
	case $1 in
	compat/*) echo LINUX_VERSION_CODE,CONSTANT_COMPARISON,MACRO_ARG_UNUSED ;;
	*/trace.h) echo OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,COMPLEX_MACRO,MACRO_ARG_REUSE ;;
	*) echo NONE ;;
	esac
}

# QEMU's sources have QEMU's own style.
kernel=$(<"$tree/.debian-version")
while IFS= read -r file; do
	ignore=$(ignored "$file")
	# Without GIT_DIR it would look up licences in a kernel repository.
	GIT_DIR=/nonexistent lint "$(cache_key checkpatch "$kernel" "$ignore" "as $file" "$file")" \
		"checkpatch $file" "$tree/scripts/checkpatch.pl" --root="$tree" --strict \
		--terse --no-summary --quiet --ignore "$ignore" -f "$file"
done < <(files 'drivers/*.[ch]' 'include/*.h' 'compat/*.[ch]' 'tools/*.[ch]' \
	'*Kconfig' '*Makefile')

scripts=()
while IFS= read -r file; do
	if [[ $file == *.sh ]] || head -c 32 "$file" | grep -qaE '^#!.*\b(ba|da)?sh\b'; then
		scripts+=("$file")
	fi
done < <(files)
# A script is read with those that it sources.
key=$(cache_key "$(shellcheck --version)" "${scripts[@]}")
for file in "${scripts[@]}"; do
	lint "$key-${file//\//-}" "shellcheck $file" shellcheck -x -P SCRIPTDIR "$file"
done

# quiet STATUS DIR LOG [TREE]: the build in DIR ended well, and said nothing about the
# driver; about the kernel's headers is not ours.  TREE is where the kernel wasn't built.
# shellcheck disable=SC2317 # called by tap_run
quiet() {
	(($1 == 0)) || { echo "it was not run over the driver: see $3"; return 1; }
	[[ -z ${4:-} ]] || exported "$4" "$2/vhost_blk.ko" || return 1
	awk -v tree="$2/tree/" '/(warning|error):/ && index($0, "vhost/blk/") {
		sub(tree, ""); print; bad = 1 } END { exit bad }' "$3"
}

# exported TREE MODULE: the kernel exports all that the module wants.  modpost knows that
# only where the kernel was built.  KASAN exports its functions by a macro.
# shellcheck disable=SC2317 # called by quiet
exported() {
	local wanted
	wanted=$(comm -13 \
		<(grep -rhoE --include='*.[chS]' 'EXPORT_(PER_CPU_)?SYMBOL(_GPL)?\([A-Za-z0-9_]+' \
			"$1"/{arch/{um,x86},block,drivers/{block,char,vhost},fs,kernel,lib,mm} |
			sed 's/.*(//' | sort -u) \
		<(nm -u "$2" | awk '$NF !~ /^__asan_/ { print $NF }' | sort -u))
	[[ -z $wanted ]] || { echo "not exported: $wanted"; return 1; }
}

# analyse NAME KERNELBUILD VHOSTSOURCE MAKE-ARGUMENT…: what gcc W=1 (and sparse,
# with C=2) say about the driver.
analyse() {
	local name=$1 out log key status=0
	shift
	key=$(cache_key "$*" "$kernel" "$(gcc --version)" "$(sparse --version)" "$VB_VM/checks/lint.sh" \
		"$VB_TOP"/tools/{build-module,overlay}.sh "$VB_TOP/drivers/vhost/blk" "$VB_TOP/compat" \
		"$VB_TOP/include/uapi/linux/vhost_blk.h")
	out=$(scratch_dir)
	log=$VB_CACHE/log/lint-${name##* }.log
	if [[ ! -e $clean/$key ]]; then
		run_logged "$name" "$log" "$VB_TOP/tools/build-module.sh" "$1" "$2" "$out" \
			-j"$(nproc)" W=1 "${@:3}" || status=$?
		# make goes on without a sparse that is too old for the kernel.
		if [[ " $* " == *" C=2 "* ]] && ! grep -q '^  CHECK .*main.c' "$log"; then
			status=1
		fi
	fi
	lint "$key" "$name" quiet "$status" "$out" "$log" ${unbuilt:+"$unbuilt"}
	rm -rf "$out"
}

unbuilt=''
for series in 6.1 6.12; do
	headers=$("$VB_VM/stock-fetch.sh" "$series")/headers
	source=$("$VB_VM/fetch-source.sh" "$series")/drivers/vhost
	analyse "sparse and W=1 on $series" "$headers" "$source" C=2 CF=-D__CHECK_ENDIAN__
done
# prepare DIR FRAGMENT…: a build directory of Linux 7.3 that modules can be compiled
# for.  Nothing is loaded or linked, so the kernel itself is not built.
# shellcheck disable=SC2317 # called by run_logged
prepare() {
	local dir=$1
	shift
	make -C "$tree" O="$dir" ARCH=um tinyconfig &&
	"$tree/scripts/kconfig/merge_config.sh" -m -O "$dir" "$dir/.config" "$@" &&
	make -C "$tree" O="$dir" ARCH=um olddefconfig &&
	grep -qx CONFIG_VHOST_BLK=m "$dir/.config" &&
	make -C "$tree" O="$dir" ARCH=um -j"$(nproc)" modules_prepare &&
	touch "$dir/.vhost-blk-prepared"
}

# Linux 7.3 refuses the sparse of Debian 12.
fragments=("$VB_VM"/configs/{uml-base,slub,series-7.3,smp,vhost-blk-m}.config)
prepared=$VB_CACHE/obj/lint-7.3-$(cache_key "$kernel" "$(gcc --version)" "${fragments[@]}")
if [[ ! -e $prepared/.vhost-blk-prepared ]]; then
	# Kconfig and the driver are put into the tree, as for a host.
	take_lock build-7.3
	"$VB_TOP/tools/overlay.sh" "$tree"
fi
if [[ ! -e $prepared/.vhost-blk-prepared ]]; then
	rm -rf "$prepared"
	mkdir -p "$prepared"
	run_logged "preparing Linux 7.3 for modules" "$VB_CACHE/log/lint-prepare.log" \
		prepare "$prepared" "${fragments[@]}"
	keep_newest 2 "$VB_CACHE/obj/lint-7.3-"*
fi
touch "$prepared"
unbuilt=$tree
analyse "W=1 on 7.3" "$prepared" "$tree/drivers/vhost" ARCH=um \
	CONFIG_VHOST_BLK_KUNIT_TEST=y KBUILD_MODPOST_WARN=1

tap_end
