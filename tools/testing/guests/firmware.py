# SPDX-License-Identifier: GPL-2.0
"""Firmware as the driver: SeaBIOS and UEFI boot from the disks; resets while SeaBIOS does I/O."""
import os
import shutil
import subprocess

from disks import MIB, file_system, make_file
from guest import HERE
from tap import Failure, expect, run, wait_for
from vmm import Qemu, command, vhost_blk

OVMF = "/usr/share/OVMF/OVMF_{}_4M.fd"


def assemble(directory, name):
    """Assemble a source of guest/, which may include files of `directory`, to an object file."""
    run("as", "--64", "-I", directory, "-o", f"{directory}/object", f"{HERE}/guest/{name}")
    return f"{directory}/object"


def efi_disk(directory, path, text):
    """Create a disk with an EFI application that prints `text` and ends QEMU."""
    with open(f"{directory}/text", "w", encoding="ascii") as file:
        file.write(f"\n{text}\n")
    run("ld", "-m", "i386pep", "--subsystem", "10", "--image-base", "0", "-e", "_start",
        "-o", f"{directory}/app.efi", assemble(directory, "efi.s"))
    make_file(path, 4 * MIB)
    run("mformat", "-i", path, "::")
    run("mmd", "-i", path, "::/EFI", "::/EFI/BOOT")
    run("mcopy", "-i", path, f"{directory}/app.efi", "::/EFI/BOOT/BOOTX64.EFI")
    return path


class Bios:
    """A machine whose boot sector reads and writes in an endless loop."""

    def __init__(self, directory, disk):
        self.dir = directory
        run("ld", "-Ttext", "0x7c00", "--oformat", "binary", "-o", disk,
            assemble(directory, "bios.s"))
        os.truncate(disk, 64 * MIB)
        self.disk = disk
        self.vm = None

    def start(self):
        self.vm = Qemu(self.dir, "-machine", "q35", "-serial", f"file:{self.dir}/said",
                       *vhost_blk(f"path={self.disk},bootindex=1,num-queues=4"))

    def said(self):
        with open(f"{self.dir}/said", encoding="ascii") as file:
            return file.read()

    def booted(self, times):
        """Wait until it has booted `times` times, and has done I/O after the last boot."""
        wait_for(f"I/O after boot {times}", lambda: self.said().count("B") == times and
                 self.said().endswith("."), 90)

    def resets(self):
        for times in range(2, 12):
            self.vm.qmp("system_reset")
            self.booted(times)

    def no_error(self):
        expect(self.said().count("E"), 0)


def test_seabios(tap, directory, files):
    machine = Bios(directory, f"{files}/bios")
    tap.check("QEMU starts", machine.start)
    if machine.vm:
        tap.check("SeaBIOS boots from the disk (bootindex)", machine.booted, 1)
        tap.check("ten resets while SeaBIOS reads and writes", machine.resets)
        tap.check("no request of SeaBIOS failed", machine.no_error)
        tap.check("QEMU quits without a message", machine.vm.quit)


def uefi_boot(directory, *disks):
    shutil.copy(OVMF.format("VARS"), f"{directory}/vars")
    status = subprocess.run(command(
        "-machine", "q35", "-m", "256M", "-no-reboot", "-serial", f"file:{directory}/uefi",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + OVMF.format("CODE"),
        "-drive", f"if=pflash,format=raw,unit=1,file={directory}/vars", *vhost_blk(*disks)),
        stdin=subprocess.DEVNULL, timeout=200, check=False).returncode
    with open(f"{directory}/uefi", encoding="utf-8", errors="replace") as file:
        said = file.read()
    # isa-debug-exit turns the value 0x10 into the exit status 2 * 0x10 + 1.
    if status != 33 or "booted from the second disk" not in said.splitlines():
        raise Failure(f"status {status}: {said}")


def needs(_):
    return {"packages": ["firmware"]}


def test(tap, options):
    with file_system(options.directory) as files:
        test_seabios(tap, options.directory, files)
        first, second = (efi_disk(options.directory, f"{files}/{name}",
                                  f"booted from the {name} disk") for name in ("first", "second"))
        tap.check("UEFI boots the disk with the lowest bootindex", uefi_boot, options.directory,
                  f"path={first},bootindex=2", f"path={second},bootindex=1")
