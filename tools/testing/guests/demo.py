#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""'make demo' runs this: it builds all parts that are missing, boots a test host (or
uses this machine) and in it a guest whose disk /dev/vda is served by /dev/vhost-blk,
and runs fio in the guest.  Then it measures QEMU's own virtio-blk on the same file.
Exits with 0 only if fio verified the data.

  DEMO_HOST=uml-7.3-fast  the test host: one that host-build.sh knows, or "local" for
                          this machine, which must have /dev/vhost-blk
  DEMO_QEMU=BINARY        a QEMU that has vhost-blk-pci (default: Debian's, with the
                          device preloaded, or built if it is of another version)
  DEMO_FILE=FILE          with "local": the backing file or block device, whose
                          contents are LOST (default: a new file)
  DEMO_SECONDS=3          how long each measurement takes
"""
import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

from disks import file_system
from guest import HERE, Machine, script
from tap import Failure, output, run
from vmm import accelerator, exit_on_sigterm, vhost_blk

TOP = os.path.realpath(f"{HERE}/../../..")
HOST = os.environ.get("DEMO_HOST", "uml-7.3-fast")
START = float(os.environ.setdefault("VHOST_DEMO_START", str(time.time())))
LOADS = [(rw, depth) for rw in ("randread", "randwrite") for depth in ("1", "32")]


def note(text):
    print(f"[{time.time() - START:4.0f}s] demo: {text}", file=sys.stderr, flush=True)


def prepare():
    note("step 1 of 5: packages")
    if HOST == "local" and not os.path.exists("/dev/vhost-blk"):
        sys.exit("demo.py: no /dev/vhost-blk here: modprobe vhost_blk")
    groups = ["guest", "python"] + (["kernel"] if HOST != "local" else [])
    subprocess.run([f"{TOP}/tools/lib/packages.sh", *groups], check=True)
    note("step 2 of 5: QEMU with vhost-blk-pci")
    qemu = os.environ.get("DEMO_QEMU") or output(f"{TOP}/qemu/build.sh", "7.2", "--quick")
    note("step 3 of 5: the guest (Debian's kernel, busybox, fio)")
    os.environ.update(VHOST_E2E_QEMU=qemu, VHOST_E2E_GUEST=output(f"{HERE}/guest-build.sh"),
                      VHOST_DEMO_SECONDS=os.environ.get("DEMO_SECONDS", "3"))


def run_in_host():
    hosts = f"{TOP}/tools/testing/hosts"
    note(f"step 4 of 5: the host {HOST}")
    subprocess.run([f"{hosts}/host-build.sh", HOST], stdout=subprocess.DEVNULL, check=True)
    os.execv(f"{hosts}/uml-run.sh", ["uml-run.sh", HOST, "--mem", "1536M", "--timeout", "600",
                                     "--", f"{HERE}/demo.py", "--inside"])


def measure(directory, name, verify, arguments):
    """Boot a guest with this disk; return the IOPS of each of LOADS."""
    note(f"guest with {name}")
    # init_on_alloc=1 is the default of Debian's kernel.
    machine = Machine(f"{directory}/{name}", script(
        "tap.sh", "demo.sh", verify=verify, seconds=os.environ["VHOST_DEMO_SECONDS"]), arguments,
        append="init_on_alloc=1", says=".*")

    def act(vm, line):
        if verify and len(machine.said) == 1:
            print("    " + shlex.join(vm.command), file=sys.stderr, flush=True)
        if not line.startswith("result "):
            print("    " + line, file=sys.stderr, flush=True)
    machine.run(200, act)
    if verify and not any(line.startswith("verified: ") for line in machine.said):
        raise Failure("the guest did not verify")
    results = re.findall(r"^result (\w+) (\d+) (\d+)$", "\n".join(machine.said), re.M)
    figures = {(rw, depth): int(iops) for rw, depth, iops in results}
    for rw, depth in LOADS:
        if not figures.get((rw, depth)):
            raise Failure(f"{name}: fio gave no figure for {rw}, queue depth {depth}")
    return figures


def backing_file(directory, stack):
    """Return the path of a new file or of $DEMO_FILE.  On a test host, it is on null_blk."""
    if HOST == "local" and os.environ.get("DEMO_FILE"):
        return os.environ["DEMO_FILE"]
    if HOST != "local":
        directory = stack.enter_context(file_system(directory))
    # Allocate all blocks: the first write to a block takes longer.
    run("dd", "if=/dev/zero", f"of={directory}/disk.img", "bs=1M", "count=256", "conv=fsync")
    return f"{directory}/disk.img"


def demo():
    note("step 5 of 5: fio in the guest")
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        file = backing_file(directory, stack)
        results = {"vhost-blk-pci": measure(directory, "vhost-blk", 1, vhost_blk(f"path={file}"))}
        for aio in ("native", "io_uring"):
            results[f"virtio-blk-pci aio={aio}"] = measure(directory, f"virtio-blk-{aio}", 0, [
                "-object", "iothread,id=io0", "-drive",
                f"if=none,id=disk,file={file},format=raw,cache.direct=on,aio={aio}",
                "-device", "virtio-blk-pci,drive=disk,iothread=io0"])
    print(f"\nIOPS of 4k requests in the guest ({accelerator()}, host Linux {os.uname().release})")
    print(f"{'':28}" + "".join(f" {rw.removeprefix('rand')} QD{depth}".rjust(13)
                               for rw, depth in LOADS))
    for label, iops in results.items():
        print(f"{label:28}" + "".join(f" {iops[load]:12}" for load in LOADS))
    print(flush=True)
    note("fio verified the data: done")


def main():
    if "--help" in sys.argv:
        print(__doc__.rstrip())
        return
    exit_on_sigterm()
    if "--inside" not in sys.argv:
        prepare()
        if HOST != "local":
            run_in_host()
        note("step 4 of 5: this machine is the host")
    try:
        demo()
    except Failure as failure:
        sys.exit(f"demo.py: {failure}")


main()
