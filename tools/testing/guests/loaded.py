# SPDX-License-Identifier: GPL-2.0
"""A guest under load that records its writes.

It runs blkledger on each of two disks (see blkledger.c), and fio on the first.  The load
must not stop while the guest is migrated, stopped or its memory is changed.  In the end,
the guest and the host must find the data that was written.
"""
import contextlib
import os
import re
import statistics
import time

from disks import file_system, loop, make_file
from guest import Machine, built, script
from tap import Failure, run, wait_for

# Memory sizes for migration without KVM.  If the size is a multiple of 256 KiB, QEMU before
# 9.0 does not update TCG's TLB when it clears dirty bits.  Then some later writes of a vCPU
# are not sent, and the guest crashes.
ODD_SIZE = "262136K"
SMALL_ODD_SIZE = "131064K"


@contextlib.contextmanager
def test_disks(directory):
    """Create two files, `file` and `buffered`, and a loop device, `block`, in the directory."""
    with file_system(directory, 1536) as path:
        for name in ("file", "buffered", "behind-loop"):
            make_file(f"{path}/{name}", 64 << 20)
        with loop(f"{path}/behind-loop") as node:
            os.symlink(node, f"{directory}/block")
            os.symlink("mnt/file", f"{directory}/file")
            os.symlink("mnt/buffered", f"{directory}/buffered")
            yield


class LoadedGuest:
    """The guest, the QEMU that it runs in, and the downtimes of its migrations.

    `limit` is QEMU's downtime-limit in ms.  Without KVM, a migration takes many rounds to
    reach the default of 300.
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
        """Run a command in the guest's shell; return its output."""
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
        """Wait until the guest has completed more than 50 requests since the last call."""
        def more():
            answer = self.ask("requests")
            if not re.fullmatch(r"\d+", answer):
                raise Failure(f"the guest says: {answer}")
            return int(answer) if int(answer) > self.counted + 50 else None
        self.counted = wait_for("progress of the guest", more)

    def incoming(self, devices=None):
        """Start the destination of a migration; return it and the URI of its socket."""
        self.moves += 1
        uri = f"unix:{self.machine.dir}/migration-{self.moves}"
        return self.machine.start("-incoming", uri, devices=devices, after=self.vm), uri

    @staticmethod
    def outcome(vm):
        """Wait until the migration from this QEMU has ended; return the reply of query-migrate."""
        def ended():
            answer = vm.qmp("query-migrate")
            return answer if answer["status"] in ("completed", "failed", "cancelled") else None
        return wait_for("end of the migration", ended)

    def migrate(self, uri):
        self.vm.qmp("migrate-set-parameters", downtime_limit=self.limit)
        self.vm.qmp("migrate", uri=uri)

    def move(self):
        """Migrate to a new QEMU, and quit the old one."""
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

    def stop_and_continue(self, times=20):
        for i in range(times):
            self.vm.qmp("stop")
            if self.vm.status() != "paused":
                raise Failure("not paused: " + self.vm.status())
            self.vm.qmp("cont")
            time.sleep(0.01 * (i % 7))
        self.progress()

    def move_often(self, times):
        """Migrate there and back, and return the figures."""
        for i in range(1, times + 1):
            self.move()
            self.move()
            if i % 5 == 0:
                print(f"# {i} times: {self.figures()}", flush=True)
        return self.figures()

    def figures(self):
        if not self.downtimes:
            return "no migration"
        return (f"{len(self.downtimes)} migrations, downtime median "
                f"{statistics.median(self.downtimes):.0f} ms, max {max(self.downtimes)} ms; "
                f"{self.counted} requests so far")

    def end(self):
        """End the load; the guest verifies its data."""
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
        """The host finds the data that the guest has recorded."""
        table = "".join(line[5:] + "\n" for line in self.machine.said
                        if line.startswith(f"{disk}: last"))
        said = run(built("blkledger"), "check", f"{self.dir}/{name}", "0", input=table)
        if "checked 128 errors 0" not in said:
            raise Failure(said)

    def conclude(self, tap, prefix=""):
        """Make the checks at the end of each test."""
        if tap.check(prefix + "the guest finds its data", self.end):
            tap.check(prefix + "the host finds the data in the file", self.check_disk, "vda", "file")
            tap.check(prefix + "the host finds the data on the block device",
                      self.check_disk, "vdb", "block")
        tap.check(prefix + "the guest's kernel log is clean", self.machine.check_klog)
