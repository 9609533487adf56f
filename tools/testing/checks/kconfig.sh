#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: kconfig.sh
#
# Tests of the configuration: the kernel's kconfig parses the Kconfig of the project and
# offers every option; the module and a kernel tree with the overlay get the options that
# were chosen.  Only kconfig is compiled.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

PATH=$VB_BUILD_PATH
cd "$VB_TOP"
tmp=$(scratch_dir)
trap 'rm -rf "$tmp"' EXIT
export KCONFIG_CONFIG=$tmp/config

# kernel LINE…: set the configuration of the kernel for "configure".
kernel() {
	mkdir -p "$tmp/kernel"
	printf '%s\n' "$@" >"$tmp/kernel/.config"
}

# configure TARGET: run the kconfig of $tree, which must not print a warning.
configure() {
	rm -f "$KCONFIG_CONFIG"
	ln -sfn "$tree" "$tmp/kernel/source"
	KCONFIG_WERROR=1 tools/kconfig.sh "$1" KDIR="$tmp/kernel" >"$tmp/output" 2>&1 ||
		{ cat "$tmp/output"; return 1; }
	! grep -Ei 'warning|error' "$tmp/output"
}

# has LINE…: the resulting configuration must have these lines.
# shellcheck disable=SC2317 # called by tap_run
has() {
	local line
	for line; do
		grep -qx "$line" "$KCONFIG_CONFIG" || { echo "no $line"; return 1; }
	done
}

# lacks SYMBOL…: the resulting configuration must not have these symbols.
# shellcheck disable=SC2317 # called by tap_run
lacks() {
	local symbol
	for symbol; do
		! grep -w "$symbol" "$KCONFIG_CONFIG" || return 1
	done
}

mapfile -t symbols < <(sed -n 's/^config /CONFIG_/p' drivers/vhost/blk/Kconfig tools/testing/kernel/Kconfig)
all=(CONFIG_MODULES=y CONFIG_BLOCK=y CONFIG_EVENTFD=y CONFIG_KUNIT=y)

for series in 6.1 7.3; do
	tree=$("$VB_LIB/fetch-source.sh" "$series")
	tree=$(cd "$tree" && pwd -P)
	kernel "${all[@]}"
	tap_run "kconfig of $series: the defaults" configure olddefconfig
	tap_run "kconfig of $series: the driver is a module" has CONFIG_VHOST_BLK=m
	tap_run "kconfig of $series: without unit tests" \
		has '# CONFIG_VHOST_BLK_KUNIT_TEST is not set'
	tap_run "kconfig of $series: everything" configure allyesconfig
	tap_run "kconfig of $series: all ${#symbols[@]} options can be chosen" \
		has "${symbols[@]/%/=y}"
	kernel "${all[@]/CONFIG_KUNIT=y/# CONFIG_KUNIT is not set}"
	tap_run "kconfig of $series: everything of a kernel without KUnit" configure allmodconfig
	tap_run "kconfig of $series: the unit tests are not offered" \
		lacks CONFIG_VHOST_BLK_KUNIT_TEST
	kernel "${all[@]/CONFIG_BLOCK=y/# CONFIG_BLOCK is not set}"
	tap_run "kconfig of $series: everything of a kernel without disks" configure allyesconfig
	tap_run "kconfig of $series: nothing is offered" lacks "${symbols[@]}"

	# The files of a kernel tree that the overlay changes
	overlay=$tmp/overlay-$series
	for file in drivers/vhost/{vhost.h,Kconfig,Makefile} tools/testing/selftests/Makefile \
		kernel/configs/tiny.config Documentation/virt/index.rst \
		Documentation/userspace-api/ioctl/ioctl-number.rst MAINTAINERS; do
		install -D -m 644 "$tree/$file" "$overlay/$file"
	done
	# Undo an overlay of the cached tree.
	sed -i '/vhost.blk/d; /^obj-.*blk\/$/d' "$overlay"/drivers/vhost/{Kconfig,Makefile}
	sed -i '/^VHOST BLOCK BACKEND$/,/^$/d' "$overlay/MAINTAINERS"
	kernel "${all[@]}"
	configure allyesconfig
	tap_run "overlay on $series" tools/overlay.sh "$overlay"
	cp -r "$overlay" "$tmp/first"
	tap_run "overlay on $series, again" tools/overlay.sh "$overlay"
	tap_run "overlay on $series: the second one changed nothing" diff -r "$tmp/first" "$overlay"
	rm -r "$tmp/first"
	tap_run "overlay on $series: it has the test device, which was chosen" \
		test -e "$overlay/drivers/vhost/blk/testing/erase_disk.c"
	# shellcheck disable=SC2016 # make's variable
	tap_run "overlay on $series: the Makefile has the driver" \
		grep -qx 'obj-$(CONFIG_VHOST_BLK) += blk/' "$overlay/drivers/vhost/Makefile"
	sed -n '/^VHOST BLOCK BACKEND$/,/^$/s/^F:\t//p' "$overlay/MAINTAINERS" >"$tmp/claimed"
	tap_run "overlay on $series: MAINTAINERS has the files of the driver only" \
		diff "$tmp/claimed" - <<-'FILES'
		Documentation/virt/vhost-blk/
		drivers/vhost/blk/
		include/uapi/linux/vhost_blk.h
		tools/testing/selftests/vhost/
		FILES
	# In place of the other Kconfig files of a kernel
	printf 'config %s\n\tdef_bool y\n' BLOCK EVENTFD KUNIT >"$overlay/Kconfig"
	printf 'source "drivers/vhost/Kconfig"\n' >>"$overlay/Kconfig"
	tap_run "overlay on $series: vhost-blk.config is valid there" env -C "$overlay" \
		KCONFIG_ALLCONFIG=kernel/configs/vhost-blk.config \
		"$VB_TOP/build/kconfig/${tree//\//_}/scripts/kconfig/conf" --alldefconfig Kconfig
	tap_run "overlay on $series: the driver and the unit tests are built in" \
		has CONFIG_VHOST=y "${symbols[@]/%/=y}"
done

# A kernel build directory that only records the arguments of make
fake=$tmp/fake
mkdir "$fake"
cat >"$fake/Makefile" <<'MAKEFILE'
modules:
	@echo $(MAKEOVERRIDES) >$(M)/arguments
	@touch $(M)/vhost_blk.ko
MAKEFILE
build_module() {
	tools/modules.sh build KVER=fake KDIR="$fake" VHOST_SRC="$tree/drivers/vhost" OUT="$tmp/out"
}
arguments=$tmp/out/tree/drivers/vhost/blk/arguments

kernel "${all[@]}"
configure allmodconfig
tap_run "module: it is built with the unit tests that were chosen" build_module
tap_run "module: make is told" grep -w CONFIG_VHOST_BLK_KUNIT_TEST=y "$arguments"
configure olddefconfig
tap_run "module: it is built without them if they were not" build_module
# shellcheck disable=SC2317 # called by tap_run
lacks_argument() {
	! grep -w "$1" "$arguments"
}
tap_run "module: make is not told" lacks_argument CONFIG_VHOST_BLK_KUNIT_TEST=y
configure allyesconfig
status=0
build_module >"$tmp/output" 2>&1 || status=$?
tap_result "$((status != 1))" "module: a driver that is to be built in is refused"
tap_run "module: the message says what to do" grep -q menuconfig "$tmp/output"
rm "$KCONFIG_CONFIG"
tap_run "module: it is built without a configuration" build_module
tap_end
