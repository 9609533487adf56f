# SPDX-License-Identifier: GPL-2.0
"""Prints the coverage of the driver from the counts of gcov; coverage.sh calls it.

Each directory has the .gcno files of the compiler and the .gcda files of one boot.  The
counts of several boots are added.
"""
import argparse
import collections
import glob
import json
import os
import re
import subprocess
import sys

Line = collections.namedtuple("Line", "file number")


def gcov(directory):
    """The output of gcov for each source file: (path, lines)."""
    counts = sorted(glob.glob(os.path.join(directory, "*.gcda")))
    if not counts:
        sys.exit(f"coverage.py: error: no counts in {directory}")
    for path in counts:
        out = subprocess.run(["gcov", "--json-format", "--stdout", "-o", directory, path],
                             check=True, capture_output=True, text=True)
        if "stamp mismatch" in out.stderr:
            sys.exit(f"coverage.py: error: {out.stderr.strip()}")
        for line in out.stdout.splitlines():
            for source in json.loads(line)["files"]:
                yield source["file"], source["lines"]


def add_up(directories, sources):
    """The number of runs of each line, and the function that contains it."""
    counts, functions = collections.Counter(), {}
    for directory in directories:
        for path, lines in gcov(directory):
            name = os.path.basename(path)
            if "vhost/blk/" not in path or not os.path.exists(os.path.join(sources, name)):
                continue
            for entry in lines:
                line = Line(name, entry["line_number"])
                counts[line] += entry["count"]
                # gcov names no function for a line that was inlined everywhere.
                functions[line] = entry.get("function_name") or "-"
    return counts, functions


def read_reasons(path):
    """The entries "FILE FUNCTION: TEXT" of a file, with their reasons."""
    reasons, key = {}, None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            if line[0] == "\t":
                if key is None:
                    sys.exit(f"coverage.py: error: {path}:{number}: a reason without an entry")
                reasons[key] = f"{reasons[key]} {line.strip()}".strip()
                continue
            match = re.fullmatch(r"(\S+) (\S+): (.+)", line.rstrip())
            if not match:
                sys.exit(f"coverage.py: error: {path}:{number}: the line is not FILE FUNCTION: TEXT")
            key = match.groups()
            reasons[key] = ""
    empty = [" ".join(key) for key, reason in reasons.items() if not reason]
    if empty:
        sys.exit(f"coverage.py: error: {path}: entries without a reason: {empty}")
    return reasons


def print_table(counts):
    """Print lines, lines run and percentages of each file; return the total percentage."""
    files = collections.defaultdict(list)
    for line, count in counts.items():
        files[line.file].append(count > 0)
    print(f"{'file':<18} {'lines':>6} {'run':>6} {'%':>7}")
    for name in sorted(files):
        ran = files[name]
        print(f"{name:<18} {len(ran):>6} {sum(ran):>6} {100 * sum(ran) / len(ran):>7.1f}")
    total = [ran for name in files for ran in files[name]]
    percent = 100 * sum(total) / len(total)
    print(f"{'all':<18} {len(total):>6} {sum(total):>6} {percent:>7.1f}")
    return percent


def judge(counts, functions, sources, reasons):
    """Print the lines that are not run; return the number without a reason, and stale reasons."""
    texts, unexplained, known = {}, 0, set()
    for name in {line.file for line in counts}:
        with open(os.path.join(sources, name), encoding="utf-8") as file:
            texts[name] = [line.strip() for line in file]
    print("\nnot run:")
    for line in sorted(counts):
        text = texts[line.file][line.number - 1]
        keys = [(line.file, functions[line], wanted) for wanted in (text, "*")]
        known.update(keys)
        if counts[line]:
            continue
        reason = next((reasons[key] for key in keys if key in reasons), None)
        unexplained += reason is None
        print(f"  {line.file}:{line.number} {functions[line]}: {text}")
        print(f"      {reason or 'NO REASON'}")
    stale = [" ".join(key) for key in reasons if key not in known]
    return unexplained, stale


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sources", required=True)
    parser.add_argument("--reasons", required=True)
    parser.add_argument("--want", type=float, required=True)
    parser.add_argument("directories", nargs="+")
    args = parser.parse_args()

    reasons = read_reasons(args.reasons)
    counts, functions = add_up(args.directories, args.sources)
    if not counts:
        sys.exit("coverage.py: error: the driver has no counts")
    percent = print_table(counts)
    unexplained, stale = judge(counts, functions, args.sources, reasons)
    faults = []
    if percent < args.want:
        faults.append(f"only {percent:.1f} % of the lines are run instead of {args.want:g} %")
    if unexplained:
        faults.append(f"{unexplained} lines that are not run have no reason")
    if stale:
        faults.append(f"reasons for lines that do not exist: {stale}")
    for fault in faults:
        print(f"coverage.py: error: {fault}", file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
