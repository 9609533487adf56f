#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: fetch-vhost-header.sh KDIR OUTDIR
#
# Copy drivers/vhost/vhost.h of the kernel with the build directory KDIR to
# OUTDIR/vhost.h.  It comes from Debian's linux-source package of exactly the same
# version (about 140 MB, downloaded once), as the kernel headers do not have it.
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/lib/cache.sh"
# shellcheck source=tools/lib/apt.sh
. "$VB_LIB/apt.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
(($# == 2)) || { usage >&2; exit 2; }
kdir=$(realpath "$1") out=$2

hint="set VHOST_SRC to drivers/vhost in the source of this kernel"
owner=$(dpkg-query -S "$kdir/Makefile" 2>/dev/null | cut -d: -f1) ||
	die "$kdir does not belong to a Debian package; $hint"
# The version of the source package: a binary package may be a rebuild (+b1).
# shellcheck disable=SC2016 # dpkg's variable
version=$(dpkg-query -W -f '${source:Version}' "$owner")
# linux-headers-6.1.0-56-amd64 → 6.1, as in the source package's name
series=$(sed -nE 's/^linux-headers-([0-9]+\.[0-9]+).*/\1/p' <<<"$owner")
[[ -n $series ]] || die "cannot derive the kernel series from the package name $owner; $hint"

entry=$VB_CACHE/vhost-h/${version//[^A-Za-z0-9.+-]/_}
if [[ ! -e $entry ]]; then
	take_lock "vhost-h"
	apt_setup
	tmp=$(scratch_dir)
	trap 'rm -rf "$tmp"' EXIT
	run_logged "fetching linux-source-$series $version" "$VB_CACHE/log/vhost-h.log" \
		apt_fetch "$tmp" "linux-source-$series=$version" ||
		die "could not download linux-source-$series $version; $hint"
	mkdir "$tmp/entry"
	dpkg-deb --fsys-tarfile "$tmp"/linux-source-*.deb |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		tar -xJO "linux-source-$series/drivers/vhost/vhost.h" >"$tmp/entry/vhost.h"
	publish "$tmp/entry" "$entry"
fi
mkdir -p "$out"
cp "$entry/vhost.h" "$out/vhost.h"
