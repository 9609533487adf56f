# SPDX-License-Identifier: GPL-2.0
"""Data: fio writes and verifies in a guest, the host compares the data on the disks; resets
under load.
"""
import hashlib
import os
import re

from disks import MIB, file_system, make_file, null_blk, read_direct
from guest import Machine, script
from tap import expect
from vmm import vhost_blk

SAID = (
    ("block device: serial, size, queues",
     "vda: block-device 524288 ro=0 queues=2 segments=254"),
    ("file: serial of 20 bytes, size, queues, segments for queue-size=64",
     "vdb: a-direct-file-twenty 262144 ro=0 queues=2 segments=62"),
    ("read-only file: ro, one queue", "vdd: readonly 2048 ro=1 queues=1 segments=254"),
    ("legacy: serial, size, queues", "vde: legacy 262144 ro=0 queues=2 segments=254"),
    ("legacy: no feature bit above 31 is negotiated", "vde: features 00000000"),
    ("block device: fio verifies crc32c", "fio vda: 0"),
    ("file, direct: fio verifies crc32c", "fio vdb: 0"),
    ("file, buffered: fio verifies crc32c", "fio vdc: 0"),
    ("legacy: fio verifies crc32c", "fio vde: 0"),
    ("read-only file: a write is refused", "vdd: refused"),
    ("read-only file: served without MSI-X", "vdd: IO-APIC"))


def sha256sum(data):
    """Return what the program sha256sum prints for this data on stdin."""
    return hashlib.sha256(data).hexdigest() + "  -"


def arrived(machine, disk, path):
    """The file or block device has the data that the guest wrote at 64 MiB."""
    machine.has_said(f"sum {disk}: {sha256sum(read_direct(path, 64 * MIB, MIB))}")


def test_data(tap, directory, block, files):
    names = [f"{files}/{name}" for name in ("direct", "buffered", "legacy", "readonly")]
    direct, buffered, legacy, readonly = names
    content = os.urandom(MIB)
    for name in names[:3]:
        make_file(name, 128 * MIB)
    make_file(readonly, MIB, content)
    machine = Machine(f"{directory}/data", script("tap.sh", "data.sh"), vhost_blk(
        f"path={block},serial=block-device,num-queues=4",
        f"path={direct},direct=on,serial=a-direct-file-twenty,queue-size=64",
        f"path={buffered},direct=off,serial=buffered,queue-size=1024",
        f"path={readonly},readonly=on,serial=readonly,num-queues=1,vectors=0",
        f"path={legacy},disable-modern=on,disable-legacy=off,serial=legacy"),
        # With Debian's default for init_on_alloc
        append="")
    tap.check("a guest runs fio on its disks", machine.run, 420)
    for what, line in SAID:
        tap.check(what, machine.has_said, line)
    for what, disk, path in (("block device", "vda", block), ("file, direct", "vdb", direct),
                             ("file, buffered", "vdc", buffered), ("legacy", "vde", legacy)):
        tap.check(f"{what}: the host reads what the guest wrote", arrived, machine, disk, path)
    tap.check("read-only file: the guest reads its contents",
              machine.has_said, "vdd: " + sha256sum(content))
    tap.check("read-only file: unchanged",
              lambda: expect(sha256sum(read_direct(readonly, 0, MIB)), sha256sum(content)))
    for name in names:
        os.remove(name)


def test_reset(tap, directory, files):
    disk = make_file(f"{files}/reset", 64 * MIB)
    machine = Machine(f"{directory}/reset", script("tap.sh", "reset.sh"), vhost_blk(f"path={disk}"),
                      reboots=True)

    def act(vm, line):
        if line == "loaded":
            vm.qmp("system_reset")
    tap.check("reset by the host under load, reboot, verify", machine.run, 240, act)
    tap.check("three boots", lambda: expect(
        sum(1 for line in machine.said if re.fullmatch("boot [012]", line)), 3))
    os.remove(disk)


def test(tap, options):
    with null_blk("block", 256) as block, file_system(options.directory, discard=1) as files:
        test_data(tap, options.directory, block, files)
        test_reset(tap, options.directory, files)
