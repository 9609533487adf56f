#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: scsi-target.py DEVICE WWPN

A target for vhost-scsi: LIO's iblock on DEVICE, as LUN 0.  Through rtslib, which
is what targetcli is the shell of: targetcli itself wants a D-Bus, and a test host
has none.
"""
import sys

from rtslib_fb import BlockStorageObject, FabricModule, LUN, Target, TPG


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    device, wwpn = sys.argv[1:]
    name = device.rsplit("/", 1)[-1]
    storage = BlockStorageObject(name, dev=device)
    target = Target(FabricModule("vhost"), wwpn)
    tpg = TPG(target, 1)
    LUN(tpg, 0, storage_object=storage)


if __name__ == "__main__":
    main()
