/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host has spent so far.  CPU time of threads comes from the
 * scheduler's clocks, in nanoseconds; what /proc/stat has is in ticks, and
 * interrupt context is a sample by the tick on most kernels.
 */
#ifndef VHOST_BENCH_COST_H
#define VHOST_BENCH_COST_H

#include <stdbool.h>
#include <stdint.h>

struct cost {
	uint64_t wall_ns;
	uint64_t clock;			/* clock_now() */
	uint64_t process_ns;		/* this process, without workers that are its threads */
	uint64_t worker_ns;		/* the vhost workers */
	uint64_t vmm_ns;		/* other processes that were named, without these and: */
	uint64_t main_ns;		/* their main loops, where these stand for KVM */
	uint64_t idle_ns;		/* of all CPUs */
	uint64_t irq_ns;		/* interrupts and softirqs */
	uint64_t switches;		/* of context, all CPUs */
};

struct cost_sources;

/*
 * @vmm: pids; the vhost workers, of this process or theirs, must be there already.
 * NULL: /proc isn't
 */
struct cost_sources *cost_open(const int *vmm, unsigned int nvmm, bool main_apart);
int cost_workers(const struct cost_sources *sources);
void cost_read(const struct cost_sources *sources, struct cost *cost);

#endif /* VHOST_BENCH_COST_H */
