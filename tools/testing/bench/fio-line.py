#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: fio … --output-format=json | fio-line.py LABEL

Print the result of fio as a line of JSON like those of blkload.  fio reports only its
own CPU time: all_cpu_ns includes interrupts that ran in its context, and no other
threads.
"""
import json
import sys


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    job = json.load(sys.stdin)["jobs"][0]
    options = job["job options"]
    op = options["rw"].removeprefix("rand")
    done = job[op]
    if job["error"] or not done["total_ios"]:
        sys.exit(f"fio: error {job['error']}, {done['total_ios']} requests")
    percentile = done["lat_ns"]["percentile"]
    cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * done["runtime"] * 1e6
    print(json.dumps({
        "label": sys.argv[1], "frontend": "fio", "op": op,
        "order": "random" if options["rw"] != op else "sequential",
        "block": int(options["bs"]), "depth": int(options["iodepth"]), "queues": 1, "devices": 1,
        "requests": done["total_ios"], "wall_ns": done["runtime"] * 1000000,
        "iops": round(done["iops"], 1),
        "p50_us": percentile["50.000000"] / 1000, "p99_us": percentile["99.000000"] / 1000,
        "p999_us": percentile["99.900000"] / 1000,
        "all_cpu_ns": round(cpu / done["total_ios"], 1),
        "switches": round(job["ctx"] / done["total_ios"], 4),
    }))


if __name__ == "__main__":
    main()
