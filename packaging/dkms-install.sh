#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: dkms-install.sh VERSION
#
# Register the driver with DKMS, which builds and installs the module for the
# running kernel, and for each kernel that is installed later.  A version that is
# registered already is replaced.  Also install the udev rule, the modules-load.d
# file and the uapi header, as 'make install' does.
#
# Each build for a new kernel downloads vhost.h of that kernel (see
# tools/fetch-vhost-header.sh), so it needs network access.  Unlike 'make
# install', DKMS does not compare the vhost structures with those of vhost.ko.
#
# To uninstall: dkms remove vhost-blk/VERSION --all, then make uninstall
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../tools/lib/messages.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
version=${1:?"usage: dkms-install.sh VERSION"}
"$VB_LIB/packages.sh" dkms
cd "$VB_TOP"
if [[ -n $(dkms status "vhost-blk/$version") ]]; then
	dkms remove "vhost-blk/$version" --all
fi
dest=/usr/src/vhost-blk-$version
rm -rf "$dest"
# Copy only the files that 'make modules' uses.
mkdir -p "$dest/tools/lib"
cp -r Makefile drivers include compat "$dest/"
[[ ! -e .config ]] || cp .config "$dest/"
cp tools/*.sh "$dest/tools/"
cp tools/lib/{messages,cache,apt}.sh "$dest/tools/lib/"
sed "s/@VERSION@/$version/" packaging/dkms.conf >"$dest/dkms.conf"
dkms install "vhost-blk/$version"
install -D -m 644 packaging/60-vhost-blk.rules /etc/udev/rules.d/60-vhost-blk.rules
install -D -m 644 packaging/vhost-blk.conf /etc/modules-load.d/vhost-blk.conf
install -D -m 644 include/uapi/linux/vhost_blk.h /usr/local/include/linux/vhost_blk.h
if command -v udevadm >/dev/null; then
	udevadm control --reload
fi
