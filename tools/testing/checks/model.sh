#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: model.sh
#
# The test of the selftests: they pass on a model of the device in userspace, and
# notice each of its deliberate bugs.  Needs no kernel but this machine's.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

tests=$("$VB_CHECKS/build-selftests.sh")
exec "$tests/vhost_blk_model"
