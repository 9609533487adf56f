#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: table.py [--csv] count|time|cpus|guest FILE

Print the results of count.sh, time.sh, cpus.sh or guest.sh as tables, or as CSV.
"""
import csv
import json
import statistics
import sys


def read_lines(path):
    """The lines of JSON in a file, which may have other lines."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def in_order(rows, key):
    """The values of a key, in the order of their first appearance."""
    return list(dict.fromkeys(row[key] for row in rows))


def load_of(row):
    """The load of a row, which the contenders of one comparison have in common."""
    return (row["op"], row.get("order", "random"), row.get("block", 4096), row.get("devices", 1),
            row.get("queues", 1), row["depth"])


def load_cells(load):
    op, order, block, devices, queues, depth = load
    return [f"{'seq ' if order == 'sequential' else ''}{op} {block // 1024}k",
            f"{devices}x{queues}", str(depth)]


LOAD_HEAD = ["load", "dev x q", "QD"]


def slopes(rows, key):
    """By label and load: the cost of one more request, from the two periods."""
    periods = {}
    for row in rows:
        periods.setdefault((row["label"], load_of(row)), []).append(row)
    result = {}
    for load, (first, second) in periods.items():
        def total(row):
            return row[key] if key == "clock" else row.get(key, 0) * row["requests"]
        result[load] = (total(second) - total(first)) / (second["requests"] - first["requests"])
    return result


def limit_of(clock, label, load):
    """The cost of the same load for io_uring in the host."""
    return clock.get(("uring-file" if label.endswith("-file") else "uring", load))


def ratio(cost, limit):
    return f"{cost / limit:.2f}" if limit else "-"


def print_table(title, head, lines):
    if not lines:
        return
    print(f"\n{title}\n")
    widths = [max(len(line[i]) for line in [head] + lines) for i in range(len(head))]
    for line in [head] + lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        print("  ".join([line[0].ljust(widths[0])] + cells[1:]))


def is_qemu(row):
    return row["label"].startswith("qemu-")


def count_qemu(rows):
    """The disks of QEMU: instructions of the IOThread or the worker."""
    parts = [slopes(rows, key) for key in ("worker_cpu_ns", "vmm_cpu_ns")]
    cost = {load: sum(part[load] for part in parts) for load in parts[0]}
    lines = []
    for load in in_order([{"load": load} for _, load in cost], "load"):
        ours = cost.get(("qemu-vhost-blk", load))
        lines += [[label] + load_cells(load) + [f"{cost[label, load]:.0f}",
                                                f"{ours / cost[label, load]:.2f}" if ours else "-"]
                  for label in in_order(rows, "label") if (label, load) in cost]
    print_table("Instructions per request of the IOThread or the worker of a disk of QEMU; ratio: "
                "qemu-vhost-blk / contender", [""] + LOAD_HEAD + ["disk", "ratio"], lines)


def count(rows):
    clock = slopes(rows, "clock")
    for op in in_order(rows, "op"):
        simple = [load for load in dict.fromkeys(load for _, load in clock)
                  if load[:5] == (op, "random", 4096, 1, 1)]
        lines = []
        for label in in_order(rows, "label"):
            if (label, simple[0]) not in clock:
                continue
            line = [label]
            for load in simple:
                cost = clock[label, load]
                line += [f"{cost:.0f}", ratio(cost, limit_of(clock, label, load))]
            lines.append(line)
        head = ["instructions"] + [cell for load in simple for cell in (f"QD{load[5]}", "/uring")]
        print_table(f"Instructions of the whole host per 4k {op}, and the ratio to io_uring in the "
                    "host", head, lines)
    count_others(clock)
    parts = [slopes(rows, key) for key in ("guest_cpu_ns", "worker_cpu_ns", "vmm_cpu_ns")]
    print_table("The same per thread (guest: the load generator, which acts as the driver)",
                ["", "QD", "guest", "worker", "VMM", "all"],
                [[label, str(load[5])] + [f"{part[label, load]:.0f}" for part in parts] +
                 [f"{cost:.0f}"]
                 for (label, load), cost in clock.items()
                 if load[:5] == ("read", "random", 4096, 1, 1) and label != "fio"])


def count_others(clock):
    """Large requests, several queues, several devices."""
    lines = []
    for (label, load), cost in clock.items():
        if load[1:5] == ("random", 4096, 1, 1):
            continue
        single = clock.get((label, load[:3] + (1, 1) + load[5:]))
        several = load[3:5] != (1, 1)
        lines.append([label] + load_cells(load) +
                     [f"{cost:.0f}", ratio(cost, limit_of(clock, label, load)),
                      ratio(cost, single) if several else "-"])
    print_table("Instructions per request of other loads; last column: ratio to one queue of one "
                "device", [""] + LOAD_HEAD + ["all", "/uring", "/ 1x1"], lines)


def spread(values):
    """Half the distance between the quartiles, in per cent of the median."""
    if len(values) < 3:
        return 0
    quartiles = statistics.quantiles(values, n=4)
    return 50 * (quartiles[2] - quartiles[0]) / (statistics.median(values) or 1)


