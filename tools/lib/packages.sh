#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: packages.sh GROUP…
#
# Installs the missing Debian packages of a group of tools, after printing their names.
# Groups:
#
#   runner    run the checks
#   kconfig   'make menuconfig'
#   kernel    build the UML hosts and the module
#   abi       compare struct layouts before a module is loaded
#   lint      shellcheck, sparse, checkpatch, pylint, docutils
#   selftest  build and run the selftests
#   tcg       run QEMU as a test host with the stock kernel
#   guest     run a guest: QEMU 7.2 and its firmware
#   firmware  boot a guest by UEFI
#   guest-full  the programs of the larger guest
#   fuzz      libFuzzer and its sanitizers
#   python    tests that talk to QEMU and the guest in it
#   qemu      build QEMU
#   bench     the benchmark's contenders and plots
#   dkms      packages of 'make dkms'
#   geometry  make stacked block devices
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/cache.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
(($#)) || { usage >&2; exit 2; }

group_packages() {
	case $1 in
	runner) echo python3 ;;
	kconfig) echo gcc make libc6-dev flex bison libncurses-dev ;;
	kernel) echo gcc make libc6-dev flex bison bc perl xz-utils kmod libelf-dev libssl-dev ;;
	abi) echo pahole ;;
	lint) echo shellcheck sparse perl git pylint python3-docutils ;;
	selftest) echo gcc make libc6-dev linux-libc-dev kmod e2fsprogs dmsetup ;;
	tcg) echo qemu-system-x86 kmod cpio busybox-static pahole ;;
	guest) echo qemu-system-x86 seabios cpio busybox-static kmod xz-utils ;;
	guest-full) echo util-linux fdisk e2fsprogs xfsprogs btrfs-progs stress-ng ;;
	firmware) echo ovmf mtools binutils ;;
	fuzz) echo gcc make libc6-dev clang-14 libclang-rt-14-dev binutils e2fsprogs ;;
	python) echo python3 gcc libc6-dev cpio mount e2fsprogs ;;
	qemu) echo gcc make ninja-build meson pkg-config python3 python3-venv \
		libglib2.0-dev libpixman-1-dev libaio-dev liburing-dev libfdt-dev \
		zlib1g-dev flex bison xz-utils dpkg-dev patch ;;
	bench) echo fio gnuplot-nox targetcli-fb python3 qemu-system-x86 ;;
	dkms) echo dkms ;;
	geometry) echo python3 e2fsprogs xfsprogs btrfs-progs mdadm dmsetup bcache-tools \
		nbd-server nbd-client drbd-utils iproute2 util-linux ;;
	*) die "no such group: $1" ;;
	esac
}

wanted=()
for group; do
	read -ra list <<<"$(group_packages "$group")"
	wanted+=("${list[@]}")
done

# The packages of "$@" that are not installed.
not_installed() {
	local package
	for package; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
			awk '$0 == "installed" { found = 1 } END { exit !found }' || echo "$package"
	done | sort -u
}

mapfile -t missing < <(not_installed "${wanted[@]}")
((${#missing[@]})) || exit 0

note "installing from Debian: ${missing[*]}"
[[ $(id -u) == 0 ]] || die "not root: run 'apt-get install ${missing[*]}' first"
take_lock apt
export DEBIAN_FRONTEND=noninteractive
install() {
	apt-get install -y --no-install-recommends "${missing[@]}"
}
log=$VB_CACHE/log/packages.log
# Fetch the package lists only if the installation fails, which means that they are missing
# or too old.
if ! apt-get install -y --no-install-recommends --print-uris "${missing[@]}" >/dev/null 2>&1 ||
   ! run_logged "installing" "$log" install; then
	run_logged "fetching the machine's package lists" "$log.update" apt-get update
	run_logged "installing" "$log" install
fi
