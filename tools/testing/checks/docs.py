#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: docs.py

Checks that

  - the documentation and the comments of sources and scripts name only files, make
    targets, checks and suites that exist
  - both lists of suites have the same suites
  - each page can be parsed, has lines of at most 80 columns (checks.rst, which run.py
    writes, and tables of Markdown may have longer ones), and refers to pages that exist
  - the QEMU device has the messages that its page quotes

Prints what is wrong; exit 1 if something is.  Needs docutils (on Debian,
tools/lib/packages.sh lint).

A file may be named by the end of its path.  "*", and a word in capitals such as SUITE,
stand for any text.
"""
import fnmatch
import os
import re
import subprocess
import sys
import tomllib

import docutils.core
import docutils.nodes
import docutils.utils

TOP = os.path.realpath(os.path.dirname(__file__) + "/../../..")
PAGES = "Documentation/virt/vhost-blk"
SELFTESTS = "tools/testing/selftests/vhost"

# Files of the kernel and of QEMU, and those that tools/overlay.sh makes
FOREIGN = {
    "Documentation/admin-guide/device-mapper/log-writes.rst", "Documentation/virt/index.rst",
    "block/file-posix.c", "docs/interop/vhost-user.rst", "drivers/vhost/blk/compat",
    "drivers/vhost/blk/testing", "drivers/vhost/vhost.h", "ioctl-number.rst",
    "kernel/configs/vhost-blk.config", "kselftest_harness.h", "lib/maple_tree.c",
    "linux/vhost.h", "merge_config.sh", "softmmu/qtest.c", "system/qtest.c",
    "tests/qtest/virtio-blk-test.c", "trace/define_trace.h", "vhost-blk.config", "vhost.h",
    "virtio-blk-test.c", "virtio_blk.h",
}
FOREIGN_TARGETS = {"htmldocs", "vhost-blk.config"}

PATH = re.compile(
    r"(?<![\w/.$~{-])("
    r"(?:[\w*.-]+/)*[\w*.-]+\.(?:awk|c|conf|config|csv|h|host|md|py|rst|rules|sh|svg|toml)"
    r"|(?:compat|Documentation|drivers|include|LICENSES|packaging|qemu|tools)/[\w./*-]*[\w*]"
    r")(?![\w/])")
TARGET = re.compile(r"(?:[`'\"]|^ +)make ([a-z][\w.-]*)")
SUITE = re.compile(r"[Ss]uite ``(\w+)``")
SUITE_IN_COMMENT = re.compile(r"\b[Tt]he suite (?!(?:if|in|of|on|that|to)\b)([a-z]\w*)")
PAGE = re.compile(r":doc:`([\w-]+)`")

# Names of files, and their comments
COMMENTS = (
    (re.compile(r".*\.[chs]"), re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)),
    (re.compile(r".*\.(awk|conf|config|host|py|rules|sh|toml)"
                r"|(.*/)?(Makefile|Kconfig|factors|uncovered)"),
     re.compile(r'^[ \t]*#.*$|"""(?s:.*?)"""', re.MULTILINE)),
)

WARNING = 2	# a level of docutils
# Messages of docutils about roles and directives of Sphinx and of the kernel
UNKNOWN = re.compile(r'Unknown (interpreted text role "doc"|directive type '
                     r'"(kernel-doc|kernel-figure|literalinclude|toctree)")')


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
        if name in self.names:
            return True
        name = re.sub(r"[A-Z]{2,}", "*", re.sub(r"^(\.\./)+", "", name))
        return any(fnmatch.fnmatch(f"/{known}", f"*/{end}") for known in self.names | FOREIGN
                   for end in (name, name + ".c"))


def wrong_names(project, path, text, first=1, suites=SUITE):
    """Names in a text that do not exist.  Its first line has the number FIRST."""
    for number, line in enumerate(text.splitlines(), first):
        for name in PATH.findall(line):
            if not project.has_file(name.rstrip(".")):
                yield f"{path}:{number}: there is no file {name}"
        for target in TARGET.findall(line):
            if target not in project.targets:
                yield f"{path}:{number}: there is no make target {target}"
        for suite in suites.findall(line):
            if suite not in project.suites:
                yield f"{path}:{number}: there is no suite {suite}"
        for page in PAGE.findall(line):
            if f"{PAGES}/{page}.rst" not in project.files:
                yield f"{path}:{number}: there is no page {page}"


def wrong_comments(project, path):
    """Names in the comments of a source or a script that do not exist."""
    for name, comments in COMMENTS:
        if name.fullmatch(path):
            text = read(path)
            for comment in comments.finditer(text):
                first = text.count("\n", 0, comment.start()) + 1
                yield from wrong_names(project, path, comment[0], first, SUITE_IN_COMMENT)


def wrong_markup(page):
    """Errors that docutils finds in a page."""
    try:
        document = docutils.core.publish_doctree(
            read(page), source_path=f"{TOP}/{page}",
            settings_overrides={"report_level": WARNING, "halt_level": 5,
                                "warning_stream": False})
    except docutils.utils.SystemMessage as error:
        yield f"{page}: {error}"
        return
    for message in document.findall(docutils.nodes.system_message):
        text = message.children[0].astext()
        if message["level"] >= WARNING and not UNKNOWN.match(text):
            yield f"{page}:{message.get('line', '')}: {text}"


def wrong_lines(page):
    for number, line in enumerate(read(page).splitlines(), 1):
        if len(line) > 80 and not line.startswith("|"):
            yield f"{page}:{number}: the line has {len(line)} columns"


def wrong_messages(project):
    """Messages that the page of the QEMU device quotes, but that its source does not have.
    "…" stands for any text."""
    source = "".join(read(path) for path in sorted(project.files)
                     if re.fullmatch(r"qemu/(hw|include)/.*\.[ch]", path))
    for name, value in re.findall(r'#define (\w+)\s+(".*")', source):
        source = re.sub(rf"\b{name}\b", lambda _, value=value: value, source)
    source = re.sub(r'"\s*"', "", source)
    page = f"{PAGES}/qemu.rst"
    section = re.search(r"^Troubleshooting\n=+\n((?s:.*?))(?=^.*\n===|\Z)", read(page),
                        re.MULTILINE)
    for quoted in re.findall(r'"([^"]*)"', " ".join(section[1].split())):
        if not all(part.strip() in source for part in quoted.split("…")):
            yield f"{page}: the QEMU device has no message \"{quoted}\""


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
    wrong = []
    for path in sorted(project.files):
        if path.endswith((".md", ".rst")):
            wrong += wrong_names(project, path, read(path))
            if path != f"{PAGES}/checks.rst":
                wrong += wrong_lines(path)
        if path.endswith(".rst"):
            wrong += wrong_markup(path)
        wrong += wrong_comments(project, path)
    wrong += [*wrong_tests(project), *wrong_suites(project), *wrong_messages(project)]
    for text in wrong:
        print(text)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
