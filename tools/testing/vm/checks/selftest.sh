#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftest.sh HOST
#
# The selftests in one test host: tcg, or the name of a UML host.  The slow
# hosts run them with shorter loops, the one with two CPUs those suites where
# something is done at the same time.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../lib.sh"

host=${1:?"usage: selftest.sh HOST"}
cd "$("$VB_VM/checks/build-selftests.sh")"
short=(--short)
[[ -n ${VHOST_BLK_LONG:-} ]] && short=()
# Hundreds, where the vhost core allows 64 by itself
regions=(--append vhost.max_mem_regions=509)
case $host in
tcg) "$VB_VM/tcg-run.sh" --timeout 2700 -- ./run.sh "${short[@]}" ;;
uml-7.3)
	# So many in each of its modes that more than a million come together.
	export VHOST_TEST_REQUESTS=${VHOST_TEST_REQUESTS:-1200000}
	"$VB_VM/uml-run.sh" "$host" "${regions[@]}" --timeout 2700 -- ./run.sh
	;;
uml-7.3-smp)
	"$VB_VM/uml-run.sh" "$host" "${regions[@]}" --timeout 2700 -- ./run.sh "${short[@]}" \
		ioctl data cache swap zonedata notify drain stop live log iotlb regions hostile
	;;
*) "$VB_VM/uml-run.sh" "$host" "${regions[@]}" --timeout 2700 -- ./run.sh "${short[@]}" ;;
esac
