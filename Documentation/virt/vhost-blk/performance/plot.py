#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: plot.py

Makes the plots of performance.rst (*.svg) from the data beside this script
(*.csv).  All of them are 4k random reads with one queue of one device, at each
queue depth.
"""
import csv
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
DEPTHS = [1, 2, 4, 8, 16, 32, 64, 128]
COLOURS = ["#b03000", "#0050a0", "#2a7a2a", "#806000"]
LEFT, RIGHT, TOP, BOTTOM, WIDTH, HEIGHT = 70, 470, 40, 300, 660, 350


def points(name, contender, column):
    """Queue depth and value of one contender in a data file."""
    with open(HERE / name, encoding="utf-8", newline="") as file:
        return [(int(row["depth"]), float(row[column])) for row in csv.DictReader(file)
                if (row["op"], row["block"], row["queues"], row["devices"], row["contender"])
                == ("read", "4096", "1", "1", contender)]


def text(place, what, more='text-anchor="middle"'):
    """An element of text."""
    return f'<text x="{place[0]:.0f}" y="{place[1]:.0f}" {more}>{what}</text>'


def across(depth):
    """Horizontal position of a queue depth; the axis is logarithmic."""
    return LEFT + (RIGHT - LEFT) * math.log2(depth) / math.log2(DEPTHS[-1])


class Plot:
    """A plot with several curves."""

    def __init__(self, ticks, log=False):
        """@ticks: values on the vertical axis, from its start to its end."""
        self.scale = math.log2 if log else float
        self.ends = self.scale(ticks[0]), self.scale(ticks[-1])
        self.curves = 0
        self.lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
                      f'     width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
                      'font-size="12">',
                      f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
        for value in ticks:
            place = self.height(value)
            self.lines += [f'<path d="M{LEFT} {place:.0f}H{RIGHT}" stroke="#ccc"/>',
                           text((LEFT - 6, place + 4), f"{value:g}", 'text-anchor="end"')]
        for depth in DEPTHS:
            self.lines.append(text((across(depth), BOTTOM + 18), depth))
        self.lines.append(text(((LEFT + RIGHT) / 2, BOTTOM + 38), "queue depth"))

    def height(self, value):
        """Vertical position of a value."""
        start, end = self.ends
        return BOTTOM - (BOTTOM - TOP) * (self.scale(value) - start) / (end - start)

    def titles(self, title, unit):
        """What the plot and its vertical axis show."""
        self.lines += [text(((LEFT + RIGHT) / 2, 20), title,
                            'text-anchor="middle" font-weight="bold"'),
                       text((0, 0), unit,
                            'text-anchor="middle" transform="translate(16 170) rotate(-90)"')]

    def curve(self, label, values):
        """Add a curve, and its label beside the plot."""
        colour = COLOURS[self.curves]
        label_at = TOP + 12 + 22 * self.curves
        self.curves += 1
        dots = [f"{across(depth):.0f},{self.height(value):.0f}" for depth, value in values]
        self.lines.append(f'<polyline points="{" ".join(dots)}" fill="none" stroke="{colour}" '
                          'stroke-width="2"/>')
        for dot in dots:
            at_x, at_y = dot.split(",")
            self.lines.append(f'<circle cx="{at_x}" cy="{at_y}" r="3" fill="{colour}"/>')
        self.lines += [f'<path d="M{RIGHT + 15} {label_at - 4}h24" stroke="{colour}" '
                       'stroke-width="2"/>', text((RIGHT + 45, label_at), label, "")]

    def write(self, name):
        """Write NAME.svg."""
        (HERE / f"{name}.svg").write_text("\n".join(self.lines + ["</svg>", ""]),
                                          encoding="utf-8")


def instructions():
    """Instructions of the whole host."""
    plot = Plot(range(0, 25001, 5000))
    plot.titles("Instructions of the whole host, Linux 6.1", "instructions per 4k read")
    for label, contender in (("vhost-blk", "vhost-blk"), ("io_uring in the host", "uring"),
                             ("vhost-user", "vhost-user"), ("vhost-scsi", "vhost-scsi")):
        plot.curve(label, points("count-4e0533b.csv", contender, "instructions"))
    plot.write("instructions")


def qemu():
    """Instructions of a disk of QEMU."""
    plot = Plot(range(0, 60001, 10000))
    plot.titles("Instructions of the worker or IOThread, Linux 6.1", "instructions per 4k read")
    for label, series, contender in (("vhost-blk", "10.0", "vhost-blk"),
                                     ("virtio-blk, QEMU 7.2", "7.2", "virtio-nopoll"),
                                     ("virtio-blk, QEMU 10.0", "10.0", "virtio-io_uring")):
        plot.curve(label, points(f"count-qemu-{series}-5474cea.csv", contender, "instructions"))
    plot.write("qemu")


def iops():
    """IOPS relative to those of others."""
    plot = Plot([0.5, 1, 2, 4, 8, 16], log=True)
    plot.titles("IOPS of vhost-blk divided by those of ...", "ratio")
    for label, contender in (("io_uring in the host", "uring"), ("vhost-scsi", "vhost-scsi"),
                             ("vhost-user", "vhost-user-native")):
        plot.curve(label, points("time-282462c.csv", contender, "iops_ratio"))
    plot.write("iops")


if len(sys.argv) > 1:
    sys.exit(__doc__)
instructions()
qemu()
iops()
