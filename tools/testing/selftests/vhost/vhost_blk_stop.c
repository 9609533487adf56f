// SPDX-License-Identifier: GPL-2.0
/*
 * The guarantees of a stop, one by one: see "Guarantees of a stop" in
 * Documentation/virt/vhost-blk/uapi.rst.  The suite drain tests some of them
 * too.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "suite-flight.h"

static const char *stop_running(struct guest *g)
{
	return guest_set_running(g, 0) ? "SET_RUNNING 0 fails" : NULL;
}

static const char *stop_each(struct guest *g)
{
	uint16_t base;
	unsigned int i;

	for (i = 0; i < g->nrings; i++)
		if (ring_stop(&g->ring[i], &base))
			return "SET_VRING_RUNNING 0 fails";
	return NULL;
}

static const char *(*const stops[])(struct guest *g) = { stop_running, stop_each };

/* Have reads or writes in flight, then stop. */
static const char *fly_and_stop(struct guest *g, struct batch *b, struct rng *rng,
				bool reads, const char *(*stop)(struct guest *g))
{
	struct batch_opts opts = {
		.per_queue = 32, .max_sectors = 16, .reads_only = reads, .writes_only = !reads,
	};
	const char *why;

	batch_build(b, g, &opts, rng);
	why = batch_submit(b);
	usleep(rng_below(rng, 3000));
	return why ? why : stop(g);
}

static const char *go_on(struct guest *g, struct batch *b)
{
	const char *why;

	if (guest_set_running(g, 1))
		return "SET_RUNNING 1 fails";
	why = batch_wait(b, 20000);
	if (!why)
		why = batch_check(b);
	batch_free(b);
	return why;
}

/* The device does not write guest memory. */
TEST_F_TIMEOUT(flight, writes_nothing, 60)
{
	struct guest *g = &self->g;
	uint16_t idx[2];
	unsigned int i;

	for (i = 0; i < scaled(8, 4); i++) {
		ASSERT_WELL(fly_and_stop(g, &self->batch, &self->rng, true, stops[i % 2]));
		guest_snapshot(g);
		idx[0] = ring_device_idx(&g->ring[0]);
		idx[1] = ring_device_idx(&g->ring[1]);
		ring_kick_now(&g->ring[0]);
		usleep(3 * SLOW_NSEC / 1000);
		ASSERT_WELL(guest_compare(g));
		ASSERT_EQ(idx[0], ring_device_idx(&g->ring[0]));
		ASSERT_EQ(idx[1], ring_device_idx(&g->ring[1]));
		ASSERT_WELL(go_on(g, &self->batch));
	}
}

/* The device does not read guest memory: all of it can be unmapped, including the rings. */
TEST_F_TIMEOUT(flight, touches_nothing, 60)
{
	struct guest *g = &self->g;
	struct region *r = &g->region[0];
	unsigned int i;

	for (i = 0; i < scaled(8, 4); i++) {
		ASSERT_WELL(fly_and_stop(g, &self->batch, &self->rng, i & 2, stops[i % 2]));
		ASSERT_EQ(0, mprotect(r->hva, r->len, PROT_NONE));
		ring_kick_now(&g->ring[0]);
		usleep(3 * SLOW_NSEC / 1000);
		ASSERT_EQ(0, mprotect(r->hva, r->len, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, eventfd_drain(g->ring[0].err));
		ASSERT_EQ(0, eventfd_drain(g->ring[1].err));
		ASSERT_WELL(go_on(g, &self->batch));
	}
}

static unsigned int count_answered(const struct batch *b, unsigned int ring)
{
	unsigned int i, n = 0;

	for (i = 0; i < b->n; i++)
		if (b->ring[i] == ring && request_status(b->q[i]) != STATUS_POISON)
			n++;
	return n;
}

/*
 * Each request that was taken has its status and used entry, and the guest has
 * been signalled.
 */
TEST_F_TIMEOUT(flight, answered, 60)
{
	struct guest *g = &self->g;
	unsigned int i, k, some = 0;

	for (i = 0; i < scaled(16, 6); i++) {
		uint16_t before[2], base;

		for (k = 0; k < 2; k++) {
			before[k] = ring_device_idx(&g->ring[k]);
			ring_call_on(&g->ring[k], 0);
			eventfd_drain(g->ring[k].call);
		}
		ASSERT_WELL(fly_and_stop(g, &self->batch, &self->rng, i & 2, stops[i % 2]));
		for (k = 0; k < 2; k++) {
			struct ring *r = &g->ring[k];
			uint16_t used = ring_device_idx(r) - before[k];

			ASSERT_EQ(0, ring_get_base(r, &base));
			ASSERT_EQ(base, ring_device_idx(r));
			ASSERT_EQ(used, count_answered(&self->batch, k));
			ASSERT_EQ(used > 0, eventfd_drain(r->call) > 0);
			some += used > 0;
		}
		ASSERT_WELL(go_on(g, &self->batch));
	}
	/* otherwise the test has shown nothing */
	ASSERT_LT(0, some);
}

/* Requests that were not taken were not read: the guest may still change them. */
TEST_F_TIMEOUT(flight, untouched, 60)
{
	struct guest *g = &self->g;
	unsigned int i, k, changed = 0;

	for (i = 0; i < scaled(8, 4); i++) {
		struct batch *b = &self->batch;

		/* kicks between a stop and the next start are not seen */
		if (i % 2)
			ASSERT_EQ(0, guest_set_running(g, 0));
		ASSERT_WELL(fly_and_stop(g, b, &self->rng, false, stops[i % 2]));
		for (k = 0; k < b->n; k++) {
			if (request_status(b->q[k]) != STATUS_POISON)
				continue;
			request_arm(b->q[k], rng_next(&self->rng));
			changed++;
		}
		guest_snapshot(g);
		ASSERT_WELL(go_on(g, b));
	}
	ASSERT_LT(0, changed);
}

TEST_HARNESS_MAIN
