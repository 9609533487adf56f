// SPDX-License-Identifier: GPL-2.0
/*
 * Behind an IOMMU: the device knows the addresses that it was told, asks for
 * the others, and lets go of those that are taken away from it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>

#include "dirty.h"
#include "iommu.h"
#include "mix.h"
#include "suite.h"
#include "traffic.h"

#define PLATFORM	BIT64(VIRTIO_F_ACCESS_PLATFORM)
#define ZEROES		BIT64(VIRTIO_BLK_F_WRITE_ZEROES)
#define SLOW_US		(SLOW_NSEC / 1000)

FIXTURE(iotlb) {
	struct backend b;
	struct guest g;
	struct iommu m;
	struct rng rng;
};

FIXTURE_VARIANT(iotlb) {
	enum backend_kind kind;
	bool direct;
	bool v2;
};

FIXTURE_VARIANT_ADD(iotlb, bdev_v1) {
	.kind = BACKEND_BDEV, .direct = true, .v2 = false,
};

FIXTURE_VARIANT_ADD(iotlb, file_direct_v2) {
	.kind = BACKEND_FILE, .direct = true, .v2 = true,
};

FIXTURE_VARIANT_ADD(iotlb, file_buffered_v1) {
	.kind = BACKEND_FILE, .direct = false, .v2 = false,
};

/* Requests in flight for as long as it takes to do something to them */
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

/* NULL, or why there is nothing to be tested */
static const char *set_up(struct backend *b, struct guest *g, struct rng *rng,
			  enum backend_kind kind, bool direct)
{
	struct guest_opts opts = {
		.backend = b, .queues = 2, .mem = 1 << 20, .features_on = ZEROES,
	};
	const char *why;

	if (!guest_has_device())
		return NO_DEVICE;
	if (model_wanted())
		return "the model device has no IOTLB";
	why = backend_open(b, kind, direct);
	if (why)
		return why;
	rng->state = rng_seed_from_env();
	guest_init(g, &opts);
	return NULL;
}

static const char *tear_down(struct backend *b, struct guest *g, struct iommu *m)
{
	const char *why = b->model ? backend_compare_all(b) : NULL;

	iommu_free(g, m);
	guest_destroy(g);
	backend_close(b);
	return m->why[0] ? m->why : why;
}

FIXTURE_SETUP(iotlb)
{
	const char *why = set_up(&self->b, &self->g, &self->rng, variant->kind,
				 variant->direct);

	if (why)
		SKIP(return, "%s", why);
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

FIXTURE_TEARDOWN(iotlb)
{
	const char *why = tear_down(&self->b, &self->g, &self->m);

	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

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

/* An IOMMU with pages of that size, not booted yet */
#define ATTACH(size) iommu_attach(&self->g, &self->m, size, variant->v2, &self->rng)

static uint64_t data_len(struct guest *g)
{
	return g->region[0].len - g->data_start;
}

/* Where a part of a ring is for the device */
static uint64_t ring_off(struct guest *g, const void *part)
{
	return (const uint8_t *)part - g->region[0].hva;
}

/* Data that has to be bounced goes one by one: too slow on a slow disk */
static struct mix_opts mix_for(struct guest *g)
{
	return (struct mix_opts){ .aligned = g->opts.backend->kind == BACKEND_SLOW };
}

static const char *rounds(struct guest *g, unsigned int n, struct rng *rng)
{
	struct mix_opts mix = mix_for(g);
	const char *why = NULL;

	while (!why && n--) {
		why = mix_round(g, &mix, rng);
		/* the next round has to ask again */
		if (!why && iommu_invalidate(g, g->data_start, data_len(g)))
			why = "an invalidation was refused";
	}
	return why;
}

/* The device has been told of everything: it never asks. */
TEST_F_TIMEOUT(iotlb, preloaded, 60)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, true));
	for (i = 0; i < scaled(5, 2); i++)
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
	EXPECT_EQ(0, self->m.misses);
	EXPECT_FALSE(iommu_wait_miss(g, 0));
}

/* It has been told of the rings alone: it asks for the rest, page by page. */
TEST_F_TIMEOUT(iotlb, misses, 60)
{
	ATTACH(4096);
	ASSERT_WELL(iommu_boot(&self->g, false));
	ASSERT_WELL(rounds(&self->g, scaled(5, 2), &self->rng));
	EXPECT_LT(10, self->m.misses);
}

/* Many small mappings in a buffer, of which some are there and some are not */
TEST_F_TIMEOUT(iotlb, small_pages, 60)
{
	struct guest *g = &self->g;
	unsigned int i;

	ATTACH(512);
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < scaled(5, 2); i++) {
		uint64_t off;

		self->m.chunk = 1 + rng_below(&self->rng, 8);
		for (off = g->data_start; off < g->region[0].len; off += 512)
			if (!rng_below(&self->rng, 3))
				ASSERT_EQ(0, iommu_update(g, off, 512));
		ASSERT_WELL(rounds(g, 1, &self->rng));
	}
	EXPECT_LT(10, self->m.misses);
}

