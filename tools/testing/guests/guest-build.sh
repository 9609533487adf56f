#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest-build.sh [small|full]
#
# Makes a guest from Debian's packages, and prints its directory,
# which has vmlinuz and initrd.
#
#   small  (default) the stock kernel of Debian 12 with its virtio modules,
#          busybox, and fio (built from Debian's source package: a static one
#          is a tenth of the packaged one with its libraries)
#   full   the cloud kernel 6.12, which knows zoned virtio disks, with file
#          systems; and the programs that make, check and load them
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/lib/apt.sh
. "$VB_LIB/apt.sh"

kind=small
for arg; do
	case $arg in
	--help) usage; exit ;;
	small | full) kind=$arg ;;
	*) usage >&2; exit 2 ;;
	esac
done

# The modules that init loads, those that are loaded on demand, and the programs that
# busybox lacks or that differ from it.  (The shell of busybox prefers its own applets
# to any program.)
modules=(virtio_pci virtio_blk qemu_fw_cfg)
demand=(virtio_mem) programs=() metapackage=linux-image-amd64
if [[ $kind == full ]]; then
	metapackage=linux-image-6.12-cloud-amd64
	demand=(ext4 xfs btrfs)
	programs=(dash blkdiscard blkzone blockdev fallocate fstrim sfdisk mkfs.ext4 e2fsck
		mkfs.xfs xfs_repair xfs_io mkfs.btrfs btrfs stress-ng)
fi

take_lock "guest-$kind"
key=$(cache_key "$kind" "$VB_GUESTS/guest-build.sh" "$VB_GUESTS/guest-init.sh")
link=$VB_CACHE/guest/current-$key
if [[ -z ${VHOST_BLK_UPDATE:-} && -e $link/initrd ]]; then
	touch "$link/"
	echo "$link"
	exit
fi

groups=(guest qemu)
[[ $kind == small ]] || groups+=(guest-full)
"$VB_LIB/packages.sh" "${groups[@]}"
PATH=$VB_BUILD_PATH
need_tool "${programs[@]}" modprobe depmod
apt_setup
kernel=$(apt-cache -c "$VB_APT_CONF" depends "$metapackage" |
	 awk '/Depends: linux-image-/ && !found++ { print $2 }')
[[ -n $kernel ]] || die "$metapackage depends on no kernel"
kernel_version=$(apt_candidate "$kernel")
fio_version=$(apt-cache -c "$VB_APT_CONF" showsrc --only-source fio |
	      awk '$1 == "Version:" { print $2 }' | sort -V | awk 'NR == 1')

mapfile -t files < <(command -v busybox "${programs[@]}")
entry=$VB_CACHE/guest/$(cache_key "$key" "$kernel_version" "$fio_version" "${files[@]}")

work=$(scratch_dir)
trap 'rm -rf "$work"' EXIT

fio=$VB_CACHE/tools/fio-static-${fio_version//[^A-Za-z0-9.+-]/_}
build_fio() {
	cd "$work/fio"
	apt-get -c "$VB_APT_CONF" -q source --download-only "fio=$fio_version"
	dpkg-source --no-check -x fio_*.dsc tree
	cd tree
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

# Drivers of hardware that no guest has are most of the package.
unpack_kernel() {
	apt_fetch "$work" "$kernel=$kernel_version"
	mkdir "$work/kernel"
	dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -x -C "$work/kernel" --wildcards \
		--exclude='*/kernel/drivers/'{gpu,media,infiniband,iio,staging,usb,net,input,hwmon,scsi} \
		--exclude='*/kernel/'{net,sound} './boot/vmlinuz-*' './lib/modules/*'
	find "$work/kernel/lib" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "$work/kernel" "$(ls "$work/kernel/lib/modules")"
}

# pack_modules RELEASE: those named, with what they depend on; which of them init
# is to load, in /modules (some kernels have some of them built in).
pack_modules() {
	local release=$1 module file
	for module in "${modules[@]}" "${demand[@]}"; do
		modprobe -d "$work/kernel" -S "$release" --show-depends "$module" \
			>"$work/depends" || die "$kernel has no module $module"
		while read -r file; do
			install -D -m 644 "$file" "$work/root/${file#"$work/kernel/"}"
		done < <(awk '$1 == "insmod" { print $2 }' "$work/depends")
		if [[ " ${modules[*]} " == *" $module "* ]] && grep -q ^insmod "$work/depends"; then
			echo "$module" >>"$work/root/modules"
		fi
	done
	cp "$work/kernel/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} \
		"$work/root/lib/modules/$release/"
	depmod -b "$work/root" "$release"
}

# The machine's programs with their libraries, at the libraries' own paths.
pack_programs() {
	local file
	for file; do
		rm -f "$work/root/bin/${file##*/}"
		install -m 755 "$file" "$work/root/bin/${file##*/}"
		ldd "$file" >>"$work/libraries"
	done
	# It is looked for when a thread is cancelled, and by nothing before.
	ldconfig -p | awk '$1 == "libgcc_s.so.1" && !found++ { print $1, "=>", $NF }' >>"$work/libraries"
	while read -r file; do
		install -D -m 755 "$file" "$work/root$file"
	done < <(awk '/not found/ { exit 1 } $2 == "=>" { print $3 } /^\t\/.*ld-linux/ { print $1 }' \
		"$work/libraries" | sort -u)
}

pack_initramfs() {
	local root=$work/root applet
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,mnt} "$work/out"
	install -m 755 "${files[0]}" "$root/bin/busybox"
	while read -r applet; do
		[[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
	done < <("$root/bin/busybox" --list)
	install -m 755 "$fio/fio" "$root/bin/fio"
	install -m 755 "$VB_GUESTS/guest-init.sh" "$root/init"
	pack_modules "$(ls "$work/kernel/lib/modules")"
	if ((${#programs[@]})); then
		pack_programs "${files[@]:1}"
		ln -sf dash "$root/bin/sh"
	fi
	(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/out/initrd"
	cp "$work"/kernel/boot/vmlinuz-* "$work/out/vmlinuz"
	echo "$kernel $kernel_version, fio $fio_version, ${files[*]}" >"$work/out/contents"
}

if [[ ! -e $entry ]]; then
	run_logged "fetching the guest's kernel $kernel_version" \
		"$VB_CACHE/log/guest-kernel.log" unpack_kernel
	pack_initramfs
	publish "$work/out" "$entry"
fi
ln -sfn "$(basename "$entry")" "$link"
echo "$link"
