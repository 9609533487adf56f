#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest-build.sh
#
# Puts together the guest that guest-run.sh boots, from Debian's packages
# alone: the stock kernel and an initramfs with busybox, fio (built from
# Debian's source package: a static one is a tenth of the packaged one with its
# libraries) and the kernel's virtio modules.  Prints its directory, which has
# vmlinuz and initrd.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/testing/vm/apt.sh
. "$VB_VM/apt.sh"

[[ ${1:-} == --help ]] && { usage; exit; }

# In the order in which they are loaded.
modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev
	virtio_pci virtio_blk qemu_fw_cfg)

take_lock guest
key=$(cache_key "$VB_VM/guest-build.sh" "$VB_VM/guest-init.sh")
link=$VB_CACHE/guest/current-$key
if [[ -z ${VHOST_BLK_UPDATE:-} && -e $link/initrd ]]; then
	touch "$link/"
	echo "$link"
	exit
fi

"$VB_VM/packages.sh" guest qemu
apt_setup
kernel=$(apt-cache -c "$VB_APT_CONF" depends linux-image-amd64 |
	 awk '/Depends: linux-image-/ { print $2; exit }')
[[ -n $kernel ]] || die "linux-image-amd64 depends on no kernel"
kernel_version=$(apt_candidate "$kernel")
fio_version=$(apt-cache -c "$VB_APT_CONF" showsrc --only-source fio |
	      awk '$1 == "Version:" { print $2 }' | sort -V | head -n 1)
busybox_version=$(dpkg-query -W -f '${Version}' busybox-static)
entry=$VB_CACHE/guest/$(cache_key "$key" "$kernel_version" "$fio_version" "$busybox_version")

work=$(scratch_dir)
trap 'rm -rf "$work"' EXIT

fio=$VB_CACHE/tools/fio-static-${fio_version//[^A-Za-z0-9.+-]/_}
build_fio() {
	cd "$work/fio"
	apt-get -c "$VB_APT_CONF" -q source --download-only "fio=$fio_version"
	dpkg-source --no-check -x fio_*.dsc tree
	cd tree
	PATH=$VB_BUILD_PATH
	./configure --build-static --disable-native --disable-numa \
		--disable-rdma --disable-http --disable-pmem --disable-libnfs
	make -j"$(nproc)" fio
	strip -o "$work/fio/out/fio" fio
}
if [[ ! -e $fio ]]; then
	mkdir -p "$work/fio/out"
	run_logged "building a static fio $fio_version" "$VB_CACHE/log/fio.log" build_fio
	publish "$work/fio/out" "$fio"
fi

# Unpacks only what is wanted of the package of 300 MB.
unpack_kernel() {
	local patterns=('./boot/vmlinuz-*') module
	apt_fetch "$work" "$kernel=$kernel_version"
	for module in "${modules[@]}"; do
		patterns+=("./lib/modules/*/$module.ko")
	done
	mkdir "$work/kernel"
	dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb |
		tar -x -C "$work/kernel" --wildcards "${patterns[@]}"
}

pack_initramfs() {
	local root=$work/root module applet
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules} "$work/out"
	install -m 755 /bin/busybox "$root/bin/busybox"
	while read -r applet; do
		[[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
	done < <("$root/bin/busybox" --list)
	install -m 755 "$fio/fio" "$root/bin/fio"
	install -m 755 "$VB_VM/guest-init.sh" "$root/init"
	for module in "${modules[@]}"; do
		find "$work/kernel/lib" -name "$module.ko" -exec cp {} "$root/modules/" \;
		[[ -f $root/modules/$module.ko ]] || die "$kernel has no module $module"
		echo "$module" >>"$root/modules/order"
	done
	(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/out/initrd"
	cp "$work"/kernel/boot/vmlinuz-* "$work/out/vmlinuz"
	echo "$kernel $kernel_version, fio $fio_version, busybox $busybox_version" \
		>"$work/out/contents"
}

if [[ ! -e $entry ]]; then
	run_logged "fetching the guest's kernel $kernel_version" \
		"$VB_CACHE/log/guest-kernel.log" unpack_kernel
	pack_initramfs
	publish "$work/out" "$entry"
fi
ln -sfn "$(basename "$entry")" "$link"
echo "$link"
