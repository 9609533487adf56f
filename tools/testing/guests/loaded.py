# SPDX-License-Identifier: GPL-2.0
"""A guest under load that keeps account of what it does.

It has a ledger (see blkledger.c) on each of two disks, and fio on the first.
Whatever is done to it, it goes on; in the end it must find what it has written,
and so must the host.
"""
import os
import re
import statistics
import subprocess
import time

from vm import Failure, Machine, wait_for

COUNT = "awk '{ n += $1 + $5 + $16 } END { print n }' /sys/block/vd?/stat"

SCRIPT = r"""
modprobe virtio_mem
# Where the machine is busy, a guest that has to wait is no stall.
echo 120 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
failed=0
blkledger run /dev/vda 0 4 4 >/tmp/vda 2>&1 &
vda=$!
blkledger run /dev/vdb 0 4 1 >/tmp/vdb 2>&1 &
vdb=$!
(
	rounds=0
	while [ ! -e /tmp/stop ]; do
		fio --name=verify --filename=/dev/vda --offset=32m --size=FIO_SIZE \
			--rw=randwrite --bsrange=512-16k --blockalign=512 --direct=1 \
			--ioengine=io_uring --iodepth=16 --rate_iops=200 --verify=crc32c --verify_fatal=1 \
			--output-format=terse --terse-version=3 >/tmp/fio 2>&1
		status=$?
		error=$(sed -n '/^3;/p' /tmp/fio | cut -d';' -f5)
		if [ "$status $error" != "0 0" ]; then
			cat /tmp/fio
			exit 1
		fi
		rounds=$((rounds + 1))
	done
	echo "fio: $rounds rounds verified"
) >/tmp/fio.log 2>&1 &
fio=$!
exec </dev/ttyS1
echo ready
while read -r command && [ "$command" != end ]; do
	echo "$(eval "$command" 2>&1 | tr '\n' ' ')"
done
: >/tmp/stop
kill -TERM $vda $vdb
for job in $vda $vdb $fio; do
	wait $job || failed=1
done
sed 's/^/vda: /' /tmp/vda
sed 's/^/vdb: /' /tmp/vdb
cat /tmp/fio.log
for disk in vda vdb; do
	echo "$disk in flight: $(cat /sys/block/$disk/inflight | tr -s ' ')"
done
echo "requests: $(""" + COUNT + r""")"
exit $failed
"""


class LoadedGuest:
    """The guest, the QEMU that it is in, and how long its moves took.

    A move ends where QEMU expects the guest to be down for less than `limit` ms.
    Without KVM it takes many rounds until that is the default of 300.
    """

    def __init__(self, directory, devices, name="guest", limit=300, fio_size="1m",
                 **machine):
        self.dir = directory
        self.limit = limit
        self.machine = Machine(f"{directory}/{name}", SCRIPT.replace("FIO_SIZE", fio_size),
                               devices, **machine)
        self.downtimes = []
        self.vm = None
        self.counted = 0
        self.moves = 0
        self.said = []

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
            answer = self.ask(COUNT)
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
        self.said = self.machine.finish(self.vm)
        for disk in ("vda", "vdb"):
            if f"{disk} in flight: 0 0" not in [" ".join(line.split()) for line in self.said]:
                raise Failure(f"requests of {disk} are in flight: {self.said}")
            if not any(re.fullmatch(rf"{disk}: blkledger: writes [1-9].* errors 0", line)
                       for line in self.said):
                raise Failure(f"no ledger of {disk}: {self.said}")
        return "; ".join(line for line in self.said if re.search("fio:|requests:|blkledger:", line))

    def check_disk(self, disk, name):
        """What the guest says it has written is where the host finds it."""
        table = "".join(line[5:] + "\n" for line in self.said if line.startswith(f"{disk}: last"))
        result = subprocess.run([os.environ["VHOST_E2E_LEDGER"], "check", f"{self.dir}/{name}", "0"],
                                input=table, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                encoding="utf-8", check=False)
        if result.returncode or "checked 128 errors 0" not in result.stdout:
            raise Failure(result.stdout)

    def conclude(self, tap, prefix=""):
        """What must hold in the end, whatever was done."""
        if tap.check(prefix + "the guest finds all that it has written", self.end):
            tap.check(prefix + "the host finds it in the file", self.check_disk, "vda", "file")
            tap.check(prefix + "the host finds it on the block device",
                      self.check_disk, "vdb", "block")
        tap.check(prefix + "the guest's kernel log is clean", self.machine.check_klog)
