# SPDX-License-Identifier: GPL-2.0
"""Properties of the QEMU device.  For an invalid one, QEMU exits with a message of one line
that has the property and the cause.
"""
import contextlib
import functools
import glob
import os
import re

from disks import file_system, make_file, mounted, null_blk, read, read_only
from tap import expect, run
from vmm import Qemu, create, vhost_blk

DEVICE = "/dev/vhost-blk"
LOCKED = ' path: .*Failed to (get|lock)'
IN_USE = " path: .*(in use|Failed to (get|lock))"

# Name of the check, properties, and the message, or None if the device is accepted.
# FILE, DIRECTORY, BLOCK and MOUNTED, a mounted block device, are replaced by paths, and so
# are LARGE, a block device with blocks of 4096 bytes, and LARGEFILE, a file on such a one.
CASES = (
    ("a file", "path=FILE", None),
    ("no disk", "", " drive: missing"),
    ("no such file", "path=/no/such", " path: .*No such file"),
    ("a directory", "path=DIRECTORY", " path: .* is a directory"),
    ("a character device", "path=/dev/null", " path: .* is a character device"),
    ("a pipe", "path=DIRECTORY/pipe", " path: .* is a pipe"),
    ("path and fd", "path=FILE,fd=3", " path: .*together with fd"),
    ("fd: not open", "fd=99", " fd: .*Bad file"),
    ("fd: not a number", "fd=none", " fd: "),
    ("direct with fd", "fd=9,direct=on", " direct: .*fd"),
    *((f"queue-size={value}", f"path=FILE,queue-size={value}",
       f" queue-size: {value} is not a power of two") for value in (0, 2, 3, 100, 2048)),
    *((f"num-queues={value}", f"path=FILE,num-queues={value}",
       f" num-queues: {value} is not") for value in (0, 65)),
    ("num-queues=64,queue-size=1024", "path=FILE,num-queues=64,queue-size=1024", None),
    ("workers=0", "path=FILE,workers=0", " workers: 0 is not"),
    ("more workers than queues", "path=FILE,num-queues=2,workers=3", " workers: 3 is not"),
    ("poll-us", "path=FILE,poll-us=50", None),
    ("write-cache=off", "path=FILE,write-cache=off", None),
    ("write-cache=off,config-wce=off", "path=FILE,write-cache=off,config-wce=off", None),
    ("a geometry", "path=FILE,cyls=32,heads=16,secs=63,lcyls=32,lheads=16,lsecs=63", None),
    ("an incomplete geometry", "path=FILE,cyls=32", " heads must be between 1 and 255"),
    ("cyls=65536", "path=FILE,cyls=65536,heads=1,secs=1", " cyls must be between 1 and 65535"),
    ("secs=256", "path=FILE,cyls=1,heads=1,secs=256", " secs must be between 1 and 255"),
    *((f"{name}=0", f"path=FILE,{name}=0", f" {name}: 0 is not")
      for name in ("max-discard-sectors", "max-discard-segments", "max-write-zeroes-sectors")),
    *((f"{name}={value}", f"path=FILE,{name}={value}", f" {name}: {value} is not")
      for name, value in (("max-discard-sectors", 1 << 22), ("max-discard-segments", 257),
                          ("max-write-zeroes-sectors", 1 << 22))),
    ("max-discard-sectors=0,discard=off", "path=FILE,max-discard-sectors=0,discard=off", None),
    ("limits of discards", "path=FILE,max-discard-sectors=2048,max-discard-segments=256", None),
    ("secure-erase: not supported", "path=FILE,secure-erase=on", " secure-erase: .*not support"),
    ("smaller blocks than the disk has", "path=LARGE", None),
    ("smaller blocks than direct I/O needs", "path=LARGEFILE,direct=on", None),
    ("buffered I/O in smaller blocks", "path=LARGEFILE,direct=off", None),
    ("the blocks of the disk", "path=LARGE,logical_block_size=4096,physical_block_size=4096", None),
    ("backend_defaults=on", "path=LARGE,backend_defaults=on", None),
    ("larger blocks than the disk has",
     "path=FILE,logical_block_size=4096,physical_block_size=4096", None),
    ("logical_block_size above physical_block_size", "path=FILE,logical_block_size=4096",
     "logical_block_size > physical_block_size"),
    ("logical_block_size=1000", "path=FILE,logical_block_size=1000", "logical_block_size"),
    ("sizes for the guest", "path=FILE,physical_block_size=4096,min_io_size=4096,"
     "opt_io_size=65536,discard_granularity=65536", None),
    *((f"{name}=100", f"path=FILE,{name}=100", f" {name} must be a multiple of logical_block_size")
      for name in ("min_io_size", "opt_io_size", "discard_granularity")),
    ("seg-max-adjust=off", "path=FILE,seg-max-adjust=off", None),
    ("a serial of 21 bytes", "path=FILE,serial=123456789012345678901", " serial: longer than 20"),
    ("direct: neither on nor off", "path=FILE,direct=maybe", "'direct'"),
    *((name, f"path=FILE,{name}=none", f" {name}: not supported.*\n.*workers=N")
      for name in ("iothread", "iothread-vq-mapping")),
    ("vhostfd: not open", "path=FILE,vhostfd=99", " vhostfd: .*Bad file"),
    ("a block device", "path=BLOCK", None),
    ("a mounted block device", "path=MOUNTED", IN_USE),
    ("a mounted block device, readonly=on", "path=MOUNTED,readonly=on", None))

