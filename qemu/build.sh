#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: build.sh [7.2|10.0] [--preload|--compile-only|--qtest]
#
# Builds qemu-system-x86_64 with the vhost-blk device from Debian's QEMU source
# package of that series (default 7.2), and prints the path of the binary.
#
#   --preload       build the device alone, as a shared object for the stock
#                   qemu-system-x86_64 of the same version, in half a minute:
#                   env LD_PRELOAD=PATH qemu-system-x86_64 ...
#   --compile-only  compile the device alone, any warning an error, and print
#                   where the objects are
#   --qtest         build QEMU 7.2's qos-test, with its tests of virtio-blk made
#                   tests of vhost-blk (qtest-to-tree.sh)
#
# The binary finds its firmware with -L /usr/share/qemu -L /usr/share/seabios.
# What was built is kept in the cache; VHOST_BLK_UPDATE=1 asks for a newer
# source package.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../tools/testing/vm/lib.sh"
# shellcheck source=tools/testing/vm/apt.sh
. "$VB_VM/apt.sh"
VB_NAME=qemu-build

series=7.2 mode=full
for arg; do
	case $arg in
	--help) usage; exit ;;
	7.2 | 10.0) series=$arg ;;
	--preload | --compile-only | --qtest) mode=${arg#--} ;;
	*) usage >&2; exit 2 ;;
	esac
done

# One build at a time of each kind: they share nothing but the source.  Tests
# are built in the tree of the binary that they test.
kind=$mode
[[ $mode == qtest ]] && kind=full
take_lock "qemu-$series-$kind"
source_link=$VB_CACHE/src/qemu-$series

fetch_source() {
	local version entry tmp
	[[ -z ${VHOST_BLK_UPDATE:-} && -e $source_link/version ]] && return
	apt_setup
	version=$(apt-cache -c "$VB_APT_CONF" showsrc --only-source qemu |
		  awk -v s="1:$series" '$1 == "Version:" && index($2, s) == 1 { print $2 }' |
		  sort -uV | tail -n 1)
	[[ -n $version ]] || die "no QEMU $series in the suites' source packages"
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

# QEMU 10.0 wants a newer meson than Debian 12's: take that of the backports,
# unpacked, so that the machine's own stays as it is.
fetch_meson() {
	local version entry tmp
	apt_setup
	version=$(apt-cache -c "$VB_APT_CONF" madison meson |
		  awk '$3 ~ /~bpo12/ { print $3 }' | sort -V | tail -n 1)
	[[ -n $version ]] || die "no meson in the backports of Debian 12"
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

(
	take_lock "qemu-source-$series"
	fetch_source
)
inputs=("$VB_TOP/qemu/hw" "$VB_TOP/qemu/include" "$VB_TOP/qemu/add-to-tree.sh"
	"$VB_TOP/include/uapi/linux/vhost_blk.h")
[[ $mode == qtest ]] && inputs=("$VB_TOP/qemu/qtest-to-tree.sh" "$VB_TOP/qemu/tests")
key=$(cache_key "$(<"$source_link/version")" "$mode" "${inputs[@]}" "$VB_TOP/qemu/build.sh")
entry=$VB_CACHE/qemu/$series-$mode-$key
case $mode in
full) product=qemu-system-x86_64 ;;
preload) product=vhost-blk.so ;;
compile-only) product=objects ;;
qtest) product=qos-test ;;
esac

if [[ -e $entry ]]; then
	touch "$entry"
	echo "$entry/$product"
	exit
fi

"$VB_VM/packages.sh" qemu
export PATH=$VB_BUILD_PATH
meson_path=''
[[ $series == 7.2 ]] || fetch_meson

# The tree that was built is kept: a change of the device alone then costs
# seconds.  ninja builds again what was cut off, so a configured tree is good.
options=(--target-list=x86_64-softmmu --without-default-features
	--enable-kvm --enable-tcg --enable-vhost-kernel --enable-vhost-user
	--enable-linux-aio --enable-linux-io-uring --enable-fdt=system
	--disable-docs --disable-install-blobs)
[[ $mode == preload ]] && options+=(--disable-pie --extra-cflags=-fPIC)
tree=$VB_CACHE/obj/qemu-$series-$kind
made_of=$(cache_key "$(<"$source_link/version")" "${options[*]}" "$meson_path" "$(gcc --version)")
log=$VB_CACHE/log/qemu-$series-$mode
export PYTHONPATH=$meson_path

if [[ ! -e $tree/.vhost-blk-configured ||
      $(<"$tree/.vhost-blk-configured") != "$made_of" ]]; then
	rm -rf "$tree"
	mkdir -p "$(dirname "$tree")"
	run_logged "unpacking QEMU $(<"$source_link/version")" "$log-unpack.log" \
		dpkg-source --no-check -x "$source_link"/qemu_*.dsc "$tree"
	"$VB_TOP/qemu/add-to-tree.sh" "$tree"
	mkdir "$tree/build"
	cd "$tree/build"
	run_logged "configuring it" "$log-configure.log" ../configure "${options[@]}"
	echo "$made_of" >"$tree/.vhost-blk-configured"
fi
"$VB_TOP/qemu/add-to-tree.sh" "$tree"
cd "$tree/build"

work=$(scratch_dir)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"

compile_device() {
	# Configures again where add-to-tree.sh changed what is built.
	run_logged "asking what to build" "$log-reconfigure.log" ninja build.ninja
	mapfile -t objects < <(ninja -t targets all |
		sed -n 's,^\([^ :]*/hw_[^ :]*vhost-blk[^ :]*\.o\):.*,\1,p')
	((${#objects[@]} == 5)) || die "expected 5 objects of the device, have: ${objects[*]}"
	# Built anew each time, so that the log has its warnings.
	rm -f "${objects[@]}"
	run_logged "compiling the device" "$log-device.log" ninja "${objects[@]}"
	if grep -E '(vhost-blk|vhost_blk)[^ ]*:[0-9]+:[0-9]+: (warning|error)' "$log-device.log" >&2; then
		die "the compiler has warnings on the device (log: $log-device.log)"
	fi
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
	cc -shared -o "$work/out/$product" "${objects[@]}"
	;;
compile-only)
	compile_device
	mkdir "$work/out/$product"
	cp "${objects[@]}" "$work/out/$product/"
	;;
qtest)
	"$VB_TOP/qemu/qtest-to-tree.sh" "$tree"
	run_logged "building $product (a minute)" "$log-build.log" \
		ninja "tests/qtest/$product"
	strip -o "$work/out/$product" "tests/qtest/$product"
	;;
esac
publish "$work/out" "$entry"
keep_newest 3 "$VB_CACHE/qemu/$series-$mode"-*
echo "$entry/$product"
