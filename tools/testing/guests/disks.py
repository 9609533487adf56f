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
def null_blk(name, mib, **attributes):
    """A block device in memory; its node.  The name is not one that the kernel gives."""
    directory = f"{NULLB}/{name}"
    os.mkdir(directory)
    for attribute, value in {"memory_backed": 1, "size": mib, **attributes, "power": 1}.items():
        write(f"{directory}/{attribute}", value)
    node = f"/dev/{name}"
    # Only newer kernels name the device as its directory.
    try:
        yield node if os.path.exists(node) else f"/dev/nullb{read(f'{directory}/index')}"
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
    """ext4 on a block device in memory, mounted on `mnt` in the directory; that name."""
    with null_blk("for-files", mib, **attributes) as node:
        run("mkfs.ext4", "-q", "-O", "^has_journal", node)
        with mounted(node, f"{directory}/mnt") as path:
            yield path


def loop(path, *options):
    """A loop device; its node."""
    node = run("losetup", "--show", "-f", *options, path).strip()
    return until_end(node, "losetup", "-d", node)


def read_only(node):
    run("blockdev", "--setro", node)
    return until_end(node, "blockdev", "--setrw", node)


def dm(name, table):
    """A device-mapper device; its node."""
    run("dmsetup", "create", name, "--noudevsync", "--table", table)
    minor = run("dmsetup", "info", "-c", "--noheadings", "-o", "minor", name).strip()
    return until_end(f"/dev/dm-{minor}", "dmsetup", "remove", "--noudevsync", name)


def make_file(path, size, content=b""):
    """A file of that size, which begins with this content; its name."""
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(size)
    return path


def read_direct(path, offset, size):
    """What is there on the disk, and not in the page cache."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, size) as buffer:
            length = os.preadv(fd, [buffer], offset)
            return buffer[:length]
    finally:
        os.close(fd)
