# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source it use the variables
#
# Every bash script of the tests sources this file: the library tools/lib, and the
# directories of the tests.

# shellcheck source=tools/lib/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/cache.sh"
VB_HOSTS=$VB_TOP/tools/testing/hosts
VB_GUESTS=$VB_TOP/tools/testing/guests
VB_CHECKS=$VB_TOP/tools/testing/checks
