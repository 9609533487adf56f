#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: harness.sh
#
# Tests of the test scripts: reports in kernel logs are found, runs that did not end
# properly and incomplete TAP do not count as passed, the runner counts and reports
# failures, cache entries are complete, and a kernel's source and packages have the same
# version.  No host is booted.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/checks/tap.sh
. "$VB_CHECKS/tap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# expect STATUS NAME COMMAND…: the command must exit with this status.
expect() {
	local want=$1 name=$2 got=0
	shift 2
	"$@" >"$tmp/output" 2>&1 || got=$?
	if [[ $got != "$want" ]]; then
		echo "# status $got, not $want; output:"
		sed 's/^/# /' "$tmp/output"
	fi
	tap_result "$((got != want))" "$name"
}

# prints NAME PATTERN: the output of the last "expect" must have a line that matches.
prints() {
	tap_result "$(grep -Eqx "$2" "$tmp/output"; echo $?)" "$1"
}
# last NAME LINE: that output must end with this line.
last() {
	tap_result "$([[ $(tail -n 1 "$tmp/output") == "$2" ]]; echo $?)" "$1"
}

# ---- kernel logs
clean='[    0.000000] Linux version 7.3.4-um (root@vm) (gcc (Debian 12.2.0-14) 12.2.0) #1
[    0.000000] KernelAddressSanitizer initialized (generic)
[    0.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
[    0.860000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15779)
[    0.870000] vhost-run: cafe start
[    9.190000] vhost-run: cafe exit 0
[    9.190000] sysrq: Power Off
[    9.190000] reboot: Power down'

log() {
	printf '%s\n' "$clean" >"$tmp/log"
	[[ $# == 0 ]] || sed -i "6i\\[    1.230000] $1" "$tmp/log"
}

log
expect 0 "klog-check: a clean log" "$VB_HOSTS/klog-check.sh" "$tmp/log"
while IFS= read -r line; do
	log "$line"
	expect 1 "klog-check: $line" "$VB_HOSTS/klog-check.sh" "$tmp/log"
done <<'REPORTS'
WARNING: CPU: 0 PID: 41 at drivers/vhost/blk/complete.c:77 vhost_blk_complete+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
BUG: KASAN: slab-use-after-free in vhost_blk_kick+0x12/0x34
BUG: sleeping function called from invalid context at mm/util.c:1
BUG: scheduling while atomic: vhost-42/43/0x00000002
BUG: kernel NULL pointer dereference, address: 0000000000000000
BUG kmalloc-64 (Not tainted): Object already free
BUG vhost_blk_request (Not tainted): Objects remaining on __kmem_cache_shutdown()
kernel BUG at drivers/vhost/blk/map.c:10!
UBSAN: array-index-out-of-bounds in drivers/vhost/blk/request.c:12:3
UBSAN: shift-out-of-bounds in drivers/vhost/blk/request.c:12:3
ODEBUG: free active (active state 0) object: 00000000 object type: work_struct
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
vhost-run: kmemleak: unreferenced object 0x61a3b2c0 (size 64):
INFO: task vhost-42:43 blocked for more than 60 seconds.
INFO: trying to register non-static key.
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [fio:77]
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_sched self-detected stall on CPU
list_add corruption. next->prev should be prev (0), but was 1. (next=2).
refcount_t: underflow; use-after-free.
general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1]
Oops: 0000 [#1] PREEMPT SMP
Kernel panic - not syncing: Fatal exception
fio: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)
Call Trace:
REPORTS

maple() {
	local line
	log
	for line; do
		cat <<-REPORT
			[    0.560000]
			[    0.560000] =============================
			[    0.560000] WARNING: suspicious RCU usage
			[    0.560000] 6.1.192-um #1 Not tainted
			[    0.560000] -----------------------------
			[    0.560000] $line suspicious rcu_dereference_check() usage!
			[    0.560000]
			[    0.560000] other info that might help us debug this:
			[    0.560000] stack backtrace:
			[    0.560000] CPU: 0 PID: 22 Comm: sh Not tainted 6.1.192-um #1
			[    0.560000] Stack:
			[    0.560000]  00000000 929c3cc0 41b58ab3 60f513ae
			[    0.560000] Call Trace:
			[    0.560000]  [<600451c0>] ? dump_trace+0x0/0x220
			[    0.560000]  [<6007011e>] ? print_tainted+0x19e/0x210
		REPORT
	done >"$tmp/reports"
	sed -i "4r $tmp/reports" "$tmp/log"
}

maple lib/maple_tree.c:860 lib/maple_tree.c:816
expect 1 "klog-check: maple tree reports count elsewhere" "$VB_HOSTS/klog-check.sh" "$tmp/log"
expect 0 "klog-check: both are let pass on 6.1" \
	"$VB_HOSTS/klog-check.sh" --allow-maple-rcu "$tmp/log"
maple lib/maple_tree.c:860 lib/maple_tree.c:860
expect 1 "klog-check: but once each" "$VB_HOSTS/klog-check.sh" --allow-maple-rcu "$tmp/log"
maple lib/maple_tree.c:860 lib/maple_tree.c:999
expect 1 "klog-check: and no other line" "$VB_HOSTS/klog-check.sh" --allow-maple-rcu "$tmp/log"
maple lib/maple_tree.c:860 drivers/vhost/blk/device.c:816
expect 1 "klog-check: and no other file" "$VB_HOSTS/klog-check.sh" --allow-maple-rcu "$tmp/log"
maple lib/maple_tree.c:860
sed -i '/print_tainted/a [    0.570000] BUG: KASAN: use-after-free in foo' "$tmp/log"
expect 1 "klog-check: nor what follows them" "$VB_HOSTS/klog-check.sh" --allow-maple-rcu "$tmp/log"
log
awk 'BEGIN { for (i = 0; i < 20000; i++) print "[    9.200000] Call Trace:" }' >>"$tmp/log"
expect 1 "klog-check: reports without end" "$VB_HOSTS/klog-check.sh" "$tmp/log"
tap_result "$(($(wc -l <"$tmp/output") > 130))" "klog-check: of which it shows some"
: >"$tmp/log"
expect 1 "klog-check: an empty log is not a clean one" "$VB_HOSTS/klog-check.sh" "$tmp/log"

# ---- data races.  race READER CALLER-OF-WRITER [LINE]: write a log with a report of KCSAN,
# with LINE inside it.
race() {
	log
	cat >"$tmp/reports" <<-REPORT
		[  164.862221] ==================================================================
		[  164.862348] BUG: KCSAN: data-race in $1 / vhost_worker_queue
		[  164.862373]
		[  164.862413] write to 0xff110000046004a8 of 8 bytes by task 795 on cpu 1:
		[  164.862466]  vhost_worker_queue+0x77/0xf0
		[  164.862487]  $2+0x92/0xb0
		[  164.862586]
		[  164.862613] read (reordered) to 0xff110000046004a8 of 8 bytes by task 797 on cpu 0:
		[  164.862632]  $1+0x77/0xd0
		[  164.862668]  ret_from_fork_asm+0x11/0x20
		[  164.862682]   |
		[  164.862682]   +-> reordered to: $1+0xa2/0xd0
		[  164.862708]
		[  164.862711] value changed: 0x0000000000002328 -> 0x0000000000002329
		[  164.862712]
		[  164.862714] Reported by Kernel Concurrency Sanitizer on:
		[  164.862889] CPU: 0 UID: 0 PID: 797 Comm: vhost-795 Not tainted 7.3.4-x86 #1 PREEMPTLAZY
		[  164.863017] ==================================================================
	REPORT
	[[ -z ${3:-} ]] || sed -i "6i\\[  164.862500] $3" "$tmp/reports"
	sed -i "4r $tmp/reports" "$tmp/log"
}

printf '%s\n' vhost_blk_req_done release >"$tmp/functions"
kcsan=("$VB_HOSTS/klog-check.sh" --kcsan "$tmp/functions" "$tmp/log")
race vhost_vq_flush vhost_poll_wakeup
expect 1 "kcsan: a race counts by default" "$VB_HOSTS/klog-check.sh" "$tmp/log"
expect 0 "kcsan: a race of others is let pass" "${kcsan[@]}"
tap_result "$(grep -q '1 data-race in vhost_vq_flush' "$tmp/output"; echo $?)" \
	"kcsan: but told of"
race vhost_vq_flush vhost_poll_wakeup 'EXT4-fs (loop0): mounted'
expect 0 "kcsan: with what another CPU printed in it" "${kcsan[@]}"
race vhost_vq_flush vhost_poll_wakeup 'BUG: KASAN: use-after-free in foo'
expect 1 "kcsan: unless that is a report" "${kcsan[@]}"
race vhost_vq_flush vhost_blk_req_done
expect 1 "kcsan: one with the driver in a stack counts" "${kcsan[@]}"
race vhost_vq_flush vhost_blk_req_done_too
expect 0 "kcsan: not one whose name begins so" "${kcsan[@]}"
race vhost_vq_flush vhost_poll_wakeup
sed -i '/PREEMPTLAZY/,/=====/d' "$tmp/log"
expect 1 "kcsan: one without an end counts" "${kcsan[@]}"
race vhost_vq_flush vhost_poll_wakeup
sed -i '/PREEMPTLAZY/{n;s/$/\n[  165.0] WARNING: CPU: 0 PID: 41 at foo.c:1/}' "$tmp/log"
expect 1 "kcsan: so does what follows it" "${kcsan[@]}"
race vhost_run_work_list vhost_blk_req_done
expect 0 "kcsan: the one known in the vhost core is let pass" "${kcsan[@]}"
rm "$tmp/functions"
expect 1 "kcsan: nothing is let pass by no functions" "${kcsan[@]}"

# ---- detection of runs that did not end properly
log
expect 0 "klog-status: a whole run" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
expect 1 "klog-status: the marker of another run" "$VB_HOSTS/klog-status.sh" "$tmp/log" beef
sed -i 's/exit 0/exit 7/' "$tmp/log"
expect 0 "klog-status: a command that failed is a whole run too" \
	"$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
tap_result "$([[ $(<"$tmp/output") == 7 ]]; echo $?)" "klog-status: its status is handed back"
sed -i '/cafe start/d' "$tmp/log"
expect 1 "klog-status: never started" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
log
sed -i '/cafe exit/d' "$tmp/log"
expect 1 "klog-status: never ended" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
log
sed -i '/Power down/d' "$tmp/log"
expect 1 "klog-status: did not power down" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
log
awk 'BEGIN { for (i = 0; i < 20000; i++) print "[    9.200000] and more of the way down" }' >>"$tmp/log"
expect 0 "klog-status: much after the power down" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
log "vhost-run: cafe timeout"
expect 1 "klog-status: ran out of time" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe
: >"$tmp/log"
expect 1 "klog-status: printed nothing" "$VB_HOSTS/klog-status.sh" "$tmp/log" cafe

# ---- a host that dies before it opens the fifos of its run
cat >"$tmp/dies" <<-HOST
	set -euo pipefail
	. "$VB_CHECKS/../lib.sh"
	. "$VB_HOSTS/host-lib.sh"
	boot() {
		exec setsid false
	}
	host_options --timeout 5 -- true
	host_prepare
	host_boot boot
	host_verdict harness
HOST
expect 125 "host: one that dies at once is a failure" timeout 60 bash "$tmp/dies"
prints "host: the reason is said" ".*error: harness: .*"

# ---- the CPU of a host
cat >"$tmp/cpus" <<-HOST
	. "$VB_CHECKS/../lib.sh"
	. "$VB_HOSTS/host-lib.sh"
	VB_CACHE=$tmp/cache
	choose_cpu 0,3-4,8; echo "\$cpu"
	choose_cpu 0,3-4,8; echo "\$cpu"
	choose_cpu 0,3-4; echo "\$cpu"
	choose_cpu 0; echo "\$cpu"
	choose_cpu 0; echo "\$cpu"
	choose_cpu 3-4; [[ \$cpu == [34] ]]
HOST
expect 0 "host: all CPUs are taken" bash "$tmp/cpus"
tap_result "$([[ $(paste -sd ' ' "$tmp/output") == '8 4 3 0 0' ]]; echo $?)" \
	"host: before that, each CPU is given to one"

# ---- TAP.  tap "PASSED FAILED SKIPPED" NAME LINE…: the counts of these lines
tap() {
	local want=$1 name=$2 got
	shift 2
	got=$(printf '%s\n' "$@" | awk -v report=/dev/null -f "$VB_CHECKS/tap-count.awk")
	[[ $got == "$want" ]] || echo "# '$got', not '$want'"
	tap_result "$([[ $got == "$want" ]]; echo $?)" "tap-count: $name"
}

tap '2 0 0' "all pass" 'TAP version 13' 1..2 'ok 1 a' 'ok 2 b'
tap '2 0 0' "the plan at the end" 'ok 1 a' 'ok 2 b' 1..2
tap '1 1 0' "one fails" 1..2 'ok 1 a' 'not ok 2 b'
tap '1 1 0' "fewer than planned" 1..2 'ok 1 a'
tap '2 1 0' "more than planned" 1..1 'ok 1 a' 'ok 2 b'
tap '0 1 0' "nothing at all" ''
tap '1 2 0' "no plan" 'ok 1 a'
tap '1 0 1' "a skip with its reason" 1..2 'ok 1 a' 'ok 2 b # SKIP no dm-flakey'
tap '1 1 0' "a skip without one" 1..2 'ok 1 a' 'ok 2 b # SKIP'
tap '1 1 0' "a failure is no skip" 1..2 'ok 1 a' 'not ok 2 b # SKIP no dm-flakey'
tap '2 1 0' "the same result twice" 1..2 'ok 1 a' 'ok 1 a'
tap '3 1 0' "another order" 1..3 'ok 2 b' 'ok 1 a' 'ok 3 c'
tap '3 1 0' "a subtest twice" 1..2 '    1..2' '    ok 1 a' '    ok 1 a' 'ok 1 s' 'ok 2 t'
tap '0 0 1' "all skipped, with a reason" '1..0 # SKIP no device'
tap '0 1 0' "no tests, without a reason" '1..0'
tap '1 2 0' "bail out" 1..2 'ok 1 a' 'Bail out! no device'
tap '3 0 0' "subtests are counted, their sum is not" 'KTAP version 1' 1..1 \
	'    KTAP version 1' '    # Subtest: s' '    1..2' '    ok 1 a' \
	'        1..2' '        ok 1 p' '        ok 2 q' '    ok 2 b' 'ok 1 s'
tap '1 1 0' "a failed subtest counts once" 1..1 '    1..2' '    ok 1 a' '    not ok 2 b' 'not ok 1 s'
tap '1 1 0' "a subtest that ended early" 1..1 '    1..2' '    ok 1 a' 'not ok 1 s'
tap '2 0 0' "KUnit's parameters" 1..1 '    ok 1 a' '    ok 2 b' \
	'# t: pass:2 fail:0 skip:0 total:2' 'ok 1 t'
tap '2 1 0' "KUnit's parameters, one lost" 1..1 '    ok 1 a' '    ok 2 b' \
	'# t: pass:3 fail:0 skip:0 total:3' 'ok 1 t'
tap '2 0 0' "two streams in one" 1..1 'ok 1 a' 1..1 'ok 1 b'

# ---- lint: without a list of files it would check none.
expect 1 "lint: git fails" env GIT_DIR=/nonexistent "$VB_CHECKS/lint.sh"
prints "lint: it says so" ".*error: git could not list the files .*"

# ---- rules for scripts.  Each of these, separated by blank lines, breaks one.
while IFS= read -rd '' script; do
	printf '%s\n' "$script" >"$tmp/script"
	expect 1 "rules: refused is ${script//$'\n'/ }" "$VB_CHECKS/script_rules.py" "$tmp/script"
done < <(awk 'BEGIN { RS = ""; ORS = "\0" } 1' <<'SCRIPTS'
a | head -n 1

a | awk '/a/ { exit 1 }'

a | awk '/a/ { print; exit }'

a | awk '
	/a/ {
		exit
	}'

a | grep -q y

a | grep --quiet y

a | grep -e y -q

a | egrep -q y

a | LC_ALL=C grep -q y

a | grep -m 1 y

a | read -r line

a | while read -r line; do
	[[ $line ]] && break
done

a | cmp -s - file

a | sed '/a/q'

a | sed -n '/a/{p;q}'

a | dd count=1

a | { head -n 1; }

a |
	head -n 1

a | \
	grep -q y

if a | grep -q y; then :; fi

[[ -n $(a | head -n 1) ]]

cd "$(a)"

make -C b KSRC="$(a)"

KSRC=$(a) make
SCRIPTS
)
cat >"$tmp/script" <<'SCRIPT'
a | grep y | sort
a || head -n 1 file
a | awk '/a/ { bad = 1 } END { if (bad) { exit 1 } }'
a | awk '{ print }'; exit
a | sed 's/q/p/'
a | sed -n '$p'
a | while read -r line; do echo "$line"; done
a | while read -r line; do
	echo "$line"
done; exit
# a | head
grep -q y file
cat <<END
a | head
END
cd "$(dirname "$0")"
x=$(a)
x=$(a) y=$(b)
x=$(a "$(b)")/c
tool --o "$x" y="$x"
[[ a == b ]] && x=$(a); shift
a | dd of=file
SCRIPT
expect 0 "rules: accepted are others" "$VB_CHECKS/script_rules.py" "$tmp/script"

# ---- run.sh of the selftests, with suites that are shell scripts here
mkdir "$tmp/vhost" "$tmp/bin" "$tmp/files"
cp "$VB_TOP/tools/testing/selftests/vhost/run.sh" "$tmp/vhost"
# suite NAME: make a suite of the script on stdin.
suite() {
	{ echo '#!/bin/sh'; cat; } >"$tmp/vhost/vhost_blk_$1"
	chmod +x "$tmp/vhost/vhost_blk_$1"
}
suite good <<<'echo 1..1; echo ok 1 a'
suite bad <<<'echo 1..1; echo not ok 1 a; exit 1'
suite dies <<<'echo 1..1; echo ok 1 a; exit 1'
# shellcheck disable=SC2016 # for the suite
suite leaves <<<'echo 1..1; echo ok 1 a; touch "$VHOST_TEST_DIR/vhost-test-1-1"'
for name in modprobe mount mkfs.ext4; do
	printf '#!/bin/sh\necho "%s" >>%s/called\n' "$name" "$tmp" >"$tmp/bin/$name"
	chmod +x "$tmp/bin/$name"
done
run_sh=(env PATH="$tmp/bin:$PATH" "$tmp/vhost/run.sh" --model)
expect 0 "run.sh: a suite that passes" "${run_sh[@]}" good
prints "run.sh: its result" "ok 1 good.a"
expect 1 "run.sh: nothing is loaded or mounted for the model" test -e "$tmp/called"
expect 1 "run.sh: a suite that fails" "${run_sh[@]}" bad
tap_result "$(grep -c 'bad.complete' "$tmp/output")" "run.sh: it is complete"
expect 1 "run.sh: a suite that ends with 1 and has no failure" "${run_sh[@]}" good bad dies
prints "run.sh: is not complete" "not ok 4 dies.complete"
export VHOST_TEST_DIR=$tmp/files
expect 1 "run.sh: a suite that leaves a file" "${run_sh[@]}" leaves
prints "run.sh: the file is named" "# $tmp/files/vhost-test-1-1"
expect 0 "run.sh: a file that was there before" "${run_sh[@]}" good
cp "$(command -v sleep)" "$tmp/vhost_blk_other"
suite slow <<-SUITE
	$tmp/vhost_blk_other 60 >/dev/null 2>&1 & echo \$! >$tmp/sleeper
	echo 1..1; echo ok 1 a
SUITE
expect 1 "run.sh: a suite that leaves a process" "${run_sh[@]}" slow
kill "$(<"$tmp/sleeper")"
suite starts <<-SUITE
	env -u VHOST_TEST_RUN $tmp/vhost_blk_other 60 >/dev/null 2>&1 & echo \$! >$tmp/sleeper
	touch $tmp/files/vhost-test-\$!-0
	echo 1..1; echo ok 1 a
SUITE
expect 0 "run.sh: a process of another run, and its file" "${run_sh[@]}" starts
kill "$(<"$tmp/sleeper")"
unset VHOST_TEST_DIR

# ---- the runner, with a table for these tests
runner=("$VB_CHECKS/run.py" --table "$tmp/checks.toml" --results "$tmp/results")
cat >"$tmp/checks.toml" <<-TABLE
	[host.slow]
	about = "takes a second"
	build = "sleep 1; touch $tmp/slow"
	[host.broken]
	about = "can't be built"
	build = "exit 3"
	[check.good]
	about = "passes and skips, after a host"
	needs = ["slow"]
	command = "test -e $tmp/slow && echo 1..2 && echo ok 1 a && echo 'ok 2 b # SKIP no disk'"
	[check.patient]
	about = "runs although its host could not be built"
	needs = ["broken"]
	command = "echo 1..1; echo ok 1 a"
	[check.bad]
	about = "fails"
	command = "echo '# because'; echo 'not ok 1 c'; echo '# and so'; echo 1..1; exit 1"
	[check.silent]
	about = "dies without a word on stdout"
	command = "seq -f 'word %g' 100 >&2; kill -KILL \$\$"
	[check.planless]
	about = "has results and no plan"
	command = "echo a reason >&2; echo ok 1 a"
	[check.cut_off]
	about = "has one result when its host dies"
	command = '''
	printf '%s\\n' 'ok 1 a' '# suite b' '# noise'
	printf '%s\\n' 'no reason' 'Kernel panic - not syncing: c' 'error: no end' >&2
	exit 1'''
	[check.late]
	about = "has its results, and then dies"
	command = "echo 1..1; echo ok 1 a; exit 7"
	[check.endless]
	about = "until it is interrupted"
	command = '''
	trap "touch $tmp/cleaned; exit 1" TERM
	sleep 1000 & echo \$! >$tmp/sleeper
	wait'''
	[check.long]
	about = "has a parameter"
	long = "echo 1..1; echo ok 1 \$KILLS kills"
	parameters = { KILLS = { default = 5, about = "how many" } }
	[check.other]
	about = "has a parameter of the same name"
	long = "echo 1..1; echo ok 1 \$KILLS others"
	parameters = { KILLS = { default = 6, about = "how many" } }
	[check.none]
	about = "skips all that it has"
	command = "echo 1..1; echo 'ok 1 a # SKIP no disk'"
	[check.report]
	about = "has a failure, and a report in the log of its kernel"
	command = "echo 1..1; echo not ok 1 a; exit 99"
	[check.loud]
	about = "prints more than a pipe holds"
	command = "seq 99999; seq 99999 >&2; echo 1..1; echo ok 1 a"
	[host.odd]
	about = "its command cannot be run"
	build = "\\u0000"
	[check.odd]
	about = "needs it"
	needs = ["odd"]
	command = "echo 1..1; echo ok 1 a"
	[check.stuck]
	about = "has no end"
	limit = 0.02
	command = '''
	trap "touch $tmp/cleaned; exit 1" TERM
	echo 1..2; echo ok 1 a; sleep 1000 & wait'''
TABLE
expect 0 "run: a check that passes" "${runner[@]}" good
last "run: it waited for its host; what was skipped is counted" "1 passed, 0 failed, 1 skipped"
expect 0 "run: a host that can't be built is left to the check" "${runner[@]}" patient
expect 1 "run: several checks, of which one fails" "${runner[@]}" good bad
last "run: all are counted" "1 passed, 1 failed, 1 skipped"
prints "run: a failure is repeated" "failed: bad: c"
prints "run: the diagnostics before it are shown" "# because"
prints "run: and those after it" "# and so"
expect 1 "run: a check that dies silently" "${runner[@]}" silent
last "run: no plan and the status are failures" "0 passed, 2 failed"
prints "run: the status is named" "failed: silent: it ended with status -9"
prints "run: the end of its log is shown" "word 71"
tap_result "$(($(grep -cx 'word [0-9]*' "$tmp/output") != 30))" "run: 30 lines of it"
expect 1 "run: a check without a plan" "${runner[@]}" planless
prints "run: the reason is shown" "a reason"
expect 1 "run: a check that is cut off" "${runner[@]}" cut_off
prints "run: how far it got is said at the end" "failed: cut_off: last line: # suite b"
prints "run: and what the host said" "failed: cut_off: Kernel panic - not syncing: c"
tap_result "$(grep -c '^failed: .*\(no reason\|# noise\)' "$tmp/output")" "run: no other lines"
expect 1 "run: a check that dies after its last result" "${runner[@]}" late
last "run: it counts as one more failure" "1 passed, 1 failed"
expect 0 "run: the default of a parameter" "${runner[@]}" long
prints "run: a long form shows its results" "ok 1 5 kills"
expect 0 "run: a parameter" "${runner[@]}" --long long KILLS=7
prints "run: it reaches the check" "ok 1 7 kills"
expect 0 "run: a parameter in the environment" env KILLS=8 "${runner[@]}" long
prints "run: it reaches the check, too" "ok 1 8 kills"
expect 0 "run: checks with a parameter of the same name" "${runner[@]}" long other
prints "run: the first has its default" "ok 1 5 kills"
prints "run: the second has another" "ok 1 6 others"
expect 0 "run: a value for both" "${runner[@]}" long other KILLS=7
prints "run: the first has it" "ok 1 7 kills"
prints "run: the second has it, too" "ok 1 7 others"
expect 2 "kcsan: no suites" "$VB_CHECKS/kcsan.sh" --seconds 60
expect 1 "run: a check that only skips" "${runner[@]}" none
prints "run: it says so" "failed: none: no test passed"
expect 1 "run: a failure, and a status that is not about tests" "${runner[@]}" report
prints "run: the failure" "failed: report: a"
prints "run: the status" "failed: report: it ended with status 99"
expect 0 "run: the build of hosts ends by an error" timeout 60 "${runner[@]}" odd
# shellcheck disable=SC2016 # for the shells that are started
{
	expect 1 "run: nobody reads the messages" \
		bash -c 'exec timeout 60 "$@" 2>/dev/full' sh "${runner[@]}" loud
	last "run: that is a failure" "1 passed, 1 failed"
	expect 1 "run: nobody reads the result" \
		bash -c 'exec timeout 60 "$@" >/dev/full' sh "${runner[@]}" good
	expect 1 "run: the results do not fit" \
		bash -o pipefail -c 'ulimit -f 100; timeout 60 "$@" 2>&1 | tail -n 20' \
		sh "${runner[@]}" loud
}
prints "run: it says so" "failed: loud: its output could not be written: .*"
rm -f "$tmp/cleaned"
expect 1 "run: a check without an end" timeout 60 "${runner[@]}" --every 0 stuck
prints "run: it is named while it runs" ".*still running: stuck, 0 min"
prints "run: it is ended" "failed: stuck: it ended only when it was told to, after 0.02 min"
tap_result "$([[ -e $tmp/cleaned ]]; echo $?)" "run: it may clean up"

touch "$tmp/results/good.tap" "$tmp/results/good.log"
expect 0 "run: another check" "${runner[@]}" patient
expect 0 "run: the results of the first are kept" test -e "$tmp/results/good.tap"
expect 2 "run: two runs at a time" flock "$tmp/results.lock" "${runner[@]}" patient
prints "run: it says so" ".*another run uses .*"

cat >"$tmp/default.toml" <<-TABLE
	[check.always]
	about = "is part of make check"
	command = "echo 1..1; echo ok 1 a"
	[check.sometimes]
	about = "is part of its long form"
	default = "long"
	command = "echo 1..1; echo ok 1 a"
TABLE
default=("$VB_CHECKS/run.py" --table "$tmp/default.toml" --results "$tmp/results")
expect 0 "run: all checks" env -u VHOST_BLK_LONG "${default[@]}"
last "run: without what is for VHOST_BLK_LONG" "1 passed, 0 failed"
expect 0 "run: all checks with VHOST_BLK_LONG" env VHOST_BLK_LONG=1 "${default[@]}"
last "run: with it" "2 passed, 0 failed"

# A file or directory with the name of a check must not hide it from make.
hidden=''
while read -r name _; do
	for name in "$name" "${name%%-*}"; do
		[[ $(make -n -C "$VB_TOP" "$name") == *run.py* ]] || hidden+=" $name"
	done
done < <("$VB_CHECKS/run.py" --list)
[[ -z $hidden ]] || echo "# not run:$hidden"
tap_result "$([[ -z $hidden ]]; echo $?)" "make runs each check by its name"
expect 2 "run: no such parameter" "${runner[@]}" long VMS=1
expect 2 "run: no such check" "${runner[@]}" nonsense
expect 2 "run: a name that bash uses" "${runner[@]}" long SECONDS=1
expect 2 "run: the other one" env GROUPS=lint "${runner[@]}" good
expect 0 "run: the table can be listed" "$VB_CHECKS/run.py" --list
prints "run: with its descriptions" "lint  .*checkpatch.*"
expect 0 "run: make help" "$VB_CHECKS/run.py" --make-help
expect 0 "run: the page of the documentation" "$VB_CHECKS/run.py" --rst

# interrupted SIGNAL STATUS: the runner must clean up and exit with this status.
interrupted() {
	local status=0 runner_pid
	rm -f "$tmp/sleeper" "$tmp/cleaned"
	"${runner[@]}" good endless >"$tmp/output" 2>&1 &
	runner_pid=$!
	until [[ -s $tmp/sleeper || ! -d /proc/$runner_pid ]]; do
		sleep 0.1
	done
	kill "-$1" "$runner_pid"
	wait "$runner_pid" || status=$?
	tap_result "$((status != $2))" "run: ends on SIG$1"
	prints "run: SIG$1: it says so" ".*interrupted.*"
	tap_result "$([[ ! -d /proc/$(<"$tmp/sleeper") ]]; echo $?)" "run: SIG$1: nothing is left"
	tap_result "$([[ -e $tmp/cleaned ]]; echo $?)" "run: SIG$1: a check may clean up"
}
interrupted TERM 143
interrupted INT 130

# ---- the cache
expect 0 "cache_key: the same twice" \
	test "$(cache_key "$VB_CHECKS" text)" == "$(cache_key "$VB_CHECKS" text)"
mkdir "$tmp/dir"
echo 1 >"$tmp/dir/a"
before=$(cache_key "$tmp/dir")
echo 2 >"$tmp/dir/a"
expect 1 "cache_key: other contents" test "$(cache_key "$tmp/dir")" == "$before"
echo 1 >"$tmp/dir/a"
echo 1 >"$tmp/dir/b"
expect 1 "cache_key: one more file" test "$(cache_key "$tmp/dir")" == "$before"
mkdir "$tmp/new"
touch "$tmp/new/whole"
publish "$tmp/new" "$tmp/entries/one"
expect 0 "publish: the entry is there" test -e "$tmp/entries/one/whole" -a ! -e "$tmp/new"
mkdir "$tmp/new"
publish "$tmp/new" "$tmp/entries/one"
expect 0 "publish: the first one stays" test -e "$tmp/entries/one/whole" -a ! -e "$tmp/new"
expect 3 "run_logged: hands back the status" run_logged fails "$tmp/runlog" sh -c 'echo why; exit 3'
tap_result "$(grep -q why "$tmp/output"; echo $?)" "run_logged: shows the end of the log"

# ---- packages
# The suites have a kernel 6.1.10-2, the source of 6.1.10-3, and no kernel 6.9 at all.
# shellcheck disable=SC2317 # expect calls it
source_of() {
	(
		VB_CACHE=$tmp/apt-cache
		# shellcheck source=tools/lib/apt.sh
		. "$VB_LIB/apt.sh"
		VB_APT_CONF=/dev/null
		apt-cache() {
			printf '%s\n' "linux-source-6.1 | 6.1.10-3 | http://security main amd64 Packages" \
				"linux-source-6.1 |  6.1.9-1 | http://security main amd64 Packages" \
				"linux-source-6.1 | 6.1.10-2 | http://security main amd64 Packages" \
				"linux-source-6.9 |  6.9.1-1 | http://main main amd64 Packages" \
				"linux-headers-amd64 |  6.1.9-1 | http://main main amd64 Packages" \
				"linux-headers-amd64 | 6.1.10-2 | http://main main amd64 Packages" \
				"linux-headers-amd64 | 6.1.10-3 | http://main main Sources"
		}
		apt_source_version "$1"
	)
}
expect 0 "apt_source_version: a source whose kernel is not there yet" source_of 6.1
prints "apt_source_version: the newest with a kernel" "6\.1\.10-2"
expect 0 "apt_source_version: no kernel at all" source_of 6.9
prints "apt_source_version: then the newest source" "6\.9\.1-1"
expect 1 "apt_source_version: no source" source_of 6.8
prints "apt_source_version: it says so" ".*no package linux-source-6\.8.*"

tap_end
