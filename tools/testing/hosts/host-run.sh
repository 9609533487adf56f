#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: host-run.sh HOST [OPTION…] [--] COMMAND…
#
# Runs COMMAND in the test host HOST, with the options that uml-run.sh and qemu-run.sh
# have in common.  HOST is
#
#   stock-6.1         Debian's stock kernel in QEMU; stock-6.12 as well
#   x86-7.3-debug     and any other kernel for QEMU in configs/
#   uml-7.3           and any other User-Mode Linux in configs/
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
host=${1:-}
case $host in
stock-*) set -- "$VB_HOSTS/qemu-run.sh" --series "${host#stock-}" "${@:2}" ;;
*)
	[[ -n $host && -f $VB_HOSTS/configs/$host.host ]] || { usage >&2; exit 2; }
	arch=um
	# shellcheck source=tools/testing/hosts/configs/uml-7.3.host
	. "$VB_HOSTS/configs/$host.host"
	if [[ $arch == um ]]; then
		set -- "$VB_HOSTS/uml-run.sh" "$@"
	else
		set -- "$VB_HOSTS/qemu-run.sh" --host "$@"
	fi
	;;
esac
exec "$@"
