# SPDX-License-Identifier: GPL-2.0
"""The device and QEMU's block layer: drives that it accepts or refuses, what is refused while
it uses a drive, locks, swaps, flushes that fail, migration and snapshots.  No guest runs.
"""
import contextlib
import errno
import fcntl
import functools
import os
import re
import struct
import time

from disks import MIB, dm, file_system, make_file, mounted, null_blk, read_only
from tap import Failure, expect, run, wait_for
from vmm import Qemu, create, vhost_blk

LOCKED = 'Failed to (get|lock).*'
BYPASS = ".*vhost-blk uses it"


def node(name, path="FILE", driver="file", **options):
    """Arguments for a node; "_" in the names of options means "-"."""
    return ["-blockdev", ",".join([f"{driver},node-name={name}",
                                   *([f"filename={path}"] if path else []),
                                   *(f"{key.replace('_', '-')}={value}"
                                     for key, value in options.items())])]


def drive(options="", path="FILE", form="raw"):
    return ["-drive", f"if=none,id=d,file={path}{form and ',format=' + form}{options}"]


def virtio_blk(name, properties=""):
    return ["-device", f"virtio-blk-pci,drive={name}{properties}"]


RAW = node("d", None, "raw", file="f")
THROTTLED = ["-object", "throttle-group,id=t,x-bps-total=1000000"]

# Name, arguments, properties of the device, and the message, or None if it is accepted.
# FILE, BLOCK, QCOW2 and MOUNTED, a mounted block device, are replaced by paths.
DRIVES = (
    ("a node of the driver file", node("d"), "drive=d", None),
    ("raw above a file", node("f") + RAW, "drive=d", None),
    ("a block device", node("d", "BLOCK", "host_device"), "drive=d", None),
    ("a read-only node", node("d", read_only="on"), "drive=d", None),
    ("a node and readonly=on", node("d"), "drive=d,readonly=on", None),
    ("-drive", drive(), "drive=d", None),
    ("-drive with auto-read-only", drive(",auto-read-only=on"), "drive=d", None),
    *((f"werror={action}, rerror={action}", node("d"),
       f"drive=d,werror={action},rerror={action}", None)
      for action in ("auto", "report", "ignore", "enospc", "stop")),
    ("-drive with werror=stop", drive(",werror=stop"), "drive=d", None),
    ("-drive with rerror=ignore", drive(",rerror=ignore"), "drive=d", None),
    ("share-rw", node("d"), "drive=d,share-rw=on", None),
    ("no such drive", [], "drive=none", "drive.* can't find value 'none'"),
    ("drive and path", node("d"), "drive=d,path=FILE", " drive: .*together with path"),
    ("drive and direct", node("d"), "drive=d,direct=on", " drive: .*direct"),
    ("drive and locking", node("d"), "drive=d,locking=off", " drive: .*locking"),
    ("qcow2", node("f", "QCOW2") + node("d", None, "qcow2", file="f"), "drive=d",
     " drive: .*driver 'qcow2'"),
    ("a format that was probed", drive(form=""), "drive=d", " drive: .*format that was probed"),
    ("raw with an offset", node("f") + node("d", None, "raw", file="f", offset=512), "drive=d",
     " drive: .*offset"),
    ("raw with a size", node("f") + node("d", None, "raw", file="f", size=512), "drive=d",
     " drive: .*size"),
    ("null-co", node("d", None, "null-co"), "drive=d", " drive: .*driver 'null-co'"),
    ("raw above null-co", node("f", None, "null-co") + RAW, "drive=d",
     " drive: .*driver 'null-co'"),
    ("a throttle filter", THROTTLED + node("f") +
     ["-blockdev", "throttle,node-name=d,throttle-group=t,file=f"], "drive=d",
     " drive: .*driver 'throttle'"),
    ("-drive with throttling", drive(",bps=1000000"), "drive=d", " drive: .*throttling"),
    ("detect-zeroes", node("d", detect_zeroes="on"), "drive=d", " drive: .*detect-zeroes"),
    ("detect-zeroes below raw", node("f", discard="unmap", detect_zeroes="unmap") + RAW,
     "drive=d", " drive: .*detect-zeroes"),
    ("copy-on-read", drive(",copy-on-read=on"), "drive=d", " drive: .*copy-on-read"),
    ("cache=unsafe", drive(",cache=unsafe"), "drive=d", " drive: .*cache.no-flush"),
    ("a mounted block device", node("d", "MOUNTED", "host_device"), "drive=d",
     " drive: .*mounted"),
    ("a mounted block device, read-only", node("d", "MOUNTED", "host_device", read_only="on"),
     "drive=d", None),
    ("a node that virtio-blk uses", node("d") + virtio_blk("d"), "drive=d",
     " drive: .*(Permission conflict|Conflicts)"),
    ("a node of another such device", node("d") + vhost_blk("drive=d,share-rw=on"),
     "drive=d,share-rw=on", " drive: .*busy.*vhost-blk uses it"))

