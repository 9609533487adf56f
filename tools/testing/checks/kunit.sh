#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Usage: kunit.sh
#
# The unit tests of the driver, as they ran at the boot of the UML host.
set -euo pipefail
hosts=$(cd "$(dirname "$0")/../hosts" && pwd)

exec "$hosts/uml-run.sh" uml-7.3 --timeout 300 \
	--append "kunit.enable=1 kunit.filter_glob=vhost_blk*" -- \
	sh -c 'cat /sys/kernel/debug/kunit/*/results'
