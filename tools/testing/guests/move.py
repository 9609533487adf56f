# SPDX-License-Identifier: GPL-2.0
"""A running guest is moved from virtio-blk to vhost-blk and back; targets that differ are
refused, and the guest runs on.
"""
import contextlib
import fcntl
import os
import struct

from disks import MIB, dm, make_file, null_blk
from guest import Machine, script
from loaded import SMALL_ODD_SIZE, LoadedGuest, test_disks
from tap import Failure, expect, run, wait_for

VIRTIO, VHOST = "virtio-blk-pci", "vhost-blk-pci"

# What the target has instead: driver, properties of the first disk, message.  The message
# of virtio-blk is that of QEMU's core.  The number of vectors is part of the state of PCI.
DIFFERENT = (
    ("other number of queues", VHOST, "num-queues=4,vectors=3",
     r"num_queues is 4 here and 2 there \(num-queues\)"),
    ("one queue", VHOST, "num-queues=1,vectors=3", "feature VIRTIO_BLK_F_MQ .*12"),
    ("other number of vectors", VHOST, "num-queues=4", "Bad config data|get_pci_config_device"),
    ("other size of queues", VHOST, "queue-size=128", r"seg_max is 126 here and 254 there"),
    ("other blocks", VHOST, "logical_block_size=4096,physical_block_size=4096",
     r"blk_size is 4096 here and 512 there \(logical_block_size\)"),
    ("other physical blocks", VHOST, "physical_block_size=4096", "physical_block_exp is 3 here"),
    ("other sizes of I/O", VHOST, "min_io_size=4096,opt_io_size=65536",
     "min_io_size is 8 here and 0 there.*opt_io_size is 128 here and 0 there"),
    ("no discards", VHOST, "discard=off", "feature VIRTIO_BLK_F_DISCARD"),
    ("no write zeroes", VHOST, "write-zeroes=off", "feature VIRTIO_BLK_F_WRITE_ZEROES"),
    ("other limits of discards", VHOST, "max-discard-sectors=2048,discard_granularity=4096",
     "max_discard_sectors is 2048 here.*discard_sector_alignment is 8 here and 1 there"),
    ("fixed cache mode", VHOST, "config-wce=off", "feature VIRTIO_BLK_F_CONFIG_WCE"),
    ("no event index", VHOST, "event_idx=off", "feature VIRTIO_RING_F_EVENT_IDX"),
    ("smaller disk", VHOST, "drive=small", "has 2048 sectors, but the guest knows a disk of 131072"),
    ("virtio-blk without discards", VIRTIO, "discard=off", "Features .* unsupported"),
    ("virtio-blk with other vectors", VIRTIO, "num-queues=4",
     "Bad config data|get_pci_config_device"))

# Those of the short form
FEW = ("other number of queues", "other blocks", "no discards", "smaller disk",
       "virtio-blk without discards")


def disks(driver, directory, first=""):
    """Arguments for three disks; the first one has these properties in addition, or instead."""
    properties = {"id": "a", "drive": "a", "num-queues": "2"}
    properties.update(word.split("=") for word in first.split(",") if word)
    return [
        "-blockdev", f"file,node-name=a,filename={directory}/file,cache.direct=on",
        "-blockdev", f"host_device,node-name=b,filename={directory}/block,discard=unmap",
        "-blockdev", f"file,node-name=c,filename={directory}/buffered",
        "-blockdev", f"file,node-name=small,filename={directory}/mnt/small",
        "-device", ",".join([driver, *(f"{name}={value}" for name, value in properties.items())]),
        "-device", f"{driver},id=b,drive=b,num-queues=2,serial=b",
        "-device", f"{driver},id=c,drive=c"]


