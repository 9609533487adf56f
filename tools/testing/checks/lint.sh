#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: lint.sh
#
# Runs checkpatch --strict and kernel-doc on the C files for the kernel, sparse with endian
# checks and W=1 on the driver for each kernel series, shellcheck on every shell script
# and pylint on every Python program.  None of them may print a message.  Also checks that
# the documentation includes all kernel-doc and has an up-to-date list of checks, and what
# docs.py checks.
#
# A check that passed is recorded in the cache, under a hash of everything that its result
# depends on.  It is repeated when one of these changes.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

PATH=$VB_BUILD_PATH
cd "$VB_TOP"

# list NAME [PATTERN…]: make NAME an array of the files of the checkout that match, without
# files that a build made.
list() {
	local -n array=$1
	local found
	shift
	found=$(git ls-files -co --exclude-standard -- "$@" | sort -u) ||
		die "git could not list the files of $VB_TOP"
	[[ -n $found ]] || die "there are no files $*"
	# shellcheck disable=SC2034 # it is the other array
	mapfile -t array <<<"$found"
}
kernel_files=() documented=() programs=() all_files=()
# Not the sources in qemu/, which have the style of QEMU
list kernel_files 'drivers/*.[ch]' 'include/*.h' 'compat/*.[ch]' 'tools/*.[ch]' \
	'*Kconfig' '*Makefile'
list documented 'drivers/*.[ch]' 'include/*.h' 'qemu/*.[ch]'
list programs '*.py'
list all_files

tree=$("$VB_LIB/fetch-source.sh" 7.3)

clean=$VB_CACHE/lint
mkdir -p "$clean"
find "$clean" -type f -mtime +30 -delete

# lint KEY NAME COMMAND…: print a result.  A pass is recorded under KEY.
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

# Print the rules of checkpatch that a file may break.  compat/ compares kernel versions,
# and drops arguments that an older kernel lacks; trace.h has the layout and the macros of
# the kernel's tracing headers; Kconfig includes files of the same name.
ignored() {
	case $1 in
	compat/*) echo LINUX_VERSION_CODE,CONSTANT_COMPARISON,MACRO_ARG_UNUSED ;;
	Kconfig) echo EMBEDDED_FILENAME ;;
	*/trace.h) echo OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,COMPLEX_MACRO,MACRO_ARG_REUSE ;;
	*) echo NONE ;;
	esac
}

kernel=$(<"$tree/.debian-version")
for file in "${kernel_files[@]}"; do
	ignore=$(ignored "$file")
	# Without GIT_DIR, checkpatch would look up licences in a kernel repository.
	GIT_DIR=/nonexistent lint "$(cache_key checkpatch "$kernel" "$ignore" "as $file" "$file")" \
		"checkpatch $file" "$tree/scripts/checkpatch.pl" --root="$tree" --strict \
		--terse --no-summary --quiet --ignore "$ignore" -f "$file"
done

lint "$(cache_key kernel-doc "$kernel" "${documented[@]}")" "kernel-doc" \
	"$tree/scripts/kernel-doc" -none -Wall -Werror "${documented[@]}"

# The kernel-doc of the KUnit tests is not included.
# shellcheck disable=SC2317 # called by tap_run
kernel_doc_is_included() {
	diff -U0 --label "files with kernel-doc comments" --label "files that pages include" \
		<(grep -l '^/\*\*$' drivers/vhost/blk/*.[ch] include/uapi/linux/*.h | sort) \
		<(sed -n 's/^\.\. kernel-doc:: //p' Documentation/virt/vhost-blk/*.rst | sort)
}
tap_run "one page includes the kernel-doc of each file" kernel_doc_is_included

scripts=()
for file in "${all_files[@]}"; do
	IFS= LC_ALL=C read -rd '' -n 32 first <"$file" || :
	if [[ $file == *.sh || $first =~ ^#!.*[/\ ](ba|da)?sh($|[[:space:]]) ]]; then
		scripts+=("$file")
	fi
done
((${#scripts[@]})) || die "there are no scripts"
# The key has all scripts, because shellcheck also reads those that a script sources.
key=$(cache_key "$(shellcheck --version)" "${scripts[@]}")
for file in "${scripts[@]}"; do
	lint "$key-${file//\//-}" "shellcheck $file" shellcheck -x -P SCRIPTDIR "$file"
done

# Disabled are limits for the numbers of arguments and attributes, rules for names, and
# the rule that each function has a docstring.
lint "$(cache_key "$(pylint --version)" "${programs[@]}")" "pylint" pylint --score=n \
	--disable=R,invalid-name,missing-function-docstring --max-line-length=101 "${programs[@]}"

lint "$(cache_key "$key" "$VB_CHECKS/script_rules.py")" \
	"no pipe has a reader that ends early, and no status is lost" \
	"$VB_CHECKS/script_rules.py" "${scripts[@]}"

# shellcheck disable=SC2317 # called by tap_run
errors_are_named() {
	local file bad=0
	for file; do
		grep -qx '#!/bin/bash' "$file" || continue
		grep -q '^set -e' "$file" || continue
		grep -qE '^\. .*/(messages|cache|lib)\.sh"|^trap .* ERR$' "$file" || {
			echo "$file: source tools/lib/messages.sh, which names the command that failed"
			bad=1
		}
	done
	return "$bad"
}
lint "$key-errors" "scripts name the command that ended them" errors_are_named "${scripts[@]}"