# Name, arguments of a QEMU that runs, those of a second one, its device, message
HELD = tuple(
    (f"{what} in use by {holder}, and {user}", held, arguments, device, message)
    for what, held_node, driver in (("a file", "FILE", "file"),
                                    ("a block device", "BLOCK", "host_device"))
    for holder, held, user, arguments, device, message in (
        ("vhost-blk", vhost_blk(f"path={held_node}"), "virtio-blk",
         node("d", held_node, driver) + virtio_blk("d"), None, LOCKED),
        ("virtio-blk", node("d", held_node, driver) + virtio_blk("d"), "vhost-blk",
         [], f"path={held_node}", " path: .*" + LOCKED),
        ("vhost-blk", vhost_blk(f"path={held_node}"), "a reader with force-share",
         node("d", held_node, driver, read_only="on", force_share="on") +
         virtio_blk("d", ",share-rw=on"), None, None),
        ("vhost-blk", vhost_blk(f"path={held_node},share-rw=on"), "virtio-blk that does not share",
         node("d", held_node, driver) + virtio_blk("d"), None, LOCKED),
        ("vhost-blk", vhost_blk(f"path={held_node},share-rw=on"), "virtio-blk that shares",
         node("d", held_node, driver) + virtio_blk("d", ",share-rw=on"), None, None)))


def held(holder, arguments, device, message):
    """While a QEMU with the arguments `holder` runs, start a second one."""
    with Qemu("/tmp", "-S", "-machine", "q35", *holder):
        create(device, message, arguments=arguments)


class Disk:
    """A QEMU with a device, and /dev/vhost-blk as the test sees it."""

    def __init__(self, directory, *arguments, properties="drive=d", run_it=False):
        self.fd = os.open("/dev/vhost-blk", os.O_RDWR)
        self.vm = Qemu(directory, *([] if run_it else ["-S"]), "-machine", "q35", *arguments,
                       *vhost_blk(f"id=disk,{properties},vhostfd={self.fd}"), fds=(self.fd,))

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        self.vm.__exit__(error)
        # The test has the device open, too.  So QEMU does not wait for its release, which ends
        # when VHOST_SET_OWNER is no longer EBUSY.
        with contextlib.suppress(Failure):
            wait_for("release of the device", self.has_no_owner, 20)
        os.close(self.fd)

    def has_no_owner(self):
        try:
            fcntl.ioctl(self.fd, 0xaf01)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def info(self):
        """Return flags, capacity in sectors and flush_error of VHOST_BLK_GET_INFO."""
        info = bytearray(96)
        fcntl.ioctl(self.fd, 0x8060af56, info)
        flags, _, _, capacity, _, _, _, _, error = struct.unpack_from("=IIQQQIIIi", info)
        return flags, capacity, error

    def features(self):
        """Return the features that the kernel was told that the guest uses."""
        info = bytearray(96)
        fcntl.ioctl(self.fd, 0x8060af56, info)
        return struct.unpack_from("=IIQ", info)[2]

    def inflight(self):
        """Return the number of requests in flight in queue 0, with VHOST_BLK_GET_VRING_INFO."""
        info = bytearray(96)
        fcntl.ioctl(self.fd, 0xc060af57, info)
        return struct.unpack_from("=IIIiI", info)[4]

    def refused(self, pattern, command, /, **arguments):
        """The QMP command fails with a message that matches."""
        refused(self.vm, pattern, command, **arguments)


def refused(vm, pattern, command, /, **arguments):
    try:
        vm.qmp(command, **arguments)
    except Failure as failure:
        if not re.search(pattern, str(failure)):
            raise
    else:
        raise Failure(f"{command} {arguments} is accepted")


def hmp(vm, line):
    return vm.qmp("human-monitor-command", command_line=line).strip()


def migrate(vm, path, status="completed", **arguments):
    """Migrate to a file; the migration ends with this status."""
    vm.qmp("migrate", uri=f"exec:cat >{path}", **arguments)

    def ended():
        answer = vm.qmp("query-migrate")
        return answer if answer["status"] in ("completed", "failed", "cancelled") else None
    expect(wait_for("end of the migration", ended)["status"], status)


#
# While the device uses a drive
#

def add_nodes(vm, file):
    """Add nodes that the tests of jobs need."""
    vm.qmp("blockdev-add", driver="null-co", node_name="target", size=MIB)
    vm.qmp("blockdev-add", driver="file", node_name="other", filename=file)


