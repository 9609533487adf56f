#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: device.sh DEVICE_FUZZ [OPTION…]
#
# In a test host: makes an ext4 for the backend files, and runs device_fuzz.  Exits
# with its status.
set -eu

fuzz=${1:?"usage: device.sh DEVICE_FUZZ [OPTION…]"}
shift
PATH=$PATH:/usr/sbin:/sbin
scratch=$(mktemp -d /tmp/vhost-fuzz.XXXXXX)
mkdir "$scratch/dir"
truncate -s 96M "$scratch/image"
mkfs.ext4 -q -F "$scratch/image"
mount -t ext4 -o loop "$scratch/image" "$scratch/dir"
export VHOST_TEST_DIR="$scratch/dir"
status=0
"$fuzz" "$@" || status=$?
umount "$scratch/dir"
rm -rf "$scratch"
exit "$status"
