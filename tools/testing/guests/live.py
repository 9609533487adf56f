# SPDX-License-Identifier: GPL-2.0
"""Live changes: disks are swapped, resized, plugged and unplugged while QEMU runs."""
import fcntl
import os
import re
import struct
import time

from disks import MIB, file_system, loop, make_file, null_blk, read_direct, read_only
from guest import Machine, script
from tap import Failure, expect, run
from vmm import Qemu, create, vhost_blk

LOCKED = "path: .*Failed to (get|lock)"


class Idle:
    """A machine without a guest."""

    def __init__(self, directory, files, block):
        self.dir = directory
        self.block = block
        self.file, self.own, self.ro, self.other = (
            make_file(f"{files}/{name}", mib * MIB)
            for name, mib in (("file", 16), ("own", 16), ("ro", 16), ("other", 24)))
        os.mkfifo(f"{directory}/pipe")
        self.vm = None

    def start(self):
        self.vm = Qemu(self.dir, "-S", "-machine", "pc", "-smp", "3", *vhost_blk(
            f"id=disk,path={self.file},write-cache=off", f"id=ro,path={self.ro},readonly=on"),
            "-blockdev", f"file,node-name=own,filename={self.own}",
            "-device", "virtio-blk-pci,id=own,drive=own")

    def has(self, name, value, device="disk"):
        expect(str(self.vm.get(device, name)), str(value))

    def qtree(self, text):
        """Fail unless "info qtree" has this line for the device."""
        tree = self.vm.qmp("human-monitor-command", command_line="info qtree").replace("\r", "")
        part = re.search(r'^( *)dev: [^\n]*id "disk"\n(\1 +.*\n)*', tree, re.M)[0]
        if not re.search(rf"^ *{re.escape(text)}( |$)", part, re.M):
            raise Failure(part)

    def swap(self, path, device="disk"):
        self.vm.set(device, "path", path)

    def refused_swaps(self, mounted, zoned):
        old = self.vm.get("disk", "path")
        with read_only(self.block):
            for path, message in (
                    ("/no/such", "path: .*No such file"),
                    (self.dir, "path: .* is a directory"),
                    (f"{self.dir}/pipe", "path: .* is a pipe"),
                    ("", "path: .*No such file"),
                    (self.block, "path: .* is read-only"),
                    (mounted, "path: .* already in use, mounted"),
                    (zoned, "path: .* is zoned"),
                    (self.own, LOCKED)):
                self.vm.set_refused(message, "disk", "path", path)
            self.vm.set_refused(".*after it was realized", "disk", "serial", "other")
        self.has("path", old)
        create(f"path={old}", LOCKED)

    def open_again(self):
        """The file that the device has is opened again, and is still locked."""
        old = self.vm.get("disk", "path")
        self.swap(old)
        self.has("path", old)
        create(f"path={old}", LOCKED)

    def read_only_swap(self):
        with read_only(self.block):
            self.swap(self.block, "ro")

    def each_queue_count(self):
        """Plug, swap and unplug devices with few and with many queues."""
        for count in (1, 2, 7, 33, 64):
            self.vm.qmp("device_add", driver="vhost-blk-pci", id="q", path=self.other,
                        num_queues=count, addr="9.0")
            self.has("num-queues", count, "q")
            self.has("vectors", count + 1, "q")
            self.swap(self.own + ".q", "q")
            # No guest acknowledges the unplug request, so only a reset completes it.
            self.vm.qmp("device_del", id="q")
            self.vm.qmp("system_reset")
            self.vm.event("DEVICE_DELETED", device="q")


def test_idle(tap, directory, files, block):
    machine = Idle(directory, files, block)
    make_file(machine.own + ".q", MIB)
    tap.check("a machine without a guest", machine.start)
    if not machine.vm:
        return
    tap.check("num-queues=auto is one per vCPU", machine.has, "num-queues", 3)
    tap.check("vectors are one more", machine.has, "vectors", 4)
    tap.check("info qtree: path", machine.qtree, f'path = "{machine.file}"')
    tap.check("info qtree: num-queues", machine.qtree, "num-queues = 3")
    tap.check("info qtree: write-cache", machine.qtree, 'write-cache = "off"')
    tap.check("path set on the device", machine.swap, machine.other)
    tap.check("it reads back", machine.has, "path", machine.other)
    tap.check("the old file is free", create, f"path={machine.file}")
    tap.check("the new file is in use", create, f"path={machine.other}", LOCKED)
    tap.check("path set on its backend", machine.swap, machine.file, "disk/virtio-backend")
    tap.check("it reads back on the device", machine.has, "path", machine.file)
    tap.check("path set to the file that the device has", machine.open_again)
    mounted = run("findmnt", "-n", "-o", "SOURCE", files).strip()
    with null_blk("zoned", 64, zoned=1, zone_size=4) as zoned:
        tap.check("a swap that is refused leaves the old file in place",
                  machine.refused_swaps, mounted, zoned)
    tap.check("a read-only disk takes a read-only block device", machine.read_only_swap)
    tap.check("hotplug and swap with 1 to 64 queues", machine.each_queue_count)
    tap.check("QEMU quits without a message", machine.vm.quit)


