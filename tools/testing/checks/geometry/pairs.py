#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: pairs.py [--check] [--impossible] TABLE...

Reads the tables of the file `factors` and prints backends, one "TABLE FACTOR=VALUE..."
per line.  They contain all pairs of values of different factors that the rules allow.
The output is always the same.

  --check       check that, and print TAP; exit 1 if a pair is missing
  --impossible  print the pairs that no backend can have
"""
import collections
import itertools
import os
import sys


def read_tables(path):
    """{table: (factors, rules)}; a rule is (conditions, reason)."""
    tables = {}
    with open(path, encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                factors, rules = tables.setdefault(line.strip("[]"), ({}, []))
            elif line.startswith("not "):
                words, _, reason = line[4:].partition(" : ")
                if not reason:
                    sys.exit(f"{path}:{number}: a rule without a reason")
                rules.append((tuple(condition(factors, w, number) for w in words.split()),
                              reason.strip()))
            else:
                name, *values = line.split()
                factors[name] = values
    return tables


def condition(factors, word, number):
    """A condition as (factor, values that meet it)."""
    name, _, values = word.partition("=")
    wanted = values.split(",")
    negative = name.endswith("!")
    name = name.rstrip("!")
    if name not in factors or not set(wanted) <= set(factors[name]):
        sys.exit(f"factors:{number}: {word}: no such factor or value")
    return name, {v for v in factors[name] if (v in wanted) != negative}


def allowed(backend, rules):
    return not any(all(backend[name] in values for name, values in conditions)
                   for conditions, _ in rules)


def all_backends(factors, rules):
    for values in itertools.product(*factors.values()):
        backend = dict(zip(factors, values))
        if allowed(backend, rules):
            yield backend


def pairs_of(backend):
    return frozenset(itertools.combinations(backend.items(), 2))


def choose(factors, rules):
    """
    Greedy: choose the backend with most of the missing pairs.  If there are several,
    choose the one with the rarest values, so that no value occurs only once.
    """
    candidates = [(b, pairs_of(b)) for b in all_backends(factors, rules)]
    missing = set().union(*(p for _, p in candidates))
    used = collections.Counter()
    chosen = []
    while missing:
        backend, pairs = max(candidates, key=lambda c: (
            len(c[1] & missing), -sum(used[item] for item in c[0].items())))
        chosen.append(backend)
        missing -= pairs
        used.update(backend.items())
    return chosen


def impossible(factors, rules):
    has = set().union(*(pairs_of(b) for b in all_backends(factors, rules)))
    for one, other in itertools.combinations(factors, 2):
        for pair in itertools.product(factors[one], factors[other]):
            if ((one, pair[0]), (other, pair[1])) not in has:
                yield f"{one}={pair[0]} {other}={pair[1]}"


def uncovered(chosen, factors, rules):
    """The missing pairs, found in another way than choose() does: pair by pair."""
    every = list(all_backends(factors, rules))
    for one, other in itertools.combinations(factors, 2):
        for a, b in itertools.product(factors[one], factors[other]):
            if any(c[one] == a and c[other] == b for c in chosen):
                continue
            if any(c[one] == a and c[other] == b for c in every):
                yield f"{one}={a} {other}={b}"


def check(name, factors, rules, number):
    chosen = choose(factors, rules)
    problems = [f"not covered: {p}" for p in uncovered(chosen, factors, rules)]
    problems += [f"against a rule: {b}" for b in chosen if not allowed(b, rules)]
    # A value that no backend has is an error in the rules.
    for factor, values in factors.items():
        problems += [f"no backend has {factor}={v}" for v in values
                     if not any(b[factor] == v for b in chosen)]
    if chosen != choose(factors, rules):
        problems.append("not the same twice")
    for text in problems:
        print("#", text)
    print(f"{'not ' if problems else ''}ok {number} pairs of {name}: {len(chosen)} backends")
    return not problems


def main(args):
    tables = read_tables(os.path.join(os.path.dirname(os.path.abspath(__file__)), "factors"))
    options = {a for a in args if a.startswith("--")}
    names = [a for a in args if not a.startswith("--")] or list(tables)
    if not options <= {"--check", "--impossible"} or not set(names) <= set(tables):
        sys.exit(__doc__)
    if "--check" in options:
        results = [check(name, *tables[name], i) for i, name in enumerate(names, 1)]
        print(f"1..{len(names)}")
        return 0 if all(results) else 1
    for name in names:
        if "--impossible" in options:
            for pair in impossible(*tables[name]):
                print(name, pair)
            continue
        for backend in choose(*tables[name]):
            print(name, " ".join(f"{k}={v}" for k, v in backend.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
