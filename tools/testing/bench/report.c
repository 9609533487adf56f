// SPDX-License-Identifier: GPL-2.0
/* Prints the results of one period, in total and per request. */
#include <stdio.h>
#include <unistd.h>

#include "report.h"

static void put_load(const struct load *l)
{
	printf("{\"label\":\"%s\",\"frontend\":\"%s\",\"op\":\"%s\",\"order\":\"%s\",", l->label,
	       l->frontend, l->write ? "write" : "read", l->sequential ? "sequential" : "random");
	printf("\"block\":%u,\"segment\":%u,\"depth\":%u,\"queues\":%u,\"devices\":%u,", l->block,
	       l->segment, l->depth, l->queues, l->devices);
	printf("\"workers\":%u,\"poll_us\":%u,\"spin\":%s,\"cpus\":%ld,", l->workers, l->poll_us,
	       l->spin ? "true" : "false", sysconf(_SC_NPROCESSORS_ONLN));
}

/* Differences of clocks that count ticks may be negative. */
static uint64_t since(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static void put_each(const char *name, uint64_t total, uint64_t requests)
{
	printf("\"%s\":%.4f,", name, requests ? (double)total / requests : 0);
}

/*
 * host_cpu_ns is all CPU time that was not idle, without the threads that act as the
 * guest and KVM.  It includes interrupts and kernel threads.
 */
static void put_cost(const struct cost *from, const struct cost *to, uint64_t n)
{
	uint64_t wall = to->wall_ns - from->wall_ns;
	uint64_t worker = since(from->worker_ns, to->worker_ns);
	uint64_t guest = since(from->process_ns, to->process_ns);
	uint64_t main_loop = since(from->main_ns, to->main_ns);
	uint64_t all = wall * sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t idle = to->idle_ns - from->idle_ns;
	uint64_t busy = all > idle ? all - idle : 0;

	put_each("guest_cpu_ns", guest, n);
	put_each("worker_cpu_ns", worker, n);
	put_each("vmm_cpu_ns", since(from->vmm_ns, to->vmm_ns), n);
	put_each("main_cpu_ns", main_loop, n);
	put_each("irq_cpu_ns", to->irq_ns - from->irq_ns, n);
	put_each("all_cpu_ns", busy, n);
	guest += main_loop;
	put_each("host_cpu_ns", busy > guest ? busy - guest : 0, n);
	put_each("switches", to->switches - from->switches, n);
}

void report_period(const struct load *load, const struct cost_sources *sources,
		   const struct snapshot *from, const struct snapshot *to,
		   const struct histogram *latency)
{
	uint64_t n = to->count.done - from->count.done;
	uint64_t wall = to->cost.wall_ns - from->cost.wall_ns;
	uint64_t clock = to->cost.clock - from->cost.clock;
	double us = clock ? (double)wall / clock / 1000 : 0;

	put_load(load);
	printf("\"requests\":%llu,\"wall_ns\":%llu,\"clock\":%llu,", (unsigned long long)n,
	       (unsigned long long)wall, (unsigned long long)clock);
	printf("\"iops\":%.1f,", wall ? n * 1e9 / wall : 0);
	printf("\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,", histogram_at(latency, 500) * us,
	       histogram_at(latency, 990) * us, histogram_at(latency, 999) * us);
	put_cost(&from->cost, &to->cost, n);
	put_each("kicks", to->count.kicks - from->count.kicks, n);
	put_each("calls", to->count.calls - from->count.calls, n);
	put_each("waits", to->count.waits - from->count.waits, n);
	printf("\"worker_threads\":%d}\n", cost_workers(sources));
	fflush(stdout);
}
