#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: migrate.sh [--loops N] [HOST]
#
# Live migration, in the test host HOST (default uml-7.3): a guest is moved
# between two QEMUs while it writes, reads and flushes, and keeps account of
# all that it has written; prints TAP, and how long the guest was down.
# N (default 1): how often it goes there and back.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/lib.sh"

host=uml-7.3 loops=1 inside=0
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--inside) inside=1 ;;
	--loops) loops=$2; shift ;;
	-*) usage >&2; exit 2 ;;
	*) host=$1 ;;
	esac
	shift
done

# shellcheck source=tools/testing/vm/guest-lib.sh
. "$VB_VM/guest-lib.sh"

if ((!inside)); then
	guest_prepare
	exec "$VB_VM/uml-run.sh" "$host" --mem 2G --timeout $((900 + loops * 60)) -- \
		"$0" --inside --loops "$loops"
fi

disks=$(mktemp -d)
make_test_disks "$disks"
exec /usr/bin/python3 -B "$VB_VM/migrate.py" "$disks" "$loops"
