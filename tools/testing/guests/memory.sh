#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: memory.sh [--only iommu|hotplug] [--short] [HOST]
#
# Guests whose memory isn't simple, in the test host HOST (default uml-7.3): one
# behind an IOMMU, and one whose memory comes and goes while it writes and
# reads; prints TAP.
#
#   --only WHAT     one of the two
#   --short         one guest with both, less of everything: for make check
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/guests/guest-lib.sh
. "$VB_GUESTS/guest-lib.sh"

guest_options "only" "$@"
guest_test memory.py make_test_disks --mem 3G --timeout 900