JOBS = (
    ("backup", "blockdev-backup", {"sync": "full", "target": "target", "job_id": "j"}, "device"),
    ("mirror", "blockdev-mirror", {"sync": "full", "target": "target", "job_id": "j"}, "device"),
    ("snapshot", "blockdev-snapshot", {"overlay": "target"}, "node"),
    ("internal snapshot", "blockdev-snapshot-internal-sync", {"name": "s"}, "device"),
    ("blockdev-del", "blockdev-del", {}, "node_name"))


def jobs_are_refused(disk, nodes):
    for what, command, arguments, name in JOBS:
        for used in nodes:
            try:
                disk.refused("vhost-blk uses it|is in use|Need a root", command,
                             **{name: used}, **arguments)
            except Failure as failure:
                raise Failure(f"{what}: {failure}") from None


def changes_are_refused(disk):
    disk.refused("frozen 'file' link", "blockdev-reopen",
                 options=[{"driver": "raw", "node-name": "d", "file": "other"}])
    disk.refused("not removable|not hotpluggable|removable", "eject", id="/machine/peripheral/disk"
                 "/virtio-backend")
    disk.vm.qmp("object-add", qom_type="iothread", id="io")
    disk.refused("", "x-blockdev-set-iothread", node_name="d", iothread="io")


def is_shown(disk, path):
    shown = [block for block in disk.vm.qmp("query-block") if "inserted" in block]
    expect([block["inserted"]["file"] for block in shown], [path])
    if path not in hmp(disk.vm, "info block"):
        raise Failure(hmp(disk.vm, "info block"))


def traced(directory, file):
    """QEMU's trace events show starts, stops and attached files."""
    log = f"{directory}/trace"
    with Disk(directory, "-trace", "vhost_blk_*", "-D", log,
              properties=f"path={file},bootindex=1", run_it=True) as disk:
        wait_for("driver of the firmware", lambda: disk.features() >> 6 & 1, 60)
        migrate(disk.vm, "/dev/null")
    with open(log, encoding="ascii") as lines:
        said = re.findall(r"\bvhost_blk_(\w+) '(.*?)' (.*)", lines.read())
    expect({name for _, name, _ in said}, {file})
    events = [event for event, _, _ in said]
    expect((events[0], events[-1]), ("attach", "detach"))
    expect({"start", "stop", "vm_state", "pre_save"} - set(events), set())


def is_resized(disk):
    disk.vm.qmp("block_resize", node_name="d", size=2 * MIB)
    expect(disk.info()[1], 2 * MIB >> 9)


def job_is_running(directory, file):
    """A device is not created on a node that a job uses."""
    with Qemu(directory, "-S", "-machine", "pc", *node("d", file),
              *node("target", None, "null-co", size=MIB)) as vm:
        vm.qmp("blockdev-mirror", job_id="j", device="d", target="target", sync="full",
               speed=1)
        refused(vm, "drive: .*(dirty bitmap|busy)", "device_add", driver="vhost-blk-pci",
                drive="d")
        vm.qmp("block-job-cancel", device="j", force=True)
        vm.event("BLOCK_JOB_CANCELLED")
        vm.qmp("block-dirty-bitmap-add", node="d", name="b")
        refused(vm, "drive: .*dirty bitmap", "device_add", driver="vhost-blk-pci", drive="d")


def test_use(tap, directory, files):
    file, other = make_file(f"{files}/used", MIB), make_file(f"{files}/other", MIB)
    with Disk(directory, *node("f", file), *RAW) as disk:
        add_nodes(disk.vm, other)
        tap.check("query-block and info block show it", is_shown, disk, file)
        tap.check("jobs and snapshots are refused", jobs_are_refused, disk, ("d", "f"))
        tap.check("changes of the graph are refused", changes_are_refused, disk)
        tap.check("block_resize", is_resized, disk)
    with Disk(directory, *drive(",cache=writethrough", file)) as disk:
        tap.check("drive_del is refused",
                  lambda: expect("vhost-blk uses it" in hmp(disk.vm, "drive_del d"), True))
        tap.check("-drive cache=writethrough is the cache mode", lambda: expect(
            disk.vm.qmp("query-block")[0]["inserted"]["cache"]["writeback"], False))
    tap.check("trace events", traced, directory, other)
    tap.check("a node with a job or a bitmap is refused", job_is_running, directory, other)


#
# Swaps
#

def swaps_of_drives(disk, nodes, qcow2):
    """Swap to each node and back; refused swaps leave all as it is."""
    for name in nodes:
        disk.vm.set("disk", "drive", name)
        expect(disk.vm.get("disk", "drive"), name)
    for name, message in (("none", ".*can't find value 'none'"), ("", ".*cannot be removed"),
                          (nodes[-1], "drive: .*busy"), ("qcow2", "drive: .*driver 'qcow2'"),
                          ("ro", "drive: .*read-only")):
        disk.vm.set_refused(message, "disk", "drive", name)
        expect(disk.vm.get("disk", "drive"), nodes[-1])
    disk.vm.set_refused("path: .*" + LOCKED, "disk", "path", qcow2)