/* Answers that come late, and in another order than the questions */
TEST_F_TIMEOUT(iotlb, late_answers, 60)
{
	ATTACH(4096);
	self->m.late = 3;
	self->m.reverse = true;
	self->m.chunk = 4;
	ASSERT_WELL(iommu_boot(&self->g, false));
	ASSERT_WELL(rounds(&self->g, scaled(4, 2), &self->rng));
	EXPECT_LT(10, self->m.misses);
}

/* More mappings than the core keeps: it drops old ones, and asks again. */
TEST_F_TIMEOUT(iotlb, beyond_limit, 60)
{
	struct guest *g = &self->g;

	ATTACH(256);
	self->m.chunk = 64;
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, iommu_update(g, g->data_start, data_len(g)));
	ASSERT_LT(2500, self->m.updates);
	/* a request at the front, whose mappings were dropped, and then all over */
	ASSERT_WELL(rounds(g, scaled(4, 2), &self->rng));
	EXPECT_LT(0, self->m.misses);
}

/* Anything may be taken away at any time, the rings too: nothing is lost or wrong. */
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
		/* a quick device is done before anybody looks */
		ASSERT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
	}
	EXPECT_LT(0, self->m.misses);
}

/* One page of a request is not permitted: the queue breaks, the other one does not notice. */
static const char *denied(struct guest *g, uint32_t type, unsigned int seg, uint8_t perm)
{
	struct iommu *m = g->iommu;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, type, 8, 4096);
	const char *why;
	uint32_t page;
	unsigned int i;

	request_cut_usual(q);
	for (i = 0; i < q->nout + q->nin; i++)
		q->seg[i].gpa = guest_alloc(g, q->seg[i].len, 4096);
	request_arm(q, 1);
	page = (q->seg[seg].gpa - m->base) / m->page_size;
	m->perm[page] = perm;
	if (iommu_invalidate(g, g->data_start, data_len(g)) ||
	    iommu_update(g, g->data_start, data_len(g)))
		return "no update";
	guest_snapshot(g);
	ring_add(&g->ring[0], q);
	ring_kick_now(&g->ring[0]);
	why = check_broken(&g->ring[0]);
	if (!why)
		why = guest_compare(g);
	if (!why && iommu_wait_miss(g, 0))
		why = "a miss, though the mapping is there";
	m->perm[page] = VHOST_ACCESS_RW;
	if (!why && iommu_invalidate(g, g->data_start, data_len(g)))
		why = "no invalidation";
	if (!why)
		why = request_simple(&g->ring[1], VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK);
	request_free(q);
	guest_release(g, mark);
	return why ? why : check_repaired(g);
}

TEST_F_TIMEOUT(iotlb, permissions, 60)
{
	struct guest *g = &self->g;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	/* header, data, status */
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_IN, 0, VHOST_ACCESS_WO));
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_IN, 1, VHOST_ACCESS_RO));
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_OUT, 1, VHOST_ACCESS_WO));
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_OUT, 2, VHOST_ACCESS_RO));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

static void nothing(int sig)
{
	(void)sig;
}

/* What the file operations say when there is nothing, or nonsense */
TEST_F_TIMEOUT(iotlb, messages, 60)
{
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	struct sigaction act = { .sa_handler = nothing };
	struct vhost_msg_v2 bad = { .type = 77 };
	struct guest *g = &self->g;
	struct vhost_iotlb_msg msg;
	char room[256];

	ATTACH(4096);
	ASSERT_WELL(guest_boot_to(g, STAGE_BACKEND));
	/* no IOTLB yet */
	EXPECT_EQ(-1, read(g->fd, room, sizeof(room)));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(-EFAULT, iommu_update(g, 0, 4096));
	EXPECT_EQ(-EFAULT, iommu_invalidate(g, 0, 4096));
	ASSERT_WELL(guest_boot_to(g, STAGE_FEATURES));
	/* a read that waits, until a signal comes */
	ASSERT_EQ(0, sigaction(SIGALRM, &act, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-1, read(g->fd, room, sizeof(room)));
	EXPECT_EQ(EINTR, errno);
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_WELL(rounds(g, 1, &self->rng));
	EXPECT_EQ(-1, read(g->fd, room, sizeof(room)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, read(g->fd, room, 4));
	EXPECT_FALSE(iommu_wait_miss(g, 0));
	/* a type of nobody, messages cut short, orders of nobody, ranges of nothing */
	EXPECT_EQ(-1, write(g->fd, &bad, sizeof(bad)));
	EXPECT_EQ(EINVAL, errno);
	bad.type = VHOST_IOTLB_MSG_V2;
	EXPECT_EQ(-1, write(g->fd, &bad, 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(g->fd, &bad, 20));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(g->fd, &bad, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EFAULT, iommu_message(g, 99, 0, 4096, room, VHOST_ACCESS_RW));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_MISS, 0, 4096, room, VHOST_ACCESS_RW));
	EXPECT_EQ(-EINVAL, iommu_message(g, VHOST_IOTLB_UPDATE, 0, 0, room, VHOST_ACCESS_RW));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_INVALIDATE, 0, 0, NULL, 0));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, 0, 4096,
					 (void *)0xffffffffff000000, VHOST_ACCESS_RW));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, ~0ULL, 4096, room,
					 VHOST_ACCESS_RW));
	/* to the end of the address space, and around it */
	EXPECT_EQ(0, iommu_message(g, VHOST_IOTLB_INVALIDATE, ~0ULL - 4095, 4096, NULL, 0));
	EXPECT_EQ(0, iommu_message(g, VHOST_IOTLB_INVALIDATE, ~0ULL, 4096, NULL, 0));
	/* a miss wakes who polls, once */
	EXPECT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
	ring_kick_now(&g->ring[0]);
	EXPECT_TRUE(iommu_wait_miss(g, 5000));
	EXPECT_TRUE(iommu_read(g, &msg));
	EXPECT_FALSE(iommu_wait_miss(g, 0));
	EXPECT_FALSE(iommu_read(g, &msg));
	EXPECT_EQ(0, iommu_update(g, 0, g->data_start));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* The used ring is written at a start. */
