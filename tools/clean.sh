#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: clean.sh [--cache]
#
# Removes what builds left in the checkout; with --cache, also everything that
# was fetched and built in the cache directory.
set -euo pipefail
# shellcheck source=tools/lib/cache.sh
. "$(dirname "$0")/lib/cache.sh"

case ${1:-} in
--help) usage; exit ;;
--cache)
	note "removing $VB_CACHE"
	rm -rf "$VB_CACHE"
	;;
esac
cd "$VB_TOP"
rm -rf build
# Ignored files in these directories are products of a build.
if git rev-parse --git-dir >/dev/null 2>&1; then
	git clean -fdXq -- drivers include compat tools qemu
fi