def swaps_of_one_file(disk, path):
    """Another node of the same file takes over the locks; if it is refused, they stay."""
    disk.vm.qmp("blockdev-add", driver="file", node_name="again", filename=path, discard="unmap")
    disk.vm.set("disk", "drive", "again")
    create(f"path={path}", LOCKED)
    disk.vm.qmp("blockdev-add", driver="file", node_name="zeroes", filename=path,
                detect_zeroes="on")
    disk.vm.set_refused("drive: .*detect-zeroes", "disk", "drive", "zeroes")
    create(f"path={path}", LOCKED)
    expect((disk.info()[1], disk.vm.status()), (MIB >> 9, "running"))
    disk.vm.set("disk", "drive", "b")
    create(f"path={path}", LOCKED)


def old_is_free(disk, path):
    create(f"path={path}")
    expect(disk.info()[0] & 2, 0)


def reopened(disk, path):
    """The kernel gets the descriptor of a node that is reopened."""
    flags = disk.info()[0]
    disk.vm.qmp("blockdev-reopen", options=[{
        "driver": "file", "node-name": "b", "filename": path, "discard": "unmap",
        "cache": {"direct": True}}])
    wait_for("O_DIRECT", lambda: disk.info()[0] & 8, 10)
    expect(disk.info()[0] & ~8, flags)
    create(f"path={path}", LOCKED)


def opened_for_writing(vm, path):
    """Return for each descriptor of the file that QEMU has whether it can be written."""
    pid = vm.process.pid
    fds = [fd for fd in os.listdir(f"/proc/{pid}/fd")
           if os.path.realpath(f"/proc/{pid}/fd/{fd}") == os.path.realpath(path)]

    def flags(fd):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
            return int(re.search(r"flags:\s*(\d+)", file.read())[1], 8)
    return [flags(fd) & os.O_ACCMODE == os.O_RDWR for fd in fds]


def refused_auto_read_only(directory, file, other):
    """A swap that is refused leaves a node with auto-read-only as it was."""
    with (Qemu(directory, "-S", "-machine", "q35", *vhost_blk(f"path={other}")),
          Disk(directory, *node("d", file), *node("o", other, auto_read_only="on")) as disk):
        expect(opened_for_writing(disk.vm, other), [False])
        disk.vm.set_refused("drive: .*" + LOCKED, "disk", "drive", "o")
        expect(opened_for_writing(disk.vm, other), [False])


def reopen_with_larger_blocks(directory):
    """A reopen for direct I/O that needs larger blocks than the firmware knows.

    The kernel emulates the blocks of the guest, also if the machine was saved before.
    """
    def reopen(direct):
        disk.vm.qmp("blockdev-reopen", options=[{"driver": "file", "node-name": "d",
                                                 "filename": file, "cache": {"direct": direct}}])
    with null_blk("large-blocks", 32, blocksize=4096) as block:
        run("mkfs.ext4", "-q", "-O", "^has_journal", block)
        with mounted(block, f"{directory}/large-blocks") as path:
            file = make_file(f"{path}/file", MIB)
            with Disk(directory, *node("d", file), properties="drive=d,bootindex=1",
                      run_it=True) as disk:
                wait_for("driver of the firmware", lambda: disk.features() >> 6 & 1, 60)
                for direct in (True, False, True):
                    reopen(direct)
                    disk.vm.qmp("stop")
                    disk.vm.qmp("cont")
                    # A machine that cannot continue stops a moment later.
                    time.sleep(0.5)
                    expect(disk.vm.status(), "running")
                    expect(disk.info()[:2], (9 if direct else 1, MIB >> 9))
                migrate(disk.vm, "/dev/null")
                disk.vm.qmp("cont")
                time.sleep(0.5)
                expect(disk.vm.status(), "running")
                expect(disk.info()[:2], (9, MIB >> 9))


def inactive_nodes(disk, path):
    """A guest that runs does not use an inactive node (QEMU 10.0)."""
    try:
        disk.vm.qmp("blockdev-add", driver="file", node_name="i", filename=path, active=False)
    except Failure as failure:
        if "'active' is unexpected" in str(failure):
            return "this QEMU has none"
        raise
    disk.vm.set_refused("drive: .*inactive", "disk", "drive", "i")
    refused(disk.vm, "drive: .*inactive", "device_add", driver="vhost-blk-pci", drive="i", bus="rp")
    disk.vm.qmp("blockdev-set-active", node_name="i", active=True)
    disk.vm.set("disk", "drive", "i")
    disk.vm.qmp("blockdev-set-active", node_name="i", active=False)
    wait_for("stop of the machine", lambda: disk.vm.status() == "io-error", 20)
    create(f"path={path}")
    # This activates all nodes.
    disk.vm.qmp("cont")
    expect(disk.vm.status(), "running")
    create(f"path={path}", LOCKED)
    disk.vm.excuse(".*inactiv.*")
    return None


