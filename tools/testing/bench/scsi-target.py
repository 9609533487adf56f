#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: scsi-target.py DEVICE WWPN…
       scsi-target.py --remove WWPN…

Targets for vhost-scsi: LIO's iblock on DEVICE, as LUN 0 of each.  Through rtslib,
which is what targetcli is the shell of: targetcli itself wants a D-Bus, and a test
host has none.
"""
import sys

from rtslib_fb import BlockStorageObject, FabricModule, LUN, Target, TPG

STORAGE = "vhost-blk-bench"


def create(device, wwpns):
    storage = BlockStorageObject(STORAGE, dev=device)
    for wwpn in wwpns:
        target = Target(FabricModule("vhost"), wwpn)
        LUN(TPG(target, 1), 0, storage_object=storage)


def remove(wwpns):
    for wwpn in wwpns:
        Target(FabricModule("vhost"), wwpn, mode="lookup").delete()
    BlockStorageObject(STORAGE).delete()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--remove":
        remove(sys.argv[2:])
    else:
        create(sys.argv[1], sys.argv[2:])


if __name__ == "__main__":
    main()
