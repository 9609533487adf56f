# SPDX-License-Identifier: GPL-2.0
"""QEMU: its command line, devices that it accepts or refuses, and QMP."""
import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from tap import TIMEOUT, Failure, wait_for


@functools.cache
def in_uml():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return "User Mode Linux" in file.read()


@functools.cache
def accelerator():
    """Return KVM if it can be used, or TCG.  In UML, one thread per vCPU makes TCG no faster."""
    if in_uml():
        return "tcg,thread=single"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
        return "kvm"
    except OSError:
        return "tcg,thread=multi"


def command(*arguments, binary=None):
    """The command of a QEMU with no devices but those of the arguments."""
    # In a UML host with several CPUs, the threads of a process hang if they use more
    # than one.
    pin = ["taskset", "-c", "0"] if in_uml() else []
    return pin + [
        binary or os.environ["VHOST_E2E_QEMU"], "-accel", accelerator(),
        "-nodefaults", "-no-user-config", "-display", "none",
        "-L", "/usr/share/qemu", "-L", "/usr/share/seabios", *arguments]


def vhost_blk(*devices):
    """Arguments for vhost-blk-pci devices, each with these properties."""
    return [word for properties in devices for word in
            ("-device", f"vhost-blk-pci,{properties}" if properties else "vhost-blk-pci")]


def create(properties, message=None, wrapper=(), fds=(), arguments=()):
    """Start QEMU with this device, unless it is None, and quit it.

    Without `message`, QEMU must accept the device.  With it, QEMU must exit with 1 and a
    message of one line that matches.  Other lines are hints.
    """
    device = [] if properties is None else vhost_blk(properties)
    result = subprocess.run(
        [*wrapper, *command("-machine", "q35", "-S", "-monitor", "stdio"), *arguments, *device],
        input="quit\n", stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, encoding="utf-8", timeout=60, pass_fds=fds, check=False)
    said = result.stderr.strip()
    if not (result.returncode == 1 and re.search(message, said)
            if message else result.returncode == 0 and not said):
        raise Failure(f"status {result.returncode}, QEMU said: {said}")


def exit_on_sigterm():
    """Let SIGTERM raise SystemExit, so that QEMU is killed and temporary files are removed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


class Lines:
    """Lines from and to a socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.received = b""

    def read(self, timeout=TIMEOUT):
        """Return the next line, or None at the end of the stream."""
        end = time.monotonic() + timeout
        while b"\n" not in self.received:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no line within the time limit")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if not data:
                return None
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def write(self, line):
        self.socket.settimeout(TIMEOUT)
        self.socket.sendall(f"{line}\n".encode())


class Qemu:
    """A running QEMU.

    At the end of a "with" block it is told to quit; it must not have printed any message.
    """

    count = 0

    def __init__(self, directory, *arguments, serial=False, binary=None, fds=()):
        Qemu.count += 1
        self.path = f"{directory}/qemu-{Qemu.count}"
        self.binary = binary
        self.events = []
        self.known = ""
        sockets = ["-chardev", f"socket,id=qmp,path={self.path}.qmp,server=on,wait=off",
                   "-mon", "chardev=qmp,mode=control"]
        if serial:
            sockets += ["-chardev", f"socket,id=serial,path={self.path}.serial,server=on,wait=off",
                        "-serial", "chardev:serial"]
        self.command = command(*arguments, *sockets, binary=binary)
        with open(self.path + ".err", "wb") as errors:
            # If Python is killed, the kernel kills QEMU.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command], stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, pass_fds=fds)
        try:
            self.monitor = self.connect("qmp")
            self.monitor.read()
            self.qmp("qmp_capabilities")
            self.serial = self.connect("serial") if serial else None
        except (Failure, OSError) as failure:
            # If QEMU is about to end, let it print why.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
                failure = f"QEMU ended with {self.process.returncode}"
            self.kill()
            raise Failure(f"{failure}: {self.errors()}") from None
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.kill()
        else:
            self.quit()

    def connect(self, name):
        def attempt():
            if self.process.poll() is not None:
                raise Failure(f"QEMU ended with {self.process.returncode}: {self.errors()}")
            try:
                return Lines(f"{self.path}.{name}")
            except (FileNotFoundError, ConnectionRefusedError):
                return None
        return wait_for(f"socket {name}", attempt)

    def receive(self, end):
        """Return the next QMP message, and keep it if it is an event.  Wait until `end`."""
        line = self.monitor.read(end - time.monotonic())
        if line is None:
            raise Failure(f"QEMU has ended: {self.errors()}")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def qmp(self, execute, /, **arguments):
        """Run a command and return its result; "_" in the names of arguments means "-"."""
        request = {"execute": execute}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.monitor.write(json.dumps(request))
        end = time.monotonic() + TIMEOUT
        while True:
            answer = self.receive(end)
            if "error" in answer:
                raise Failure(f"{execute}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def get(self, device, name):
        """Return a property of the device with this id."""
        return self.qmp("qom-get", path=f"/machine/peripheral/{device}", property=name)

    def set(self, device, name, value):
        self.qmp("qom-set", path=f"/machine/peripheral/{device}", property=name, value=value)

    def set_refused(self, pattern, device, name, value):
        """Setting the property to this value fails with a message that matches."""
        try:
            self.set(device, name, value)
        except Failure as failure:
            if not re.fullmatch(f"qom-set: {pattern}.*", str(failure)):
                raise
        else:
            raise Failure(f"{name}={value} is accepted")

    def event(self, name, **data):
        """Wait for an event with this data, and return its data.  Each event is returned once.

        This does not poll QEMU: in UML, frequent commands may keep QEMU's RCU thread from
        running, and then a removed device is not deleted.
        """
        end = time.monotonic() + TIMEOUT
        while True:
            for event in self.events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self.events.remove(event)
                    return event.get("data", {})
            self.receive(end)

    def status(self):
        return self.qmp("query-status")["status"]

    def errors(self):
        """Return the messages of QEMU, without those that have been excused."""
        with open(self.path + ".err", encoding="utf-8", errors="replace") as file:
            return file.read().removeprefix(self.known).strip()

    def excuse(self, pattern):
        """Accept the messages of QEMU so far, which must match."""
        said = self.errors()
        if not re.fullmatch(pattern, said, re.S):
            raise Failure(f"QEMU says: {said}")
        with open(self.path + ".err", encoding="utf-8", errors="replace") as file:
            self.known = file.read()

    def quit(self):
        """Tell QEMU to quit; it must not have printed any message."""
        self.qmp("quit")
        self.finish()

    def finish(self, status=0, says=""):
        """Wait until QEMU exits, with this status and with messages that match."""
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise Failure("QEMU does not end") from error
        if self.process.returncode != status or not re.fullmatch(says, self.errors(), re.S):
            raise Failure(f"QEMU ended with {self.process.returncode}: {self.errors()}")

    def kill(self):
        self.process.kill()
        self.process.wait()