def test_swaps(tap, directory, files, qcow2):
    paths = [make_file(f"{files}/swap-{name}", MIB) for name in "abc"]
    ro = make_file(f"{files}/swap-ro", MIB)
    with Disk(directory, *drive(",auto-read-only=on", paths[0]),
              *node("b", paths[1], discard="unmap"), *node("c", paths[2]),
              *node("qf", qcow2), *node("qcow2", None, "qcow2", file="qf"),
              *node("ro", ro, read_only="on"), run_it=True) as disk:
        tap.check("swaps of drives, and those that are refused", swaps_of_drives, disk,
                  ("c", "b"), qcow2)
        tap.check("the old files are free, the new one is locked", lambda: (
            old_is_free(disk, paths[0]), old_is_free(disk, paths[2]),
            create(f"path={paths[1]}", LOCKED)))
        tap.check("swaps to other nodes of the same file", swaps_of_one_file, disk, paths[1])
        tap.check("the machine still runs", lambda: expect(disk.vm.status(), "running"))
        tap.check("a node that is reopened", reopened, disk, paths[1])
    tap.check("a refused swap leaves a node with auto-read-only as it was", refused_auto_read_only,
              directory, paths[0], paths[1])
    tap.check("a reopen with larger blocks of the file", reopen_with_larger_blocks, directory)
    with Disk(directory, *node("d", paths[0]), "-device", "pcie-root-port,id=rp",
              run_it=True) as disk:
        tap.check("an inactive node", inactive_nodes, disk, paths[1])
    with Disk(directory, *drive(",auto-read-only=on", paths[0]), *node("ro", ro, read_only="on"),
              run_it=True) as disk:
        tap.check("a refused swap leaves a drive with auto-read-only writable", lambda: (
            disk.vm.set_refused("drive: .*read-only", "disk", "drive", "ro"),
            create(f"path={paths[0]}", LOCKED), expect(disk.info()[0] & 2, 0),
            expect(disk.vm.status(), "running")))


#
# Descriptors
#

@contextlib.contextmanager
def opened(path, flags):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def fdset_keeps_direct(directory, file):
    """I/O through a descriptor that was opened with O_DIRECT stays direct."""
    with (opened(file, os.O_RDWR | os.O_DIRECT) as fd,
          Qemu(directory, "-S", "-machine", "pc", "-add-fd", f"set=1,fd={fd}",
               *vhost_blk("id=disk,path=/dev/fdset/1"), fds=(fd,)) as vm):
        expect(bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT), True)
        refused(vm, "direct: .*O_DIRECT", "device_add", driver="vhost-blk-pci",
                path="/dev/fdset/1", direct="off")


def unprivileged(block):
    """A descriptor of a block device that QEMU itself may not open."""
    mode = os.stat(block).st_mode
    with opened(block, os.O_RDWR) as fd:
        os.chmod(block, 0)
        try:
            create(f"fd={fd}", None, ("setpriv", "--bounding-set=-dac_override,-dac_read_search"),
                   fds=(fd,))
        finally:
            os.chmod(block, mode)


def image(qcow2):
    """QEMU warns of an image, unless the driver raw is given."""
    create("drive=d", None, arguments=node("f", qcow2) + RAW)
    try:
        create(f"path={qcow2}")
    except Failure as failure:
        if not re.search("status 0, .*warning: .*looks like a qcow2", str(failure)):
            raise
    else:
        raise Failure("no warning")


def without_proc(block):
    """QEMU needs /proc to claim a block device, and warns if it cannot.

    It finds its modules by /proc/self/exe.
    """
    hide = ('exe=$(command -v qemu-system-x86_64); mount -t tmpfs none /proc && '
            'mkdir /proc/self && ln -s "$exe" /proc/self/exe && exec "$@"')
    try:
        create(f"path={block}", None, ("unshare", "-m", "sh", "-c", hide, "sh"))
    except Failure as failure:
        if not re.search("status 0, .*warning: .*O_EXCL", str(failure)):
            raise
    else:
        raise Failure("no warning")


def killed_while_hung(directory, data):
    """The locks remain after QEMU was killed, until the requests in flight have ended.

    The firmware reads from the disk.  direct=off, as QEMU would read it when it opens it.
    """
    sectors = int(run("blockdev", "--getsz", data))
    with dm("hung", f"0 {sectors} linear {data} 0") as device:
        disk = Disk(directory, properties=f"path={device},direct=off,bootindex=1")
        run("dmsetup", "suspend", "--noudevsync", "--nolockfs", "--noflush", "hung")
        try:
            disk.vm.qmp("cont")
            wait_for("request of the firmware", disk.inflight, 60)
            os.close(disk.fd)
            disk.vm.kill()
            create(f"path={device},direct=off", LOCKED)
        finally:
            disk.vm.kill()
            run("dmsetup", "resume", "--noudevsync", "hung")

        def accepted():
            with contextlib.suppress(Failure):
                create(f"path={device},direct=off")
                return True
        wait_for("free disk", accepted, 30)


