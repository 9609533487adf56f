#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: dkms-install.sh VERSION
#
# Gives the sources to DKMS, which builds and installs the module for this
# kernel and for each later one.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../tools/testing/vm/lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
version=${1:?"usage: dkms-install.sh VERSION"}
"$VB_VM/packages.sh" dkms
cd "$VB_TOP"
dest=/usr/src/vhost-blk-$version
rm -rf "$dest"
mkdir -p "$dest/packaging"
cp -r Makefile drivers include compat tools "$dest/"
cp packaging/60-vhost-blk.rules packaging/vhost-blk.conf "$dest/packaging/"
sed "s/@VERSION@/$version/" packaging/dkms.conf >"$dest/dkms.conf"
dkms install "vhost-blk/$version"
install -m 644 packaging/60-vhost-blk.rules /etc/udev/rules.d/60-vhost-blk.rules
