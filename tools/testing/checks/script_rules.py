#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: script_rules.py SCRIPT…

Prints the lines of shell scripts that break one of two rules, and fails if there are any.

1. No reader of a pipe ends before the writer.  SIGPIPE may then kill the writer, and
   "set -o pipefail" ends the script.  Not allowed after a pipe are head, grep -q, -l, -L and
   -m, read, cmp, diff -q, dd with count=, a script of sed with q, a script of awk with exit
   outside of END, and a loop with break, return or exit.

2. The status of a command substitution is not lost, as in cd "$(command)" and
   command NAME="$(other)": assign it to a variable first.
"""
import re
import sys

# The words before the name of a command
PREFIX = re.compile(r"""(?: [\s({!]+ | \\\n | [A-Za-z_]\w*=(?:"[^"]*"|'[^']*'|\S)*\s+ |
                        (?:if|while|until|then|do|else|elif|command|exec|env|busybox|sudo)\s+ )*""",
                    re.X)
PIPE = re.compile(r"(?<![|>\\])\|&?(?!\|)")
SED_Q = re.compile(r"""(?:^|[\s'";{}0-9$/!])[qQ]\s*\d*\s*(?:[;}'"]|$)""")
# Commands that do not fail
HARMLESS = re.compile(r'\$\((?:dirname|basename|mktemp|pwd|nproc|date)\b')


def blank_comments(text):
    """Replace comments and here-documents by blanks; keep the lines."""
    out, quote, end, start = [], "", None, 0
    for line in text.split("\n"):
        if end is not None:
            out.append("")
            if line.strip() == end:
                end = None
            continue
        kept, at = "", 0
        while at < len(line):
            char = line[at]
            if quote == "'":
                quote = "" if char == "'" else quote
            elif char == "\\":
                kept += line[at:at + 2]
                at += 2
                continue
            elif quote == '"':
                quote = "" if char == '"' else quote
            elif char in "'\"":
                quote = char
            elif char == "#" and (at == 0 or line[at - 1] in " \t;("):
                break
            kept += char
            at += 1
        start = re.search(r"(?<!<)<<-?\s*[\"'\\]?([A-Za-z_]\w*)", kept)
        if start and not quote:
            end = start[1]
        out.append(kept)
    return "\n".join(out)


def command_at(text, at):
    """The simple command that begins here, to its end outside of quotes and of $(…)."""
    quote, depth, begin = "", 0, at
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            at += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif text.startswith("$(", at):
            depth += 1
            at += 1
        elif char == ")" and depth:
            depth -= 1
        elif char in "|;&\n)}" and not depth and not (char == "&" and text[at - 1] == ">"):
            if char != "\n" or text[begin:at].strip():
                break
        at += 1
    return text[begin:at]


def loop_at(text, at):
    """The loop that begins here, up to its "done"."""
    depth = 0
    for word in re.compile(r"(?<![\w$'-])(do|done)(?![\w'-])").finditer(text, at):
        depth += 1 if word[1] == "do" else -1
        if depth == 0:
            return text[at:word.end()]
    return text[at:]


def without_end(program):
    """A program of awk without what it does at the end."""
    begin = re.search(r"\bEND\s*(?=\{)", program)
    if not begin:
        return program
    depth = 0
    for brace in re.compile(r"[{}]").finditer(program, begin.end()):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return program[:begin.start()] + program[brace.end():]
    return program[:begin.start()]


def ends_early(command):
    """Does this reader of a pipe end before its writer?"""
    name, _, rest = command.partition(" ")
    name = name.strip().rsplit("/", 1)[-1]
    options = re.findall(r"(?<=\s)(--?[A-Za-z][\w-]*)", command)
    short = "".join(option[1:] for option in options if not option.startswith("--"))
    if name in ("head", "read", "cmp"):
        return True
    if re.fullmatch(r"[efz]?grep", name):
        return bool(set(short) & set("qlLm") or
                    {"--quiet", "--silent", "--max-count", "--files-with-matches"} & set(options))
    if name == "diff":
        return "q" in short or "--brief" in options
    if name == "dd":
        return " count=" in command
    if name == "sed":
        return bool(SED_Q.search(rest))
    if re.fullmatch(r"[gm]?awk", name):
        return bool(re.search(r"\bexit\b", without_end(rest)))
    return False


def early_readers(text):
    """Where a reader of a pipe ends early."""
    for pipe in PIPE.finditer(text):
        prefix = PREFIX.match(text, pipe.end())
        at = prefix.end()
        if re.search(r"\b(while|until)\s", prefix[0]):
            body = loop_at(text, pipe.end())
            # The read of "while read" ends at the end of the input.
            condition = re.sub(r"^.*?\bdo\b", "", body, count=1, flags=re.S)
            if re.search(r"(?<![\w$'-])(break|return|exit)\b", condition):
                yield pipe.start()
        elif ends_early(command_at(text, at)):
            yield pipe.start()


def lost_statuses(text):
    """Where the status of a command substitution is lost."""
    for found in re.finditer(r'(?<![\w-])(?:cd|pushd)\s+(?:--\s+)?"?(?=\$\()', text):
        if not HARMLESS.match(text, found.end()):
            yield found.start()
    for found in re.finditer(r'(?<![\w$"\'-])[A-Za-z_]\w*\+?="?(?=\$\((?!\())', text):
        end = substitution_end(text, found.end())
        after = re.sub(r"^[^\s;&|(){}]*", "", text[end:text.find("\n", end)])
        before = text[text.rfind("\n", 0, found.start()) + 1:found.start()]
        if text[:found.start() - len(before)].endswith("\\\n"):
            before = "continued " + before
        words = other_words(before, -1) + other_words(after, 0)
        if words and words[0] not in ("echo", "printf") and \
                not HARMLESS.match(text, found.end()):
            yield found.start()


def substitution_end(text, at):
    """Behind the end of the $(…) that begins here."""
    depth = 0
    for paren in re.compile(r"[()]").finditer(text, at):
        depth += 1 if paren[0] == "(" else -1
        if depth == 0:
            return paren.end()
    return len(text)


def other_words(text, number):
    """The words of one command of a line that are no assignments."""
    while re.search(r"\$\([^()]*\)", text):
        text = re.sub(r"\$\([^()]*\)", "", text)
    text = re.split(r"[;&|(){}]|\b(?:then|do|else|if|elif|while|until)\b|!", text)[number]
    return re.sub(r"[A-Za-z_]\w*\+?=\S*", "", text).split()


def main(paths):
    """Print what breaks a rule; return the exit status."""
    bad = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        # Without this option a pipe has the status of its reader.
        if text.startswith("#!/bin/sh") and "pipefail" not in text:
            continue
        text = blank_comments(text)
        lines = text.split("\n")
        for what, places in (("a reader that ends early", early_readers(text)),
                             ("a status that is lost", lost_statuses(text))):
            for at in places:
                number = text.count("\n", 0, at) + 1
                print(f"{path}:{number}: {what}: {lines[number - 1].strip()}")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
