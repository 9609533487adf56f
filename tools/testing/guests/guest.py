# SPDX-License-Identifier: GPL-2.0
"""A guest of guest-build.sh: the machine, its script, and the output of the script.

guest-init.sh runs the script.  The second serial port has the output of the script, and is
a socket here; the first one has the kernel log, and is a file.  After a migration, both
continue in the new QEMU.
"""
import os
import re
import shlex
import subprocess
import time

from tap import TIMEOUT, Failure
from vmm import Qemu, accelerator

# Kernel messages that a guest must not print if its disks have no errors
DISK_ERRORS = (r"is not a head|I/O error|virtio.*(error|broken|failed)|out of range|DMAR:.*fault"
               r"|guest-init: no")

HERE = os.path.dirname(os.path.realpath(__file__))


def built(name):
    """Return the path of a file in the guest's directory, as of a program for the test host."""
    return f"{os.environ['VHOST_E2E_GUEST']}/{name}"


def script(*files, **variables):
    """Return a script that sets the variables, and then has the contents of these files of guest/.
    """
    text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    for name in files:
        with open(f"{HERE}/guest/{name}", encoding="utf-8") as file:
            text += file.read()
    return text


class Machine:
    """A guest, and what all QEMUs that it runs in have in common.

    `directory` is created for their files.  If `other` is a QEMU of another version, the
    guest alternates between the two.  `says` matches the messages that QEMU may print.
    init_on_alloc=0 is not the default of Debian's kernel; it saves time in emulation.
    """

    def __init__(self, directory, text, devices, append="init_on_alloc=0", memory="384M",
                 q35="q35,hpet=off", other=None, vcpus=2, reboots=False, fds=(),
                 says=""):
        self.dir = directory
        self.devices = devices
        # Some guest kernels panic if a vCPU of TCG has cx16.
        self.cpu = "host" if accelerator() == "kvm" else "max,-cx16"
        self.q35 = q35
        self.qemus = [os.environ["VHOST_E2E_QEMU"]]
        if other:
            # The default machine and CPU of the two versions differ.
            self.qemus.append(other)
            self.q35 = "pc-q35-7.2" + q35.removeprefix("q35")
            self.cpu = "Nehalem,-cx16"
        self.append = ("console=ttyS0 tsc=reliable no_timer_check nokaslr mitigations=off "
                       "panic=-1 oops=panic " + append)
        self.options = ["-smp", str(vcpus), "-m", memory] + ([] if reboots else ["-no-reboot"])
        self.fds = fds
        self.says = says
        self.nonce = os.urandom(8).hex()
        self.said = []
        os.mkdir(directory)
        with open(f"{directory}/script", "w", encoding="utf-8") as file:
            file.write(text)
        with open(f"{directory}/klog", "w", encoding="utf-8"):
            pass

    def start(self, *arguments, devices=None, after=None):
        """Start a QEMU.  It is of the other version than `after`, the QEMU that is migrated."""
        number = self.qemus.index(after.binary) + 1 if after else 0
        return Qemu(self.dir, "-machine", self.q35, "-cpu", self.cpu, *self.options,
                    "-kernel", built("vmlinuz"), "-initrd", built("initrd"),
                    "-append", self.append,
                    "-fw_cfg", f"name=opt/vhost-blk/script,file={self.dir}/script",
                    "-fw_cfg", f"name=opt/vhost-blk/nonce,string={self.nonce}",
                    "-chardev", f"file,id=klog,path={self.dir}/klog,append=on",
                    "-serial", "chardev:klog", *(devices or self.devices), *arguments,
                    serial=True, binary=self.qemus[number % len(self.qemus)], fds=self.fds)

    def follow(self, vm, timeout=TIMEOUT, act=None):
        """Read the output of the script until it ends, and call act(vm, line) for each line.

        The exit status of the script must be 0.  Then the guest powers off, and QEMU ends.
        """
        end = time.monotonic() + timeout
        try:
            while True:
                if time.monotonic() > end:
                    raise Failure(f"the guest's script has not ended within {timeout} s")
                line = vm.serial.read(end - time.monotonic())
                if line is None:
                    raise Failure("the guest has ended: " + vm.errors())
                if line.startswith(f"guest-run: {self.nonce} exit "):
                    break
                self.said.append(line)
                if act:
                    act(vm, line)
            vm.finish(says=self.says)
            if not line.endswith(" exit 0"):
                raise Failure("the guest's script failed")
        except (Failure, OSError) as failure:
            raise Failure(f"{failure}\n{self.last_words()}") from failure

    def run(self, timeout=TIMEOUT, act=None):
        """Boot, follow the script, and check the kernel log."""
        vm = self.start()
        try:
            self.follow(vm, timeout, act)
        finally:
            vm.kill()
        self.check_klog("guest-init: no")

    def last_words(self):
        return "\n".join(self.said[-60:] + self.klog().splitlines()[-30:])

    def has_said(self, line):
        """Fail unless the script has printed exactly this line."""
        if line not in self.said:
            raise Failure(f"expected: {line}; it printed:\n" + "\n".join(self.said[-60:]))

    def klog(self):
        with open(f"{self.dir}/klog", encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_klog(self, complaints=DISK_ERRORS):
        """Fail if the kernel log has a warning or an oops, or a line that matches."""
        tool = f"{HERE}/../hosts/klog-check.sh"
        found = subprocess.run([tool, f"{self.dir}/klog"], stdout=subprocess.PIPE,
                               encoding="utf-8", errors="replace", check=False)
        lines = [line for line in self.klog().splitlines() if re.search(complaints, line)]
        if found.returncode or lines:
            raise Failure(found.stdout + "\n".join(lines))