TEST_F(iotlb, start_without_ring)
{
	struct guest *g = &self->g;
	uint64_t off;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, guest_set_running(g, 0));
	off = ring_off(g, g->ring[0].used);
	ASSERT_EQ(0, iommu_invalidate(g, off, 4096));
	EXPECT_EQ(-EFAULT, guest_set_running(g, 1));
	EXPECT_TRUE(iommu_wait_miss(g, 1000));
	iommu_serve(g);
	/* where the core says so too */
	eventfd_drain(g->ring[0].err);
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* The next driver may do without an IOMMU, and the one after it have one again. */
TEST_F_TIMEOUT(iotlb, switched_off, 60)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EBUSY, guest_set_features(g, g->features & ~PLATFORM));
		ASSERT_WELL(rounds(g, 1, &self->rng));
		/* a miss of before that nobody answers */
		ASSERT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
		ring_kick_now(&g->ring[0]);
		ASSERT_EQ(0, guest_set_running(g, 0));
		g->iommu = NULL;
		g->opts.features_off = PLATFORM;
		g->stage = STAGE_BACKEND;
		ASSERT_WELL(guest_boot(g));
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
		ASSERT_EQ(0, guest_set_running(g, 0));
		g->opts.features_off = 0;
		g->iommu = &self->m;
		g->stage = STAGE_BACKEND;
		ASSERT_WELL(iommu_boot(g, false));
	}
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* What is written is logged by guest-physical address. */
TEST_F_TIMEOUT(iotlb, logged, 60)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;
	struct dirty d;

	ATTACH(4096);
	dirty_attach(g, &d);
	g->opts.features_on |= BIT64(VHOST_F_LOG_ALL);
	ASSERT_WELL(guest_boot_to(g, STAGE_OWNED));
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_WELL(iommu_boot(g, true));
	self->m.chunk = 8;
	for (i = 0; i < scaled(6, 3); i++) {
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
		ASSERT_LT(1, d.changed);
		self->m.storm = i ? 20 : 0;
	}
	self->m.storm = 0;
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_free(g);
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* A read or write, aligned or bounced, on the first queue; it may not have begun yet. */
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
 * What the device may write is taken away while it is in flight.  When that
 * returns it is done, or it was never begun; nothing is written afterwards.
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
		/* all that it has, or its status alone */
		off = q->seg[q->nout + q->nin - 1].gpa - self->m.base;
		ASSERT_EQ(0, iommu_invalidate(g, i & 4 ? off : g->data_start,
					      i & 4 ? 1 : data_len(g)));
		guest_snapshot(g);
		done += request_status(q) != STATUS_POISON;
		usleep(variant->kind == BACKEND_SLOW ? 2 * SLOW_US : 2000);
		/* the used ring is elsewhere: it may be written */
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

/* Nothing that is in flight can write there: nobody waits. */
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
	/* not ten: this host may have been busy with something else */
	if (variant->kind == BACKEND_SLOW)
		ASSERT_LE(5, at_once);
}

/* The first queue's used ring is out of reach, and nobody answers. */
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

/* A batch in flight on both queues, and the first one can't be told that it is done. */
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
		why = "a used ring was written that is out of reach";
	if (!why && eventfd_drain(g->ring[0].err))
		why = "the queue broke";
	return why;
}

/* Completions that find no used ring come when it is back: none is lost or doubled. */
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

/* Those that were done, though nobody was told */
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

/* A stop doesn't wait for the used ring, and leaves nothing behind for the next start. */
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
		/* it is back too late: memory is the driver's since the stop */
		memcpy(used, g->ring[0].used, sizeof(used));
		ASSERT_WELL(give_used(g));
		ring_kick_now(&g->ring[0]);
		usleep(20000);
		EXPECT_EQ(0, memcmp(used, g->ring[0].used, sizeof(used)));
		ASSERT_WELL(check_repaired(g));
		ASSERT_WELL(batch_round(g, &opts, &self->rng));
	}
}

/* Nor does an owner leave anything behind for the next one. */
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
	/* the next one has no IOMMU; it kicks before it starts */
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
