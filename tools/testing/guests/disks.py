# SPDX-License-Identifier: GPL-2.0
"""Disks of the test host: null_blk, loop devices, files, file systems."""
import contextlib
import mmap
import os

from tap import run

NULLB = "/sys/kernel/config/nullb"
MIB = 1 << 20


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


@contextlib.contextmanager
def unused_at_end(node):
    """At the end of a "with" block, fail if the block device is mounted or otherwise claimed.

    Removing a loop or null_blk device does not fail if the device is still in use.
    """
    yield node
    os.close(os.open(node, os.O_RDONLY | os.O_EXCL))


@contextlib.contextmanager
def null_blk(name, mib, **attributes):
    """A null_blk device that keeps its data in memory; the value is its device node.

    `name` must not be one that the kernel itself would choose.
    """
    directory = f"{NULLB}/{name}"
    os.mkdir(directory)
    try:
        for attribute, value in {"memory_backed": 1, "size": mib, **attributes,
                                 "power": 1}.items():
            write(f"{directory}/{attribute}", value)
        node = f"/dev/{name}"
        # Only newer kernels give the device the name of its directory.
        if not os.path.exists(node):
            node = f"/dev/nullb{read(f'{directory}/index')}"
        with unused_at_end(node):
            yield node
    finally:
        write(f"{directory}/power", 0)
        os.rmdir(directory)


@contextlib.contextmanager
def until_end(value, *command):
    """Run the command at the end of a "with" block."""
    try:
        yield value
    finally:
        run(*command)


def mounted(node, directory):
    os.makedirs(directory, exist_ok=True)
    run("mount", node, directory)
    return until_end(directory, "umount", directory)


@contextlib.contextmanager
def file_system(directory, mib=512, **attributes):
    """An ext4 on a null_blk device, mounted on DIRECTORY/mnt; the value is this path."""
    with null_blk("for-files", mib, **attributes) as node:
        run("mkfs.ext4", "-q", "-O", "^has_journal", node)
        with mounted(node, f"{directory}/mnt") as path:
            yield path


@contextlib.contextmanager
def loop(path, *options):
    """A loop device for the file; the value is its device node."""
    node = run("losetup", "--show", "-f", *options, path).strip()
    with until_end(node, "losetup", "-d", node), unused_at_end(node):
        yield node


def read_only(node):
    run("blockdev", "--setro", node)
    return until_end(node, "blockdev", "--setrw", node)


def dm(name, table):
    """A device-mapper device; the value is its device node."""
    run("dmsetup", "create", name, "--noudevsync", "--table", table)
    minor = run("dmsetup", "info", "-c", "--noheadings", "-o", "minor", name).strip()
    return until_end(f"/dev/dm-{minor}", "dmsetup", "remove", "--noudevsync", name)


def make_file(path, size, content=b""):
    """Create a file of `size` bytes that begins with `content`; return its path."""
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(size)
    return path


def read_direct(path, offset, size):
    """Read with O_DIRECT, so that the data comes from the disk and not from the page cache."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, size) as buffer:
            length = os.preadv(fd, [buffer], offset)
            return buffer[:length]
    finally:
        os.close(fd)
