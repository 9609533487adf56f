#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: docs.py

Checks that the documentation names only files, make targets, checks and suites that
exist, and that all lists of suites have the same suites.  Prints what is wrong; exit 1 if
something is.

A file may be named by the end of its path.  "*", and a word in capitals such as SUITE,
stand for any text.
"""
import fnmatch
import os
import re
import subprocess
import sys
import tomllib

TOP = os.path.realpath(os.path.dirname(__file__) + "/../../..")
PAGES = "Documentation/virt/vhost-blk"
SELFTESTS = "tools/testing/selftests/vhost"

# Files of the kernel and of QEMU
FOREIGN = {
    "drivers/vhost/vhost.h", "kselftest_harness.h", "linux/vhost.h", "vhost.h",
    "virtio_blk.h", "tests/qtest/virtio-blk-test.c", "vhost-blk.config",
}
FOREIGN_TARGETS = {"htmldocs", "vhost-blk.config"}

PATH = re.compile(
    r"(?<![\w/.$~{-])("
    r"(?:[\w*.-]+/)*[\w*.-]+\.(?:awk|c|conf|config|csv|h|host|md|py|rst|rules|sh|svg|toml)"
    r"|(?:compat|Documentation|drivers|include|LICENSES|packaging|qemu|tools)/[\w./*-]*[\w*]"
    r")(?![\w/])")
TARGET = re.compile(r"(?:`|^ +)make ([a-z][\w.-]*)")
SUITE = re.compile(r"[Ss]uite ``(\w+)``")


def read(path):
    with open(f"{TOP}/{path}", encoding="utf-8") as file:
        return file.read()


def project_files():
    """The files of the checkout, without those that a build made."""
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP,
                          stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return {name for name in done.stdout.splitlines() if os.path.exists(f"{TOP}/{name}")}


class Project:
    """The names of everything that a page may name."""

    def __init__(self):
        self.files = project_files()
        self.names = set(self.files)
        for name in self.files:
            while "/" in name:
                name = os.path.dirname(name)
                self.names.add(name)
        self.targets = FOREIGN_TARGETS | set(
            word for line in re.findall(r"^([a-z][\w -]*):", read("Makefile"), re.MULTILINE)
            for word in line.split())
        self.checks = set(tomllib.loads(read("tools/testing/checks/checks.toml"))["check"])
        self.targets |= self.checks | {name.split("-")[0] for name in self.checks}
        sources = map(re.compile(SELFTESTS + r"/vhost_blk_(\w+)\.c").fullmatch, self.files)
        self.suites = {match[1] for match in sources if match}

    def has_file(self, name):
        """Does a file or directory end with this name?  A program is named without .c."""
        if name in FOREIGN | self.names:
            return True
        name = re.sub(r"[A-Z]{2,}", "*", re.sub(r"^(\.\./)+", "", name))
        return any(fnmatch.fnmatch(f"/{known}", f"*/{end}") for known in self.names
                   for end in (name, name + ".c"))


def wrong_names(project, page):
    """What a page names that does not exist."""
    for number, line in enumerate(read(page).splitlines(), 1):
        for name in PATH.findall(line):
            if not project.has_file(name.rstrip(".")):
                yield f"{page}:{number}: there is no file {name}"
        for target in TARGET.findall(line):
            if target not in project.targets:
                yield f"{page}:{number}: there is no make target {target}"
        for suite in SUITE.findall(line):
            if suite not in project.suites:
                yield f"{page}:{number}: there is no suite {suite}"


def wrong_tests(project):
    """Names in the column of tests in features.rst that are not suites or checks."""
    page = f"{PAGES}/features.rst"
    for table in re.findall(r"^\.\. list-table::\n(?s:.*?)(?=^\S)", read(page), re.MULTILINE):
        for row in table.split("\n   * - ")[2:]:
            # Text in parentheses, and sentences after the list of tests, are comments.
            cell = re.sub(r"\([^)]*\)", "", row.split("\n     - ")[-1]).split(".  ")[0]
            for name in re.split(r"[,;\s]+", cell.strip()):
                if name and name not in project.suites | project.checks | {"–"}:
                    yield f"{page}: {row.splitlines()[0]}: there is no suite or check {name}"


def wrong_suites(project):
    """Differences between the lists of suites."""
    in_run = set(re.search(r"^all='([^']*)'", read(f"{SELFTESTS}/run.sh"),
                           re.MULTILINE)[1].split())
    page = read(f"{PAGES}/testing.rst")
    table = re.search(r"^suite +subject\n=.*\n((?s:.*?))^=", page, re.MULTILINE)[1]
    in_table = set(re.findall(r"^``(\w+)``", table, re.MULTILINE))
    by_name = set(re.findall(r"``(\w+)``",
                             re.search(r"^By name only:((?s:.*?))\n\n", page, re.MULTILINE)[1]))
    expected = project.suites - by_name
    for what, suites in (("run.sh of the selftests", in_run),
                         ("the table in testing.rst", in_table)):
        for suite in sorted(suites ^ expected):
            yield f"{what} {'lacks' if suite in expected else 'has'} the suite {suite}"


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    project = Project()
    wrong = [text for page in sorted(project.files) if page.endswith((".md", ".rst"))
             for text in wrong_names(project, page)]
    wrong += [*wrong_tests(project), *wrong_suites(project)]
    for text in wrong:
        print(text)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
