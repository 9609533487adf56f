# SPDX-License-Identifier: GPL-2.0
"""A guest whose QEMU is killed, and then one guest with many kinds of disks: block device
semantics, discard and zeroing, queue limits, ext4 and xfs."""
import contextlib
import os
import stat

from disks import MIB, dm, file_system, make_file, null_blk, read, read_only, write
from guest import Machine, script
from tap import Failure, expect, run
from vmm import vhost_blk

CGROUPS = "/sys/fs/cgroup"
BLOCKS = MIB // 512

# The default of max-discard-sectors, in bytes
DISCARD_MAX = ((1 << 31) // 512 - 1) * 512


class Crash:
    """A guest that writes until QEMU is killed."""

    def __init__(self, directory, path):
        self.machine = Machine(
            f"{directory}/crash", script("tap.sh", "fs.sh", "crash.sh", "run-crash.sh"),
            vhost_blk(f"path={path}"))

    def run(self):
        vm = self.machine.start()
        try:
            self.machine.follow(vm, 300, lambda vm, line: vm.kill() if line == "stable 25" else None)
        except Failure:
            if self.stable() < 25:
                raise
        finally:
            vm.kill()

    def stable(self):
        """Return the number of the last file that the guest has reported as stable."""
        return max((int(line.split()[1]) for line in self.machine.said
                    if line.startswith("stable ")), default=0)


def same_limits(machine, serial, node):
    """The limits in the guest are those of the host's device."""
    names = [line.split()[2] for line in machine.said if line.startswith(f"limits {serial} ")]
    if not names:
        raise Failure("the guest has printed no limits")
    for name in names:
        value = read(f"/sys/block/{os.path.basename(node)}/{name}")
        if name == "queue/discard_max_bytes":
            value = DISCARD_MAX
        machine.has_said(f"limits {serial} {name} {value}")


def file_limits(machine, serial, size):
    """The sizes in the guest are those of the file system, or the default."""
    for name, value in (("physical_block_size", size), ("minimum_io_size", size),
                        ("discard_granularity", size), ("logical_block_size", 512),
                        ("discard_max_bytes", DISCARD_MAX)):
        machine.has_said(f"limits {serial} queue/{name} {value}")


def thrown_away(path, content):
    """The file has the holes and zeroes that thrown_away() of discard.sh makes, and no others."""
    expected = bytearray(content)
    for begin, length in ((8 * MIB, 12 * MIB), (20 * MIB + 3 * 512, 5 * 512)):
        expected[begin:begin + length] = bytes(length)
    with open(path, "rb") as file:
        if file.read() != expected:
            raise Failure("the contents differ")
    left = os.stat(path).st_blocks
    if abs(left - 16 * BLOCKS) > 64:
        raise Failure(f"{left} of {24 * BLOCKS} blocks are left")


@contextlib.contextmanager
def in_group(node):
    """Move this process to a control group that may read and write the disk at 1 MiB/s."""
    write(f"{CGROUPS}/cgroup.subtree_control", "+io")
    os.mkdir(f"{CGROUPS}/guest")
    number = read(f"/sys/block/{os.path.basename(node)}/dev")
    write(f"{CGROUPS}/guest/io.max", f"{number} rbps={MIB} wbps={MIB}")
    write(f"{CGROUPS}/guest/cgroup.procs", os.getpid())
    try:
        yield
    finally:
        write(f"{CGROUPS}/cgroup.procs", os.getpid())


@contextlib.contextmanager
def striped():
    """A device-mapper device whose limits are all different."""
    rams = [f"/dev/ram{i}" for i in range(2)]
    for i, ram in enumerate(rams):
        os.mknod(ram, 0o600 | stat.S_IFBLK, os.makedev(1, i))
        # The first open creates the ram disk.
        run("blockdev", "--getsz", ram)
    with dm("striped", f"0 15360 striped 2 128 {rams[0]} 1 {rams[1]} 1") as node:
        yield node


class Disks:
    """The backing files, and QEMU's arguments for the guest with all disks."""

    def __init__(self, files, block, block4k, limited, read_only_block, stripes):
        self.erase = "/dev/vhost-blk-erase"
        if not os.path.exists(self.erase):
            self.erase = ""
        self.content = os.urandom(24 * MIB)
        self.direct, self.buffered, self.trimmed, self.readonly, self.discarded = (
            make_file(f"{files}/{name}", size, content) for name, size, content in (
                ("direct", 384 * MIB, b""), ("buffered", 96 * MIB + 512, b""),
                ("trimmed", 48 * MIB, b""), ("readonly", MIB, self.content[:MIB]),
                ("discarded", 24 * MIB, self.content)))
        os.sync()
        self.before_fstrim = 0
        self.read_only_block = read_only_block
        self.arguments = vhost_blk(
            f"path={block},serial=block,num-queues=2,backend_defaults=on",
            f"path={block4k},serial=block-4k,backend_defaults=on",
            f"path={self.direct},direct=on,serial=direct,queue-size=64,backend_defaults=on",
            f"path={self.buffered},direct=off,serial=buffered,queue-size=1024,num-queues=1",
            f"path={self.readonly},readonly=on,serial=readonly",
            f"path={read_only_block},readonly=on,serial=readonly-block",
            f"path={limited},serial=limited",
            f"path={files}/crash,serial=crash",
            f"path={self.discarded},serial=discarded",
            f"path={self.trimmed},serial=trimmed,direct=off",
            f"path={stripes},serial=striped,backend_defaults=on",
            *([f"path={self.erase},serial=erase,secure-erase=on"] if self.erase else []))

    def run(self, machine, limited):
        """Run the guest with a limit for the disk `limited`."""
        def act(vm, line):
            if line == "before fstrim":
                self.before_fstrim = os.stat(self.trimmed).st_blocks
                vm.serial.write("go on")
        with in_group(limited):
            machine.run(600, act)

    def check_trimmed(self):
        """The guest wrote 24 MiB and then deleted and trimmed them."""
        left = os.stat(self.trimmed).st_blocks
        if self.before_fstrim < 24 * BLOCKS or left >= 16 * BLOCKS:
            raise Failure(f"{self.before_fstrim} blocks before fstrim, {left} after it")

    def sums(self):
        """Return checksums of the read-only disks."""
        return run("sha256sum", self.readonly, self.read_only_block)


def test_all_disks(tap, directory, files, stable):
    with (null_blk("block", 256, discard=1) as block,
          null_blk("block-4k", 64, discard=1, blocksize=4096) as block4k,
          null_blk("limited", 8) as limited, null_blk("readonly", 8) as readonly,
          striped() as stripes):
        run("dd", "if=/dev/urandom", f"of={readonly}", "bs=1M", "count=8")
        with read_only(readonly):
            disks = Disks(files, block, block4k, limited, readonly, stripes)
            sums = disks.sums()
            machine = Machine(f"{directory}/all", script(
                "tap.sh", "block.sh", "discard.sh", "fs.sh", "crash.sh", "run-fs.sh",
                stable=stable, erase=disks.erase), disks.arguments, memory="512M")
            tap.check("a guest with all kinds of disks ends with status 0",
                      disks.run, machine, limited)
            tap.adopt(machine.said)
            tap.check("the read-only disks have not changed",
                      lambda: expect(disks.sums(), sums))
        tap.check("limits: null_blk", same_limits, machine, "block", block)
        tap.check("limits: null_blk of 4096 bytes", same_limits, machine, "block-4k", block4k)
        tap.check("limits: striped, misaligned", same_limits, machine, "striped", stripes)
        tap.check("limits: file, those of the file system", file_limits, machine, "direct", 4096)
        tap.check("limits: file, default", file_limits, machine, "buffered", 512)
        tap.check("discarded ranges are holes in the file, other data has not changed",
                  thrown_away, disks.discarded, disks.content)
        tap.check("fstrim frees the blocks of the file", disks.check_trimmed)


def needs(_):
    return {"guest": "full", "packages": ["selftest"]}


def test(tap, options):
    with file_system(options.directory, discard=1) as files:
        crash = Crash(options.directory, make_file(f"{files}/crash", 128 * MIB))
        tap.check("a guest that fsyncs files is killed", crash.run)
        test_all_disks(tap, options.directory, files, crash.stable())
