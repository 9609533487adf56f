// SPDX-License-Identifier: GPL-2.0
/*
 * Behind an IOMMU: mappings are invalidated while requests that use them are in
 * flight, and some come back.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "suite-iotlb.h"
#include "traffic.h"

#define SLOW_US		(SLOW_NSEC / 1000)

/* Requests that stay in flight long enough to invalidate their mappings */
FIXTURE(flying) {
	struct backend b;
	struct guest g;
	struct iommu m;
	struct rng rng;
};

FIXTURE_VARIANT(flying) {
	enum backend_kind kind;
	bool direct;
	bool v2;
};

FIXTURE_VARIANT_ADD(flying, slow_v2) {
	.kind = BACKEND_SLOW, .direct = true, .v2 = true,
};

FIXTURE_VARIANT_ADD(flying, file_buffered_v1) {
	.kind = BACKEND_FILE, .direct = false, .v2 = false,
};

FIXTURE_SETUP(flying)
{
	const char *why = set_up(&self->b, &self->g, &self->rng, variant->kind,
				 variant->direct);

	if (why)
		SKIP(return, "%s", why);
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

FIXTURE_TEARDOWN(flying)
{
	const char *why = tear_down(&self->b, &self->g, &self->m);

	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

/*
 * Mappings of anything, rings included, are invalidated at any time: no request
 * is lost or wrong.
 */
TEST_F_TIMEOUT(flying, storm, 120)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;

	ATTACH(4096);
	self->m.chunk = 16;
	self->m.storm = variant->kind == BACKEND_SLOW ? 40 : 3;
	self->m.rng = self->rng;
	ASSERT_WELL(iommu_boot(g, true));
	for (i = 0; i < scaled(8, 3); i++) {
		/* a fast device may have completed it by now */
		ASSERT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
	}
	EXPECT_LT(0, self->m.misses);
}

/*
 * Send a read or write, aligned or bounced, on the first queue.  It may not be
 * in flight yet.
 */
static struct request *send_one(struct guest *g, unsigned int how, struct rng *rng)
{
	struct request *q = request_new(g, how & 1 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
					64, 16 * SECTOR);

	request_cut_usual(q);
	request_place(q, how & 2 ? PLACE_SCATTER : PLACE_ALIGNED, rng);
	request_arm(q, rng_next(rng));
	guest_snapshot(g);
	ring_add(&g->ring[0], q);
	ring_kick_now(&g->ring[0]);
	usleep(2000 + rng_below(rng, 3000));
	return q;
}

/*
 * Invalidate the memory that a request in flight may write.  When the call
 * returns, the request is done, or was never started; it writes nothing
 * afterwards.
 */
TEST_F_TIMEOUT(flying, invalidated_in_flight, 120)
{
	struct guest *g = &self->g;
	unsigned int i, done = 0;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < scaled(16, 8); i++) {
		uint64_t mark = g->bump;
		struct request *q;
		uint64_t off;

		ASSERT_EQ(0, iommu_update(g, g->data_start, data_len(g)));
		q = send_one(g, i, &self->rng);
		/* invalidate all of the request's memory, or only its status */
		off = q->seg[q->nout + q->nin - 1].gpa - self->m.base;
		ASSERT_EQ(0, iommu_invalidate(g, i & 4 ? off : g->data_start,
					      i & 4 ? 1 : data_len(g)));
		guest_snapshot(g);
		done += request_status(q) != STATUS_POISON;
		usleep(variant->kind == BACKEND_SLOW ? 2 * SLOW_US : 2000);
		/* the used ring is elsewhere, and may be written */
		ASSERT_WELL(guest_compare(g));
		if (request_status(q) == STATUS_POISON)
			ASSERT_TRUE(iommu_wait_miss(g, 1000));
		ASSERT_EQ(0, iommu_invalidate(g, g->data_start, data_len(g)));
		ASSERT_WELL(ring_wait(&g->ring[0], 1, 20000));
		ASSERT_WELL(request_outcome(q, VIRTIO_BLK_S_OK));
		request_free(q);
		guest_release(g, mark);
	}
	TH_LOG("%u of %u were done", done, i);
	ASSERT_LT(i / 2, done);
}

