#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: layers.sh DIR
#
# Checks the layers of the driver's files.  DIR has the Makefile and the object files of
# the driver, built with all options.  The Makefile names the objects from the highest
# layer to the lowest, and an object may use only symbols of objects that come after it.
# Prints the uses that break this rule, and fails if there are any.
set -euo pipefail
# shellcheck source=tools/testing/lib.sh
. "$(dirname "$0")/../lib.sh"

[[ ${1:-} == --help ]] && { usage; exit; }
cd "${1:?usage: layers.sh DIR}"
mapfile -t objects < <(awk '/^vhost_blk-.*=/ {
	for (i = 1; i <= NF; i++) if ($i ~ /^[a-z-]+\.o$/) print $i }' Makefile)
((${#objects[@]})) || { echo "no objects in $PWD/Makefile"; exit 1; }

# All files may use tracepoints, which the file with CREATE_TRACE_POINTS defines.
nm -A "${objects[@]}" | awk -v order="${objects[*]}" '
BEGIN { n = split(order, object); for (i = 1; i <= n; i++) layer[object[i]] = i }
{ file = $1; sub(/:.*/, "", file); symbol = $NF; type = $(NF - 1) }
symbol ~ /^(__tracepoint_|__traceiter_|__SCK__|__SCT__|__SCK_|__kstrtab|__probestub_)/ { next }
type == "U" { use[++uses] = file " " symbol; next }
type ~ /[A-Z]/ { home[symbol] = file }
END {
	for (i = 1; i <= uses; i++) {
		split(use[i], u)
		if (u[2] in home && layer[home[u[2]]] < layer[u[1]]) {
			print u[1] " uses " u[2] " of " home[u[2]] ", a higher layer"
			bad = 1
		}
	}
	exit bad
}' || exit 1
