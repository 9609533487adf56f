#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftest.sh HOST | full
#
# The selftests in one test host: tcg, or the name of a UML host; with short
# loops, or with VHOST_BLK_LONG=1 in their long form, and each suite everywhere.
#
# `full` are the suites whose long loops are what is to be proved, in the main
# host: every size, every split, and more than a million requests.  The host
# with two CPUs runs what does several things at a time.  The stock kernel is
# emulated: what is about requests and backends, and not about ioctls, the worker
# and the vhost core, is left to uml-6.1, which has the same sources.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../lib.sh"

host=${1:-}
# run.sh's arguments for each host, in the short form
declare -A short=(
	[full]='data layout notify'
	[uml-7.3]='--short --but data --but layout --but notify'
	[uml-7.3-smp]='--short ioctl data notify busyloop drain stop live racing log iotlb invalidate dying'
	[uml-6.1]='--short'
	[tcg]='--short ioctl uapi config data iocontrol notify drain stop live racing regions hostile
		dying limits'
)
[[ -v short[$host] ]] || { usage >&2; die "no such host: ${host:-(none)}"; }
# As often in each of its modes that more than a million come together
[[ $host == full ]] && export VHOST_TEST_REQUESTS=${VHOST_TEST_REQUESTS:-1200000}
mapfile -t arguments < <(xargs -n 1 <<<"${short[$host]}")
[[ -n ${VHOST_BLK_LONG:-} ]] && arguments=()

cd "$("$VB_VM/checks/build-selftests.sh")"
if [[ $host == tcg ]]; then
	# The only one that has huge pages
	"$VB_VM/tcg-run.sh" --append hugepages=4 --timeout 2700 -- ./run.sh "${arguments[@]}"
else
	# Hundreds of regions, where the vhost core allows 64 by itself
	"$VB_VM/uml-run.sh" "${host/full/uml-7.3}" --append vhost.max_mem_regions=509 \
		--timeout 2700 -- ./run.sh "${arguments[@]}"
fi
