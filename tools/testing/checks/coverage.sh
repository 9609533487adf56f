#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: coverage.sh [--keep DIR] [SUITE…]
#
# Counts the lines of drivers/vhost/blk that the unit tests and the selftests run, with
# gcov in the test host uml-7.3.  Prints a table of the files, then the lines that are
# not run, with their reasons from tools/testing/coverage/uncovered.  Fails if fewer than
# 95 % are run, if a line has no reason, or if a reason is for a line that does not exist
# any more.
#
#   --keep DIR  keep the files with the counts in DIR
#   SUITE…      count only these suites, to examine one file; the script then fails
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

keep='' inside=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--keep) mkdir -p "$2"; keep=$(realpath "$2"); shift ;;
	--inside) inside=$2; shift 2; break ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done

# In the host: run the tests, then copy the counts.  These are files of debugfs whose size
# is 0, so cp would copy nothing.
if [[ -n $inside ]]; then
	status=0
	./run.sh "$@" || status=$?
	while IFS= read -r file; do
		cat "$file" >"$inside/${file##*/}"
	done < <(find /sys/kernel/debug/gcov -path '*/drivers/vhost/blk/*.gcda')
	exit "$status"
fi

"$VB_LIB/packages.sh" kernel selftest python
host=$("$VB_HOSTS/host-build.sh" uml-7.3)
counts=${keep:-$(scratch_dir)}
[[ -n $keep ]] || trap 'rm -rf "$counts"' EXIT
tests=$("$VB_CHECKS/build-selftests.sh")
cd "$tests"

# Run the suites in a host and collect the counts.
own=$counts/own status=0
rm -rf "$own"
mkdir "$own"
cp "$host"/gcov/*.gcno "$own"
"$VB_HOSTS/uml-run.sh" uml-7.3 --timeout 2700 --out "$own" \
	--append "vhost.max_mem_regions=509 kunit.enable=1 kunit.filter_glob=vhost_blk*" -- \
	"$VB_CHECKS/coverage.sh" --inside "$own" --short "$@" |
	tee "$own/tap" | while IFS= read -r line; do
		[[ $line != "# suite "*" took "* ]] || note "${line#\# }"
	done || status=$?
grep '^not ok' "$own/tap" >&2 || note "$(tail -n 1 "$own/tap")"
((status == 0)) || die "the tests failed with status $status, so there is no coverage"

exec /usr/bin/python3 -B "$VB_CHECKS/coverage.py" --sources "$VB_TOP/drivers/vhost/blk" \
	--reasons "$VB_TOP/tools/testing/coverage/uncovered" --want 95 "$counts"/*/