/* If no request in flight can write to the memory, the call does not wait. */
TEST_F_TIMEOUT(flying, invalidated_elsewhere, 60)
{
	struct guest *g = &self->g;
	unsigned int i, at_once = 0;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, iommu_update(g, g->data_start, data_len(g)));
	for (i = 0; i < 10; i++) {
		uint64_t mark = g->bump;
		struct request *q = send_one(g, 0, &self->rng);

		ASSERT_EQ(0, iommu_invalidate(g, g->region[0].len - 65536, 65536));
		at_once += request_status(q) == STATUS_POISON;
		ASSERT_WELL(ring_wait(&g->ring[0], 1, 20000));
		ASSERT_WELL(request_outcome(q, VIRTIO_BLK_S_OK));
		request_free(q);
		guest_release(g, mark);
	}
	/* not ten, because this host may have been busy */
	if (variant->kind == BACKEND_SLOW)
		ASSERT_LE(5, at_once);
}

/* Invalidate the first queue's used ring; its misses are not answered. */
static const char *take_used(struct guest *g)
{
	uint64_t off = ring_off(g, g->ring[0].used);

	g->iommu->perm[off / g->iommu->page_size] = 0;
	return iommu_invalidate(g, off, 4096) ? "an invalidation was refused" : NULL;
}

static const char *give_used(struct guest *g)
{
	uint64_t off = ring_off(g, g->ring[0].used);

	g->iommu->perm[off / g->iommu->page_size] = VHOST_ACCESS_RW;
	return iommu_update(g, off, 4096) ? "an update was refused" : NULL;
}

/* Have a batch in flight on both queues, and invalidate the first one's used ring. */
static const char *cut_off(struct guest *g, struct batch *b, struct rng *rng)
{
	struct batch_opts opts = { .per_queue = 16, .max_sectors = 8 };
	const char *why;
	uint16_t idx;

	batch_build(b, g, &opts, rng);
	why = batch_submit(b);
	usleep(rng_below(rng, 4000));
	if (!why)
		why = take_used(g);
	idx = ring_device_idx(&g->ring[0]);
	if (!why)
		why = ring_wait(&g->ring[1], ring_inflight(&g->ring[1]), 20000);
	usleep(g->opts.backend->kind == BACKEND_SLOW ? 2 * SLOW_US : 2000);
	if (!why && ring_device_idx(&g->ring[0]) != idx)
		why = "a used ring was written that is not mapped";
	if (!why && eventfd_drain(g->ring[0].err))
		why = "the queue broke";
	return why;
}

/*
 * Completions without a used ring are delivered when it is mapped again: none
 * is lost or repeated.
 */
TEST_F_TIMEOUT(flying, used_ring_gone, 120)
{
	struct guest *g = &self->g;
	unsigned int i;
	struct batch b;

	ATTACH(4096);
	self->m.chunk = 16;
	ASSERT_WELL(iommu_boot(g, true));
	for (i = 0; i < scaled(5, 2); i++) {
		ASSERT_WELL(cut_off(g, &b, &self->rng));
		ASSERT_WELL(give_used(g));
		ASSERT_WELL(batch_wait(&b, 20000));
		ASSERT_WELL(batch_check(&b));
		batch_free(&b);
	}
}

/*
 * Complete a request whose used ring is not mapped, so that the guest does not
 * see it.  Return: NULL if it completed before that, and the guest has seen it.
 */
static struct request *done_untold(struct guest *g, struct rng *rng)
{
	struct request *q = send_one(g, 0, rng);
	uint16_t idx = ring_device_idx(&g->ring[0]);
	unsigned int ms;

	if (take_used(g))
		abort();
	for (ms = 0; ms < 5000 && request_status(q) == STATUS_POISON; ms++)
		usleep(1000);
	/* the core has asked for the ring, so the worker has given up for now */
	if (ring_device_idx(&g->ring[0]) == idx && iommu_wait_miss(g, 1000))
		return q;
	if (give_used(g) || ring_wait(&g->ring[0], 1, 1000))
		abort();
	request_free(q);
	return NULL;
}

/*
 * Map the ring, and stop the device before the worker runs: it shares this CPU,
 * and has a lower priority.
 */
static const char *map_and_stop(struct guest *g, bool one_queue)
{
	struct sched_param first = { .sched_priority = 1 }, usual = {};
	const char *why;
	uint16_t base;
	long ret;

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		return "no SCHED_FIFO";
	why = give_used(g);
	ret = one_queue ? ring_stop(&g->ring[0], &base) : guest_set_running(g, 0);
	sched_setscheduler(0, SCHED_OTHER, &usual);
	return !why && ret ? "SET_RUNNING 0 fails" : why;
}