#
# Flushes and migration
#

@contextlib.contextmanager
def fragile_file(directory):
    """A file whose disk can fail; the value is its path, and a function to fail or repair it."""
    os.mkdir(f"{directory}/fragile")
    with null_blk("fragile-data", 32) as data:
        sectors = int(run("blockdev", "--getsz", data))
        with dm("fragile", f"0 {sectors} linear {data} 0") as device:
            run("mkfs.ext4", "-q", "-O", "^has_journal", device)

            def load(table):
                run("dmsetup", "suspend", "--noudevsync", "--nolockfs", "--noflush", "fragile")
                run("dmsetup", "load", "fragile", "--table", f"0 {sectors} {table}")
                run("dmsetup", "resume", "--noudevsync", "fragile")
            with mounted(device, f"{directory}/fragile/mnt") as path:
                file = make_file(f"{path}/file", MIB, bytes(MIB))
                os.sync()
                try:
                    yield file, lambda fail: load("error" if fail else f"linear {data} 0")
                finally:
                    load(f"linear {data} 0")


def failed_flush(directory, fragile, fail):
    """An error of a flush fails migrations and the guest's flushes, also when it is over."""
    with Disk(directory, properties=f"path={fragile},direct=off", run_it=True) as disk:
        vm = disk.vm
        with open(fragile, "r+b") as file:
            file.write(b"x" * 65536)
        fail(True)
        vm.qmp("stop")
        fail(False)
        expect(disk.info()[2], -errno.EIO)
        migrate(vm, "/dev/null", "failed")
        vm.qmp("cont")
        expect(disk.info()[2], -errno.EIO)
        vm.qmp("stop")
        migrate(vm, "/dev/null", "failed")
        vm.qmp("cont")
        vm.set_refused("path: .*not recoverable", "disk", "path", fragile + ".other")
        vm.excuse(".*could not flush.*must not continue elsewhere.*")


def target_does_not_run(directory, file, state):
    """The target is paused (QEMU 7.2), or still waits for a migration (10.0)."""
    with Qemu(directory, "-machine", "q35", *vhost_blk(f"id=disk,path={file}"),
              "-incoming", "defer") as target:
        target.qmp("migrate-incoming", uri=f"exec:cat {state}")
        wait_for("end of the migration",
                 lambda: target.qmp("query-migrate").get("status") == "completed", 60)
        if target.status() != "inmigrate":
            expect(target.status(), "paused")
            refused(target, LOCKED, "cont")
        target.excuse(".*lock.*")


def saved_and_locked(directory, file):
    """A machine does not run, here or at the target, while another QEMU has its disk."""
    state = f"{directory}/state"
    with Qemu(directory, "-machine", "q35", *vhost_blk(f"id=disk,path={file}")) as vm:
        migrate(vm, state)
        with Qemu(directory, "-S", "-machine", "q35", *vhost_blk(f"path={file}")):
            refused(vm, LOCKED, "cont")
            target_does_not_run(directory, file, state)
        vm.qmp("cont")
        expect(vm.status(), "running")
        create(f"path={file}", LOCKED)
        vm.excuse("(.*lock.*)?")


def saved_and_mounted(directory, block):
    """A block device that was mounted while the machine was saved: it stops, and can go on."""
    with Qemu(directory, "-machine", "q35", *vhost_blk(f"id=disk,path={block}")) as vm:
        migrate(vm, "/dev/null")
        run("mkfs.ext4", "-q", block)
        with mounted(block, f"{directory}/other"):
            vm.qmp("cont")
            wait_for("stop of the machine", lambda: vm.status() == "io-error", 20)
        vm.qmp("cont")
        expect(vm.status(), "running")
        create(f"path={block}", LOCKED)
        vm.excuse(".*mounted.*")


def saved_after_reopen(directory, file, **options):
    """A saved machine leaves the disk to others, also if QEMU opened its file again before."""
    def reopen(**cache):
        disk.vm.qmp("blockdev-reopen", options=[{"driver": "file", "node-name": "d",
                                                 "filename": file, **options, **cache}])
    with Disk(directory, *node("d", file), run_it=True) as disk:
        reopen()
        for _ in range(2):
            migrate(disk.vm, "/dev/null")
            create(f"path={file}")
            expect(disk.info()[:2], (0, 0))
            disk.vm.qmp("cont")
            expect(disk.info()[:2], (1, MIB >> 9))
            create(f"path={file}", LOCKED)
        reopen(cache={"direct": True})
        wait_for("O_DIRECT", lambda: disk.info()[0] & 8, 10)


