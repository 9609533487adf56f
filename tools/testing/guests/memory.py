# SPDX-License-Identifier: GPL-2.0
"""IOMMU and memory hotplug: a guest whose disks are behind a virtual IOMMU, and a guest that
gets and loses DIMMs and virtio-mem.
"""
import re

from disks import MIB
from loaded import ODD_SIZE, LoadedGuest, test_disks
from tap import Failure, wait_for
from vmm import vhost_blk

BEHIND = ",iommu_platform=on,ats=on,disable-legacy=on"
IOMMU = [
    "-device", "intel-iommu,intremap=off,device-iotlb=on",
    # Keep the firmware from using the disks: at a reset QEMU reads the used rings, and the
    # IOMMU has no mapping for the firmware's.
    "-boot", "strict=on"]
IOMMU_APPEND = "init_on_alloc=0 intel_iommu=on iommu=nopt iommu.strict=1"
IOMMU_Q35 = "q35,hpet=off,kernel-irqchip=split,memory-backend=ram"

VIRTIO_MEM = [
    "-object", "memory-backend-memfd,id=vmem,size=512M,share=on",
    "-device", "virtio-mem-pci,id=virtio-mem,memdev=vmem,requested-size=0"]
HOTPLUG_APPEND = "init_on_alloc=0 memhp_default_state=online_movable"
HOTPLUG_MEMORY = "256M,slots=4,maxmem=2G"


def memory_file(path, size):
    return ["-object", f"memory-backend-file,id=ram,size={size},share=on,mem-path={path}"]


def disks(directory, *options):
    """Return the arguments for two disks with these additional properties."""
    return vhost_blk(*(f"id={name},path={directory}/{name},num-queues=2{option}"
                       for name, option in zip(("file", "block"), options)))


def trace(directory):
    return ["-trace", "vhost_iotlb_miss", "-D", f"{directory}/trace-%d"]


class Iommu(LoadedGuest):
    """A guest whose disks are behind an IOMMU."""

    behind = ("vda", "vdb")

    def __init__(self, directory):
        super().__init__(
            # The memory is a file on the ext4 of test_disks(), and not on tmpfs.
            directory, memory_file(f"{directory}/mnt/ram", ODD_SIZE) + IOMMU +
            disks(directory, BEHIND, BEHIND) + trace(directory),
            append=IOMMU_APPEND, q35=IOMMU_Q35, name="iommu")

    def incoming(self, devices=None):
        """The destination has a memory file of its own."""
        return super().incoming([option.replace("/mnt/ram", "/mnt/target-ram")
                                 for option in self.machine.devices])

    def in_use(self):
        """The guest has the disks behind the IOMMU, and the kernel reports IOTLB misses."""
        for disk in self.behind:
            self.expect(f"cat /sys/block/{disk}/device/../iommu_group/type", "DMA")
        before = self.misses()
        self.progress()
        misses = self.misses() - before
        if misses < 50:
            raise Failure(f"{misses} misses for more than 50 requests")
        return f"{misses} misses"

    def misses(self):
        with open(f"{self.dir}/trace-{self.vm.process.pid}", encoding="ascii") as file:
            return sum(1 for line in file if re.search("vhost_iotlb_miss .* step 1", line))


