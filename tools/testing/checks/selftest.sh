#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: selftest.sh [--timeout SECONDS] HOST [ARGUMENT…]
#
# Runs the selftests in HOST, a test host of host-run.sh, with the ARGUMENTs of
# selftests/vhost/run.sh.  checks.toml has the arguments for each host.  Prints TAP.
# Variables VHOST_* of the environment are passed to the selftests.
#
#   --timeout SECONDS  time limit after which the host is killed (default 2700)
#
# With VHOST_BLK_LONG=1, "--short SUITE…" runs all suites in their long form.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

timeout=2700
while [[ ${1:-} == --* ]]; do
	case $1 in
	--help) usage; exit ;;
	--timeout) timeout=$2; shift ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
host=${1:-}
[[ -n $host ]] || { usage >&2; exit 2; }
shift
[[ ${1:-} == --short && -n ${VHOST_BLK_LONG:-} ]] && set --

tests=$("$VB_CHECKS/build-selftests.sh")
cd "$tests"
# Tests use hundreds of memory regions; the default limit of the vhost core is 64.
append=vhost.max_mem_regions=509
# Only the stock kernels have huge pages.
[[ $host == stock-* ]] && append=hugepages=4
exec "$VB_HOSTS/host-run.sh" "$host" --append "$append" --timeout "$timeout" -- ./run.sh "$@"
