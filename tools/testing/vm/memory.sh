#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: memory.sh [--only iommu|hotplug] [HOST]
#
# Guests whose memory isn't simple, in the test host HOST (default uml-7.3): one
# behind an IOMMU, and one whose memory comes and goes while it writes and
# reads; prints TAP.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/lib.sh"

host=uml-7.3 inside=0 only=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--inside) inside=1 ;;
	--only) only=$2; shift ;;
	-*) usage >&2; exit 2 ;;
	*) host=$1 ;;
	esac
	shift
done

# shellcheck source=tools/testing/vm/guest-lib.sh
. "$VB_VM/guest-lib.sh"

if ((!inside)); then
	guest_prepare
	exec "$VB_VM/uml-run.sh" "$host" --mem 3G --timeout 900 -- \
		"$0" --inside ${only:+--only "$only"}
fi

disks=$(mktemp -d)
make_test_disks "$disks"
exec /usr/bin/python3 -B "$VB_VM/memory.py" "$disks" "${only:-all}"
