#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: scsi-target.py DEVICE WWPN…
       scsi-target.py --remove WWPN…

Create or remove targets for vhost-scsi, with LIO's iblock on DEVICE as LUN 0 of each.
It uses rtslib, the library behind targetcli, because targetcli needs D-Bus, which a test
host lacks.
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
