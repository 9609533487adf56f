# SPDX-License-Identifier: GPL-2.0
"""Live migration of a guest under load; migration to a file, while paused, and with errors."""
import os
import re

from loaded import SMALL_ODD_SIZE, LoadedGuest, test_disks
from tap import Failure, wait_for
from vmm import create, vhost_blk


class Migrations(LoadedGuest):
    """A guest with three disks that is migrated."""

    def __init__(self, directory, **machine):
        super().__init__(directory, [
            "-blockdev", f"file,node-name=c,filename={directory}/buffered",
            *vhost_blk(f"id=a,path={directory}/file,num-queues=2",
                       f"id=b,path={directory}/block,num-queues=2", "id=c,drive=c")], **machine)

    def in_use(self):
        """Another QEMU cannot open the disks."""
        for name in ("file", "block"):
            create(f"path={self.dir}/{name}", "Failed to (get|lock)")

    def start_slowly(self, uri):
        """Start a slow migration, and wait until it has sent 1 MiB."""
        self.vm.qmp("migrate-set-parameters", max_bandwidth=2 << 20)
        self.vm.qmp("migrate", uri=uri)

        def half_way():
            answer = self.vm.qmp("query-migrate")
            if answer["status"] in ("completed", "failed", "cancelled"):
                raise Failure(f"migration {answer}")
            return answer.get("ram", {}).get("transferred", 0) > 1 << 20
        wait_for("migration half way", half_way)
        self.progress()

    def continue_after(self, expected):
        """The migration ends with this status, and the guest continues in the source."""
        answer = self.outcome(self.vm)
        if answer["status"] != expected:
            raise Failure(f"migration {answer}")
        self.vm.qmp("migrate-set-parameters", max_bandwidth=1 << 40)
        wait_for("guest that runs", lambda: self.vm.status() == "running")
        self.progress()

    def cancel(self):
        target, uri = self.incoming()
        self.start_slowly(uri)
        self.vm.qmp("migrate_cancel")
        self.continue_after("cancelled")
        target.finish(1, ".*")
        self.in_use()

    def target_dies(self):
        target, uri = self.incoming()
        self.start_slowly(uri)
        target.kill()
        self.continue_after("failed")
        self.vm.excuse("(.*(Broken pipe|reset by peer))?")
        self.in_use()

    def no_target(self):
        devices = [o.replace(f"path={self.dir}/file", "path=/no/such")
                   for o in self.machine.devices]
        try:
            self.incoming(devices)
        except Failure as failure:
            if "path: " not in str(failure):
                raise
        else:
            raise Failure("a target without the file has started")
        try:
            self.vm.qmp("migrate", uri=f"unix:{self.machine.dir}/migration-{self.moves}")
        except Failure:
            pass
        self.continue_after("failed")
        self.vm.excuse(".*Failed to connect.*")

    def save(self, name):
        """Migrate to a file, which stops the guest; return its path."""
        state = f"{self.machine.dir}/{name}"
        self.migrate(f"exec:cat >{state}")
        if self.outcome(self.vm)["status"] != "completed" or self.vm.status() != "postmigrate":
            raise Failure("not saved: " + self.vm.status())
        return state

    def save_and_restore(self):
        state = self.save("state")
        self.vm.quit()
        self.vm = self.machine.start("-incoming", f"exec:cat {state}", after=self.vm)
        wait_for("guest that runs", lambda: self.vm.status() == "running")
        self.progress()
        os.remove(state)
        self.in_use()

    def save_and_continue(self):
        """The guest continues in the QEMU that has saved it."""
        os.remove(self.save("copy"))
        self.vm.qmp("cont")
        self.progress()
        self.in_use()

    def move_while_paused(self):
        """The destination stays paused, too, until "cont"."""
        target, uri = self.incoming()
        self.vm.qmp("stop")
        self.vm.qmp("migrate", uri=uri)
        if self.outcome(self.vm)["status"] != "completed":
            raise Failure("migration failed: " + target.errors())
        wait_for("target that is paused", lambda: target.status() == "paused")
        self.vm.quit()
        target.qmp("cont")
        self.vm = target
        self.progress()
        self.in_use()

    def resize_while_moving(self):
        """A file grows before the target opens it; the guest is told when it runs."""
        self.vm.qmp("stop")
        size = os.stat(f"{self.dir}/buffered").st_size + (1 << 20)
        os.truncate(f"{self.dir}/buffered", size)
        target, uri = self.incoming()
        self.vm.qmp("migrate", uri=uri)
        if self.outcome(self.vm)["status"] != "completed":
            raise Failure("migration failed: " + target.errors())
        self.vm.quit()
        wait_for("target that is paused", lambda: target.status() == "paused")
        target.qmp("cont")
        self.vm = target
        wait_for("new size", lambda: self.ask("cat /sys/block/vdc/size") == str(size >> 9), 60)
        self.progress()

    def dirty_kb(self):
        """Return the KiB that are dirty in the host's page cache, for the disk with the files."""
        number = os.stat(f"{self.dir}/buffered").st_dev
        with open(f"/sys/kernel/debug/bdi/{os.major(number)}:{os.minor(number)}/stats",
                  encoding="ascii") as file:
            return int(re.search(r"BdiReclaimable: *(\d+) kB", file.read())[1])

    def stop_flushes(self):
        """A stop flushes the file, so another host sees all data."""
        self.ask("dd if=/dev/urandom of=/dev/vdc bs=64k count=16 oflag=direct")
        before = self.dirty_kb()
        self.vm.qmp("stop")
        after = self.dirty_kb()
        self.vm.qmp("cont")
        if before < 1024 or after > 64:
            raise Failure(f"{before} kB were dirty before the stop, {after} kB after it")

    def toggle_cache(self):
        cache = "cat /sys/block/vd[ab]/cache_type"
        self.expect(cache, "write back write back")
        self.expect("echo write through >/sys/block/vdb/cache_type", "")
        self.move()
        self.expect(cache, "write back write through")
        self.expect("echo write back >/sys/block/vdb/cache_type", "")
        self.expect("echo write through >/sys/block/vda/cache_type", "")
        self.move()
        self.expect(cache, "write through write back")


