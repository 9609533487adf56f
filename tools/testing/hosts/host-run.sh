#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: host-run.sh HOST [OPTION…] [--] COMMAND…
#
# Runs COMMAND in the test host HOST, with the options that uml-run.sh and tcg-run.sh
# have in common.  HOST is
#
#   tcg, tcg-6.12     Debian's stock kernels, 6.1 and 6.12, in QEMU
#   x86-7.3-debug     and any other kernel for QEMU in configs/
#   uml-7.3           and any other User-Mode Linux in configs/
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host=${1:-}
case $host in
tcg) set -- "$VB_HOSTS/tcg-run.sh" "${@:2}" ;;
tcg-*) set -- "$VB_HOSTS/tcg-run.sh" --series "${host#tcg-}" "${@:2}" ;;
*)
	[[ -n $host && -f $VB_HOSTS/configs/$host.host ]] || { usage >&2; exit 2; }
	arch=um
	# shellcheck source=tools/testing/hosts/configs/uml-7.3.host
	. "$VB_HOSTS/configs/$host.host"
	if [[ $arch == um ]]; then
		set -- "$VB_HOSTS/uml-run.sh" "$@"
	else
		set -- "$VB_HOSTS/tcg-run.sh" --host "$@"
	fi
	;;
esac
exec "$@"
