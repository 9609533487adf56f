# SPDX-License-Identifier: GPL-2.0
"""Swap: a guest swaps on vhost-blk while the test host has no free memory."""
import contextlib
import os
import re
import subprocess
import sys
import threading
import time

from disks import make_file, mounted, null_blk
from guest import Machine, built, script
from tap import Failure, run
from vmm import vhost_blk

DISKS = {"vda": "block", "vdb": "direct", "vdc": "buffered"}


@contextlib.contextmanager
def full_null_blk(name, mib):
    """A null_blk device whose memory is all allocated, so that a write needs no more."""
    with null_blk(name, mib) as node:
        run("dd", "if=/dev/zero", f"of={node}", "bs=1M", f"count={mib}", "oflag=direct")
        yield node


@contextlib.contextmanager
def swap_disks(directory):
    """Create a block device and two files for the guest, and let the host swap."""
    with (full_null_blk("for-swap", 320) as swap, full_null_blk("block", 40) as block,
          full_null_blk("for-files", 104) as files):
        run("mkswap", swap)
        run("swapon", swap)
        run("mkfs.ext4", "-q", files)
        os.symlink(block, f"{directory}/block")
        with mounted(files, f"{directory}/mnt"):
            for name in ("direct", "buffered"):
                make_file(f"{directory}/mnt/{name}", 40 << 20, bytes(40 << 20))
                os.symlink(f"mnt/{name}", f"{directory}/{name}")
            os.sync()
            yield
        run("swapoff", swap)


def numbers(path):
    """Return the names and numbers in a file such as /proc/vmstat."""
    with open(path, encoding="ascii") as file:
        return {name.rstrip(":"): int(number)
                for name, number in re.findall(r"^(\S+) +(\d+)", file.read(), re.M)}


def min_watermark():
    """Return the min watermark in KiB: below it only reclaim may allocate."""
    with open("/proc/zoneinfo", encoding="ascii") as file:
        return sum(int(pages) for pages in re.findall(r"^ +min +(\d+)", file.read(), re.M)) * 4


class Pressure:
    """Processes on the host that use more than the available memory."""

    BEYOND = 96		# MiB beyond the available memory, so that something must be swapped out
    # MiB of one process: in UML each page is a mapping, and a process can have 65530.
    MOST = 128

    def __init__(self):
        self.before = self.after = None
        self.lowest = sys.maxsize
        self.hogs = []
        self.watch = threading.Thread(target=self.poll, daemon=True)
        self.over = threading.Event()

    def poll(self):
        while not self.over.wait(0.2):
            self.lowest = min(self.lowest, numbers("/proc/meminfo")["MemFree"])

    def begin(self):
        self.before = numbers("/proc/vmstat")
        total = numbers("/proc/meminfo")["MemAvailable"] // 1024 + self.BEYOND
        for left in range(total, 0, -self.MOST):
            self.hogs.append(subprocess.Popen(
                ["nice", "-n", "10", built("memhog"), str(min(left, self.MOST)),
                 "0", "20000"], stdout=subprocess.PIPE, encoding="ascii"))
        self.watch.start()
        for hog in self.hogs:
            if not re.search("round 0", hog.stdout.readline()):
                raise Failure(f"one ended with {hog.wait()}")
        return f"{total} MiB in {len(self.hogs)} processes"

    def end(self):
        """Stop the processes; none of them may have found a wrong page."""
        self.after = numbers("/proc/vmstat")
        self.over.set()
        for hog in self.hogs:
            if hog.poll() is None:
                hog.terminate()
            if hog.wait(120):
                raise Failure(f"one ended with {hog.returncode}: {hog.stdout.read()}")

    def count(self, prefix):
        return sum(self.after[name] - self.before[name]
                   for name in self.after if name.startswith(prefix))

    def proof(self):
        """The host had to reclaim memory, in kswapd and in processes that allocated memory."""
        counts = {name: self.count(name) for name in (
            "pswpout", "pswpin", "allocstall", "pgscan_direct", "pgscan_kswapd", "oom_kill")}
        text = (f"{self.lowest} KiB free at the least, min watermark {min_watermark()} KiB; " +
                ", ".join(f"{name} {number}" for name, number in counts.items()))
        if counts.pop("oom_kill") or min(counts.values()) < 50:
            raise Failure(text)
        if self.lowest > 2 * min_watermark():
            raise Failure(text)
        return text


class SwappingGuest:
    """A guest that swaps; the host may swap its memory, too."""

    def __init__(self, directory, rounds):
        self.rounds = rounds
        self.machine = Machine(
            f"{directory}/guest", script("swap.sh", rounds=rounds),
            vhost_blk(f"path={directory}/block,num-queues=2",
                      f"path={directory}/direct,num-queues=2,direct=on",
                      f"path={directory}/buffered,num-queues=2,direct=off"), memory="128M")
        self.vm = None

    def boot(self):
        self.vm = self.machine.start()
        # The OOM killer must not choose QEMU.
        with open(f"/proc/{self.vm.process.pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write("-1000")
        line = self.vm.serial.read()
        if line != "ready":
            raise Failure(f"the guest says: {line}")

    def swap(self):
        """memhog verifies all its pages in each round."""
        begin = time.monotonic()

        def show(_, line):
            print(f"swap: {time.monotonic() - begin:.0f} s: {line}", file=sys.stderr, flush=True)
        self.vm.serial.write("go")
        self.machine.follow(self.vm, 900 * self.rounds, show)

    def proof(self):
        """The guest has swapped on each disk, and its OOM killer has not run."""
        text = " ".join(self.machine.said)
        used = dict(re.findall(r"(vd.) (reads \d+ writes \d+)", text))
        for disk in DISKS:
            if min(int(number) for number in re.findall(r"\d+", used.get(disk, "0"))) < 200:
                raise Failure(f"{disk}: {text}")
        if not re.search("oom_kill 0", text):
            raise Failure(text)
        return "; ".join(f"{name}: {used[disk]}" for disk, name in DISKS.items()) + \
            "; " + " ".join(re.findall(r"pswp\w+ \d+", text))


def needs(_):
    return {"memory": 1024}


def test(tap, options):
    with swap_disks(options.directory):
        guest = SwappingGuest(options.directory, options.times)
        pressure = Pressure()
        tap.check("a guest starts and swaps on its disks", guest.boot)
        tap.check("the host's memory is used up", pressure.begin)
        tap.check(f"the guest verifies its pages, {options.times} rounds", guest.swap)
        tap.check("the processes that used the host's memory verify theirs", pressure.end)
        tap.check("the host had no free memory", pressure.proof)
        tap.check("the guest has swapped on each disk", guest.proof)
        tap.check("the guest's kernel log is clean", guest.machine.check_klog)