static void stay_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		abort();
}

/*
 * Requests that completed before a stop are in the used ring, even if it was
 * mapped just before the stop.
 */
TEST_F_TIMEOUT(flying, mapped_before_stop, 120)
{
	struct guest *g = &self->g;
	unsigned int i, early = 0, untold = 0, rounds = scaled(16, 8);

	/* before the worker is created, which may inherit it */
	stay_on_one_cpu();
	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, true));
	/* if the test does not get the CPU, the slow backend completes too early */
	for (i = 0; i < rounds && early < 4 * rounds; i++) {
		uint64_t mark = g->bump;
		uint16_t idx = ring_device_idx(&g->ring[0]);
		struct request *q = done_untold(g, &self->rng);

		if (!q && variant->kind != BACKEND_SLOW)
			SKIP(return, "requests to this backend complete too fast");
		if (!q) {
			early++;
			i--;
			guest_release(g, mark);
			continue;
		}
		untold++;
		/*
		 * a miss that was read may wake the worker; one that was not
		 * read does not
		 */
		if (i & 1)
			iommu_serve(g);
		ASSERT_WELL(map_and_stop(g, i & 2));
		ASSERT_EQ((uint16_t)(idx + 1), ring_device_idx(&g->ring[0]));
		ASSERT_WELL(ring_wait(&g->ring[0], 1, 1000));
		ASSERT_WELL(request_outcome(q, VIRTIO_BLK_S_OK));
		request_free(q);
		guest_release(g, mark);
		while (iommu_wait_miss(g, 0))
			iommu_serve(g);
		ASSERT_EQ(0, guest_set_running(g, 1));
	}
	ASSERT_EQ(rounds, untold);
}

/* Update the model by the writes that were done without a completion. */
static void adopt_writes(struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++) {
		struct request *q = b->q[i];

		if (q->type == VIRTIO_BLK_T_OUT && request_status(q) == VIRTIO_BLK_S_OK)
			backend_model_write(b->guest->opts.backend, q->sector * SECTOR,
					    q->data, q->len);
	}
}

/*
 * A stop does not wait for the used ring, and the next start has no completions
 * of before.
 */
TEST_F_TIMEOUT(flying, stop_without_used_ring, 120)
{
	struct batch_opts opts = { .per_queue = 16 };
	struct guest *g = &self->g;
	unsigned int i;
	uint8_t used[1024];
	struct batch b;

	ATTACH(4096);
	self->m.chunk = 16;
	ASSERT_WELL(iommu_boot(g, true));
	for (i = 0; i < scaled(4, 2); i++) {
		ASSERT_WELL(cut_off(g, &b, &self->rng));
		ASSERT_EQ(0, guest_set_running(g, 0));
		adopt_writes(&b);
		batch_free(&b);
		/* the mapping comes too late: the memory is the driver's after a stop */
		memcpy(used, g->ring[0].used, sizeof(used));
		ASSERT_WELL(give_used(g));
		ring_kick_now(&g->ring[0]);
		usleep(20000);
		EXPECT_EQ(0, memcmp(used, g->ring[0].used, sizeof(used)));
		ASSERT_WELL(check_repaired(g));
		ASSERT_WELL(batch_round(g, &opts, &self->rng));
	}
}

/* The next owner gets no completions of the previous one. */
TEST_F_TIMEOUT(flying, reset_without_used_ring, 60)
{
	struct guest *g = &self->g;
	struct batch b;
	unsigned int i;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, true));
	ASSERT_WELL(cut_off(g, &b, &self->rng));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_RESET_OWNER, NULL));
	adopt_writes(&b);
	batch_free(&b);
	/* the next owner has no IOMMU, and kicks before it starts */
	g->iommu = NULL;
	g->opts.features_off = PLATFORM;
	g->stage = STAGE_OPEN;
	for (i = 0; i < g->nrings; i++)
		ring_reset(&g->ring[i], 0);
	ASSERT_WELL(guest_boot_to(g, STAGE_RINGS));
	ring_kick_now(&g->ring[0]);
	ASSERT_WELL(ring_idle(&g->ring[0], 50));
	ASSERT_WELL(guest_prove(g));
}

TEST_HARNESS_MAIN