# Name, file, flags of open(); FD in the properties is replaced by the file descriptor.
FD_CASES = (
    ("fd: opened read-only", "FILE", os.O_RDONLY, "fd=FD",
     " fd: .* is read-only\n.*readonly=on"),
    ("fd: opened read-only, readonly=on", "FILE", os.O_RDONLY, "fd=FD,readonly=on", None),
    ("fd: opened write-only", "FILE", os.O_WRONLY, "fd=FD", " fd: .*write-only"),
    ("fd: opened read-write", "FILE", os.O_RDWR, "fd=FD", None),
    ("vhostfd: given", DEVICE, os.O_RDWR, "path=FILE,vhostfd=FD", None),
    ("vhostfd: something else", "/dev/null", os.O_RDWR, "path=FILE,vhostfd=FD",
     " vhostfd: not a file descriptor of /dev/vhost-blk"))

# Name, properties of a device in another QEMU, properties, message
HELD_CASES = (
    ("a file in use by vhost-blk", "path=FILE", "path=FILE", LOCKED),
    ("a file in use by vhost-blk, readonly=on", "path=FILE", "path=FILE,readonly=on", LOCKED),
    ("a file in use by vhost-blk, locking=off", "path=FILE", "path=FILE,locking=off", None),
    ("a file in use by vhost-blk, share-rw=on", "path=FILE", "path=FILE,share-rw=on", LOCKED),
    ("a file that two share", "path=FILE,share-rw=on", "path=FILE,share-rw=on", None),
    ("two readers of a file", "path=FILE,readonly=on", "path=FILE,readonly=on", None),
    ("a block device in use by vhost-blk", "path=BLOCK", "path=BLOCK", IN_USE))


def with_fd(path, flags, properties, message):
    fd = os.open(path, flags)
    try:
        create(properties.replace("FD", str(fd)), message, fds=(fd,))
    finally:
        os.close(fd)


def while_held(holder, function, *arguments):
    """Call the function while a QEMU with these arguments runs."""
    with Qemu("/tmp", "-S", "-machine", "q35", *holder):
        function(*arguments)


def there_are_workers(count):
    """Count the workers of all devices: since Linux 6.4 threads of QEMU, before it processes."""
    names = []
    for path in glob.glob("/proc/[0-9]*/task/*/comm"):
        with contextlib.suppress(OSError):
            names.append(read(path))
    expect(sum(name.startswith("vhost-") for name in names), count)


def without_device(properties):
    os.rename(DEVICE, DEVICE + ".away")
    try:
        create(properties, " vhostfd: .*No such file.*\n.*vhost_blk loaded")
    finally:
        os.rename(DEVICE + ".away", DEVICE)


def without_permission(properties):
    mode = os.stat(DEVICE).st_mode
    os.chmod(DEVICE, 0)
    try:
        create(properties, " vhostfd: .*Permission denied", (
            "setpriv", "--bounding-set=-dac_override,-dac_read_search"))
    finally:
        os.chmod(DEVICE, mode)


def test_workers(tap, file):
    one = re.match(r"6\.[0-4][.-]", os.uname().release)
    if one:
        tap.check("workers=2 on a kernel that supports one worker", create,
                  f"path={file},num-queues=2,workers=2", " workers: this kernel")
    else:
        tap.check("workers=2", create, f"path={file},num-queues=2,workers=2")
    tap.check("one worker per queue, or one in all before Linux 6.4", while_held,
              vhost_blk(f"path={file},num-queues=3"), there_are_workers, 1 if one else 3)
    tap.check("workers=1", while_held, vhost_blk(f"path={file},num-queues=3,workers=1"),
              there_are_workers, 1)


def test_read_only(tap, block):
    with read_only(block):
        tap.check("a read-only block device", create, f"path={block}",
                  " path: .* is read-only\n.*readonly=on")
        tap.check("a read-only block device, readonly=on", create, f"path={block},readonly=on")


def test(tap, options):
    directory = options.directory
    with (null_blk("block", 256) as block, null_blk("large", 64, blocksize=4096) as large,
          null_blk("large-files", 64, blocksize=4096) as large_files,
          file_system(directory) as files):
        run("mkfs.ext4", "-q", "-O", "^has_journal", large_files)
        file = make_file(f"{files}/file", 1 << 20)
        os.mkfifo(f"{directory}/pipe")
        names = {"LARGEFILE": f"{directory}/large/file", "LARGE": large, "FILE": file,
                 "DIRECTORY": directory, "BLOCK": block,
                 "MOUNTED": run("findmnt", "-n", "-o", "SOURCE", files).strip()}
        insert = functools.partial(re.sub, "|".join(names), lambda match: names[match[0]])
        with mounted(large_files, f"{directory}/large") as path:
            make_file(f"{path}/file", 1 << 20)
            for what, properties, message in CASES:
                tap.check(what, create, insert(properties), message)
        for what, path, flags, properties, message in FD_CASES:
            tap.check(what, with_fd, insert(path), flags, insert(properties), message)
        test_workers(tap, file)
        tap.check("/dev/vhost-blk: missing", without_device, f"path={file}")
        tap.check("/dev/vhost-blk: not permitted", without_permission, f"path={file}")
        test_read_only(tap, block)
        for what, holder, properties, message in HELD_CASES:
            tap.check(what, while_held, vhost_blk(insert(holder)), create,
                      insert(properties), message)
        tap.check("a file in use by QEMU's block layer", while_held,
                  ["-blockdev", f"file,node-name=f,filename={file}",
                   "-device", "virtio-blk-pci,drive=f"], create, f"path={file}", LOCKED)
