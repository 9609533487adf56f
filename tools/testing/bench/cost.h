/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPU time and context switches of the host so far.  CPU times of threads come from
 * the scheduler's clocks, in nanoseconds.  Idle and interrupt time come from
 * /proc/stat, in ticks; most kernels sample the interrupt time once per tick.
 */
#ifndef VHOST_BENCH_COST_H
#define VHOST_BENCH_COST_H

#include <stdbool.h>
#include <stdint.h>

struct cost {
	uint64_t wall_ns;
	uint64_t clock;			/* clock_now() */
	uint64_t process_ns;		/* this process, without its vhost workers */
	uint64_t worker_ns;		/* the vhost workers */
	uint64_t vmm_ns;		/* --vmm: without vhost workers and @main_ns */
	uint64_t main_ns;		/* --vmm: main loops that act as KVM */
	uint64_t idle_ns;		/* of all CPUs */
	uint64_t irq_ns;		/* interrupts and softirqs */
	uint64_t switches;		/* context switches of all CPUs */
};

struct cost_sources;

/*
 * Find the vhost workers of this process and of @vmm, an array of @nvmm pids; they must
 * exist already.  @main_apart: count the main threads of @vmm in main_ns.
 * Returns NULL if /proc/stat cannot be opened.
 */
struct cost_sources *cost_open(const int *vmm, unsigned int nvmm, bool main_apart);
int cost_workers(const struct cost_sources *sources);
void cost_read(const struct cost_sources *sources, struct cost *cost);

#endif /* VHOST_BENCH_COST_H */
