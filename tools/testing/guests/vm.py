# SPDX-License-Identifier: GPL-2.0
"""A QEMU with a guest, for tests that talk to both while they run.

The guest is that of guest-build.sh.  Its script talks over a socket, line by
line, and its kernel log goes to a file; both go on in another QEMU that the
machine is migrated to.
"""
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

TIMEOUT = 300

# For machines that are migrated without KVM.  QEMU before 9.0 forgets to tell
# its TLB when it clears the dirty bits of memory that is a multiple of 256 KiB:
# some of what a vCPU writes then is not sent, and the guest crashes.
ODD_SIZE = "262136K"
SMALL_ODD_SIZE = "131064K"


class Failure(Exception):
    """What a check found."""


def wait_for(what, condition, timeout=TIMEOUT):
    """Until the condition is true; what it returned then."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure(f"no {what} within {timeout} s")
        time.sleep(0.05)


class Lines:
    """Lines from and to a socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""

    def read(self, timeout=TIMEOUT):
        """The next line, or None at the end of the stream."""
        while b"\n" not in self.buffer:
            if not select.select([self.socket], [], [], timeout)[0]:
                raise Failure(f"nothing was said for {timeout} s")
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def write(self, line):
        self.socket.sendall(line.encode() + b"\n")


class Vm:
    """One QEMU.  `machine` is the directory that the QEMUs of a guest share."""

    count = 0

    def __init__(self, machine, devices, arguments, which=0):
        Vm.count += 1
        self.which = which
        self.path = f"{machine.dir}/{Vm.count}"
        self.events = []
        self.known = ""
        with open(self.path + ".err", "wb") as errors:
            self.process = subprocess.Popen(
                machine.command(self.path, which) + devices + arguments, stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, env=machine.env)
        try:
            self.monitor = self.connect("qmp")
            self.monitor.read()
            self.qmp("qmp_capabilities")
            self.serial = self.connect("serial")
        except (Failure, OSError):
            self.process.wait(TIMEOUT)
            raise Failure(f"QEMU ended with {self.process.returncode}: {self.errors()}") from None

    def connect(self, name):
        def attempt():
            if self.process.poll() is not None:
                raise Failure(f"QEMU ended with {self.process.returncode}: {self.errors()}")
            try:
                return Lines(f"{self.path}.{name}")
            except (FileNotFoundError, ConnectionRefusedError):
                return None
        return wait_for(f"socket {name}", attempt)

    def qmp(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.monitor.write(json.dumps(request))
        while True:
            line = self.monitor.read()
            if line is None:
                raise Failure(f"{command}: QEMU has gone: {self.errors()}")
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise Failure(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def hmp(self, line):
        return self.qmp("human-monitor-command", command_line=line)

    def event(self, name, timeout=TIMEOUT):
        """Wait for an event that hasn't been waited for yet; its data."""
        def arrived():
            self.qmp("query-status")
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            return None
        return wait_for(f"event {name}", arrived, timeout).get("data", {})

    def status(self):
        return self.qmp("query-status")["status"]

    def errors(self):
        """What it has said, without what has been excused."""
        with open(self.path + ".err", encoding="utf-8", errors="replace") as file:
            return file.read().removeprefix(self.known).strip()

    def excuse(self, pattern):
        """It has had to say this."""
        said = self.errors()
        if not re.fullmatch(pattern, said, re.S):
            raise Failure(f"QEMU says: {said}")
        with open(self.path + ".err", encoding="utf-8", errors="replace") as file:
            self.known = file.read()

    def quit(self):
        """End it; it must have had nothing to say."""
        self.qmp("quit")
        self.finish()

    def finish(self, status=0, says=""):
        """It ends by itself, with that status and a message that matches."""
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise Failure("QEMU doesn't end") from error
        if self.process.returncode != status or not re.fullmatch(says, self.errors(), re.S):
            raise Failure(f"QEMU ended with {self.process.returncode}: {self.errors()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Machine:
    """What every QEMU that a guest runs in shares.

    `other` is a QEMU of another version, for every second one.
    """

    def __init__(self, directory, script, devices, append="", memory=ODD_SIZE, q35="q35,hpet=off",
                 other=None):
        self.dir = directory
        self.devices = devices
        self.append = ("console=ttyS0 tsc=reliable no_timer_check nokaslr mitigations=off "
                       "panic=-1 oops=panic init_on_alloc=0 " + append)
        self.memory = memory
        self.qemus = [os.environ["VHOST_E2E_QEMU"]]
        self.q35 = q35
        self.cpu = "max,-cx16"
        if other:
            # The defaults of the two differ.
            self.qemus.append(other)
            self.q35 = "pc-q35-7.2" + q35.removeprefix("q35")
            self.cpu = "Nehalem,-cx16"
        self.nonce = os.urandom(8).hex()
        self.env = dict(os.environ)
        if os.environ.get("VHOST_E2E_OBJECT"):
            self.env["LD_PRELOAD"] = os.environ["VHOST_E2E_OBJECT"]
        os.mkdir(directory)
        with open(f"{directory}/script", "w", encoding="utf-8") as file:
            file.write(script)
        with open(f"{directory}/klog", "w", encoding="utf-8"):
            pass

    def command(self, path, which):
        guest = os.environ["VHOST_E2E_GUEST"]
        return [self.qemus[which], "-accel", "tcg,thread=single", "-cpu", self.cpu,
                "-machine", self.q35, "-smp", "2", "-m", self.memory,
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-L", "/usr/share/qemu", "-L", "/usr/share/seabios",
                "-kernel", f"{guest}/vmlinuz", "-initrd", os.environ["VHOST_E2E_INITRD"],
                "-append", self.append,
                "-fw_cfg", f"name=opt/vhost-blk/script,file={self.dir}/script",
                "-fw_cfg", f"name=opt/vhost-blk/nonce,string={self.nonce}",
                "-chardev", f"file,id=klog,path={self.dir}/klog,append=on",
                "-serial", "chardev:klog",
                "-chardev", f"socket,id=serial,path={path}.serial,server=on,wait=off",
                "-serial", "chardev:serial",
                "-chardev", f"socket,id=qmp,path={path}.qmp,server=on,wait=off",
                "-mon", "chardev=qmp,mode=control"]

    def start(self, *arguments, devices=None, after=None):
        """One more QEMU; after another one it is the next in turn."""
        which = (after.which + 1) % len(self.qemus) if after else 0
        return Vm(self, devices or self.devices, list(arguments), which)

    def klog(self):
        with open(f"{self.dir}/klog", encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_klog(self):
        """No report of the guest's kernel, and no complaint of its driver."""
        tool = os.path.join(os.path.dirname(__file__), "../hosts/klog-check.sh")
        found = subprocess.run([tool, f"{self.dir}/klog"], stdout=subprocess.PIPE,
                               encoding="utf-8", errors="replace", check=False)
        complaints = [line for line in self.klog().splitlines()
                      if re.search(r"is not a head|I/O error|virtio.*(error|broken|failed)"
                                   r"|guest-init: no|out of range|DMAR:.*fault", line)]
        if found.returncode or complaints:
            raise Failure(found.stdout + "\n".join(complaints))

    def finish(self, vm):
        """The guest's script ends, and the guest; the lines that it still said."""
        said = []
        while True:
            line = vm.serial.read()
            if line is None:
                raise Failure("the guest has gone; it said: " + "\n".join(said) +
                              "\n" + "\n".join(self.klog().splitlines()[-30:]))
            if line.startswith(f"guest-run: {self.nonce} exit "):
                break
            said.append(line)
        vm.finish()
        if not line.endswith(" exit 0"):
            raise Failure("the guest's script failed: " + "\n".join(said))
        return said


class Tap:
    """Results, one a line."""

    def __init__(self):
        self.tests = 0
        self.failures = 0
        print("TAP version 13", flush=True)

    def check(self, what, function, *arguments):
        """What the function returns, or None where it failed."""
        self.tests += 1
        begin = time.monotonic()
        try:
            result = function(*arguments)
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            self.failures += 1
            print(f"not ok {self.tests} {what}", flush=True)
            for line in f"{type(failure).__name__}: {failure}".splitlines():
                print(f"# {line}", flush=True)
            return None
        print(f"ok {self.tests} {what}", flush=True)
        said = f": {result}" if isinstance(result, str) else ""
        print(f"# {time.monotonic() - begin:.1f} s{said}", flush=True)
        return result

    def end(self):
        print(f"1..{self.tests}", flush=True)
        sys.exit(1 if self.failures else 0)
