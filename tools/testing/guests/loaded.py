# SPDX-License-Identifier: GPL-2.0
"""A guest under load that keeps account of what it does.

It has a ledger (see blkledger.c) on each of two disks, and fio on the first.
Whatever is done to it, it goes on; in the end it must find what it has written,
and so must the host.
"""
import contextlib
import os
import re
import statistics
import time

from disks import file_system, loop, make_file
from guest import Machine, built, script
from tap import Failure, run, wait_for

# For machines that are migrated without KVM.  When it clears the dirty bits of memory
# whose size is a multiple of 256 KiB, QEMU before 9.0 does not tell its TLB.  Some of what
# a vCPU writes then is not sent, and the guest crashes.
ODD_SIZE = "262136K"
SMALL_ODD_SIZE = "131064K"


@contextlib.contextmanager
def test_disks(directory):
    """In the directory: two files, and a block device with a file behind it."""
    with file_system(directory, 1536) as path:
        for name in ("file", "buffered", "behind-loop"):
            make_file(f"{path}/{name}", 64 << 20)
        with loop(f"{path}/behind-loop") as node:
            os.symlink(node, f"{directory}/block")
            os.symlink("mnt/file", f"{directory}/file")
            os.symlink("mnt/buffered", f"{directory}/buffered")
            yield


class LoadedGuest:
    """The guest, the QEMU that it is in, and how long its moves took.

    A move ends where QEMU expects the guest to be down for less than `limit` ms.
    Without KVM it takes many rounds until that is the default of 300.
    """

    def __init__(self, directory, devices, name="guest", limit=300, fio_size="1m", memory=ODD_SIZE,
                 **machine):
        self.dir = directory
        self.limit = limit
        self.machine = Machine(f"{directory}/{name}",
                               script("tap.sh", "loaded.sh", fio_size=fio_size), devices,
                               memory=memory, **machine)
        self.downtimes = []
        self.vm = None
        self.counted = 0
        self.moves = 0

    def boot(self):
        self.vm = self.machine.start()
        line = self.vm.serial.read()
        if line != "ready":
            raise Failure(f"the guest says: {line}")
        self.progress()

    def ask(self, command):
        """What a command of the guest's shell prints."""
        self.vm.serial.write(command)
        answer = self.vm.serial.read()
        if answer is None:
            raise Failure("the guest has gone: " + self.vm.errors())
        return answer.strip()

    def expect(self, command, answer):
        said = self.ask(command)
        if not re.fullmatch(answer, said):
            raise Failure(f"{command}: the guest says: {said}")

    def progress(self):
        """The guest answers, and has completed more requests."""
        def more():
            answer = self.ask("requests")
            if not re.fullmatch(r"\d+", answer):
                raise Failure(f"the guest says: {answer}")
            return int(answer) if int(answer) > self.counted + 50 else None
        self.counted = wait_for("progress of the guest", more)

    def incoming(self, devices=None):
        """A QEMU that waits for the guest at a socket, and the socket's name."""
        self.moves += 1
        uri = f"unix:{self.machine.dir}/migration-{self.moves}"
        return self.machine.start("-incoming", uri, devices=devices, after=self.vm), uri

    @staticmethod
    def outcome(vm):
        """How the migration from there ended."""
        def ended():
            answer = vm.qmp("query-migrate")
            return answer if answer["status"] in ("completed", "failed", "cancelled") else None
        return wait_for("end of the migration", ended)

    def migrate(self, uri):
        self.vm.qmp("migrate-set-parameters", downtime_limit=self.limit)
        self.vm.qmp("migrate", uri=uri)

    def move(self):
        """To another QEMU, and the first one goes."""
        target, uri = self.incoming()
        self.migrate(uri)
        answer = self.outcome(self.vm)
        if answer["status"] != "completed":
            raise Failure(f"migration {answer}; {target.errors()}")
        wait_for("start of the target", lambda: target.status() == "running")
        self.vm.quit()
        self.vm = target
        self.downtimes.append(answer["downtime"])
        self.progress()

    def stop_and_go_on(self, times=20):
        for i in range(times):
            self.vm.qmp("stop")
            if self.vm.status() != "paused":
                raise Failure("not paused: " + self.vm.status())
            self.vm.qmp("cont")
            time.sleep(0.01 * (i % 7))
        self.progress()

    def figures(self):
        if not self.downtimes:
            return "no migration"
        return (f"{len(self.downtimes)} migrations, downtime median "
                f"{statistics.median(self.downtimes):.0f} ms, max {max(self.downtimes)} ms; "
                f"{self.counted} requests so far")

    def end(self):
        """The guest looks at all that it has written."""
        self.vm.serial.write("end")
        self.machine.follow(self.vm)
        for disk in ("vda", "vdb"):
            self.machine.has_said(f"{disk} in flight: 0 0")
            if not any(re.fullmatch(rf"{disk}: blkledger: writes [1-9].* errors 0", line)
                       for line in self.machine.said):
                raise Failure(f"no ledger of {disk}: {self.machine.said}")
        return "; ".join(line for line in self.machine.said
                         if re.search("fio:|requests:|blkledger:", line))

    def check_disk(self, disk, name):
        """What the guest says it has written is where the host finds it."""
        table = "".join(line[5:] + "\n" for line in self.machine.said
                        if line.startswith(f"{disk}: last"))
        said = run(built("blkledger"), "check", f"{self.dir}/{name}", "0", input=table)
        if "checked 128 errors 0" not in said:
            raise Failure(said)

    def conclude(self, tap, prefix=""):
        """What must hold in the end, whatever was done."""
        if tap.check(prefix + "the guest finds all that it has written", self.end):
            tap.check(prefix + "the host finds it in the file", self.check_disk, "vda", "file")
            tap.check(prefix + "the host finds it on the block device",
                      self.check_disk, "vdb", "block")
        tap.check(prefix + "the guest's kernel log is clean", self.machine.check_klog)