# Heading, key, format, and divisor for the unit
COLUMNS = {
    "time": [("IOPS", "iops", "{:.0f}", 1), ("p50 us", "p50_us", "{:.1f}", 1),
             ("p99", "p99_us", "{:.0f}", 1), ("p99.9", "p999_us", "{:.0f}", 1),
             ("host CPU", "host_cpu_ns", "{:.2f}", 1000), ("all CPU", "all_cpu_ns", "{:.2f}", 1000),
             ("switches", "switches", "{:.2f}", 1), ("kicks", "kicks", "{:.3f}", 1),
             ("calls", "calls", "{:.3f}", 1)],
    "guest": [("IOPS", "iops", "{:.0f}", 1), ("p50 us", "p50_us", "{:.0f}", 1),
              ("p99", "p99_us", "{:.0f}", 1), ("p99.9", "p999_us", "{:.0f}", 1),
              ("host CPU", "host_cpu_ns", "{:.1f}", 1000), ("vCPU", "vcpu_cpu_ns", "{:.1f}", 1000),
              ("main loop", "main_cpu_ns", "{:.1f}", 1000),
              ("all CPU", "all_cpu_ns", "{:.1f}", 1000)],
}


def series_of(rows):
    """By load, and then by label: one row for each round."""
    series = {}
    for row in rows:
        series.setdefault(load_of(row), {}).setdefault(row["label"], []).append(row)
    return series


def medians(rows, columns):
    lines = []
    for load, contenders in series_of(rows).items():
        for label, group in contenders.items():
            line = [label] + load_cells(load)
            for head, key, form, unit in columns:
                # Not every contender has each value: fio has no kicks.
                values = [row[key] / unit for row in group if key in row]
                line.append(form.format(statistics.median(values)) if values else "-")
                if head == "IOPS":
                    line.append(f"{spread(values):.0f}%")
            lines.append(line)
    heads = [head for head, *_ in columns]
    heads.insert(1, "+-")
    rounds = max(len(group) for contenders in series_of(rows).values()
                 for group in contenders.values())
    print_table(f"Medians of {rounds} rounds, contenders in turns; CPU in us per request",
                [""] + LOAD_HEAD + heads, lines)


def of_pairs(pairs):
    """Median, least and largest of a list of ratios."""
    return [f"{f(pairs):.2f}" if pairs else "-" for f in (statistics.median, min, max)]


def ratios(rows, keys, ours):
    """Ratios of ours to each contender, for the same load in the same round."""
    lines = []
    for load, contenders in series_of(rows).items():
        for label, group in contenders.items():
            # A contender on a file is compared with ours on a file.
            file = "-file" if label.endswith("-file") else ""
            if label == ours + file or ours + file not in contenders:
                continue
            line = [label] + load_cells(load)
            for key in keys:
                pairs = [our[key] / their[key] for our, their in zip(contenders[ours + file], group)
                         if their.get(key)]
                line += of_pairs(pairs)
            lines.append(line)
    heads = [cell for key in keys for cell in (key.removesuffix("_ns"), "min", "max")]
    print_table(f"{ours} / contender (or -file / -file), of the same load in the same round",
                [""] + LOAD_HEAD + heads, lines)


def by(rows, *keys):
    """The rows in groups, by the values of these keys."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def scaling(rows):
    lines = []
    groups = by(rows, "label", "depth", "cpus", "devices", "queues")
    for (label, depth, cpus, devices, queues), group in groups.items():
        single = groups[label, depth, 1, 1, 1]
        lines.append([label, str(depth), str(cpus), f"{devices}x{queues}",
                      f"{statistics.median(row['iops'] for row in group):.0f}",
                      f"{statistics.median(row['all_cpu_ns'] for row in group) / 1000:.2f}"] +
                     of_pairs([row["iops"] / one["iops"] for row, one in zip(group, single)]))
    print_table("n CPUs: medians; and IOPS / those of one queue on one CPU, in the same round",
                ["", "QD", "n", "dev x q", "IOPS", "all CPU us", "/ 1", "min", "max"], sorted(lines))


def polling(rows):
    lines = []
    groups = by(rows, "label")
    for (label,), group in groups.items():
        p50, p99, kicks = (statistics.median(row[key] for row in group)
                           for key in ("p50_us", "p99_us", "kicks"))
        lines.append([label, f"{p50:.1f}", f"{p99:.0f}", f"{kicks:.2f}"] +
                     of_pairs([row["p50_us"] / host["p50_us"]
                               for row, host in zip(group, groups["uring",])]))
    print_table("QD1, a driver that doesn't sleep: latency in us; p50 / io_uring's, in the same "
                "round", ["", "p50", "p99", "kicks", "/ host", "min", "max"], lines)


def write_csv(rows):
    keys = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(sys.stdout, keys, restval="")
    writer.writeheader()
    writer.writerows(rows)


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--csv"]
    if len(arguments) != 2 or arguments[0] not in ("count", "time", "cpus", "guest"):
        sys.exit(__doc__)
    rows = read_lines(arguments[1])
    if not rows:
        sys.exit(f"table.py: no figures in {arguments[1]}")
    if len(arguments) < len(sys.argv) - 1:
        write_csv(rows)
    elif arguments[0] == "count":
        count([row for row in rows if not is_qemu(row)])
        count_qemu([row for row in rows if is_qemu(row)])
    elif arguments[0] == "cpus":
        scaling([row for row in rows if not row["spin"]])
        polling([row for row in rows if row["spin"]])
    elif arguments[0] == "guest":
        medians(rows, COLUMNS["guest"])
        ratios(rows, ("iops", "host_cpu_ns"), "guest-vhost-blk")
    else:
        medians(rows, COLUMNS["time"])
        ratios([row for row in rows if not is_qemu(row)], ("iops", "all_cpu_ns"), "vhost-blk")
        ratios([row for row in rows if is_qemu(row)], ("iops", "host_cpu_ns"), "qemu-vhost-blk")


if __name__ == "__main__":
    main()
