#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: build.sh [7.2|10.0] [--preload|--quick|--compile-only|--qtest]
#
# Build qemu-system-x86_64 with the vhost-blk device from Debian's QEMU source
# package of that series (default 7.2), and print the path of the binary.
#
#   --preload       build only the device, as a shared object for Debian's
#                   qemu-system-x86_64 of the same version (30 seconds):
#                   env LD_PRELOAD=PATH qemu-system-x86_64 ...
#   --quick         print the path of a script that does so, if the installed
#                   QEMU is of this version; build all of QEMU if not
#   --compile-only  compile only the device, treat its warnings as errors, and
#                   print the directory of the object files
#   --qtest         build the qos-test of QEMU 7.2, modified to test vhost-blk
#                   (see qtest-to-tree.sh), and next to it the
#                   qemu-system-x86_64 that it starts: a script as that of
#                   --quick, with the accelerator qtest, which Debian's lacks;
#                   or, if the versions differ, a QEMU with few devices
#
# Start the binary with -L /usr/share/qemu -L /usr/share/seabios, so that it
# finds its firmware.
#
# Results are kept in the cache directory ($VHOST_BLK_CACHE, default
# ~/.cache/vhost-blk).  VHOST_BLK_UPDATE=1 checks for a newer source package.
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/../tools/lib/cache.sh"
# shellcheck source=tools/lib/apt.sh
. "$VB_LIB/apt.sh"
VB_NAME=qemu-build

series=7.2 mode=full
for arg; do
	case $arg in
	--help) usage; exit ;;
	7.2 | 10.0) series=$arg ;;
	--preload | --quick | --compile-only | --qtest) mode=${arg#--} ;;
	*) usage >&2; exit 2 ;;
	esac
done

source_link=$VB_CACHE/src/qemu-$series

fetch_source() {
	local version entry tmp
	[[ -z ${VHOST_BLK_UPDATE:-} && -e $source_link/version ]] && return
	apt_setup
	version=$(apt-cache -c "$VB_APT_CONF" showsrc --only-source qemu |
		  awk -v s="1:$series" '$1 == "Version:" && index($2, s) == 1 { print $2 }' |
		  sort -uV | tail -n 1)
	[[ -n $version ]] || die "the apt sources have no source package of QEMU $series"
	entry=$VB_CACHE/src/qemu-${version//[^A-Za-z0-9.+-]/_}
	if [[ ! -e $entry ]]; then
		tmp=$(scratch_dir)
		cd "$tmp"
		run_logged "fetching the source of qemu $version" \
			"$VB_CACHE/log/qemu-source-$series.log" \
			apt-get -c "$VB_APT_CONF" -q source --download-only "qemu=$version"
		echo "$version" >"$tmp/version"
		publish "$tmp" "$entry"
	fi
	ln -sfn "$(basename "$entry")" "$source_link"
}

# QEMU 10.0 requires a newer meson than that of Debian 12.  Unpack that of the
# backports into the cache instead of installing it.
fetch_meson() {
	local version entry tmp
	apt_setup
	version=$(apt-cache -c "$VB_APT_CONF" madison meson |
		  awk '$3 ~ /~bpo12/ { print $3 }' | sort -V | tail -n 1)
	[[ -n $version ]] || die "the apt sources have no meson of bookworm-backports"
	entry=$VB_CACHE/tools/meson-${version//[^A-Za-z0-9.+-]/_}
	if [[ ! -e $entry ]]; then
		tmp=$(scratch_dir)
		run_logged "fetching meson $version" "$VB_CACHE/log/meson.log" \
			apt_fetch "$tmp" "meson=$version"
		dpkg-deb -x "$tmp"/meson_*.deb "$tmp"
		rm "$tmp"/meson_*.deb
		publish "$tmp" "$entry"
	fi
	meson_path=$entry/usr/lib/python3/dist-packages
}

# The device is compiled with QEMU's structures, which differ between versions.
debian_has_it() {
	local version
	version=$(dpkg-query -W -f '${Version}' qemu-system-x86 2>/dev/null) &&
		[[ ${version%+b[0-9]*} == "$(<"$source_link/version")" ]]
}

(
	take_lock "qemu-source-$series"
	fetch_source
)
script='' qtest=''
case $mode in
quick) if debian_has_it; then mode=preload script=1; else mode=full; fi ;;
qtest) if debian_has_it; then mode=preload qtest=qos-test; fi ;;
esac

