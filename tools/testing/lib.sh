# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source it use the variables
#
# What every script of the tests shares: that of tools/lib, and where the parts
# of the tests are.

# shellcheck source=tools/lib/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/cache.sh"
VB_HOSTS=$VB_TOP/tools/testing/hosts
VB_GUESTS=$VB_TOP/tools/testing/guests
VB_CHECKS=$VB_TOP/tools/testing/checks
