#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: klog-status.sh LOG NONCE
#
# Reads the kernel log of a test host.  If the host ran the command to its end and shut
# down, prints the exit status of the command.  Otherwise prints the reason on stdout
# and exits with status 1.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../../lib/messages.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
log=$1 marker="vhost-run: $2"

no() {
	echo "$*"
	exit 1
}

[[ -s $log ]] || no "the host printed nothing"
started=$(grep -cE "$marker start\$" "$log") || no "the command was not started"
status=$(sed -nE "s/^.*$marker exit ([0-9]{1,3})\$/\1/p" "$log")
grep -qE "$marker timeout\$" "$log" && no "the command did not end in time"
[[ $started == 1 && $status =~ ^[0-9]+$ ]] || no "the command did not end"
# The message of the power-off must come after the exit marker.
awk -v from="$marker exit " 'index($0, from) { ended = 1 }
	ended && /reboot: Power down/ { down = 1 } END { exit !down }' "$log" ||
	no "the host did not power down after the command"
echo "$status"
