#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: profile.py DIRECTORY REQUESTS LINES

Print the instructions per request of each function, from the files that profile.sh
wrote to the directory.  The last two marks are the beginning and the end of the
measurement.
"""
import bisect
import collections
import sys


def read_symbols(path, program=""):
    """The symbols of a file with their addresses, sorted."""
    symbols = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            module = words[3] if len(words) > 3 else program
            symbols.append((int(words[0], 16), words[2], module))
    return sorted(symbols)


def read_blocks(path):
    """The blocks that ran between the last two marks."""
    marks = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for line in file:
            mark, addr, insns, runs = line.split()
            marks[int(mark)].append((int(addr, 16), int(insns), int(runs)))
    # Warm-up and period: two marks each
    if max(marks) != 4:
        sys.exit(f"profile.py: there are {max(marks)} marks instead of 4")
    return marks[4]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    directory, requests, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    symbols = (read_symbols(f"{directory}/kallsyms", "[kernel]") +
               read_symbols(f"{directory}/symbols", "[blkload]"))
    symbols.sort()
    addresses = [symbol[0] for symbol in symbols]
    functions = collections.Counter()
    calls = collections.Counter()
    modules = collections.Counter()
    for addr, insns, runs in read_blocks(f"{directory}/blocks"):
        where = symbols[bisect.bisect_right(addresses, addr) - 1]
        functions[where] += insns * runs
        calls[where] += runs if addr == where[0] else 0
        modules[where[2]] += insns * runs
    total = sum(functions.values())
    print(f"{total / requests:9.1f} instructions per request")
    for module, insns in modules.most_common(12):
        print(f"{insns / requests:9.1f} {100 * insns / total:5.1f}%  {module}")
    print("\n    insns   share  calls  function")
    for where, insns in functions.most_common(lines):
        print(f"{insns / requests:9.1f} {100 * insns / total:6.1f}% {calls[where] / requests:6.2f}  "
              f"{where[1]} {where[2] if where[2] != '[kernel]' else ''}".rstrip())


if __name__ == "__main__":
    main()
