# SPDX-License-Identifier: GPL-2.0
"""werror and rerror: disks that fail, or are full, stop the guest until they are repaired."""
import contextlib
import os
import time

from disks import MIB, dm, make_file, null_blk, until_end
from loaded import SMALL_ODD_SIZE, LoadedGuest
from tap import Failure, expect, run, wait_for
from vmm import Qemu, vhost_blk

SECTORS = 64 * MIB // 512


class Mapped:
    """A block device, by device mapper, that can be made to fail."""

    def __init__(self, below, name):
        self.below = below
        self.name = name
        self.node = None

    def table(self, fails=False):
        return f"0 {SECTORS} error" if fails else f"0 {SECTORS} linear {self.below} 0"

    def replace(self, fails):
        run("dmsetup", "load", self.name, "--table", self.table(fails))
        run("dmsetup", "suspend", "--nolockfs", self.name)
        run("dmsetup", "resume", "--noudevsync", self.name)


@contextlib.contextmanager
def full_file(directory):
    """A file with holes on a tmpfs of 64 KiB; the value is its path."""
    os.mkdir(directory)
    run("mount", "-t", "tmpfs", "-o", "size=64k", "none", directory)
    with until_end(directory, "umount", directory):
        yield make_file(f"{directory}/image", 64 * MIB)


def extend(path, kib):
    run("mount", "-o", f"remount,size={kib}k", os.path.dirname(path))


def stopped(vm, device, operation, nospace, reason, action="stop"):
    """The guest was stopped because of an error of this disk."""
    data = vm.event("BLOCK_IO_ERROR", action=action)
    for name, value in (("node-name", device), ("operation", operation), ("nospace", nospace),
                        ("reason", reason)):
        expect((name, data.get(name)), (name, value))
    vm.event("STOP")
    expect(vm.status(), "io-error")
    status = {info["qdev"].split("/")[3]: info["io-status"] for info in vm.qmp("query-block")}
    expect(status[device], "nospace" if nospace else "failed")


class Guest(LoadedGuest):
    """A guest whose first disk fails, and whose second one is full, again and again."""

    def __init__(self, directory, mapped, file):
        super().__init__(directory, [
            "-blockdev", f"host_device,node-name=a,filename={directory}/file,cache.direct=on",
            "-blockdev", f"file,node-name=b,filename={file}",
            *vhost_blk("id=a,drive=a,num-queues=2,werror=stop,rerror=stop", "id=b,drive=b")],
            memory=SMALL_ODD_SIZE)
        self.mapped = mapped
        self.file = file
        self.size = 64

    def goes_on(self):
        self.vm.qmp("cont")
        self.vm.event("RESUME")
        expect(self.vm.status(), "running")

    def boot(self):
        """The disk is full when the guest boots, but has room for what it reads."""
        extend(self.file, 16 << 10)
        super().boot()

    def fail(self, times):
        for i in range(times):
            self.mapped.replace(True)
            event = self.vm.event("BLOCK_IO_ERROR", action="stop")
            expect((event["node-name"], event["nospace"]), ("a", False))
            self.vm.event("STOP")
            expect(self.vm.status(), "io-error")
            # Still broken: it stops again.
            if i % 3 == 2:
                self.vm.events.clear()
                self.vm.qmp("cont")
                self.vm.event("BLOCK_IO_ERROR", action="stop")
                self.vm.event("STOP")
            self.mapped.replace(False)
            # The events of further requests that failed
            self.vm.qmp("query-status")
            self.vm.events.clear()
            self.goes_on()
            self.progress()
        return f"{times} times"

    def fill(self, times):
        """Write to a hole, with the file system full."""
        for i in range(times):
            used = os.stat(self.file).st_blocks // 2
            extend(self.file, used + 8)
            # The guest has to answer before it is stopped.
            self.ask(f"dd if=/dev/urandom of=/tmp/more bs=64k count=1 2>/dev/null; "
                     f"(sleep 1; dd if=/tmp/more of=/dev/vdb bs=64k seek={512 + i} count=1 "
                     f"conv=fsync; echo $? >/tmp/status) >/dev/null 2>&1 &")
            stopped(self.vm, "b", "write", True, "No space left on device")
            extend(self.file, 32 << 10)
            self.vm.qmp("query-status")
            self.vm.events.clear()
            self.goes_on()
            self.progress()
            wait_for("write to the hole", lambda: self.ask(
                "cat /tmp/status; rm -f /tmp/status") == "0")
            expect(self.ask("echo 3 >/proc/sys/vm/drop_caches; "
                            f"dd if=/dev/vdb bs=64k skip={512 + i} count=1 2>/dev/null | "
                            "cmp - /tmp/more && echo same"), "same")
        return f"{times} times"


def policy(directory, mapped, properties, error, action):
    """The firmware reads a disk that fails; QEMU sends this event."""
    mapped.replace(True)
    try:
        with Qemu(directory, "-machine", "q35", "-blockdev",
                  f"host_device,node-name=d,filename={mapped.node},cache.direct=on",
                  *vhost_blk(f"id=d,drive=d,bootindex=1{properties}")) as vm:
            data = vm.event("BLOCK_IO_ERROR", action=action)
            expect((data["operation"], data["nospace"], data["reason"]),
                   ("read", False, error))
            if action != "stop":
                time.sleep(0.5)
                expect(vm.status(), "running")
                return
            vm.event("STOP")
            expect(vm.status(), "io-error")
    finally:
        mapped.replace(False)


def reset(directory, mapped):
    """A reset forgets the request; the firmware boots again."""
    mapped.replace(True)
    with Qemu(directory, "-machine", "q35", "-blockdev",
              f"host_device,node-name=d,filename={mapped.node},cache.direct=on",
              *vhost_blk("id=d,drive=d,bootindex=1,rerror=stop")) as vm:
        vm.event("BLOCK_IO_ERROR", action="stop")
        vm.event("STOP")
        vm.qmp("system_reset")
        vm.event("RESET")
        mapped.replace(False)
        vm.qmp("query-status")
        vm.events.clear()
        vm.qmp("cont")
        vm.event("RESUME")
        time.sleep(2)
        expect(vm.status(), "running")
        if any(event["event"] == "BLOCK_IO_ERROR" for event in vm.events):
            raise Failure(f"events: {vm.events}")


def test(tap, options):
    directory = options.directory
    with contextlib.ExitStack() as stack:
        mapped = Mapped(stack.enter_context(null_blk("below", 64)), "errors")
        mapped.node = stack.enter_context(dm(mapped.name, mapped.table()))
        file = stack.enter_context(full_file(f"{directory}/full"))
        os.symlink(mapped.node, f"{directory}/file")
        os.symlink(file, f"{directory}/block")
        for what, properties, action in (
                ("the default for reads is report", "", "report"),
                ("rerror=report", ",rerror=report", "report"),
                ("rerror=ignore", ",rerror=ignore", "ignore"),
                ("rerror=stop", ",rerror=stop", "stop"),
                ("werror is not for reads", ",werror=stop", "report")):
            tap.check(what, policy, directory, mapped, properties, "Input/output error", action)
        tap.check("a reset forgets what has failed", reset, directory, mapped)
        guest = Guest(directory, mapped, file)
        tap.check("a guest boots, and has load", guest.boot)
        if not guest.vm:
            return
        tap.check("the disk fails under load", guest.fail, 3 * options.times)
        tap.check("the file system is full", guest.fill, 3 * options.times)
        guest.conclude(tap)