# The version number of the driver is also that of the newest entry of CHANGELOG.md and of
# the DKMS package.
# shellcheck disable=SC2317 # called by tap_run
versions_agree() {
	local version command
	version=$(sed -n 's/^MODULE_VERSION("\(.*\)");$/\1/p' drivers/vhost/blk/device.c)
	[[ -n $version ]] || { echo "device.c has no MODULE_VERSION"; return 1; }
	[[ $(grep -m 1 '^## ' CHANGELOG.md) == "## $version "* ]] ||
		{ echo "the first entry of CHANGELOG.md is not that of $version"; return 1; }
	command=$(make --no-print-directory -n dkms)
	[[ $command == *"dkms-install.sh $version" ]] ||
		{ echo "'make dkms' would not install $version: $command"; return 1; }
	grep -x 'PACKAGE_VERSION="@VERSION@"' packaging/dkms.conf
}
tap_run "the driver, CHANGELOG.md and the DKMS package have the same version" versions_agree

tap_run "pages and comments name things that exist, and pages can be parsed" "$VB_CHECKS/docs.py"

# The page of checks is made from checks.toml, whose head says how.
tap_run "checks.rst is what checks/run.py --rst prints" \
	diff -u Documentation/virt/vhost-blk/checks.rst <("$VB_CHECKS/run.py" --rst)

# exported TREE MODULE: the kernel exports every symbol that the module needs.  Where
# the kernel was not built, modpost does not know.  KASAN exports its functions by a
# macro.
# shellcheck disable=SC2317 # called by quiet
exported() {
	local missing
	missing=$(comm -13 \
		<(grep -rhoE --include='*.[chS]' 'EXPORT_(PER_CPU_)?SYMBOL(_GPL)?\([A-Za-z0-9_]+' \
			"$1"/{arch/{um,x86},block,drivers/{block,char,vhost},fs,kernel,lib,mm} |
			sed 's/.*(//' | sort -u) \
		<(nm -u "$2" | awk '$NF !~ /^__asan_/ { print $NF }' | sort -u))
	[[ -z $missing ]] || { echo "not exported: $missing"; return 1; }
}

# quiet STATUS DIR LOG [TREE]: the build in DIR must succeed without a warning about the
# driver, and no file of the driver may call one of a higher layer.  Warnings about
# headers of the kernel are ignored.  TREE is the kernel's source if it was not built.
# shellcheck disable=SC2317 # called by tap_run
quiet() {
	(($1 == 0)) || { echo "the build failed or did not check the driver: see $3"; return 1; }
	[[ -z ${4:-} ]] || exported "$4" "$2/vhost_blk.ko" || return 1
	awk -v tree="$2/tree/" '/(warning|error):/ && index($0, "vhost/blk/") {
		sub(tree, ""); print; bad = 1 } END { exit bad }' "$3" || return
	"$VB_CHECKS/layers.sh" "$2/tree/drivers/vhost/blk"
}

# analyse NAME KERNELBUILD VHOSTSOURCE MAKE-ARGUMENT…: build the driver with gcc W=1, and
# with sparse if an argument is C=2.  There must be no warnings.
analyse() {
	local name=$1 out log key status=0
	shift
	key=$(cache_key "$*" "$kernel" "$(gcc --version)" "$(sparse --version)" "$VB_CHECKS"/{lint,layers}.sh \
		"$VB_TOP"/tools/{build-module,overlay}.sh "$VB_TOP/drivers/vhost/blk" "$VB_TOP/compat" \
		"$VB_TOP/include/uapi/linux/vhost_blk.h")
	out=$(scratch_dir)
	log=$VB_CACHE/log/lint-${name##* }.log
	if [[ ! -e $clean/$key ]]; then
		run_logged "$name" "$log" "$VB_TOP/tools/build-module.sh" "$1" "$2" "$out" \
			-j"$(nproc)" W=1 "${@:3}" || status=$?
		# If sparse is too old for the kernel, make continues without it.
		if [[ " $* " == *" C=2 "* ]] && ! grep -q '^  CHECK .*device.c' "$log"; then
			status=1
		fi
	fi
	lint "$key" "$name" quiet "$status" "$out" "$log" ${unbuilt:+"$unbuilt"}
	rm -rf "$out"
}

unbuilt=''
for series in 6.1 6.12; do
	headers=$("$VB_LIB/stock-fetch.sh" "$series")/headers
	source=$("$VB_LIB/fetch-source.sh" "$series")/drivers/vhost
	analyse "sparse and W=1 on $series" "$headers" "$source" C=2 CF=-D__CHECK_ENDIAN__
done

# prepare DIR FRAGMENT…: make DIR a build directory of Linux 7.3 in which modules can be
# compiled.  The kernel itself is not needed.
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

# Linux 7.3 needs a newer sparse than that of Debian 12, so this is only W=1.
fragments=("$VB_HOSTS"/configs/{uml-base,slub,series-7.3,smp,vhost-blk-m}.config)
prepared=$VB_CACHE/obj/lint-7.3-$(cache_key "$kernel" "$(gcc --version)" "${fragments[@]}")
if [[ ! -e $prepared/.vhost-blk-prepared ]]; then
	# The driver and its Kconfig are put into the tree, as for a host.
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