class Moves(LoadedGuest):
    """A guest with three disks.  It starts with virtio-blk."""

    def __init__(self, directory, **machine):
        self.driver = VIRTIO
        make_file(f"{directory}/mnt/small", MIB)
        super().__init__(directory, disks(VIRTIO, directory), **machine)

    def other_driver(self):
        return VHOST if self.driver == VIRTIO else VIRTIO

    def incoming(self, devices=None):
        return super().incoming(devices or disks(self.other_driver(), self.dir))

    def move(self):
        super().move()
        self.driver = self.other_driver()

    def kernel_has_mode(self):
        """The mode of the cache that the guest has set with virtio-blk is that of the kernel."""
        self.expect("echo write through >/sys/block/vdb/cache_type", "")
        fd = os.open("/dev/vhost-blk", os.O_RDWR)
        try:
            self.machine.fds = (fd,)
            devices = [f"{word},vhostfd={fd}" if ",id=b," in word else word
                       for word in disks(VHOST, self.dir)]
            target, uri = self.incoming(devices)
            self.migrate(uri)
            expect(self.outcome(self.vm)["status"], "completed")
            wait_for("start of the target", lambda: target.status() == "running")
            self.vm.quit()
            self.vm, self.driver = target, VHOST
            self.progress()
            # VHOST_BLK_GET_CONFIG of `writeback`
            config = bytearray(struct.pack("IIB", 32, 1, 255))
            fcntl.ioctl(fd, 0x8008af52, config)
            expect(config[8], 0)
        finally:
            self.machine.fds = ()
            os.close(fd)
        self.expect("cat /sys/block/vdb/cache_type", "write through")
        self.expect("echo write back >/sys/block/vdb/cache_type", "")
        self.move()

    def refused(self, driver, properties, message, running=False):
        """The target refuses the state, and the source shows that; the guest runs on there."""
        target, uri = self.incoming(disks(driver, self.dir, properties))
        self.vm.qmp("migrate-set-capabilities",
                    capabilities=[{"capability": "return-path", "state": True}])
        if not running:
            # It is faster if the memory does not change.
            self.vm.qmp("stop")
        self.migrate(uri)
        expect(self.outcome(self.vm)["status"], "failed")
        shown = self.vm.qmp("human-monitor-command", command_line="info migrate")
        if "Migration status: failed" not in shown:
            raise Failure(shown)
        target.finish(1, f".*({message}).*load of migration failed.*")
        if not running:
            self.vm.qmp("cont")
        wait_for("machine that runs", lambda: self.vm.status() == "running")
        self.vm.excuse(".*")
        self.vm.qmp("migrate-set-capabilities",
                    capabilities=[{"capability": "return-path", "state": False}])
        self.progress()


def test_loaded(tap, options):
    form = {"memory": SMALL_ODD_SIZE, "limit": 2000} if options.short else {}
    guest = Moves(options.directory, other=os.environ["VHOST_E2E_OTHER"], **form)
    tap.check("a guest with virtio-blk starts with its load", guest.boot)
    if guest.vm:
        times = 2 if options.short else options.times
        tap.check(f"moved to vhost-blk and back {times} times", guest.move_often, times)
        for what, driver, properties, message in DIFFERENT:
            if not options.short or what in FEW:
                tap.check(f"from virtio-blk: {what}", guest.refused, driver, properties, message)
        tap.check("moved to vhost-blk after that", guest.move)
        for what, driver, properties, message in DIFFERENT:
            if what in ("other blocks", "virtio-blk without discards"):
                tap.check(f"from vhost-blk: {what}", guest.refused, driver, properties, message,
                          True)
        tap.check("moved to virtio-blk after that", guest.move)
        tap.check("the cache mode of the guest goes along", guest.kernel_has_mode)
    guest.conclude(tap)
    print("# " + guest.figures())


#
# Requests that have failed
#

@contextlib.contextmanager
def failing_disk():
    """A disk that can fail; the value is its node, and a function to fail or repair it."""
    with null_blk("failing-data", 32) as data:
        sectors = int(run("blockdev", "--getsz", data))

        def load(table):
            run("dmsetup", "suspend", "--noudevsync", "--noflush", "failing")
            run("dmsetup", "load", "failing", "--table", f"0 {sectors} {table}")
            run("dmsetup", "resume", "--noudevsync", "failing")
        with dm("failing", f"0 {sectors} linear {data} 0") as node:
            try:
                yield node, lambda fail: load("error" if fail else f"linear {data} 0")
            finally:
                load(f"linear {data} 0")


def stopped_write(directory, source, target):
    """Writes have failed and stopped the machine.  It is moved, and tries them again there."""
    with failing_disk() as (node, fail):
        def devices(device):
            return ["-blockdev", f"host_device,node-name=a,filename={node},cache.direct=on",
                    "-device", f"{device},drive=a,num-queues=2,werror=stop"]
        machine = Machine(f"{directory}/stopped-{source}-{target}",
                          script("tap.sh", "stopped.sh"), devices(source), memory=SMALL_ODD_SIZE,
                          other=os.environ["VHOST_E2E_OTHER"])
        vm = machine.start()
        try:
            expect(vm.serial.read(), "writing")
            fail(True)
            wait_for("stop of the machine", lambda: vm.status() == "io-error")
            uri = f"unix:{machine.dir}/migration"
            new = machine.start("-incoming", uri, devices=devices(target), after=vm)
            vm.qmp("migrate", uri=uri)
            expect(LoadedGuest.outcome(vm)["status"], "completed")
            wait_for("end of the load", lambda: new.status() == "io-error")
            vm.quit()
            vm = new
            fail(False)
            vm.qmp("cont")
            machine.follow(vm)
        finally:
            vm.kill()
        machine.check_klog()


def needs(options):
    return {"memory": 2048, "timeout": 900 + 60 * options.times}


def test(tap, options):
    with test_disks(options.directory):
        test_loaded(tap, options)
    for source, target in ((VIRTIO, VHOST), (VHOST, VIRTIO), (VHOST, VHOST)):
        tap.check(f"writes that have failed with {source} are tried again by {target}",
                  stopped_write, options.directory, source, target)
