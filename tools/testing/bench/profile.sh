#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: profile.sh [OPTION…] [FRONTEND]
#
# Prints the instructions per 4k request of each function.  FRONTEND (vhost-blk, the
# default, or uring) runs on a null_blk in the TCG host under -icount, with a plugin of
# QEMU that counts the blocks of instructions that are executed.
#
#   --depth N     queue depth (1)
#   --devices N   number of devices that run at the same time (1)
#   --write       write instead of read
#   --warm N      requests per device before the measurement (1000)
#   --requests N  requests of the measurement, of all devices (5000)
#   --lines N     functions to print (45)
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

here=$VB_TOP/tools/testing/bench
depth=1 devices=1 warm=1000 requests=5000 lines=45 write=''
while (($#)); do
	case $1 in
	--help) usage; exit ;;
	--depth) depth=$2; shift ;;
	--devices) devices=$2; shift ;;
	--warm) warm=$2; shift ;;
	--requests) requests=$2; shift ;;
	--lines) lines=$2; shift ;;
	--write) write=--write ;;
	--inside) break ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done

if [[ ${1:-} == --inside ]]; then
	# shellcheck source=tools/testing/bench/host.sh
	. "$here/host.sh"
	shift
	disk=$(bench_nullb size=64)
	# shellcheck disable=SC2086 # $VHOST_BENCH_WRITE may be empty
	"$VHOST_BENCH_BIN" --frontend "$1" --depth "$2" $VHOST_BENCH_WRITE --warm "$5" \
		--devices "$4" --requests "$(($3 / $4))" --size $((32 << 20)) "$disk"
	grep -i ' [tw] ' /proc/kallsyms >"$VHOST_BENCH_OUT/kallsyms"
	exit
fi

frontend=${1:-vhost-blk}
"$VB_LIB/packages.sh" kernel tcg abi selftest python qemu
VHOST_BENCH_BIN=$("$here/build.sh")
out=$VB_TOP/build/bench/profile
header=$VB_CACHE/obj/qemu-7.2-full/include/qemu/qemu-plugin.h
[[ -e $header ]] || "$VB_TOP/qemu/build.sh" 7.2 >&2
mkdir -p "$out"
gcc -Wall -Wextra -O2 -shared -fPIC -I"$(dirname "$header")" -o "$out/profile.so" "$here/plugin/profile.c"
mark=$(nm "$VHOST_BENCH_BIN" | awk '$3 == "profile_mark" { print $1 }')
nm "$VHOST_BENCH_BIN" | grep -i ' [tw] ' >"$out/symbols"
export VHOST_BENCH_BIN VHOST_BENCH_OUT=$out VHOST_BENCH_WRITE=$write
"$VB_HOSTS/qemu-run.sh" --icount --out "$out" --append nokaslr \
	--plugin "$out/profile.so,out=$out/blocks,mark=0x$mark" \
	--load "" -- "$0" --inside "$frontend" "$depth" "$requests" "$devices" "$warm" >"$out/run.json"
several=''
((devices == 1)) || several=-devices$devices
"$here/profile.py" "$out" "$((requests / devices * devices))" "$lines" |
	tee "$out/$frontend-qd$depth$several${write:+-write}.txt"
