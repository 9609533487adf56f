/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of tests that need requests in flight, on slow and on fast backends */
#ifndef VHOST_TEST_SUITE_FLIGHT_H
#define VHOST_TEST_SUITE_FLIGHT_H

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "suite.h"
#include "traffic.h"

/* bytes of guest memory; 0: the default */
#ifndef FLIGHT_MEM
#define FLIGHT_MEM	0
#endif

FIXTURE(flight) {
	struct backend b;
	struct guest g;
	struct rng rng;
	struct batch batch;
};

FIXTURE_VARIANT(flight) {
	enum backend_kind kind;
	bool direct;
};

FIXTURE_VARIANT_ADD(flight, slow_bdev) {
	.kind = BACKEND_SLOW, .direct = true,
};

FIXTURE_VARIANT_ADD(flight, bdev) {
	.kind = BACKEND_BDEV, .direct = true,
};

FIXTURE_VARIANT_ADD(flight, file_direct) {
	.kind = BACKEND_FILE, .direct = true,
};

FIXTURE_VARIANT_ADD(flight, file_buffered) {
	.kind = BACKEND_FILE, .direct = false,
};

/* Two queues, of which most tests use the first */
FIXTURE_SETUP(flight)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 2, .mem = FLIGHT_MEM };
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device never has requests in flight");
	why = backend_open(&self->b, variant->kind, variant->direct);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(flight)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* Have requests in flight on the first queue; a fast backend may have completed some. */
static inline const char *take_off(struct guest *g, struct batch *b, struct rng *rng)
{
	struct batch_opts opts = { .per_queue = 32, .writes_only = true };
	const char *why;

	batch_build(b, g, &opts, rng);
	why = batch_submit(b);
	usleep(rng_below(rng, 4000));
	return why;
}

/* Every request that the device took is complete, and no more complete. */
static inline const char *check_landed(struct ring *r)
{
	uint16_t base, idx;

	if (ring_stop(r, &base))
		return guest_say(r->guest, "queue %u: can't be stopped", r->index);
	idx = ring_device_idx(r);
	if (base != idx)
		return guest_say(r->guest, "queue %u: base %u, but used %u", r->index, base, idx);
	usleep(2 * SLOW_NSEC / 1000);
	if (ring_device_idx(r) != idx)
		return guest_say(r->guest, "queue %u: used %u at the stop, %u later", r->index,
				 idx, ring_device_idx(r));
	return NULL;
}

#endif /* VHOST_TEST_SUITE_FLIGHT_H */