# The kinds of builds only share the source, so each has its own tree and lock.
take_lock "qemu-$series-$mode"

inputs=("$VB_TOP/qemu/hw" "$VB_TOP/qemu/include" "$VB_TOP/qemu/docs" "$VB_TOP/qemu/entries"
	"$VB_TOP/qemu/add-to-tree.sh"
	"$VB_TOP/include/uapi/linux/vhost_blk.h")
[[ $mode == preload ]] && inputs+=("$VB_TOP/qemu/preload.c")
[[ $mode == qtest || $qtest ]] && inputs+=("$VB_TOP/qemu/qtest-to-tree.sh" "$VB_TOP/qemu/tests")
kind=${qtest:-$mode}
key=$(cache_key "$(<"$source_link/version")" "$kind" "${inputs[@]}" "$VB_TOP/qemu/build.sh")
entry=$VB_CACHE/qemu/$series-$kind-$key
case $kind in
full) product=qemu-system-x86_64 ;;
preload) product=vhost-blk.so${script:+.run} ;;
compile-only) product=objects ;;
qos-test | qtest) product=qos-test ;;
esac

if [[ -e $entry ]]; then
	touch "$entry"
	echo "$entry/$product"
	exit
fi

"$VB_LIB/packages.sh" qemu
export PATH=$VB_BUILD_PATH
meson_path=''
[[ $series == 7.2 ]] || fetch_meson

# Keep the tree, so that a change of the device is compiled in seconds.  ninja
# rebuilds targets whose build was interrupted, so the tree can be used as soon
# as it is configured.
options=(--target-list=x86_64-softmmu --without-default-features
	--enable-kvm --enable-tcg --enable-vhost-kernel --enable-vhost-user
	--enable-linux-aio --enable-linux-io-uring --enable-fdt=system
	--disable-docs --disable-install-blobs)
devices=()
case $mode in
preload) options+=(--disable-pie --extra-cflags=-fPIC) ;;
qtest)
	options+=(--without-default-devices --with-devices-x86_64=qtest
		--disable-debug-info '--extra-cflags=-O0 -U_FORTIFY_SOURCE')
	devices=(I440FX Q35 VIRTIO_PCI VIRTIO_BLK VHOST_BLK)
	;;
esac
tree=$VB_CACHE/obj/qemu-$series-$mode
made_of=$(cache_key "$(<"$source_link/version")" "${options[*]}${devices[*]}" "$meson_path" "$(gcc --version)")
log=$VB_CACHE/log/qemu-$series-$mode
export PYTHONPATH=$meson_path

if [[ ! -e $tree/.vhost-blk-configured ||
      $(<"$tree/.vhost-blk-configured") != "$made_of" ]]; then
	rm -rf "$tree"
	mkdir -p "$(dirname "$tree")"
	run_logged "unpacking QEMU $(<"$source_link/version")" "$log-unpack.log" \
		dpkg-source --no-check -x "$source_link"/qemu_*.dsc "$tree"
	"$VB_TOP/qemu/add-to-tree.sh" "$tree"
	if [[ $mode == qtest ]]; then
		printf 'CONFIG_%s=y\n' "${devices[@]}" >"$tree/configs/devices/x86_64-softmmu/qtest.mak"
	fi
	mkdir "$tree/build"
	cd "$tree/build"
	run_logged "configuring QEMU" "$log-configure.log" ../configure "${options[@]}"
	echo "$made_of" >"$tree/.vhost-blk-configured"
fi
"$VB_TOP/qemu/add-to-tree.sh" "$tree"
cd "$tree/build"

