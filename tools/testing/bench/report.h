/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VHOST_BENCH_REPORT_H
#define VHOST_BENCH_REPORT_H

#include "cost.h"
#include "load.h"

/* What all lanes together have counted, and what the host had spent then */
struct snapshot {
	struct lane_count count;
	struct cost cost;
};

/* One line of JSON on stdout */
void report_period(const struct load *load, const struct cost_sources *sources,
		   const struct snapshot *from, const struct snapshot *to,
		   const struct histogram *latency);

#endif /* VHOST_BENCH_REPORT_H */
