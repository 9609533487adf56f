# SPDX-License-Identifier: GPL-2.0
"""The results of a test in TAP, and functions that its checks use."""
import re
import shlex
import subprocess
import sys
import time
import traceback

TIMEOUT = 300


class Failure(Exception):
    """Why a check failed."""


def expect(found, expected):
    """Raise Failure if the two differ."""
    if found != expected:
        raise Failure(f"found {found!r} instead of {expected!r}")


def wait_for(what, condition, timeout=TIMEOUT):
    """Call `condition` until it returns a true value, and return the value."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure(f"no {what} within {timeout} s")
        time.sleep(0.05)


def run(*command, **options):
    """Run a program and return its output.  Raise Failure if its exit status is not 0."""
    options.setdefault("input", "")
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            encoding="utf-8", errors="replace", check=False, **options)
    if result.returncode:
        raise Failure(f"{shlex.join(command)}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def output(*command):
    """Return the last line that a program prints on stdout; stderr is not redirected."""
    return subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8",
                          check=True).stdout.splitlines()[-1]


def reasons(error):
    """Why a check failed: the error, and the errors that were being handled when it was raised."""
    text = ""
    while error:
        if str(error) not in text or not text:
            text += (f"{type(error).__name__}: {error}\n"
                     if isinstance(error, (Failure, OSError, subprocess.SubprocessError)) else
                     "".join(traceback.format_exception(error, chain=False)))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


class Tap:
    """One stream of results."""

    def __init__(self):
        self.results = 0
        self.failed = False
        print("TAP version 13", flush=True)

    def result(self, passed, what):
        self.results += 1
        self.failed |= not passed
        print(f"{'' if passed else 'not '}ok {self.results} {what}", flush=True)

    def check(self, what, function, *arguments):
        """Call the function; the check passes unless it raises an exception.

        Returns the result of the function, or None after an exception.
        """
        begin = time.monotonic()
        try:
            result = function(*arguments)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.result(False, what)
            for line in reasons(error).splitlines():
                print(f"# {line}", flush=True)
            return None
        self.result(True, what)
        said = f": {result}" if isinstance(result, str) else ""
        print(f"# {time.monotonic() - begin:.1f} s{said}", flush=True)
        return result

    def adopt(self, said):
        """Add the results of the checks in a guest, which tap.sh prints."""
        count = 0
        for line in said:
            result = re.fullmatch("(not )?ok (.*)", line)
            if result:
                count += 1
                self.result(not result[1], result[2])
            elif line.startswith("# "):
                print(line, flush=True)
        self.check("no result of the guest is missing", expect,
                   [line for line in said if line.startswith("checks: ")], [f"checks: {count}"])

    def end(self):
        """Print the plan, and exit."""
        print(f"1..{self.results}", flush=True)
        sys.exit(self.failed)