SAID = (
    ("modern device", "vda: 65536 ro=0 write back, 254 segments, virtio 1.0: 1"),
    ("write-cache=off", "vdb: 65536 ro=0 write through, 254 segments, virtio 1.0: 1"),
    ("geometry and limits of virtio-blk",
     "vda: 16 heads, 63 sectors/track, at most 2147483136 bytes of discard, 2147483136 of zeroes"),
    ("cyls, heads, secs, max-discard-sectors, max-write-zeroes-sectors",
     "vdb: 5 heads, 7 sectors/track, at most 1048576 bytes of discard, 524288 of zeroes"),
    ("legacy device, 64 queues of 1024, config-wce=off",
     "vdc: 524288 ro=0 write through, 1022 segments, virtio 1.0: 0"),
    ("path swapped under load: the guest reads the new disk",
     "vda has 98304 sectors, and begins with disk-98304"),
    ("path swapped back: the guest reads the first disk",
     "vda has 65536 sectors, and begins with disk-65536"),
    ("no request fails during the swaps", "load on vda: error 0"),
    *((f"{what} resized to {size} sectors", f"{disk} has {size} sectors")
      for size in (131072, 49152, 98304)
      for what, disk in (("file", "vda"), ("loop device", "vdb"))),
    ("file resized while the guest is paused", "vda has 81920 sectors after the pause"),
    ("I/O on the legacy device", "load on vdc: error 0"),
    ("the guest switches to write through", "vda: cache write through, write through"),
    ("the guest switches to write back on a disk with write-cache=off",
     "vdb: cache write back, write back"),
    ("driver unbound under load and bound again",
     "vda: bound again 10 times, cache write back"),
    ("hotplug, and hot-unplug under load", "plugged 5 times"))


class Host:
    """Handles the commands that live.sh prints."""

    def __init__(self, files, node, fd):
        self.files = files
        self.node = node
        self.fd = fd
        self.swaps = 0
        self.writeback = []

    def kernel_writeback(self):
        """Return `writeback`, byte 32 of the configuration, with VHOST_BLK_GET_CONFIG."""
        config = bytearray(struct.pack("IIB", 32, 1, 255))
        fcntl.ioctl(self.fd, 0x8008af52, config)
        return config[8]

    def act(self, vm, line):
        match line.split():
            case ["swap", "vda"]:
                self.swaps += 1
                # The second time, the file is opened again.
                for _ in range(2):
                    vm.set("disk", "path", f"{self.files}/{98304 if self.swaps % 2 else 65536}")
            case ["cache", "vdb"]:
                self.writeback.append(self.kernel_writeback())
            case ["resize", "vda", sectors]:
                os.truncate(f"{self.files}/65536", int(sectors) * 512)
            case ["resize", "vdb", sectors]:
                os.truncate(f"{self.files}/loop", int(sectors) * 512)
                run("losetup", "-c", self.node)
            case ["pause"]:
                vm.qmp("stop")
                os.truncate(f"{self.files}/65536", 40 * MIB)
                time.sleep(2)
                vm.qmp("cont")
            case ["plug"]:
                vm.qmp("device_add", driver="vhost-blk-pci", id="hot", bus="rp",
                       path=f"{self.files}/hot")
            case ["unplug"]:
                vm.qmp("device_del", id="hot")
                vm.event("DEVICE_DELETED", device="hot")

    def marks(self):
        """Each mark is on the disk that the guest had when it wrote the mark, and only there."""
        for size in (65536, 98304):
            for i in range(1, 7):
                expected = f"seen-{size}-{i}\n" if i % 2 == (size == 98304) else ""
                found = read_direct(f"{self.files}/{size}", i * 512, 512).rstrip(b"\0")
                expect(found.decode(errors="replace"), expected)


def test_live(tap, directory, files, block):
    for size in (65536, 98304):
        make_file(f"{files}/{size}", size * 512, f"disk-{size}".encode())
    for name in ("loop", "hot"):
        make_file(f"{files}/{name}", 32 * MIB)
    fd = os.open("/dev/vhost-blk", os.O_RDWR)
    with loop(f"{files}/loop") as node:
        host = Host(files, node, fd)
        machine = Machine(f"{directory}/live", script("tap.sh", "live.sh"), vhost_blk(
            f"id=disk,path={files}/65536",
            f"id=loop,path={node},vhostfd={fd},write-cache=off,cyls=100,heads=5,secs=7,"
            "max-discard-sectors=2048,max-write-zeroes-sectors=1024",
            "drive=block,disable-modern=on,disable-legacy=off,num-queues=64,queue-size=1024,"
            "write-cache=off,config-wce=off") +
            ["-blockdev", f"host_device,node-name=block,filename={block},discard=unmap",
             "-device", "pcie-root-port,id=rp,chassis=1,slot=1"], fds=(fd,))
        tap.check("a guest whose disks change ends with status 0", machine.run, 400, host.act)
        # This is the last reference to the device, which uses the loop device.
        os.close(fd)
        for what, line in SAID:
            tap.check(what, machine.has_said, line)
        tap.check("the guest writes to the disk that was swapped in", host.marks)
        tap.check("the kernel has the cache mode that the guest set", expect, host.writeback, [0, 1])


def test(tap, options):
    with null_blk("block", 256) as block, file_system(options.directory) as files:
        test_idle(tap, options.directory, files, block)
        test_live(tap, options.directory, files, block)
