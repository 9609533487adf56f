# SPDX-License-Identifier: GPL-2.0
"""Crash consistency: a guest fsyncs files on ext4 and xfs while dm-log-writes logs the writes
and flushes that reach its disks.  Then the state of each disk after each flush is rebuilt
and checked.

VHOST_CRASH_FILES is the number of files that are fsynced on each file system.
VHOST_CRASH_EXT4 and VHOST_CRASH_XFS are the numbers of flushes that are checked, evenly
spread; 0 means all.
"""
import os
import re
import subprocess
import sys

from disks import MIB, dm, loop, mounted, null_blk
from guest import Machine, built, script
from tap import Failure, expect, run
from vmm import vhost_blk

DISK_MIB = 64
LOG_MIB = 2048
BATCH = 16		# disk images that are checked in one boot of the guest
FILES = int(os.environ.get("VHOST_CRASH_FILES", "50"))
COUNTS = {"ext4": int(os.environ.get("VHOST_CRASH_EXT4", "8")),
          "xfs": int(os.environ.get("VHOST_CRASH_XFS", "4"))}


def log_writes(name, disk, log):
    return dm(name, f"0 {DISK_MIB * 2048} log-writes {disk} {log}")


def load(machine):
    """Run the guest, and write a mark to the log for each file that it reports as stable."""
    with subprocess.Popen([built("fscrash"), "mark", "ext4", "xfs"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, encoding="utf-8") as marker:
        machine.run(FILES + 300, lambda _, line: print(line, file=marker.stdin, flush=True))
    expect(marker.returncode, 0)
    for kind in COUNTS:
        stable = sum(1 for line in machine.said if re.fullmatch(rf"crash {kind} \d+ [1-9]\d*", line))
        if stable < FILES:
            raise Failure(f"{stable} of {FILES} files became stable on {kind}")


def check_ext4(directory, images, points):
    """Check the images on the test host, whose kernel has ext4."""
    for i, (flush, *files) in enumerate(points):
        with loop(images, "-o", f"{1 + i * DISK_MIB}M", "--sizelimit", f"{DISK_MIB}M") as node:
            try:
                with mounted(node, f"{directory}/image"):
                    run(built("fscrash"), "check", f"{directory}/image", *files)
                run("e2fsck", "-f", "-n", node)
            except Failure as failure:
                raise Failure(f"ext4, flush {flush}: {failure}") from failure


def check_xfs(directory, images, points):
    """Check the images in a guest, as the partitions of one disk."""
    table = "label: gpt\n" + "".join(
        f"start={2048 * (1 + i * DISK_MIB)}, size={2048 * DISK_MIB}\n" for i in range(BATCH))
    run("sfdisk", "-q", "--no-reread", "--no-tell-kernel", images, input=table)
    machine = Machine(
        f"{directory}/xfs-{points[0][0]}",
        script("crash-check.sh", points="\n".join(" ".join(point) for point in points)),
        vhost_blk(f"path={images}"), memory="512M")
    machine.run(1800)
    expect([line for line in machine.said if line.endswith(": checked")],
           [f"xfs, flush {flush}: checked" for flush, *_ in points])


def replay(log, images, first, step, count):
    """Write disk images to `images`.

    Returns the number of flushes in the log, and for each image the flush and the files that
    were stable then.
    """
    lines = [line.split() for line in run(
        built("fscrash"), "replay", log, str(DISK_MIB * MIB), images,
        str(first), str(step), str(count)).splitlines()]
    total = next(int(words[1]) for words in lines if words[0] == "flushes")
    return total, [words for words in lines if words[0] != "flushes"]


def check_flushes(directory, kind, check_points, log):
    with null_blk(f"{kind}-images", 1) as images:
        total, _ = replay(log, images, 1, 1, 0)
    if not total:
        raise Failure("the log has no flush")
    step = -(-total // COUNTS[kind]) if COUNTS[kind] else 1
    images_in_all = -(-total // step)
    seen = 0
    for first in range(1, total + 1, step * BATCH):
        with null_blk(f"{kind}-images", DISK_MIB * BATCH + 2) as images:
            _, points = replay(log, images, first, step, BATCH)
            check_points(directory, images, points)
        seen += len(points)
        print(f"crash: {kind}: {seen} of {images_in_all} flushes checked",
              file=sys.stderr, flush=True)
    if seen < 4 or seen != images_in_all:
        raise Failure(f"only {seen} of {images_in_all} flushes were checked")
    return f"{seen} of {total} flushes checked"


def needs(_):
    return {"guest": "full", "packages": ["selftest"], "memory": 3072,
            "timeout": 2400 + 20 * FILES}


def test(tap, options):
    with (null_blk("ext4-disk", DISK_MIB, irqmode=2, completion_nsec=50000) as ext4,
          null_blk("xfs-disk", DISK_MIB, irqmode=2, completion_nsec=50000) as xfs,
          null_blk("ext4-log", LOG_MIB) as ext4_log, null_blk("xfs-log", LOG_MIB) as xfs_log):
        with log_writes("ext4", ext4, ext4_log) as ext4, log_writes("xfs", xfs, xfs_log) as xfs:
            machine = Machine(
                f"{options.directory}/load", script("tap.sh", "run-crash-load.sh", files=FILES),
                vhost_blk(f"path={ext4},serial=ext4", f"path={xfs},serial=xfs,num-queues=2"),
                memory="512M")
            tap.check("a guest fsyncs files on ext4 and xfs", load, machine)
        for kind, function, log in (("ext4", check_ext4, ext4_log), ("xfs", check_xfs, xfs_log)):
            tap.check(f"{kind}: after each flush, the fsynced files and the file system are intact",
                      check_flushes, options.directory, kind, function, log)
