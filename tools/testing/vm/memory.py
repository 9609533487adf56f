# SPDX-License-Identifier: GPL-2.0
"""memory.py DIR iommu|hotplug|all: guests whose memory isn't simple, in the test host; see memory.sh."""
import re
import sys

from loaded import LoadedGuest
from vm import ODD_SIZE, Failure, Tap, wait_for

MIB = 1 << 20


class Iommu(LoadedGuest):
    """The device's addresses are what an IOMMU makes of them."""

    def __init__(self, directory):
        # Memory that is a file, on a file system with a disk under it
        super().__init__(
            directory, [
                "-object", f"memory-backend-file,id=ram,size={ODD_SIZE},share=on,"
                           f"mem-path={directory}/mnt/ram",
                "-device", "intel-iommu,intremap=off,device-iotlb=on",
                "-device", f"vhost-blk-pci,id=a,path={directory}/file,num-queues=2,"
                           "iommu_platform=on,ats=on,disable-legacy=on",
                "-device", f"vhost-blk-pci,id=b,path={directory}/block,num-queues=2,"
                           "iommu_platform=on,ats=on,disable-legacy=on",
                # Firmware keeps its hands off: at a reset QEMU looks at the used
                # rings, and those of the firmware no IOMMU knows.
                "-boot", "strict=on",
                "-trace", "vhost_iotlb_miss", "-D", f"{directory}/trace-%d"],
            append="intel_iommu=on iommu=nopt iommu.strict=1",
            q35="q35,hpet=off,kernel-irqchip=split,memory-backend=ram", name="iommu")

    def incoming(self, devices=None):
        """With memory of its own."""
        return super().incoming([option.replace("/mnt/ram", "/mnt/target-ram")
                                 for option in self.machine.devices])

    def in_use(self):
        """The guest has the disks behind it, and the kernel asks for addresses."""
        for disk in ("vda", "vdb"):
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
    """Memory comes and goes, of every kind, and the guest uses it."""

    def __init__(self, directory):
        super().__init__(
            directory, [
                "-object", "memory-backend-memfd,id=ram,size=256M,share=on",
                "-device", f"vhost-blk-pci,id=a,path={directory}/file,num-queues=2",
                "-device", f"vhost-blk-pci,id=b,path={directory}/block,num-queues=2",
                "-object", "memory-backend-memfd,id=vmem,size=512M,share=on",
                "-device", "virtio-mem-pci,id=virtio-mem,memdev=vmem,requested-size=0"],
            append="memhp_default_state=online_movable",
            memory="256M,slots=4,maxmem=2G",
            q35="q35,hpet=off,memory-backend=ram", name="hotplug")

    def boot(self):
        super().boot()
        self.vm.excuse("(.*Could not detect THP size.*)?")

    def blocks(self):
        """How many blocks of memory the guest has online."""
        return int(self.ask("grep -l online /sys/devices/system/memory/memory*/state | wc -l"))

    def used(self):
        """Pages in use of what can be unplugged."""
        answer = self.ask("awk '/zone  *Movable/ { m = 1 } m && $1 == \"free\" { f = $2 } "
                          "m && $1 == \"pages\" { f = $3 } m && $1 == \"managed\" "
                          "{ print $2 - f; exit }' /proc/zoneinfo")
        return int(answer or 0)

    def plug(self, kind, **options):
        """A module more, which requests use."""
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
        """The module goes, whatever is on it: the guest has to move that."""
        before = self.blocks()
        self.vm.qmp("device_del", id="dimm")
        self.vm.event("DEVICE_DELETED")
        self.vm.qmp("object-del", id="mem")
        if self.blocks() != before - 1:
            raise Failure(f"{before} blocks before, {self.blocks()} after it")
        self.progress()

    def plug_and_unplug(self, kind, **options):
        result = self.plug(kind, **options)
        self.unplug()
        return result

    def resize(self, mib):
        """virtio-mem has that much, by and by."""
        self.vm.qmp("qom-set", path="/machine/peripheral/virtio-mem",
                    property="requested-size", value=mib * MIB)
        wait_for(f"{mib} MiB of virtio-mem", lambda: self.vm.qmp(
            "qom-get", path="/machine/peripheral/virtio-mem", property="size") == mib * MIB)
        self.progress()

    def grow_and_shrink(self):
        self.resize(128)
        wait_for("use of the new memory", lambda: self.used() > 500)
        result = f"{self.used()} pages of it in use"
        self.resize(256)
        self.resize(64)
        self.resize(0)
        return result


def test_iommu(tap, directory):
    guest = Iommu(directory)
    tap.check("IOMMU: a guest starts, its memory a file", guest.boot)
    if not guest.vm:
        return
    tap.check("IOMMU: it is in use, and strict", guest.in_use)
    tap.check("IOMMU: stopped and continued 20 times", guest.stop_and_go_on)
    tap.check("IOMMU: migrated", guest.move)
    tap.check("IOMMU: still in use", guest.in_use)
    guest.conclude(tap, "IOMMU: ")


def test_hotplug(tap, directory):
    guest = Hotplug(directory)
    tap.check("hotplug: a guest starts, its memory a memfd", guest.boot)
    if not guest.vm:
        return
    tap.check("hotplug: a module of anonymous memory", guest.plug_and_unplug, "ram")
    tap.check("hotplug: a module that is a file", lambda: guest.plug_and_unplug(
        "file", mem_path=f"{directory}/mnt/dimm", share=True))
    tap.check("hotplug: a module that is a memfd", lambda: guest.plug_and_unplug(
        "memfd", share=True))
    tap.check("hotplug: virtio-mem grows and shrinks", guest.grow_and_shrink)
    guest.conclude(tap, "hotplug: ")


def main():
    directory, what = sys.argv[1:]
    tap = Tap()
    if what in ("iommu", "all"):
        test_iommu(tap, directory)
    if what in ("hotplug", "all"):
        test_hotplug(tap, directory)
    tap.end()


main()
