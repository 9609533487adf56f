#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: guest-build.sh [small|full]
#
# Build a guest from Debian's packages, and print the directory that has its
# vmlinuz and initrd.
#
#   small  (default) the stock kernel of Debian 12 with its virtio modules,
#          busybox, and fio (built from Debian's source package: a static one
#          is a tenth of the packaged one with its libraries)
#   full   the cloud kernel 6.12, which supports zoned virtio disks, with file
#          systems, and the programs that create, check and exercise them
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

# The modules that init loads, the modules that are loaded on demand, and the programs
# that busybox lacks or implements differently.  (busybox's shell would run its own
# applets instead of them, so dash is the shell then.)
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

# Leave out the drivers of hardware that no guest has: they are most of the package.
unpack_kernel() {
	apt_fetch "$work" "$kernel=$kernel_version"
	mkdir "$work/kernel"
	dpkg-deb --fsys-tarfile "$work/$kernel"_*.deb | tar -x -C "$work/kernel" --wildcards \
		--exclude='*/kernel/drivers/'{gpu,media,infiniband,iio,staging,usb,net,input,hwmon,scsi} \
		--exclude='*/kernel/'{net,sound} './boot/vmlinuz-*' './lib/modules/*'
	find "$work/kernel/lib" -name '*.ko.xz' -exec xz -d {} +
	depmod -b "$work/kernel" "$(ls "$work/kernel/lib/modules")"
}

# pack_modules RELEASE: install the modules and their dependencies, and list in /modules
# those that init loads (some kernels have some of them built in).
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

# pack_programs FILE...: install these programs of the build machine in /bin, and their
# libraries at the paths that they have on the build machine.
pack_programs() {
	local file found
	for file; do
		rm -f "$work/root/bin/${file##*/}"
		install -m 755 "$file" "$work/root/bin/${file##*/}"
		ldd "$file" >>"$work/libraries"
	done
	# glibc opens libgcc_s with dlopen() when a thread is cancelled, so ldd does not list it.
	found=$(ldconfig -p | awk '$1 == "libgcc_s.so.1" && !found++ { print $1, "=>", $NF }')
	echo "${found:-libgcc_s.so.1 => not found}" >>"$work/libraries"
	! grep "not found" "$work/libraries" >&2 || die "a program lacks these libraries"
	awk '$2 == "=>" { print $3 } /^\t\/.*ld-linux/ { print $1 }' "$work/libraries" |
		sort -u >"$work/library-paths"
	while read -r file; do
		install -D -m 755 "$file" "$work/root$file"
	done <"$work/library-paths"
}

pack_initramfs() {
	local root=$work/root applet
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,mnt} "$work/out"
	install -m 755 "${files[0]}" "$root/bin/busybox"
	"$root/bin/busybox" --list >"$work/applets"
	while read -r applet; do
		[[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
	done <"$work/applets"
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
