#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: check.sh [GROUP…]
#
# Runs the groups of checks (all of them without an argument), some at a time,
# each of which prints TAP, and ends with one line: "N passed, N failed", and
# ", N skipped" where any was.  Exit 1 if anything failed, or if any group did
# not run to its end.  The TAP and messages of each group are kept in
# build/check/.
#
#   lint              checkpatch, sparse, W=1, shellcheck
#   harness           the judges of the test hosts themselves
#   kunit             unit tests, in the UML host
#   module            the module for Debian's stock kernels: build, layouts, load
#   model             the selftests themselves, on a model of the device
#   selftest          the selftests in all hosts; one alone: selftest-uml-7.3,
#                     selftest-uml-6.1, selftest-tcg (Debian's stock 6.1),
#                     selftest-tcg-6.12, selftest-x86-7.3-debug (KASAN and lockdep on
#                     two CPUs); selftest-full, the long loops of some of them; and,
#                     only by name or in the long form, selftest-uml-7.3-smp
#   geometry          some of the selftests on block devices of all geometries, in pairs
#   soak              many guests that verify, stop, swap, resize and are killed
#   e2e               QEMU and a guest that runs fio
#   e2e-live          the same while QEMU is told to swap, resize, unplug, reset;
#                     and boots by SeaBIOS and UEFI
#   e2e-fs            file systems, discards, caches and a crash, in a larger guest
#   e2e-zoned         a zoned disk and a file system on it
#   e2e-crash         what is on the disk after each flush of ext4 and xfs
#   qtest             QEMU's own qtests of virtio-blk, on vhost-blk-pci
#   qemu-10.0         the QEMU device, compiled in the newer QEMU
#   bench             the benchmark's load generator: are its figures right?
#   fuzz              request.c and the device, a few seconds each
#   migrate           a guest under load is moved between two QEMUs
#   memory            a guest behind an IOMMU, and one whose memory is plugged
#
# VHOST_BLK_LONG=1 runs each suite of the selftests in every host, with long loops.
set -euo pipefail
# shellcheck source=tools/testing/vm/lib.sh
. "$(dirname "$0")/lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
exec </dev/null

# The long ones first, so that none is left alone at the end; cold, each after
# what it needs has had time to be built.
all=(
	selftest-tcg
	selftest-tcg-6.12
	geometry
	selftest-full
	selftest-uml-7.3
	selftest-x86-7.3-debug
	selftest-uml-6.1
	e2e-fs
	e2e-live
	memory
	migrate
	e2e
	lint
	e2e-zoned
	e2e-crash
	soak
	qtest
	module
	harness
	bench
	fuzz
	model
	kunit
	qemu-10.0
)
# By name, and in the long form: with two CPUs x86-7.3-debug shows more.
more=(selftest-uml-7.3-smp)
[[ -n ${VHOST_BLK_LONG:-} ]] && all+=("${more[@]}")
(($#)) || set -- "${all[@]}"
groups=()
for group; do
	case $group in
	selftest) groups+=(selftest-{full,uml-7.3,x86-7.3-debug,uml-6.1,tcg,tcg-6.12}) ;;
	*)
		[[ " ${all[*]} ${more[*]} " == *" $group "* ]] || { usage >&2; die "no such group: $group"; }
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
	bench) echo "kernel selftest guest qemu bench : ../bench/smoke.sh" ;;
	kunit) echo "kernel : checks/kunit.sh" ;;
	module) echo "kernel tcg abi : checks/module.sh" ;;
	selftest-tcg*) echo "kernel tcg abi selftest : checks/selftest.sh ${1#selftest-}" ;;
	selftest-x86-*) echo "kernel tcg selftest : checks/selftest.sh ${1#selftest-}" ;;
	selftest-*) echo "kernel selftest : checks/selftest.sh ${1#selftest-}" ;;
	geometry) echo "kernel tcg abi selftest geometry : geometry.sh --short" ;;
	soak) echo "kernel selftest : checks/soak.sh --seconds 15" ;;
	e2e) echo "kernel guest qemu : e2e.sh" ;;
	e2e-live) echo "kernel guest qemu firmware : e2e.sh live" ;;
	e2e-*) echo "kernel guest guest-full qemu selftest : e2e.sh ${1#e2e-}" ;;
	qtest) echo "kernel qemu : checks/qtest.sh" ;;
	fuzz) echo "kernel selftest fuzz : fuzz.sh --short" ;;
	migrate) echo "kernel guest qemu python : migrate.sh --short" ;;
	memory) echo "kernel guest qemu python : memory.sh --short" ;;
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
	selftest-uml-* | selftest-x86-*) hosts+=("${group#selftest-}") ;;
	bench | e2e | e2e-* | qtest | migrate | memory) hosts+=(uml-7.3 qemu-7.2) ;;
	harness | lint | model | module | selftest-tcg* | geometry | qemu-*) ;;
	*) hosts+=(uml-7.3) ;;
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

