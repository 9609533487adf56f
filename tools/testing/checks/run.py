#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: run.py [--long] [CHECK…] [NAME=VALUE…]
       run.py --list | --make-help | --rst

Runs checks of the table checks.toml, several at a time; without CHECK, all checks of
"make check".  CHECK may also be the part of names before the first dash: selftest
runs selftest-uml-7.3 and the others.

  --long       run the long form of each check that has one, with the parameters
               NAME=VALUE, which may also be in the environment
  --list       print the names of the checks
  --make-help  print the list of checks for "make help"
  --rst        print the table as a page of the documentation
  --table FILE, --results DIR, --every SECONDS
               use these instead of checks.toml, build/check and 180, to test this
               program

The last line is "N passed, N failed[, N skipped]".  The exit status is 1 if a test
failed or a check did not run to its end.

build/check receives the TAP, the messages and the failures of each check, as
CHECK.tap, CHECK.log and CHECK.report, and the output of the builds of the hosts, as
build.log and fetch.log.  A run of some checks replaces only their files.  Two runs
cannot use the directory at the same time.

Every three minutes the checks that are still running are named.  A short form is ended
when it takes much longer than in checks.toml, see "limit" there.

A check starts when its hosts have been built.  Hosts are built one after the other,
in the order of the table.  The number of checks that run at the same time is the
number of CPUs plus one, because a test host leaves its CPU idle for a third of the
time; a build counts as a check.  The longest check that is ready starts first.
"""
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(f"{HERE}/../../..")
VHOST_BLK_LONG = bool(os.environ.get("VHOST_BLK_LONG"))
START = int(os.environ.setdefault("VB_START", str(int(time.time()))))

# bash gives these variables a meaning of its own.
OLD_NAMES = {"GROUPS": "CHECKS", "SECONDS": "DURATION"}
CHECK_FIELDS = {"about", "notes", "packages", "needs", "command", "default", "minutes",
                "limit", "long", "long_needs", "tap", "parameters"}
HOST_FIELDS = {"about", "packages", "fetch", "build"}
LOG_LINES = 30
# Of a run that was cut off: which failures say so, how far it got, what the host said
CUT_OFF = re.compile(r"no plan|it ended|Bail")
PROGRESS = re.compile(r"#? *(not )?ok |# suite |# +RUN ")
HOST_SAID = re.compile(r"error: |BUG|panic|Oops|RIP:|WARNING:|init failed|Out of memory")
SAID_LINES = 8
GRACE = 15	# seconds for what is told to end
EVERY = 180	# seconds between the names of what still runs
LIMIT = 10, 30	# the time limit: times the duration, and at least these minutes


class Wrong(Exception):
    """An error in the arguments or in the table."""


def say(text):
    """Print to stderr.  If that fails, the results are still in build/check."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass


def note(text):
    """A message with the time since the start, on stderr as all messages are."""
    say(f"[{int(time.time()) - START:4d}s] check: {text}")


class Table:
    """checks.toml"""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = tomllib.load(file)
        self.checks = data.get("check", {})
        self.hosts = data.get("host", {})
        for kind, entries, fields in (("check", self.checks, CHECK_FIELDS),
                                      ("host", self.hosts, HOST_FIELDS)):
            for name, entry in entries.items():
                unknown = set(entry) - fields
                if unknown or "about" not in entry:
                    raise Wrong(f"{path}: {kind} {name}: unknown {unknown or 'purpose'}")
        for name, check in self.checks.items():
            if not {"command", "long"} & set(check):
                raise Wrong(f"{path}: check {name}: no command")

    def in_default_run(self, name, long=False):
        """Is it part of "make check", or of that with VHOST_BLK_LONG=1?"""
        default = self.checks[name].get("default", True)
        return "command" in self.checks[name] and (long if default == "long" else default)

    def expand(self, names):
        """The checks that these names stand for."""
        if not names:
            return [name for name in self.checks if self.in_default_run(name, VHOST_BLK_LONG)]
        found = []
        for name in names:
            these = [name] if name in self.checks else [
                other for other in self.checks if other.startswith(name + "-")]
            if not these:
                raise Wrong(f"no such check: {name}; run.py --list has them all")
            found += these
        return list(dict.fromkeys(found))

    def environments(self, names, given):
        """The environment of each of these checks, with its own parameters."""
        parameters = {name: self.checks[name].get("parameters", {}) for name in names}
        for parameter in given:
            if not any(parameter in own for own in parameters.values()):
                raise Wrong(f"no such parameter of {' '.join(names)}: {parameter}")
        return {name: {**{parameter: str(what["default"]) for parameter, what in own.items()},
                       **os.environ,
                       **{parameter: given[parameter] for parameter in own if parameter in given}}
                for name, own in parameters.items()}