def saved_read_only(directory, file):
    """The firmware does not know that the disk is read-only."""
    with Disk(directory, properties=f"path={file},readonly=on,bootindex=1", run_it=True) as disk:
        wait_for("driver of the firmware", lambda: disk.features() >> 6 & 1, 60)
        migrate(disk.vm, "/dev/null")
        disk.vm.qmp("cont")
        # A machine that cannot continue stops a moment later.
        time.sleep(0.5)
        expect(disk.vm.status(), "running")
        expect(disk.info()[0] & 3, 3)


def cached(path):
    """Return how many bytes of the file are in the host's page cache."""
    return int(run("fincore", "-n", "-b", "-o", "RES", path))


def target_drops_cache(directory, file):
    """The target of a migration drops pages of the file that this host has cached before.

    With drop-cache=off it does not, so the test would see them.
    """
    state = f"{directory}/cached"
    # The firmware does not read from the disk.
    machine = ["-S", "-machine", "q35", "-boot", "strict=on"]
    with Qemu(directory, *machine, *vhost_blk(f"id=disk,path={file},direct=off")) as vm:
        migrate(vm, state)

    def cached_after_migration(drop_cache):
        with (open(file, "rb") as content,
              Qemu(directory, *machine, *node("d", file, drop_cache=drop_cache),
                   *vhost_blk("id=disk,drive=d"), "-incoming", "defer") as target):
            content.read()
            expect(cached(file), MIB)
            target.qmp("migrate-incoming", uri=f"exec:cat {state}")
            wait_for("end of the migration",
                     lambda: target.qmp("query-migrate").get("status") == "completed", 60)
            # QEMU 10.0 activates the node only now.
            target.qmp("cont")
            return cached(file) > 0
    expect([cached_after_migration("off"), cached_after_migration("on")], [True, False])


def larger_blocks(directory, file):
    """The firmware knows the size of the blocks, so the target must have the same."""
    state = f"{directory}/blocks"
    with null_blk("large-blocks", 1, blocksize=4096) as large:
        with Disk(directory, properties=f"path={file},bootindex=1", run_it=True) as disk:
            wait_for("driver of the firmware", lambda: disk.features() >> 6 & 1, 60)
            migrate(disk.vm, state)
        target = Qemu(directory, "-machine", "q35", *vhost_blk(
            f"id=disk,path={large},bootindex=1,backend_defaults=on"), "-incoming", "defer")
        with contextlib.suppress(Failure, OSError):
            target.qmp("migrate-incoming", uri=f"exec:cat {state}")
        target.finish(1, ".*blk_size is 4096 here and 512 there .logical_block_size.*")


def larger_blocks_swapped_in(directory, file):
    """A disk with larger blocks has those of the guest when it is swapped in."""
    with null_blk("large-blocks", 1, blocksize=4096) as large:
        with Disk(directory, properties=f"path={file},bootindex=1", run_it=True) as disk:
            wait_for("driver of the firmware", lambda: disk.features() >> 6 & 1, 60)
            disk.vm.set("disk", "path", large)
            migrate(disk.vm, "/dev/null")
            disk.vm.set("disk", "path", file)
            disk.vm.set("disk", "path", large)
            disk.vm.qmp("cont")
            time.sleep(0.5)
            expect(disk.vm.status(), "running")
            expect(disk.info()[1], MIB >> 9)


def snapshot_job(vm, command, tag="s"):
    """Save or load a snapshot of the machine, without the disk; return whether this succeeds."""
    vm.qmp(command, job_id="s", tag=tag, vmstate="q", devices=["q"])

    def concluded():
        return [job for job in vm.qmp("query-jobs") if job["status"] == "concluded"]
    job = wait_for("end of the job", concluded)[0]
    vm.qmp("job-dismiss", id="s")
    return "error" not in job


def snapshots_are_refused(directory, file, qcow2):
    machine = ["-machine", "q35", *node("qf", qcow2), *node("q", None, "qcow2", file="qf"),
               *virtio_blk("q")]
    with Qemu(directory, *machine, *vhost_blk(f"id=disk,path={file}")) as vm:
        said = hmp(vm, "savevm s")
        if "does not support snapshots" not in said:
            raise Failure(f"savevm: {said}")
        expect(snapshot_job(vm, "snapshot-save"), False)
        vm.qmp("stop")
        expect(snapshot_job(vm, "snapshot-save"), False)
        vm.excuse(".*does not support snapshots.*")
    # With a read-only disk there is one that can be loaded.
    with Qemu(directory, "-S", *machine, *vhost_blk(f"id=disk,path={file},readonly=on")) as vm:
        expect(snapshot_job(vm, "snapshot-save"), True)
    with Qemu(directory, "-S", *machine, *vhost_blk(f"id=disk,path={file}")) as vm:
        expect(snapshot_job(vm, "snapshot-load"), False)
        vm.excuse(".*does not support snapshots.*")