work=$(scratch_dir)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"

compile_device() {
	# This runs meson again if add-to-tree.sh has changed a meson.build.
	run_logged "updating the build files" "$log-reconfigure.log" ninja build.ninja
	mapfile -t objects < <(ninja -t targets all |
		sed -n 's,^\([^ :]*/hw_[^ :]*vhost-blk[^ :]*\.o\):.*,\1,p')
	((${#objects[@]} == 11)) || die "expected 11 object files of the device, found: ${objects[*]}"
	# Compile them each time, so that the log has all warnings.
	rm -f "${objects[@]}"
	run_logged "compiling the device" "$log-device.log" ninja "${objects[@]}"
	if grep -E '(vhost-blk|vhost_blk)[^ ]*:[0-9]+:[0-9]+: (warning|error)' "$log-device.log" >&2; then
		die "compiling the device gave warnings (log: $log-device.log)"
	fi
}

# QEMU has the trace events of its directory hw/block in one object file, with
# those that Debian's QEMU has.  Make OBJECT, which has only those of the device.
build_trace_events() {
	local dir=$work/trace
	mkdir "$dir"
	echo '#include "trace/trace-hw_block.h"' >"$dir/trace-vhost_blk.h"
	python3 ../scripts/tracetool.py --group=vhost_blk --backends=log --format=c \
		"$VB_TOP/qemu/entries/trace-events" "$dir/trace.c"
	# shellcheck disable=SC2046
	cc -O2 -fPIC -iquote "$dir" -iquote . -iquote .. -I../include $(pkg-config --cflags glib-2.0) \
		-c -o "$1" "$dir/trace.c"
}

# build_qtest MESSAGE TARGET: build qos-test, and the other part of QEMU that it needs.
build_qtest() {
	"$VB_TOP/qemu/qtest-to-tree.sh" "$tree"
	local test tests=(qos-test vhost-blk-{iommu,mmio,refusals}-test)
	run_logged "$1" "$log-qos-test.log" ninja "${tests[@]/#/tests/qtest/}" "$2"
	for test in "${tests[@]}"; do
		strip -o "$work/out/$test" "tests/qtest/$test"
	done
}

# Make FILE a script that starts Debian's QEMU with the device.
preload_script() {
	cat >"$1" <<-'SCRIPT'
		#!/bin/sh
		exec env "LD_PRELOAD=${0%/*}/vhost-blk.so" qemu-system-x86_64 "$@"
	SCRIPT
	chmod +x "$1"
}

case $mode in
full)
	compile_device
	run_logged "building $product (5 to 7 minutes on 2 CPUs)" "$log-build.log" \
		ninja "$product"
	strip -o "$work/out/$product" "$product"
	"$work/out/$product" -device vhost-blk-pci,help >"$log-help.log" 2>&1 ||
		die "the binary has no vhost-blk-pci (log: $log-help.log)"
	;;
preload)
	compile_device
	if [[ $qtest ]]; then
		accel=libqemu-x86_64-softmmu.fa.p/accel_qtest_qtest.c.o
		build_qtest "building qos-test (1 minute on 2 CPUs)" "$accel"
		objects+=("$accel")
		preload_script "$work/out/qemu-system-x86_64"
	fi
	build_trace_events "$work/trace.o"
	cc -shared -fPIC -o "$work/out/vhost-blk.so" "${objects[@]}" "$work/trace.o" \
		"$VB_TOP/qemu/preload.c"
	preload_script "$work/out/vhost-blk.so.run"
	;;
compile-only)
	compile_device
	mkdir "$work/out/$product"
	cp "${objects[@]}" "$work/out/$product/"
	;;
qtest)
	build_qtest "building qos-test and its QEMU (3 minutes on 2 CPUs)" qemu-system-x86_64
	strip -o "$work/out/qemu-system-x86_64" qemu-system-x86_64
	;;
esac
publish "$work/out" "$entry"
keep_newest 12 "$VB_CACHE/qemu/$series-$kind"-*
echo "$entry/$product"
