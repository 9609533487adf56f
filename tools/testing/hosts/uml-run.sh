#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: uml-run.sh HOST [OPTION…] [--] COMMAND…
#
# Boots the User-Mode Linux test host HOST, which host-build.sh builds if it is not in the
# cache.  Runs COMMAND in it as root in the current directory, and exits with the status
# of COMMAND.
#
#   --mem SIZE         memory of the host (default 1G)
#   --cpus N           CPUs of an SMP host (default 2)
#   --timeout SECONDS  time limit after which the host is killed (default 600)
#   --out DIR          the only directory of this machine that COMMAND can write to
#   --env NAME         pass this variable, as VHOST_*, PATH, HOME and LANG are passed
#   --append ARGS      add to the command line of the kernel
#   --log FILE         copy the kernel log to FILE
#
# The root file system of the host is that of this machine, read-only, with empty file
# systems in memory on /tmp, /run, /var/tmp, /mnt and /dev/shm.  stdout and stderr of
# COMMAND are passed on.
#
# Exit status 125: the host did not shut down properly, because of a panic, the time
# limit, or COMMAND was not started.  99: COMMAND succeeded, but the kernel log has a
# report.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tools/testing/hosts/host-lib.sh
. "$VB_HOSTS/host-lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host=${1:-}
[[ -n $host && -f $VB_HOSTS/configs/$host.host ]] || { usage >&2; exit 2; }
shift
host_options "$@"
ncpus='' series=''
# shellcheck source=tools/testing/hosts/configs/uml-7.3.host
. "$VB_HOSTS/configs/$host.host"

dir=$("$VB_HOSTS/host-build.sh" "$host")
modules='' load=''
[[ -d $dir/modules ]] && modules=$dir/modules load=vhost_blk
[[ -n $ncpus ]] && ncpus=${cpus:-$ncpus}
host_prepare modules="$modules" load="$load" cpus="${ncpus:-1}" outtype=hostfs outdev=/dev/tty1 errdev=/dev/tty2

args=(mem="$mem" root=/dev/root rootfstype=hostfs rootflags=/ ro
	init="$VB_HOSTS/host-init.sh" vhost_run="$run"
	con=null con0="fd:0,fd:1" con1="null,fd:3" con2="null,fd:4"
	ignore_loglevel printk.devkmsg=on oops=panic kasan_multi_shot
	"${host_parameters[@]}"
	kunit.enable=0)
[[ $series == 6.1 ]] || args+=(seccomp=on)
pin=()
if [[ -n $ncpus ]]; then
	args+=(ncpus="$ncpus")
else
	# A host that is not pinned to a CPU runs at a quarter of the speed.
	affinity=$(taskset -cp "$$")
	choose_cpu "${affinity##*: }"
	pin=(taskset -c "$cpu")
fi
read -ra append <<<"$append"

# shellcheck disable=SC2317 # called by host_boot
boot() {
	exec setsid "${pin[@]}" "$dir/linux" "${args[@]}" "${append[@]}" \
		</dev/null >"$run/klog.fifo" 2>&1 3>"$run/out.fifo" 4>"$run/err.fifo"
}
host_boot boot

check=()
[[ $series == 6.1 ]] && check=(--allow-maple-rcu)
host_verdict "$host" "${check[@]}"
