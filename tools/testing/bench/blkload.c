// SPDX-License-Identifier: GPL-2.0
/* Opens the devices, starts their lanes, and runs the periods. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "report.h"

#define PATIENCE	20	/* seconds without a completion until the run has failed */

static const struct engine * const engines[] = {
	&vhost_blk_engine, &vhost_user_engine, &vhost_scsi_engine, &qemu_engine, &uring_engine,
	&wake_engine,
};

static struct load load;
static struct device *device;
static struct lane *lane;
static unsigned int nlanes;
static pthread_barrier_t start, end;
static bool quit;
static unsigned int periods;
static unsigned int period;	/* 0: between two periods */

static void die(const char *what)
{
	fprintf(stderr, "blkload: %s: %s\n", load.frontend, what);
	exit(1);
}

static const struct engine *find_engine(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(engines); i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	die("there is no such frontend");
	return NULL;
}

static void open_devices(void)
{
	const struct engine *engine = find_engine(load.frontend);
	const char *why;
	unsigned int i;

	device = calloc(load.devices, sizeof(*device));
	nlanes = load.devices * load.queues;
	lane = calloc(nlanes, sizeof(*lane));
	for (i = 0; i < load.devices; i++) {
		device[i].load = &load;
		device[i].engine = engine;
		device[i].path = load.path[i % load.npaths];
		why = engine->open(&device[i]);
		if (why)
			die(why);
	}
	for (i = 0; i < nlanes; i++) {
		why = lane_init(&lane[i], &device[i / load.queues], i % load.queues);
		if (!why && load.verify)
			why = verify_prefill(&lane[i]);
		if (why)
			die(why);
	}
}

static void *lane_thread(void *arg)
{
	struct lane *l = arg;

	for (;;) {
		pthread_barrier_wait(&start);
		if (quit)
			return NULL;
		lane_run(l);
		pthread_barrier_wait(&end);
	}
}

static uint64_t total_done(void)
{
	uint64_t done = 0;
	unsigned int i;

	for (i = 0; i < nlanes; i++)
		done += __atomic_load_n(&lane[i].count.done, __ATOMIC_RELAXED);
	return done;
}

/* A lost notification lets a lane sleep forever, so end the program after PATIENCE. */
static void *watchdog(void *arg)
{
	uint64_t before = 0, now;
	unsigned int current, before_period = 0;

	for (;;) {
		sleep(PATIENCE);
		now = total_done();
		current = __atomic_load_n(&period, __ATOMIC_RELAXED);
		if (current && current == before_period && now == before) {
			fprintf(stderr, "blkload: no request completed for %d s\n", PATIENCE);
			_exit(1);
		}
		before = now;
		before_period = current;
	}
	return arg;
}

static void start_lanes(void)
{
	pthread_t dog;
	unsigned int i;

	pthread_barrier_init(&start, NULL, nlanes + 1);
	pthread_barrier_init(&end, NULL, nlanes + 1);
	if (pthread_create(&dog, NULL, watchdog, NULL))
		die("cannot create a thread");
	for (i = 0; i < nlanes; i++)
		if (pthread_create(&lane[i].thread, NULL, lane_thread, &lane[i]))
			die("cannot create a thread");
}

static void take_snapshot(const struct cost_sources *sources, struct snapshot *s)
{
	unsigned int i;

	memset(&s->count, 0, sizeof(s->count));
	s->count.done = total_done();
	for (i = 0; i < nlanes; i++) {
		s->count.kicks += lane[i].count.kicks;
		s->count.calls += lane[i].count.calls;
		s->count.waits += lane[i].count.waits;
	}
	cost_read(sources, &s->cost);
}

/* Run for @requests per lane or, if that is 0, for load.seconds. */
static void run_period(const struct cost_sources *sources, uint64_t requests, struct snapshot *from,
		       struct snapshot *to)
{
	unsigned int i;

	for (i = 0; i < nlanes; i++)
		lane[i].quota = requests ? requests : UINT64_MAX;
	lanes_go();
	__atomic_store_n(&period, ++periods, __ATOMIC_RELAXED);
	take_snapshot(sources, from);
	profile_mark();
	pthread_barrier_wait(&start);
	if (!requests) {
		usleep(load.seconds * 1e6);
		take_snapshot(sources, to);
		lanes_stop();
	}
	pthread_barrier_wait(&end);
	profile_mark();
	__atomic_store_n(&period, 0, __ATOMIC_RELAXED);
	if (requests)
		take_snapshot(sources, to);
	for (i = 0; i < nlanes; i++)
		if (lane[i].why)
			die(lane[i].why);
}

static void measure(void)
{
	struct cost_sources *sources = cost_open(load.vmm, load.nvmm,
						 device[0].engine->main_is_guest);
	static struct histogram latency;
	struct snapshot from, to;
	unsigned int i, p;

	if (!sources)
		die("cannot read /proc/stat");
	if (load.warm)
		run_period(sources, load.warm, &from, &to);
	for (p = 0; p < load.nperiods; p++) {
		run_period(sources, load.requests[p], &from, &to);
		histogram_clear(&latency);
		for (i = 0; i < nlanes; i++)
			histogram_merge(&latency, &lane[i].latency);
		report_period(&load, sources, &from, &to, &latency);
	}
}

/* Nothing is in flight: check the counts and, if asked for, the data. */
static void check_lane(struct lane *l)
{
	const char *why = l->engine->totals(l);

	if (!why && l->load->verify)
		why = verify_read_back(l);
	if (why)
		die(why);
}

int main(int argc, char **argv)
{
	const char *why = histogram_test();
	unsigned int i;

	options_parse(&load, argc, argv);
	if (why)
		die(why);
	open_devices();
	start_lanes();
	measure();
	quit = true;
	pthread_barrier_wait(&start);
	for (i = 0; i < nlanes; i++) {
		pthread_join(lane[i].thread, NULL);
		check_lane(&lane[i]);
	}
	for (i = 0; i < load.devices; i++)
		device[i].engine->close(&device[i]);
	return 0;
}