class Process:
    """A shell command in a session of its own, so that all of it can be ended."""

    running = set()
    lock = threading.Lock()
    stopping = False

    def __init__(self, command, environment, **streams):
        with Process.lock:
            if Process.stopping:
                raise InterruptedError
            # pylint: disable-next=consider-using-with
            self.popen = subprocess.Popen(
                ["bash", "-c", command], cwd=TOP, env=environment, stdin=subprocess.DEVNULL,
                start_new_session=True, **streams)
            self.cpu = 0	# seconds
            Process.running.add(self)

    def signal(self, number):
        """Send a signal to all of the session; False if no process is left."""
        try:
            os.killpg(self.popen.pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait(self):
        """The exit status of the shell; what it left behind is killed."""
        _, status, usage = os.wait4(self.popen.pid, 0)
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        with Process.lock:
            Process.running.discard(self)
            if not Process.stopping:
                self.signal(signal.SIGKILL)
        return self.popen.returncode

    def wait_and_copy(self, *copies):
        """The exit status, after what it wrote has been copied; and the first error of that."""
        threads = [Copy(*copy) for copy in copies]
        for thread in threads:
            thread.start()
        status = self.wait()
        for thread in threads:
            thread.join(GRACE)
        return status, next((thread.error for thread in threads if thread.error), None)

    def end(self, number):
        """Send a signal unless it has ended."""
        with Process.lock:
            if self in Process.running:
                self.signal(number)

    @classmethod
    def stop_all(cls):
        """End all processes, with some time to clean up."""
        with cls.lock:
            cls.stopping = True
            left = list(cls.running)
        for process in left:
            process.signal(signal.SIGTERM)
        end = time.monotonic() + GRACE
        while left and time.monotonic() < end:
            time.sleep(0.05)
            # Each has a thread in wait(), so that none remains as a zombie.
            left = [process for process in left if process.signal(0)]
        for process in left:
            process.signal(signal.SIGKILL)


class Check:
    """A check of this run, and its results."""

    def __init__(self, table, name, results, long, environment):
        entry = table.checks[name]
        self.name = name
        self.minutes = entry.get("minutes", 1)
        self.is_long = "long" in entry and (long or "command" not in entry)
        self.command = entry["long" if self.is_long else "command"]
        self.tap = entry.get("tap", True) or not self.is_long
        self.environment = environment
        self.path = f"{results}/{name}"
        # A selftest of VHOST_BLK_LONG has no known duration.
        self.limit = None
        if not self.is_long and not VHOST_BLK_LONG:
            times, least = LIMIT
            self.limit = 60 * entry.get("limit", max(least, times * self.minutes))
        self.process = None
        self.late = False
        needs = entry.get("needs", [])
        if self.is_long:
            needs = entry.get("long_needs", needs)
        self.needs = [re.sub(r"\$(\w+)", lambda m: environment[m[1]], need)
                      for need in needs]
        self.packages = list(entry.get("packages", []))
        for need in self.needs:
            if need not in table.hosts:
                raise Wrong(f"check {name}: no such host: {need}")
            self.packages += table.hosts[need].get("packages", [])
        self.over = False
        self.cpu = 0
        self.ready = self.begin = self.end = None
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def run(self):
        """Run it, and count its results."""
        self.begin = time.time()
        note(f"== {self.name}")
        try:
            status, error = self.run_command()
            end = time.time()
            self.judge(status)
            if error:
                self.fail(f"its output could not be written: {error}")
        except InterruptedError:
            return
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            end = time.time()
            self.fail(f"it could not be run or judged: {error}")
        self.end = end
        note(f"== {self.name}: {self.passed} passed, {self.failed} failed, "
             f"{self.skipped} skipped in {self.end - self.begin:.0f} s")

    def run_command(self):
        """Copy stdout to CHECK.tap, and stderr to CHECK.log and to the own one."""
        # Without a buffer, because closing the file would write what is in it again.
        with open(self.path + ".tap", "wb", 0) as tap, open(self.path + ".log", "wb", 0) as log:
            process = Process(self.command, self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.process = process
            result = process.wait_and_copy(
                (process.popen.stdout, tap, sys.stdout.buffer if self.is_long else None, ""),
                (process.popen.stderr, log, sys.stderr.buffer, f"{self.name}: "))
        self.cpu = process.cpu
        return result

    def end_if_late(self):
        """End it if it has exceeded its time limit, by force after some more seconds."""
        if not self.process or not self.limit:
            return
        late = time.time() - self.begin - self.limit
        if late > 0 and not self.late:
            self.late = True
            note(f"{self.name} has no end after {self.limit / 60:g} min: ending it")
            self.process.end(signal.SIGTERM)
        elif late > GRACE:
            self.process.end(signal.SIGKILL)

    def fail(self, what):
        """Add a failure that is not one of its tests."""
        self.failed += 1
        self.failures.append(what)
        say(f"    {self.name}: FAIL: {what}")
        try:
            with open(self.path + ".report", "a", encoding="utf-8") as file:
                print(f"FAIL: {what}", file=file)
        except OSError:
            pass

    def judge(self, status):
        """Count the TAP, and say what failed."""
        report = self.path + ".report"
        if not self.tap:
            self.passed = int(status == 0)
            whole = True
        else:
            counted = subprocess.run(
                ["awk", "-v", f"report={report}", "-f", f"{HERE}/tap-count.awk",
                 self.path + ".tap"], stdout=subprocess.PIPE, check=True, encoding="ascii")
            self.passed, self.failed, self.skipped = map(int, counted.stdout.split())
            tap = lines_of(self.path + ".tap")
            whole = any(re.match(r" *1\.\.\d", line) for line in tap)
        for line in lines_of(report):
            say(f"    {self.name}: {line}")
            if line.startswith("FAIL: "):
                self.failures.append(line.removeprefix("FAIL: "))
        if self.late:
            self.fail(f"it ended only when it was told to, after {self.limit / 60:g} min")
        # Status 1 is that of a failed test; others are those of the host, as 99 for a
        # report in its kernel log.
        elif status not in (0, 1) or status and not self.failed:
            self.fail(f"it ended with status {status}")
            whole = whole and self.failed > 1
        elif not self.passed and not self.failed:
            self.fail("no test passed")
        if any(map(CUT_OFF.match, self.failures)):
            self.failures += self.how_far()
        if self.failed and self.tap:
            print_lines(around_failures(tap))
        if not whole:
            note(f"{self.name} ended with status {status} and without a result; "
                 f"the end of {os.path.relpath(self.path, TOP)}.log:")
            print_lines(lines_of(self.path + ".log")[-LOG_LINES:])

    def how_far(self):
        """Of a run that was cut off: the last line of its TAP, and what the host said.

        For the summary: a CI may show no more than the last lines of all, and "no plan"
        does not tell a panic from a time limit.
        """
        last = [line for line in lines_of(self.path + ".tap") if PROGRESS.match(line)][-1:]
        said = [line for line in lines_of(self.path + ".log") if HOST_SAID.search(line)]
        return [f"last line: {line}" for line in last] + said[:SAID_LINES]


def print_lines(lines):
    """Print lines to stderr."""
    for line in lines:
        say(line)


def lines_of(path):
    """The lines of a file, or none if it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def around_failures(tap, near=12, most=120):
    """The results that are not ok, with some lines before and diagnostics after them."""
    wanted = set()
    for number, line in enumerate(tap):
        if re.match(r" *not ok|Bail out", line):
            wanted.update(range(max(0, number - near), number + 1))
            for after in range(number + 1, min(number + 1 + near, len(tap))):
                if not tap[after].startswith("#"):
                    break
                wanted.add(after)
    return [tap[number] for number in sorted(wanted)][-most:]


class Copy(threading.Thread):
    """Copies lines from a pipe to a file and, with a prefix, to a second one.

    It reads to the end even if it cannot write, because the writer would wait for ever.
    """

    def __init__(self, source, file, second, prefix):
        super().__init__(daemon=True)
        self.source = source
        self.outputs = [(file, b"")] + [(second, prefix.encode())] * bool(second)
        self.error = None

    def run(self):
        for line in self.source:
            for output in list(self.outputs):
                file, prefix = output
                try:
                    if file.write(prefix + line) != len(prefix + line):
                        raise OSError("written in part")
                    file.flush()
                except (OSError, ValueError) as error:
                    self.error = self.error or error
                    self.outputs.remove(output)


class Builder(threading.Thread):
    """Runs the commands of the hosts one after the other."""

    def __init__(self, field, table, hosts, log, changed):
        super().__init__(daemon=True)
        self.jobs = [(host, table.hosts[host][field]) for host in hosts
                     if field in table.hosts[host]]
        self.field, self.log, self.changed = field, log, changed
        self.left = {host for host, _ in self.jobs}
        self.times = {}

    def run(self):
        try:
            self.run_jobs()
        except (OSError, ValueError) as error:
            if not Process.stopping:
                note(f"the {self.field} of hosts ended: {error}")
        finally:
            # The checks that need one of them try again, and fail with the reason.
            with self.changed:
                self.left.clear()
                self.changed.notify_all()

    def run_jobs(self):
        """Run all commands."""
        with open(self.log, "wb", 0) as log:
            for host, command in self.jobs:
                begin = time.time()
                process = Process(command, os.environ, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE)
                status, error = process.wait_and_copy(
                    (process.popen.stderr, log, sys.stderr.buffer, f"{self.field}: "))
                with self.changed:
                    self.times[host] = (begin, time.time(), process.cpu)
                    self.left.discard(host)
                    self.changed.notify_all()
                if status and not Process.stopping:
                    note(f"{self.field} of {host} failed with status {status}")
                if error:
                    note(f"{self.field} of {host}: its output could not be written: {error}")


class Runner:
    """All checks of a run."""

    def __init__(self, table, checks, results, every):
        self.table, self.checks, self.results, self.every = table, checks, results, every
        self.reported = time.time()
        self.changed = threading.Condition()
        wanted = {need for check in checks for need in check.needs}
        hosts = [host for host in table.hosts if host in wanted]
        self.builder = Builder("build", table, hosts, f"{results}/build.log", self.changed)
        self.fetcher = Builder("fetch", table, hosts, f"{results}/fetch.log", self.changed)
        self.lanes = len(os.sched_getaffinity(0)) + 1
        self.threads = []
        self.idle = 0

    def install_packages(self):
        """Install the packages of all checks at once."""
        packages = sorted({package for check in self.checks for package in check.packages})
        if packages and subprocess.run([f"{TOP}/tools/lib/packages.sh", *packages],
                                       check=False).returncode:
            raise Wrong("the packages could not be installed")

    def is_ready(self, check):
        """Has what it needs been built?"""
        if self.builder.left.intersection(check.needs):
            return False
        check.ready = check.ready or time.time()
        return True

    def run(self):
        """Run all checks."""
        self.fetcher.start()
        self.builder.start()
        pending = sorted(self.checks, key=lambda check: -check.minutes)
        running = set()
        with self.changed:
            while pending or running:
                running -= {check for check in running if check.over}
                free = self.lanes - len(running) - bool(self.builder.left)
                ready = [check for check in pending if self.is_ready(check)]
                for check in ready[:max(free, 0)]:
                    pending.remove(check)
                    running.add(check)
                    thread = threading.Thread(target=self.run_one, args=(check,), daemon=True)
                    thread.start()
                    self.threads.append(thread)
                begin = time.time()
                if pending or running:
                    self.changed.wait(1)
                self.watch(running)
                if pending and free > len(ready):
                    self.idle += (free - len(ready)) * (time.time() - begin)

    def watch(self, running):
        """Name what still runs from time to time, and end what exceeds its limit."""
        for check in running:
            check.end_if_late()
        now = time.time()
        if now - self.reported < self.every:
            return
        self.reported = now
        for check in running:
            if check.begin and not check.over:
                note(f"still running: {check.name}, {(now - check.begin) / 60:.0f} min")

    def run_one(self, check):
        """Run a check, in a thread of its own."""
        try:
            check.run()
        finally:
            with self.changed:
                check.over = True
                self.changed.notify_all()

    def print_times(self):
        """Where the time went.  What User-Mode Linux runs as user is not in the CPU time."""
        rows = []
        for builder in (self.fetcher, self.builder):
            rows += [(f"{builder.field} {host}", None, begin, end, cpu)
                     for host, (begin, end, cpu) in builder.times.items()]
        rows += [(check.name, check.ready, check.begin, check.end, check.cpu)
                 for check in sorted(self.checks, key=lambda check: check.begin or 0)
                 if check.end]
        say(f"{'Where the time went, in seconds':32}   ready    from      to    took"
            "     CPU")
        for name, ready, begin, end, cpu in rows:
            ready = "" if ready is None else f"{ready - START:.0f}"
            say(f"  {name:30}{ready:>8}{begin - START:8.0f}{end - START:8.0f}{end - begin:8.0f}"
                f"{cpu:8.0f}")
        say(f"  of {self.lanes} lanes, {self.idle:.0f} s were idle because no check had all "
            "its hosts")

    def summary(self):
        """Repeat all results and failures at the end; return the exit status."""
        for check in self.checks:
            if check.end is None:
                check.failed = 1
                check.failures = ["it did not come to its end"]
            note(f"{check.name}: {check.passed} passed, {check.failed} failed, "
                 f"{check.skipped} skipped")
        for check in self.checks:
            for failure in check.failures:
                say(f"failed: {check.name}: {failure}")
        passed, failed, skipped = (sum(getattr(check, what) for check in self.checks)
                                   for what in ("passed", "failed", "skipped"))
        try:
            print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""),
                  flush=True)
        except OSError as error:
            note(f"the result could not be written: {error}")
            return 1
        return int(failed > 0)


def wrap(text, width):
    """The words of a text, in lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def print_help_row(name, text, indent=2, column=28):
    """A name, and a text beside it."""
    left = " " * indent + name
    if len(left) > column:
        for left in wrap(left, 96):
            print(" " * indent + left)
        left = ""
    for line in wrap(text, 96 - column):
        print(f"{left:{column}} {line}")
        left = ""


def print_make_help(table):
    """The checks, as "make help" shows them."""
    print('Checks: "make check" runs these, CHECKS="lint kunit" some of them, and each is also\n'
          'a target ("make lint"; "make selftest" for all whose names begin so):')
    for name, check in table.checks.items():
        if table.in_default_run(name):
            print_help_row(name, check["about"])
    print()
    print("Longer checks, which are targets with parameters (make fuzz DURATION=60).  Of those\n"
          "that are listed above as well, \"make check\" runs a short form:")
    for name, check in table.checks.items():
        if "long" in check:
            print_help_row(name, check["about"])
            for parameter, what in check.get("parameters", {}).items():
                print_help_row(f"{parameter}={what['default']}", what["about"], indent=4)


def sentence(text):
    """With a capital and a full stop."""
    return text[0].upper() + text[1:] + "."


def indented(lines, depth):
    """Lines of a page, as one text."""
    return "".join(f"{' ' * depth}{line}\n" for line in lines)


def commands(text):
    """A command of the table as lines of a page."""
    return indented(text.strip().expandtabs(8).splitlines(), 8)


RST_HEAD = """\
.. SPDX-License-Identifier: GPL-2.0
.. Written by tools/testing/checks/run.py --rst; change checks.toml instead.

==============
List of checks
==============

``make check`` runs the checks that have a time on this page.  The time is that
of a run on two CPUs for which all hosts were built before.  ``make NAME`` runs
one check.  If the check has a long form, ``make NAME`` runs that, with the
parameters that are given as ``make NAME PARAMETER=VALUE``.  :doc:`testing`
describes the hosts and the long forms.

Checks
======
"""
RST_HOSTS = """\
Hosts and other parts
=====================

Each is built once, in this order, if a check needs it.
"""


def rst_item(term, text, indent=0):
    """An item of a definition list."""
    return f"{' ' * indent}``{term}``\n" + indented(wrap(text, 80 - indent - 4), indent + 4)


def print_rst(table):
    """Print the table as a page of the documentation."""
    print(RST_HEAD)
    for name, check in table.checks.items():
        about = [sentence(check["about"]), check.get("notes", "").replace('"', "``")]
        print(rst_item(name, " ".join(about)))
        facts = []
        if table.in_default_run(name):
            facts.append(f"Takes {check.get('minutes', 1)} min.")
        if "needs" in check:
            facts.append(f"Needs ``{'``, ``'.join(check['needs'])}``.")
        if facts:
            print(indented(wrap(" ".join(facts), 76), 4))
        if "command" in check:
            print("    ::\n\n" + commands(check["command"]))
        if "long" in check:
            print(f"    ``make {name}``::\n\n" + commands(check["long"]))
        for parameter, what in check.get("parameters", {}).items():
            text = sentence(what["about"]).replace(" --list", " ``--list``")
            if what["default"] != "":
                text += f" Default: ``{what['default']}``."
            print(rst_item(parameter, text, 4))
    print(RST_HOSTS)
    print("\n".join(rst_item(name, sentence(host["about"]))
                    for name, host in table.hosts.items()), end="")


def arguments(argv):
    """Options, names of checks and NAME=VALUE."""
    options, names, given = {}, [], {}
    words = iter(argv)
    for word in words:
        if word in ("--table", "--results", "--every"):
            options[word] = next(words, "")
        elif word in ("--long", "--list", "--make-help", "--rst", "--help"):
            options[word] = True
        elif word.startswith("-"):
            raise Wrong(f"unknown option {word}")
        elif "=" in word:
            name, value = word.split("=", 1)
            given[name] = value
        else:
            names.append(word)
    for old, new in OLD_NAMES.items():
        if old in given or old in os.environ:
            raise Wrong(f"{old}= is now {new}= (bash has a variable {old})")
    return options, names, given


def run(table, options, names, given):
    """Run the checks; return the exit status."""
    results = os.path.abspath(options.get("--results", f"{TOP}/build/check"))
    chosen = table.expand(names)
    environments = table.environments(chosen, given)
    checks = [Check(table, name, results, "--long" in options, environments[name])
              for name in chosen]
    with only_run(results):
        # A second target of one make command must not remove the results of the first.
        old = [f"{check.path}.{kind}" for check in checks for kind in ("tap", "log", "report")]
        subprocess.run(["rm", "-rf", *(old if names else [results])], check=True)
        os.makedirs(results, exist_ok=True)
        return run_checks(Runner(table, checks, results, float(options.get("--every", EVERY))))


@contextlib.contextmanager
def only_run(results):
    """Fail if another run uses this directory."""
    os.makedirs(os.path.dirname(results), exist_ok=True)
    with open(results + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Wrong(f"another run uses {results}") from None
        yield


def run_checks(runner):
    """Run all checks; return the exit status."""

    def interrupted(number, _):
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        runner.install_packages()
        runner.run()
    except SystemExit:
        note("interrupted: ending the checks and builds that run")
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        Process.stop_all()
        # They write to stderr, which is not there any more when this program ends.
        for thread in runner.threads:
            thread.join(GRACE)
    runner.print_times()
    return runner.summary()


def main():
    """Do what the arguments ask for; return the exit status."""
    options, names, given = arguments(sys.argv[1:])
    table = Table(options.get("--table", f"{HERE}/checks.toml"))
    if "--help" in options:
        print(__doc__.rstrip())
    elif "--list" in options:
        for name, check in table.checks.items():
            print(f"{name:24} {check['about']}")
    elif "--make-help" in options:
        print_make_help(table)
    elif "--rst" in options:
        print_rst(table)
    else:
        return run(table, options, names, given)
    return 0


def drop_output():
    """Let Python end with the status of the run if nobody reads its output any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


try:
    sys.exit(main())
except Wrong as wrong:
    note(f"error: {wrong}")
    sys.exit(2)
finally:
    drop_output()