class Hotplug(LoadedGuest):
    """A guest whose memory is plugged and unplugged; its requests use that memory."""

    def __init__(self, directory):
        super().__init__(
            directory, ["-object", "memory-backend-memfd,id=ram,size=256M,share=on"] +
            disks(directory, "", "") + VIRTIO_MEM,
            append=HOTPLUG_APPEND, memory=HOTPLUG_MEMORY,
            q35="q35,hpet=off,memory-backend=ram", name="hotplug")

    def boot(self):
        super().boot()
        self.vm.excuse("(.*Could not detect THP size.*)?")

    def blocks(self):
        """Return the number of memory blocks that are online in the guest."""
        return int(self.ask("grep -l online /sys/devices/system/memory/memory*/state | wc -l"))

    def used(self):
        """Return the number of used pages in the zone Movable, which can be unplugged."""
        answer = self.ask("awk '/zone  *Movable/ { m = 1 } m && $1 == \"free\" { f = $2 } "
                          "m && $1 == \"pages\" { f = $3 } m && $1 == \"managed\" "
                          "{ print $2 - f; exit }' /proc/zoneinfo")
        return int(answer or 0)

    def plug(self, kind, **options):
        """Plug a DIMM, and wait until the guest uses it."""
        before = self.blocks()
        self.vm.qmp("object-add", qom_type=f"memory-backend-{kind}", id="mem",
                    size=128 * MIB, **options)
        self.vm.qmp("device_add", driver="pc-dimm", id="dimm", memdev="mem")
        wait_for("memory in the guest", lambda: self.blocks() == before + 1)
        self.progress()
        wait_for("use of the new memory", lambda: self.used() > 500)
        self.progress()
        return f"{self.used()} pages of it in use"

    def unplug(self):
        """Unplug the DIMM; the guest has to migrate its pages to other memory."""
        before = self.blocks()
        self.vm.qmp("device_del", id="dimm")
        self.vm.event("DEVICE_DELETED", device="dimm")
        self.vm.qmp("object-del", id="mem")
        if self.blocks() != before - 1:
            raise Failure(f"{before} blocks before, {self.blocks()} after it")
        self.progress()

    def plug_and_unplug(self, kind, **options):
        result = self.plug(kind, **options)
        self.unplug()
        return result

    def resize(self, mib):
        """Set the requested size of virtio-mem, and wait until the guest has reached it."""
        self.vm.set("virtio-mem", "requested-size", mib * MIB)
        wait_for(f"{mib} MiB of virtio-mem",
                 lambda: self.vm.get("virtio-mem", "size") == mib * MIB)
        self.progress()

    def grow_and_shrink(self, *sizes):
        self.resize(128)
        wait_for("use of the new memory", lambda: self.used() > 500)
        result = f"{self.used()} pages of it in use"
        for mib in sizes:
            self.resize(mib)
        return result


class Both(Iommu, Hotplug):
    """A guest for both tests: one disk is behind the IOMMU, the other is not."""

    behind = ("vda",)

    # pylint: disable-next=super-init-not-called
    def __init__(self, directory):
        LoadedGuest.__init__(  # pylint: disable=non-parent-init-called
            self, directory, memory_file(f"{directory}/ram", "256M") + IOMMU +
            disks(directory, BEHIND, "") + trace(directory) + VIRTIO_MEM,
            append=f"{IOMMU_APPEND} {HOTPLUG_APPEND}", memory=HOTPLUG_MEMORY,
            q35=IOMMU_Q35, name="both", fio_size="256k")


def test_iommu(tap, guest):
    tap.check("IOMMU: in use, in strict mode", guest.in_use)
    tap.check("IOMMU: stopped and continued 20 times", guest.stop_and_continue)
    tap.check("IOMMU: migrated", guest.move)
    tap.check("IOMMU: still in use", guest.in_use)
    guest.conclude(tap, "IOMMU: ")


def test_hotplug(tap, guest):
    tap.check("hotplug: a DIMM of anonymous memory", guest.plug_and_unplug, "ram")
    tap.check("hotplug: a DIMM that is a file", lambda: guest.plug_and_unplug(
        "file", mem_path=f"{guest.dir}/mnt/dimm", share=True))
    tap.check("hotplug: a DIMM that is a memfd", lambda: guest.plug_and_unplug(
        "memfd", share=True))
    tap.check("hotplug: virtio-mem grows and shrinks", guest.grow_and_shrink, 256, 64, 0)
    guest.conclude(tap, "hotplug: ")


def test_both(tap, guest):
    tap.check("the IOMMU is in use, in strict mode", guest.in_use)
    tap.check("stopped and continued 5 times", guest.stop_and_continue, 5)
    tap.check("a DIMM of anonymous memory", guest.plug_and_unplug, "ram")
    tap.check("virtio-mem in a memfd grows and shrinks", guest.grow_and_shrink, 0)
    guest.conclude(tap)


def needs(_):
    return {"memory": 3072}


def test(tap, options):
    guests = [(Iommu, "IOMMU: a guest starts with memory in a file", test_iommu),
              (Hotplug, "hotplug: a guest starts with memory in a memfd", test_hotplug)]
    if options.short:
        guests = [(Both, "a guest with an IOMMU starts with memory in a file", test_both)]
    with test_disks(options.directory):
        for kind, what, checks in guests:
            guest = kind(options.directory)
            tap.check(what, guest.boot)
            if guest.vm:
                checks(tap, guest)
