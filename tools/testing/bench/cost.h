/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host has spent so far.  CPU time of threads comes from the
 * scheduler's clocks, in nanoseconds; what /proc/stat has is in ticks, and
 * interrupt context is a sample by the tick on most kernels.
 */
#ifndef VHOST_BENCH_COST_H
#define VHOST_BENCH_COST_H

#include <stdint.h>

struct cost {
	uint64_t wall_ns;
	uint64_t clock;			/* clock_now() */
	uint64_t process_ns;		/* this process, workers that are its threads included */
	uint64_t worker_ns;		/* the vhost workers */
	uint64_t vmm_ns;		/* other processes that were named */
	uint64_t idle_ns;		/* of all CPUs */
	uint64_t irq_ns;		/* interrupts and softirqs */
	uint64_t switches;		/* of context, all CPUs */
};

struct cost_sources;

/* @vmm: pids; the vhost workers must be there already. NULL: /proc isn't */
struct cost_sources *cost_open(const int *vmm, unsigned int nvmm);
/* Are the workers threads of this process (Linux 6.4), so in process_ns too? */
int cost_workers_inside(const struct cost_sources *sources);
int cost_workers(const struct cost_sources *sources);
void cost_read(const struct cost_sources *sources, struct cost *cost);

#endif /* VHOST_BENCH_COST_H */
