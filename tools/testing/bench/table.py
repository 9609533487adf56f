#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: table.py [--csv] count|time FILE

Tables of what count.sh and time.sh have printed, or all of it as CSV.
"""
import csv
import json
import statistics
import sys


def read_lines(path):
    """The lines of JSON in a file that may have others."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def in_order(rows, key):
    """The values of a key, in the order of their first appearance."""
    return list(dict.fromkeys(row[key] for row in rows))


def slopes(rows, key):
    """By label, op and depth: what one more request costs, from the two periods."""
    periods = {}
    for row in rows:
        periods.setdefault((row["label"], row["op"], row["depth"]), []).append(row)
    result = {}
    for load, (first, second) in periods.items():
        def total(row):
            return row[key] if key == "clock" else row.get(key, 0) * row["requests"]
        result[load] = (total(second) - total(first)) / (second["requests"] - first["requests"])
    return result


def print_table(title, head, lines):
    print(f"\n{title}\n")
    widths = [max(len(line[i]) for line in [head] + lines) for i in range(len(head))]
    for line in [head] + lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        print("  ".join([line[0].ljust(widths[0])] + cells[1:]))


def count(rows):
    clock = slopes(rows, "clock")
    depths = in_order(rows, "depth")
    for op in in_order(rows, "op"):
        labels = [label for label in in_order(rows, "label") if (label, op, depths[0]) in clock]
        lines = []
        for label in labels:
            line = [label]
            for depth in depths:
                limit = clock.get(("uring-file" if label.endswith("-file") else "uring", op, depth))
                cost = clock[(label, op, depth)]
                line += [f"{cost:.0f}", f"{cost / limit:.2f}" if limit else "-"]
            lines.append(line)
        head = ["instructions"] + [cell for depth in depths for cell in (f"QD{depth}", "/uring")]
        print_table(f"Instructions of the whole host by 4k {op}, and the ratio to io_uring in the "
                    "host", head, lines)
    print_table("Of those, by thread (guest: the load generator, which is the driver)",
                ["", "QD", "guest", "worker", "VMM", "all"],
                [[label, str(depth)] +
                 [f"{slopes(rows, key)[(label, op, depth)]:.0f}"
                  for key in ("guest_cpu_ns", "worker_cpu_ns", "vmm_cpu_ns")] +
                 [f"{clock[(label, op, depth)]:.0f}"]
                 for label, op, depth in clock if op == "read" and label != "fio"])


def spread(values):
    """Half the distance between the quartiles, in per cent of the median."""
    if len(values) < 3:
        return 0
    quartiles = statistics.quantiles(values, n=4)
    return 50 * (quartiles[2] - quartiles[0]) / (statistics.median(values) or 1)


def time(rows):
    lines = []
    groups = {}
    for row in rows:
        groups.setdefault((row["op"], row["order"], row["block"], row["queues"], row["devices"], row["depth"],
                           row["label"]), []).append(row)
    for (op, _, block, queues, devices, depth, label), group in groups.items():
        def median(key, rows=group):
            return statistics.median(row[key] for row in rows)
        lines.append([label, f"{op} {block // 1024}k", f"{devices}x{queues}", str(depth),
                      f"{median('iops'):.0f}", f"{spread([row['iops'] for row in group]):.0f}%",
                      f"{median('p50_us'):.1f}", f"{median('p99_us'):.0f}",
                      f"{median('p999_us'):.0f}",
                      f"{median('host_cpu_ns') / 1000:.2f}", f"{median('all_cpu_ns') / 1000:.2f}",
                      f"{median('switches'):.2f}", f"{median('kicks'):.3f}",
                      f"{median('calls'):.3f}"])
    print_table(f"Medians of {max(len(group) for group in groups.values())} rounds, contenders in "
                "turns; CPU in us by request",
                ["", "load", "dev x q", "QD", "IOPS", "+-", "p50 us", "p99", "p99.9", "host CPU",
                 "all CPU", "switches", "kicks", "calls"], lines)


def ratios(rows):
    """vhost-blk against each, pair by pair: of the same load in the same round."""
    series = {}
    for row in rows:
        load = (row["op"], row["order"], row["block"], row["queues"], row["devices"], row["depth"])
        series.setdefault((load, row["label"]), []).append(row)
    lines = []
    for (load, label), group in series.items():
        ours = series.get((load, "vhost-blk"))
        if not ours or label == "vhost-blk":
            continue
        line = [label, f"{load[0]} {load[2] // 1024}k", f"{load[4]}x{load[3]}", str(load[5])]
        for key in ("iops", "all_cpu_ns"):
            pairs = [our[key] / their[key] for our, their in zip(ours, group) if their[key]]
            line += ([f"{statistics.median(pairs):.2f}", f"{min(pairs):.2f}", f"{max(pairs):.2f}"]
                     if pairs else ["-"] * 3)
        lines.append(line)
    print_table("vhost-blk / contender, of the same load in the same round",
                ["", "load", "dev x q", "QD", "IOPS", "min", "max", "all CPU", "min", "max"], lines)


def write_csv(rows):
    keys = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(sys.stdout, keys, restval="")
    writer.writeheader()
    writer.writerows(rows)


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--csv"]
    if len(arguments) != 2 or arguments[0] not in ("count", "time"):
        sys.exit(__doc__)
    rows = read_lines(arguments[1])
    if not rows:
        sys.exit(f"table.py: no figures in {arguments[1]}")
    if len(arguments) < len(sys.argv) - 1:
        write_csv(rows)
    elif arguments[0] == "count":
        count(rows)
    else:
        time(rows)
        ratios(rows)


if __name__ == "__main__":
    main()
