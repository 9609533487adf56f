#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: migrate.sh [--loops N] [--short] [--other 10.0] [HOST]
#
# Live migration, in the test host HOST (default uml-7.3): a guest is moved
# between two QEMUs while it writes, reads and flushes, and keeps account of
# all that it has written; prints TAP, and how long the guest was down.
#
#   --loops N       how often it goes there and back (default 1)
#   --short         less of everything, for make check
#   --other 10.0    it goes from QEMU 7.2 to this one, and back
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/guests/guest-lib.sh
. "$VB_GUESTS/guest-lib.sh"

loops=1
guest_options "loops other" "$@"
guest_test migrate.py make_test_disks --mem 2G --timeout $((900 + loops * 60))
