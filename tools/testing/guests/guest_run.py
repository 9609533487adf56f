#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Boot a guest that guest-build.sh built, with the devices that the QEMU arguments
describe, run a script in it with the guest's shell, and print the output of the script.

Exits with 0 if the script does and the guest's kernel log has no warning or error.  Uses
KVM if /dev/kvm can be opened.
"""
import argparse
import os
import shlex
import sys
import tempfile

from guest import Machine
from tap import Failure
from vmm import exit_on_sigterm


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qemu", required=True, metavar="BINARY")
    parser.add_argument("--guest", required=True, metavar="DIR")
    parser.add_argument("--script", required=True, type=argparse.FileType(), metavar="FILE")
    parser.add_argument("--smp", type=int, default=2, metavar="N", help="vCPUs (default: 2)")
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS")
    parser.add_argument("--print", action="store_true", help="print QEMU's command line")
    parser.add_argument("arguments", nargs="*", metavar="QEMU_ARGUMENT")
    options = parser.parse_args()
    exit_on_sigterm()
    os.environ.update(VHOST_E2E_QEMU=options.qemu, VHOST_E2E_GUEST=options.guest)

    def act(vm, line):
        if options.print:
            print(f"guest: {shlex.join(vm.command)}", file=sys.stderr, flush=True)
            options.print = False
        print(line, flush=True)
    with tempfile.TemporaryDirectory() as directory:
        # init_on_alloc=1 is the default of Debian's kernel.  Any message of QEMU is accepted:
        # it warns of CPU features that KVM lacks.
        machine = Machine(f"{directory}/guest", options.script.read(), options.arguments,
                          append="init_on_alloc=1", vcpus=options.smp, says=".*")
        try:
            machine.run(options.timeout, act)
        except Failure as failure:
            sys.exit(f"guest_run.py: {failure}")


main()
