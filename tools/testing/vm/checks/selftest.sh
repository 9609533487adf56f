#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftest.sh HOST | full
#
# The selftests in one test host, which is named as for host-run.sh; with short
# loops, or with VHOST_BLK_LONG=1 in their long form, and each suite everywhere.
#
# `full` are the suites whose long loops are what is to be proved, in the main
# host: every size, every split, and more than a million requests.  uml-7.3-smp
# runs what does several things at a time.  The stock kernels are emulated: what is
# about requests and backends, and not about ioctls, the worker and the vhost core, is
# left to uml-6.1, which has the same sources as one of them, and to uml-7.3.
# x86-7.3-debug shows what UML cannot: x86's copies of memory, which take any address,
# and locks and sleeps that are wrong where there is another CPU.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/../lib.sh"

host=${1:-}
# run.sh's arguments for each host, in the short form
declare -A short=(
	[full]='data layout notify'
	[uml-7.3]='--short --but data --but layout --but notify'
	[uml-7.3-smp]='--short ioctl states data notify busyloop drain stop live racing log iotlb
		invalidate dying tenants'
	[uml-6.1]='--short'
	[tcg]='--short ioctl states uapi config data iocontrol notify drain stop live racing regions hostile
		dying limits blocks scsi fs zoned'
	[tcg-6.12]='--short ioctl states uapi config errors zoned iocontrol notify drain stop live
		racing regions hostile dying limits'
	[x86-7.3-debug]='--short ioctl states unmapped malformed notify busyloop drain stop live log
		iotlb invalidate regions hostile dying limits nowait racing tenants'
)
[[ -v short[$host] ]] || { usage >&2; die "no such host: ${host:-(none)}"; }
# As often in each of its modes that more than a million come together
[[ $host == full ]] && export VHOST_TEST_REQUESTS=${VHOST_TEST_REQUESTS:-1200000}
mapfile -t arguments < <(xargs -n 1 <<<"${short[$host]}")
[[ -n ${VHOST_BLK_LONG:-} ]] && arguments=()

cd "$("$VB_VM/checks/build-selftests.sh")"
# Hundreds of regions, where the vhost core allows 64 by itself
append=vhost.max_mem_regions=509
# Huge pages, which only the stock kernels have
[[ $host == tcg* ]] && append=hugepages=4
"$VB_VM/host-run.sh" "${host/full/uml-7.3}" --append "$append" --timeout 2700 -- \
	./run.sh "${arguments[@]}"
