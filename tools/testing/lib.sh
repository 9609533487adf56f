# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every script of the tests shares: that of tools/lib, and where the parts
# of the tests are.

# shellcheck source=tools/lib/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/lib.sh"
# shellcheck disable=SC2034
VB_HOSTS=$VB_TOP/tools/testing/hosts
# shellcheck disable=SC2034
VB_GUESTS=$VB_TOP/tools/testing/guests
# shellcheck disable=SC2034
VB_VM=$VB_TOP/tools/testing/vm
