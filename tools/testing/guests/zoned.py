# SPDX-License-Identifier: GPL-2.0
"""Host-managed zoned disks: one with all zone limits for blkzone and fio, one without limits
for btrfs.
"""
import os

from disks import null_blk, read
from guest import Machine, script
from tap import Failure, expect, run
from vmm import vhost_blk

LIMITS = ("zoned", "chunk_sectors", "nr_zones", "max_open_zones", "max_active_zones",
          "zone_write_granularity")


def same_zones(machine, serial, node):
    """The zones are as the guest reported them."""
    expect([line.removeprefix(f"{serial} ") for line in machine.said
            if line.startswith(f"{serial}   start")], run("blkzone", "report", node).splitlines())


def same_limits(machine, serial, node):
    """The limits in the guest are those of the host's device, or lower for zone append."""
    queue = f"/sys/block/{os.path.basename(node)}/queue"
    for name in LIMITS:
        machine.has_said(f"zoned {serial} {name} {read(f'{queue}/{name}')}")
    begin = f"zoned {serial} zone_append_max_bytes "
    found = [int(line.removeprefix(begin)) for line in machine.said if line.startswith(begin)]
    most = int(read(f"{queue}/zone_append_max_bytes"))
    if len(found) != 1 or not 0 < found[0] <= most:
        raise Failure(f"appends of {found} bytes, {most} on the host")


def needs(_):
    return {"guest": "full"}


def test(tap, options):
    with (null_blk("zoned", 256, zoned=1, zone_size=4, zone_capacity=3, zone_nr_conv=2,
                   zone_max_open=6, zone_max_active=10) as zoned,
          null_blk("btrfs", 512, zoned=1, zone_size=4) as btrfs):
        machine = Machine(f"{options.directory}/guest",
                          script("tap.sh", "fs.sh", "zoned.sh", "run-zoned.sh"),
                          vhost_blk(f"path={zoned},serial=zoned", f"path={btrfs},serial=btrfs"),
                          memory="512M")
        tap.check("a guest with zoned disks ends with status 0", machine.run, 600)
        tap.adopt(machine.said)
        tap.check("limits: those of the host's device", same_limits, machine, "zoned", zoned)
        tap.check("limits: none if the host's device has none", same_limits, machine, "btrfs", btrfs)
        tap.check("the host sees the same zones", same_zones, machine, "zoned", zoned)
        tap.check("the host sees the same zones of btrfs", same_zones, machine, "btrfs", btrfs)
