/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VHOST_BENCH_REPORT_H
#define VHOST_BENCH_REPORT_H

#include "cost.h"
#include "load.h"

/* Sums of the counts of all lanes, and the costs of the host at the same time */
struct snapshot {
	struct lane_count count;
	struct cost cost;
};

/* Print one line of JSON to stdout. */
void report_period(const struct load *load, const struct cost_sources *sources,
		   const struct snapshot *from, const struct snapshot *to,
		   const struct histogram *latency);

#endif /* VHOST_BENCH_REPORT_H */
