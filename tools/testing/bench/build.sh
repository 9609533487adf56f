#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: build.sh
#
# Builds the load generator and prints the path of the program.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
bin=$VB_TOP/build/bench/bin
mkdir -p "$bin"
run_logged "building the load generator" "$VB_CACHE/log/blkload.log" \
	make -C "$VB_TOP/tools/testing/bench" OUTPUT="$bin"
echo "$bin/blkload"