def snapshot_while_suspended(directory, file, qcow2):
    """QEMU 7.2 refuses a snapshot of a machine in S3, and does not end.

    The port is that of the ACPI registers, as the firmware has set it up.
    """
    with Disk(directory, *node("qf", qcow2), *node("q", None, "qcow2", file="qf"),
              *virtio_blk("q"), properties=f"path={file},readonly=on,bootindex=1",
              run_it=True) as disk:
        wait_for("driver of the firmware", lambda: disk.features() >> 6 & 1, 60)
        hmp(disk.vm, "o/h 0x604 0x2400")
        disk.vm.event("SUSPEND")
        snapshot_job(disk.vm, "snapshot-save", "suspended")
        disk.vm.excuse("(.*is in use.*)?")


def block_migration(directory, file):
    """`migrate -b` of QEMU 7.2 would miss what the kernel writes."""
    with Qemu(directory, "-machine", "q35", *vhost_blk(f"id=disk,path={file}")) as vm:
        try:
            migrate(vm, "/dev/null", "failed", blk=True)
        except Failure as failure:
            if "'blk' is unexpected" in str(failure):
                return "this QEMU has none"
            raise
        wait_for("machine that runs", lambda: vm.status() == "running")
        vm.excuse(".*does not support block migration.*")
        return None


def test_migration(tap, directory, files, block, qcow2):
    file = make_file(f"{files}/migrated", MIB)
    with fragile_file(directory) as (fragile, fail):
        make_file(fragile + ".other", MIB)
        tap.check("a flush that failed fails migrations, swaps and flushes", failed_flush,
                  directory, fragile, fail)
    tap.check("a disk that another QEMU has locked", saved_and_locked, directory, file)
    tap.check("a disk that was mounted meanwhile", saved_and_mounted, directory, block)
    tap.check("a node that was reopened is free when saved", saved_after_reopen, directory, file)
    tap.check("a node that became auto-read-only is free when saved", functools.partial(
        saved_after_reopen, directory, file, **{"auto-read-only": True}))
    tap.check("a read-only disk is saved, and used again", saved_read_only, directory, file)
    tap.check("the target drops cached pages", target_drops_cache, directory, file)
    tap.check("a target with other logical blocks", larger_blocks, directory, file)
    tap.check("a disk with larger logical blocks for a machine that is saved",
              larger_blocks_swapped_in, directory, file)
    tap.check("snapshots of the machine are refused", snapshots_are_refused, directory, file,
              qcow2)
    tap.check("a snapshot of a suspended machine", snapshot_while_suspended, directory, file,
              qcow2)
    tap.check("block migration is refused", block_migration, directory, file)


def make_qcow2(directory, path):
    """Create a qcow2 image of 1 MiB; there may be no qemu-img."""
    make_file(path, 0)
    with Qemu(directory, "-S", "-machine", "none", *node("q", path)) as vm:
        vm.qmp("blockdev-create", job_id="c",
               options={"driver": "qcow2", "file": "q", "size": MIB})
        wait_for("image", lambda: vm.qmp("query-jobs")[0]["status"] == "concluded")
    return path


def test(tap, options):
    directory = options.directory
    with null_blk("block", 64) as block, file_system(directory) as files:
        names = {"FILE": make_file(f"{files}/file", MIB), "BLOCK": block,
                 "QCOW2": make_qcow2(directory, f"{files}/qcow2"),
                 "MOUNTED": run("findmnt", "-n", "-o", "SOURCE", files).strip()}

        def insert(text):
            return re.sub("|".join(names), lambda match: names[match[0]], text)

        def all_of(arguments):
            return [insert(argument) for argument in arguments]
        for what, arguments, properties, message in DRIVES:
            tap.check(what, functools.partial(create, arguments=all_of(arguments)),
                      insert(properties), message)
        for what, holder, arguments, device, message in HELD:
            tap.check(what, held, all_of(holder), all_of(arguments), device and insert(device),
                      message)
        with read_only(block):
            tap.check("a block device that is read-only meanwhile",
                      functools.partial(create, arguments=node("d", block, "host_device")),
                      "drive=d", "not writable")
        test_use(tap, directory, files)
        test_swaps(tap, directory, files, names["QCOW2"])
        tap.check("path=/dev/fdset/N keeps O_DIRECT", fdset_keeps_direct, directory,
                  names["FILE"])
        tap.check("fd= of a block device that QEMU may not open", unprivileged, block)
        tap.check("an image that is used as a raw disk", image, names["QCOW2"])
        tap.check("a block device that cannot be claimed", without_proc, block)
        tap.check("a QEMU that is killed while its disk hangs", killed_while_hung, directory, block)
        test_migration(tap, directory, files, block, names["QCOW2"])
