// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with blocks of 4096 bytes, and devices that take little at a time:
 * what the guest is told of them, and its data in any shape.
 */
#include "ranges.h"
#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR

FIXTURE(blocks) {
	struct backend b;
	struct guest g;
	struct rng rng;
	unsigned int block;	/* in sectors */
};

FIXTURE_VARIANT(blocks) {
	struct backend_opts opts;
	unsigned int block;
};

/* 8 KiB in a request to the device, at most */
static const struct nullb_attr little[] = {
	{ "max_sectors", "16" }, { "discard", "1" }, { NULL, NULL },
};

/* What follows a piece that ends inside of a page is a request of its own. */
static const struct nullb_attr boundary[] = {
	{ "virt_boundary", "1" }, { "discard", "1" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(blocks, little) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = little }, .block = 1,
};

FIXTURE_VARIANT_ADD(blocks, boundary) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = boundary }, .block = 1,
};

/*
 * Not null_blk: in its memory a block of more than a sector is found at the
 * block's start alone, so that a request in pieces of less reads zeroes.
 */
FIXTURE_VARIANT_ADD(blocks, of_4096) {
	.opts = { .kind = BACKEND_LOOP, .direct = true, .block_size = 4096 }, .block = 8,
};

FIXTURE_SETUP(blocks)
{
	struct guest_opts guest = {
		.backend = &self->b, .queues = 2, .num = 1024, .mem = 16 << 20,
	};
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device knows sectors only");
	why = backend_open_as(&self->b, &variant->opts);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	self->block = variant->block;
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(blocks)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	backend_close(&self->b);
	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

#define SIMPLE(type, sector, len, status)					\
	ASSERT_WELL(request_simple(&self->g.ring[0], type, sector, len, status))

TEST_F(blocks, topology)
{
	unsigned int size = self->block * SECTOR;
	struct blk_config c;

	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(size, le32toh(c.blk_size));
	EXPECT_EQ(backend_sysfs(&self->b, "queue/logical_block_size"), le32toh(c.blk_size));
	EXPECT_EQ(backend_sysfs(&self->b, "queue/physical_block_size"),
		  size << c.physical_block_exp);
	EXPECT_EQ(backend_sysfs(&self->b, "queue/minimum_io_size"),
		  (long long)le16toh(c.min_io_size) * size);
	EXPECT_EQ(backend_sysfs(&self->b, "queue/optimal_io_size"),
		  (long long)le32toh(c.opt_io_size) * size);
	EXPECT_EQ(backend_sysfs(&self->b, "alignment_offset"),
		  (long long)c.alignment_offset * size);
	EXPECT_EQ(VHOST_BLK_MAX_QUEUE_SIZE - 2, le32toh(c.seg_max));
	EXPECT_EQ(self->b.size / SECTOR, le64toh(c.capacity));
}

/* Whole blocks, at their place; a sector less or more is an error. */
TEST_F(blocks, alignment)
{
	uint32_t block = self->block, off, n;

	for (off = 0; off <= block; off++) {
		for (n = 1; n <= 2 * block; n++) {
			uint8_t status = off % block || n % block ? S_IOERR : S_OK;

			SIMPLE(T_OUT, 64 + off, n * SECTOR, status);
			SIMPLE(T_IN, 64 + off, n * SECTOR, status);
			ASSERT_WELL(range_run(&self->g.ring[0], VIRTIO_BLK_T_DISCARD, 128 + off,
					      n, 0, status));
			ASSERT_WELL(range_run(&self->g.ring[0], VIRTIO_BLK_T_WRITE_ZEROES,
					      192 + off, n, 0, status));
		}
	}
	ASSERT_WELL(guest_prove(&self->g));
}

static const char *in_segments(struct guest *g, uint32_t type, uint32_t segs, uint32_t step,
			       enum place how, struct rng *rng)
{
	struct request *q = request_new(g, type, 16, segs * step);
	uint64_t mark = g->bump;
	const char *why;

	request_cut_every(q, step);
	request_place(q, how, rng);
	request_set_indirect(q, rng_next(rng) & 1);
	request_arm(q, rng_next(rng));
	why = request_verify(&g->ring[0], q, S_OK);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/* As many as the ring allows, which the device takes in several requests of its own */
TEST_F_TIMEOUT(blocks, segments, 120)
{
	static const uint32_t segs[] = { 7, 128, 129, 1016, 1022 };
	unsigned int i, k;

	EXPECT_GT(1022, backend_sysfs(&self->b, "queue/max_segments"));
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		for (k = 0; k < 2; k++) {
			enum place how = k ? PLACE_SCATTER : PLACE_ALIGNED;
			uint32_t step = segs[i] % self->block ? self->block * SECTOR : SECTOR;

			if (segs[i] * step > BACKEND_SIZE - 16 * SECTOR)
				step = SECTOR;
			if (segs[i] * step % (self->block * SECTOR))
				continue;
			ASSERT_WELL(in_segments(&self->g, T_OUT, segs[i], step, how, &self->rng));
			ASSERT_WELL(in_segments(&self->g, T_IN, segs[i], step, how, &self->rng));
		}
	}
	/* 3.5 MiB in pieces that begin and end inside of pages */
	ASSERT_WELL(in_segments(&self->g, T_OUT, 1016, 3584, PLACE_ALIGNED, &self->rng));
	ASSERT_WELL(in_segments(&self->g, T_IN, 1016, 3584, PLACE_SCATTER, &self->rng));
}

/* Everything at once, in whole blocks */
TEST_F_TIMEOUT(blocks, mix, 120)
{
	unsigned int i;

	for (i = 0; i < scaled(4, 2); i++) {
		struct batch_opts round = {
			.per_queue = 64, .max_sectors = self->block * 4, .max_segs = 12,
			.block = self->block, .ranges = true,
		};

		ASSERT_WELL(batch_round(&self->g, &round, &self->rng));
	}
}

TEST_HARNESS_MAIN
