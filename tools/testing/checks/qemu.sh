#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: qemu.sh SERIES
#
# Tests that the QEMU device compiles in QEMU SERIES without a warning.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

series=${1:?"usage: qemu.sh SERIES"}
status=0
"$VB_TOP/qemu/build.sh" "$series" --compile-only >&2 || status=$?
tap_result "$status" "the device compiles in QEMU $series"
tap_end
