#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: inject.sh
#
# The long form of the selftest `inject`, in the test host uml-7.3: every point of
# failure of every ioctl in turn; prints TAP.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
"$VB_LIB/packages.sh" kernel selftest
cd "$("$VB_CHECKS/build-selftests.sh")"
export VHOST_TEST_ALL_FAULTS=1
exec "$VB_HOSTS/uml-run.sh" uml-7.3 --timeout 2700 -- ./run.sh inject