def test_all(tap, guest, times):
    tap.check("another QEMU cannot open the disks", guest.in_use)
    tap.check(f"migrated there and back {times} times", guest.move_often, times)
    tap.check("another QEMU cannot open the disks after the migrations", guest.in_use)
    tap.check("a migration is cancelled halfway", guest.cancel)
    tap.check("the destination is killed halfway", guest.target_dies)
    tap.check("the destination does not start", guest.no_target)
    tap.check("saved to a file and restored", guest.save_and_restore)
    tap.check("saved to a file, and continued in the same QEMU", guest.save_and_continue)
    tap.check("stopped and continued 20 times", guest.stop_and_continue)
    tap.check("a stop flushes", guest.stop_flushes)
    tap.check("migrated while paused", guest.move_while_paused)
    tap.check("a file is resized before the target opens it", guest.resize_while_moving)
    tap.check("the cache mode is migrated, there and back", guest.toggle_cache)


def test_short(tap, guest):
    tap.check("migrated there and back", guest.move_often, 1)
    tap.check("a migration is cancelled halfway", guest.cancel)
    tap.check("the destination is killed halfway", guest.target_dies)
    tap.check("the destination does not start", guest.no_target)
    tap.check("saved to a file and restored", guest.save_and_restore)
    tap.check("a file is resized before the target opens it", guest.resize_while_moving)
    tap.check("stopped and continued 5 times", guest.stop_and_continue, 5)


def needs(options):
    return {"memory": 2048, "timeout": 900 + 60 * options.times}


def test(tap, options):
    form = {"memory": SMALL_ODD_SIZE, "limit": 2000} if options.short else {}
    with test_disks(options.directory):
        guest = Migrations(options.directory, other=os.environ["VHOST_E2E_OTHER"], **form)
        tap.check("a guest starts with its load", guest.boot)
        if guest.vm and options.short:
            test_short(tap, guest)
        elif guest.vm:
            test_all(tap, guest, options.times)
        guest.conclude(tap)
        print("# " + guest.figures())
