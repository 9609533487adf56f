#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: soak.sh [OPTION…] [HOST]
#
# In the test host HOST (default uml-7.3; see host-run.sh) many processes are guests and VMMs for
# a while: they verify all that they read, stop, swap, resize, reset and are
# killed; in the end the kernel must use no more memory than after the warm-up.
# Prints TAP, a line of progress every 30 seconds, and a summary.
#
#   --seconds N, --minutes N  how long (default 60 s)
#   --vms N                   processes, of which each has up to four queues (8)
#   --seed N                  as a run before printed it
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

host=uml-7.3
export VHOST_SOAK_SECONDS=60 VHOST_SOAK_VMS=8
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--seconds) VHOST_SOAK_SECONDS=$2; shift ;;
	--minutes) VHOST_SOAK_SECONDS=$(($2 * 60)); shift ;;
	--vms) VHOST_SOAK_VMS=$2; shift ;;
	--seed) export VHOST_TEST_SEED=$2; shift ;;
	-*) usage >&2; exit 2 ;;
	*) host=$1 ;;
	esac
	shift
done

cd "$("$VB_CHECKS/build-selftests.sh")"
# Rests, in which memory is measured, come on top.
export VHOST_TEST_TIMEOUT=$((VHOST_SOAK_SECONDS * 5 / 4 + 300))
"$VB_HOSTS/host-run.sh" "$host" --timeout $((VHOST_TEST_TIMEOUT + 60)) -- ./run.sh soak
