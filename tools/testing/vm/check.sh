#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: check.sh [GROUP…]
#
# Runs the groups of checks (all of them without an argument), each of which
# prints TAP, and ends with one line: "N passed, N failed", and ", N skipped"
# where any was.  Exit 1 if anything failed, or if any group did not run to its
# end.  The TAP and messages of each group are kept in build/check/.
#
#   lint              checkpatch, sparse, W=1, shellcheck
#   harness           the judges of the test hosts themselves
#   kunit             unit tests, in the UML host
#   module            the module for Debian's stock kernel: build, layouts, load
#   model             the selftests themselves, on a model of the device
#   selftest          the selftests in all hosts; one alone: selftest-uml-7.3,
#                     selftest-uml-6.1, selftest-uml-7.3-smp, selftest-tcg
#   e2e               QEMU and a guest that runs fio
#   qemu-10.0         the QEMU device, compiled in the newer QEMU
#
# VHOST_BLK_LONG=1 runs the selftests with their long loops everywhere.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
exec </dev/null

all=(lint harness model kunit selftest-uml-7.3 module selftest-tcg selftest-uml-6.1
	selftest-uml-7.3-smp e2e qemu-10.0)
(($#)) || set -- "${all[@]}"
groups=()
for group; do
	case $group in
	selftest) groups+=(selftest-{uml-7.3,uml-6.1,uml-7.3-smp,tcg}) ;;
	*)
		[[ " ${all[*]} " == *" $group "* ]] || { usage >&2; die "no such group: $group"; }
		groups+=("$group")
		;;
	esac
done

# "PACKAGES : COMMAND" of a group.
recipe() {
	case $1 in
	lint) echo "kernel lint tcg : checks/lint.sh" ;;
	harness) echo "kernel : checks/harness.sh" ;;
	model) echo "kernel selftest : checks/model.sh" ;;
	kunit) echo "kernel : checks/kunit.sh" ;;
	module) echo "kernel tcg abi : checks/module.sh" ;;
	selftest-tcg) echo "kernel tcg abi selftest : checks/selftest.sh tcg" ;;
	selftest-*) echo "kernel selftest : checks/selftest.sh ${1#selftest-}" ;;
	e2e) echo "kernel guest qemu : e2e.sh" ;;
	qemu-10.0) echo "kernel qemu : checks/qemu.sh 10.0" ;;
	esac
}

packages=()
hosts=()
for group in "${groups[@]}"; do
	read -ra words <<<"$(recipe "$group")"
	for word in "${words[@]}"; do
		[[ $word == : ]] && break
		packages+=("$word")
	done
	case $group in
	lint | kunit) hosts+=(uml-7.3) ;;
	selftest-uml-*) hosts+=("${group#selftest-}") ;;
	e2e) hosts+=(uml-7.3 qemu-7.2) ;;
	esac
done
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
"$VB_VM/packages.sh" "${packages[@]}"

results=$VB_TOP/build/check
rm -rf "$results"
mkdir -p "$results"

# The hosts and QEMU are built in the background, in the order in which they are
# wanted: a test host keeps one CPU busy, a build can use the other.  A group
# whose host is not there yet waits for it; what can't be built fails in its
# group, which tries again.
prebuild() {
	local host build
	for host; do
		build=("$VB_VM/uml-build.sh" "$host")
		[[ $host == qemu-* ]] && build=("$VB_TOP/qemu/build.sh" "${host#qemu-}")
		"${build[@]}" || note "$host could not be built"
	done
}
prebuilder=''
if ((${#hosts[@]})); then
	mapfile -t hosts < <(printf '%s\n' "${hosts[@]}" | awk '!seen[$0]++')
	set -m
	prebuild "${hosts[@]}" >"$results/prebuild.log" 2>&1 &
	prebuilder=$!
	set +m
fi
trap '[[ -n $prebuilder ]] && kill -TERM -- "-$prebuilder" 2>/dev/null || :' EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 skipped=0
for group in "${groups[@]}"; do
	recipe=$(recipe "$group")
	read -ra words <<<"${recipe#*: }"
	note "== $group"
	begin=$(date +%s)
	status=0
	if [[ -x $VB_VM/${words[0]} ]]; then
		"$VB_VM/${words[0]}" "${words[@]:1}" >"$results/$group.tap" \
			2> >(tee "$results/$group.log" >&2) || status=$?
	else
		echo "Bail out! tools/testing/vm/${words[0]} is missing" >"$results/$group.tap"
		status=1
	fi
	read -r p f s < <(awk -v report="$results/$group.report" \
		-f "$VB_VM/checks/tap-count.awk" "$results/$group.tap")
	if ((status && !f)); then
		echo "FAIL: it ended with status $status" >>"$results/$group.report"
		f=1
	fi
	if [[ -s $results/$group.report ]]; then
		sed "s/^/    $group: /" "$results/$group.report" >&2
	fi
	if ((f)); then
		# The TAP diagnostics say what was expected.
		grep -E -B 12 '^ *not ok|^Bail out' "$results/$group.tap" | tail -n 120 >&2 || :
	fi
	note "== $group: $p passed, $f failed, $s skipped in $(($(date +%s) - begin)) s"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

summary="$passed passed, $failed failed"
((skipped)) && summary+=", $skipped skipped"
echo "$summary"
((failed == 0))
