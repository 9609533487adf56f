#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: build-selftests.sh
#
# Builds the selftests with the kselftest harness of Debian's kernel source, and
# prints their directory.  Warnings are errors.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

tests=$VB_TOP/tools/testing/selftests/vhost
tree=$("$VB_LIB/fetch-source.sh" 7.3)
# Checks that run at the same time build in the same directory.
take_lock selftests
run_logged "building the selftests" "$VB_CACHE/log/selftests.log" \
	make -j"$(nproc)" -C "$tests" KSFT="$tree/tools/testing/selftests" EXTRA_CFLAGS=-Werror
echo "$tests"