# Run one group: its TAP, its messages and "PASSED FAILED SKIPPED" to $results.
run_group() {
	local group=$1 recipe words status=0 begin p f s
	recipe=$(recipe "$group")
	read -ra words <<<"${recipe#*: }"
	note "== $group"
	begin=$(date +%s)
	if [[ -x $VB_VM/${words[0]} ]]; then
		"$VB_VM/${words[0]}" "${words[@]:1}" >"$results/$group.tap" \
			2> >(tee "$results/$group.log" | sed -u "s/^/$group: /" >&2) || status=$?
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
	echo "$p $f $s" >"$results/$group.count"
}

lanes=()
finish() {
	local pid
	for pid in $prebuilder "${lanes[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null || :
	done
}
trap finish EXIT
trap 'exit 130' INT TERM

# Drop from `lanes` what has ended.
reap_lanes() {
	local pid left=()
	for pid in "${lanes[@]}"; do
		[[ -d /proc/$pid ]] && left+=("$pid")
	done
	lanes=("${left[@]}")
	if [[ -n $prebuilder && ! -d /proc/$prebuilder ]]; then
		prebuilder=''
	fi
}

# A test host has one CPU, and leaves it idle for a third of its time: so there
# is one more than there are CPUs.  Whatever is still being built is one of them.
start_when_free() {
	while reap_lanes; ((${#lanes[@]} + (${#prebuilder} > 0) > $(nproc))); do
		# One that is gone already is seen in the next turn.
		wait -n 2>/dev/null || :
	done
	set -m
	run_group "$1" &
	lanes+=("$!")
	set +m
}

for group in "${groups[@]}"; do
	start_when_free "$group"
done
for pid in "${lanes[@]}"; do
	wait "$pid" || :
done
lanes=()

passed=0 failed=0 skipped=0
for group in "${groups[@]}"; do
	if [[ -s $results/$group.count ]]; then
		read -r p f s <"$results/$group.count"
	else
		note "== $group: did not come to its end"
		p=0 f=1 s=0
	fi
	note "$group: $p passed, $f failed, $s skipped"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

# Once more, at the end, where somebody looks who has only that.  Of a run that was cut
# off also how far it had got, and what the host said.
repeat_failures() {
	local group=$1 base=$results/$1
	sed -n "s/^FAIL: /failed: $group: /p" "$base.report"
	if grep -q '^FAIL: no plan\|^FAIL: it ended\|^FAIL: Bail' "$base.report"; then
		awk '/^#? *(not )?ok |^# (suite|  RUN)/ { last = $0 } END { print last }' "$base.tap" |
			sed "s/^/failed: $group: last line: /"
		if [[ -s $base.log ]]; then
			awk '/error: |BUG|panic|Oops|RIP:|WARNING:|init failed|Out of memory/ &&
				++n <= 8' "$base.log" | sed "s/^/failed: $group: /"
		fi
	fi
}
for group in "${groups[@]}"; do
	if [[ -s $results/$group.report ]]; then
		repeat_failures "$group" >&2
	fi
done
summary="$passed passed, $failed failed"
((skipped)) && summary+=", $skipped skipped"
echo "$summary"
((failed == 0))
