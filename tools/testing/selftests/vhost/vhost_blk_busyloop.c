// SPDX-License-Identifier: GPL-2.0
/*
 * VHOST_SET_VRING_BUSYLOOP_TIMEOUT: no chain is lost between the last poll of
 * the ring and the request for a kick, polling saves kicks on a host with a CPU
 * to spare, and a polling device delays neither a stop nor another queue.
 */
#include <unistd.h>

#define NOT_ON_THE_MODEL	"the model device doesn't poll"
#include "suite-notify.h"
#include "task.h"

static const char *set_timeout(struct guest *g, uint32_t us)
{
	unsigned int i;

	for (i = 0; i < g->nrings; i++)
		if (ring_set_busyloop(&g->ring[i], us))
			return "SET_VRING_BUSYLOOP_TIMEOUT fails";
	return NULL;
}

/*
 * One request at a time, so the ring is empty after each.  @share: the share of
 * kicks saved.
 */
static const char *kicks_saved(struct ring *r, unsigned int total, double *share)
{
	struct traffic t = { .ring = r, .depth = 1, .total = total, .wait = WAIT_CALL };
	struct ring_stats before = r->stats;
	const char *why = traffic_run(&t);

	*share = (double)(r->stats.kicks_saved - before.kicks_saved) / total;
	return why;
}

TEST_F_TIMEOUT(notify, saves_kicks, 120)
{
	struct ring *r = &self->g.ring[0];
	double without, with;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU: the device never polls while the guest can run");
	/* The scheduler may keep both on one CPU, and then the device does not poll. */
	ASSERT_TRUE(worker_split());
	ASSERT_WELL(set_timeout(&self->g, 0));
	ASSERT_WELL(kicks_saved(r, 1000, &without));
	ASSERT_WELL(set_timeout(&self->g, 1000000));
	/* a first run shows the device how fast this guest is */
	ASSERT_WELL(kicks_saved(r, 100, &with));
	ASSERT_WELL(kicks_saved(r, 1000, &with));
	TH_LOG("kicks saved: %.0f %% without, %.0f %% with", without * 100, with * 100);
	EXPECT_GT(with, 0.5);
	EXPECT_GT(with, without);
}

/* Hit the moment in which polling ends, again and again, with all kinds of traffic. */
TEST_F_TIMEOUT(notify, loses_nothing, 600)
{
	static const uint32_t timeouts[] = { 1, 5, 50, 1000 };
	static const unsigned int depths[] = { 1, 3, 32 };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(timeouts); i++) {
		ASSERT_WELL(set_timeout(&self->g, timeouts[i]));
		for (j = 0; j < ARRAY_SIZE(depths); j++) {
			struct traffic t = {
				.ring = &self->g.ring[0], .depth = depths[j],
				.total = scaled(20000, 1000), .wait = WAIT_CALL,
				.kick_each = j & 1,
			};

			ASSERT_WELL(traffic_run(&t));
		}
	}
}

/* All queues have one worker, and each has a timeout that never ends. */
TEST_F_TIMEOUT(notify, shares_the_worker, 300)
{
	struct traffic t[THREADS];
	unsigned int i;

	ASSERT_WELL(set_timeout(&self->g, ~0u));
	for (i = 0; i < THREADS; i++)
		t[i] = (struct traffic) {
			.ring = &self->g.ring[i], .depth = 1 << i,
			.total = scaled(5000, 500), .wait = WAIT_CALL,
		};
	ASSERT_WELL(run_together(t));
}

/* A stop does not wait for a polling device, whatever the timeout is. */
TEST_F_TIMEOUT(notify, is_stopped, 120)
{
	unsigned int i;
	uint16_t base;
	double share;

	ASSERT_WELL(set_timeout(&self->g, ~0u));
	for (i = 0; i < 10; i++) {
		ASSERT_WELL(kicks_saved(&self->g.ring[0], 50, &share));
		ASSERT_EQ(0, guest_set_running(&self->g, 0));
		ASSERT_EQ(0, guest_set_running(&self->g, 1));
		ASSERT_WELL(kicks_saved(&self->g.ring[0], 50, &share));
		ASSERT_EQ(0, ring_get_base(&self->g.ring[0], &base));
		ASSERT_EQ(0, guest_set_running(&self->g, 1));
		ASSERT_WELL(kicks_saved(&self->g.ring[0], 50, &share));
		ASSERT_EQ(0, guest_set_mem_table(&self->g));
	}
	/* the exit of a process closes the device while it polls */
	ASSERT_WELL(kicks_saved(&self->g.ring[0], 50, &share));
}

TEST_HARNESS_MAIN
