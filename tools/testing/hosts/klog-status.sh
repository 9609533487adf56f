#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: klog-status.sh LOG NONCE
#
# Reads from the kernel log of a test host whether its run came to its end, and
# prints the exit status of the command that ran in it.  Where it did not, says
# why on stdout and exits 1.
set -euo pipefail
# shellcheck source=tools/lib/messages.sh
. "$(dirname "$0")/../../lib/messages.sh"

[[ ${1:-} == --help ]] && { sed -n '3,7s/^# \{0,1\}//p' "$0"; exit; }
log=$1 marker="vhost-run: $2"

no() {
	echo "$*"
	exit 1
}

[[ -s $log ]] || no "the host printed nothing"
started=$(grep -cE "$marker start\$" "$log") || no "it did not get as far as the command"
status=$(sed -nE "s/^.*$marker exit ([0-9]{1,3})\$/\1/p" "$log")
grep -qE "$marker timeout\$" "$log" && no "the command did not end in time"
[[ $started == 1 && $status =~ ^[0-9]+$ ]] || no "it did not get as far as the command's end"
# Only the messages of the power-off follow the marker.
awk -v from="$marker exit " 'index($0, from) { ended = 1 }
	ended && /reboot: Power down/ { down = 1 } END { exit !down }' "$log" ||
	no "it did not power down after the command"
echo "$status"
