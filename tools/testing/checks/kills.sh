#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: kills.sh [--kills N] [HOST]
#
# VMMs that are killed at any moment, N of them (500) on a slow block device and
# as many on a file, in HOST (uml-7.3): the long form of the suite `dying`.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

kills=500
while [[ ${1:-} == --* ]]; do
	case $1 in
	--kills) kills=$2; shift ;;
	--help) usage; exit ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
[[ $kills =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }

cd "$("$VB_CHECKS/build-selftests.sh")"
# Two seconds for each, where the machine has much else to do
VHOST_TEST_KILLS=$kills VHOST_TEST_TIMEOUT=$((600 + 4 * kills)) \
	"$VB_HOSTS/uml-run.sh" "${1:-uml-7.3}" --timeout $((900 + 4 * kills)) -- ./run.sh dying
