#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Run tests of vhost-blk and QEMU, most of them with a guest, in a test host; print TAP.

  data         fio in a guest, the data as the host finds it, resets under load
  properties   properties of the QEMU device that are accepted and refused
  drive        drives that the QEMU device accepts, locks, jobs, swaps, failed flushes
  errors       werror and rerror: disks that fail or are full, and are repaired
  live         disks swapped, resized, plugged and unplugged, driver unbound
  firmware     boots by SeaBIOS and UEFI
  filesystems  block device semantics, discard, queue limits, ext4, xfs, QEMU killed
  zoned        a zoned disk: blkzone, fio, btrfs
  crash        crash consistency of ext4 and xfs, with dm-log-writes
  migrate      live migration
  move         live migration between virtio-blk and vhost-blk
  memory       IOMMU, DIMMs and virtio-mem plugged and unplugged
  swap         a guest that swaps, on a host without free memory

Each is a module with these functions:

  test(tap, options)  makes the checks; options.directory is an empty directory
  needs(options)      optional: returns the items that differ from NEEDS

A warning in the kernel log of the host or the guest is a failure, and so is a disk that
is still in use after a test.
"""
import argparse
import importlib
import os
import subprocess
import sys
import tempfile

from tap import Tap, output

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(f"{HERE}/../../..")

# Memory of the test host in MiB, seconds until it is killed, the kind of guest that
# guest-build.sh builds, and groups of packages of tools/lib/packages.sh
NEEDS = {"memory": 1536, "timeout": 2400, "guest": "small", "packages": []}


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="+", metavar="TEST")
    parser.add_argument("--host", default="uml-7.3", help="test host (default: %(default)s)")
    parser.add_argument("--full", action="store_true",
                        help="build all of QEMU, instead of preloading the device into Debian's")
    parser.add_argument("--qemu", metavar="SERIES", default="7.2",
                        help="series of the QEMU that is tested (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="short form of migrate, move, memory")
    parser.add_argument("--times", type=int, default=3, metavar="N",
                        help="migrations there and back of migrate and move, or rounds of swap "
                        "(default: %(default)s)")
    parser.add_argument("--other", metavar="SERIES",
                        help="migrate between that QEMU and the one of this series")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(options, kind, packages):
    """Build what the tests need; VHOST_E2E_* say where it is, also in the test host."""
    groups = ["kernel", "guest", "python", *packages]
    subprocess.run([f"{TOP}/tools/lib/packages.sh", *groups], check=True)
    build = f"{TOP}/qemu/build.sh"
    qemu = output(build, options.qemu, *([] if options.full else ["--quick"]))
    guest = output(f"{HERE}/guest-build.sh", kind)
    os.environ.update(
        VHOST_E2E_QEMU=qemu,
        VHOST_E2E_OTHER=output(build, options.other) if options.other else "",
        VHOST_E2E_GUEST=output(f"{HERE}/guest-programs.sh", guest))


def run_in_host(options, modules):
    needs = [{**NEEDS, **(module.needs(options) if hasattr(module, "needs") else {})}
             for module in modules]
    kind = "full" if any(need["guest"] == "full" for need in needs) else "small"
    prepare(options, kind, sum((need["packages"] for need in needs), []))
    memory = max(need["memory"] for need in needs)
    os.execv(f"{TOP}/tools/testing/hosts/uml-run.sh", [
        "uml-run.sh", options.host, "--mem", f"{memory}M",
        "--timeout", str(sum(need["timeout"] for need in needs)), "--",
        f"{HERE}/guest_test.py", "--inside", *sys.argv[1:]])


def main():
    options = parse()
    try:
        modules = [importlib.import_module(name) for name in options.tests]
    except ImportError as error:
        sys.exit(f"guest_test.py: {error}")
    if not options.inside:
        run_in_host(options, modules)
    tap = Tap()
    for name, module in zip(options.tests, modules):
        options.directory = tempfile.mkdtemp(prefix=f"{name}-")
        tap.check(f"{name}: ends, and no disk is in use", module.test, tap, options)
    tap.end()


main()
