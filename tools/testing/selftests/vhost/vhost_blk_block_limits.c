// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with blocks of 4096 bytes, and devices with small request limits:
 * what the configuration space says about them, and data in segments of any
 * shape.
 */
#include "dm.h"
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

/* at most 8 KiB per request to the device */
static const struct nullb_attr little[] = {
	{ "max_sectors", "16" }, { "discard", "1" }, { NULL, NULL },
};

/* A segment that does not continue at a page boundary starts a new request. */
static const struct nullb_attr boundary[] = {
	{ "virt_boundary", "1" }, { "discard", "1" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(blocks, little) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = little }, .block = 1,
};

FIXTURE_VARIANT_ADD(blocks, boundary) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = boundary }, .block = 1,
};

FIXTURE_VARIANT_ADD(blocks, of_4096) {
	.opts = { .kind = BACKEND_LOOP, .direct = true, .block_size = 4096 }, .block = 8,
};

/* If null_blk gets a block in several segments, it stores only the first one. */
static const struct nullb_attr large[] = {
	{ "blocksize", "4096" }, { "discard", "1" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(blocks, nullb_4096) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = large }, .block = 8,
};

/* In Linux 6.1 a block that does not fit into one request is a BUG(). */
static const struct nullb_attr large_boundary[] = {
	{ "blocksize", "4096" }, { "virt_boundary", "1" }, { "discard", "1" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(blocks, boundary_4096) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = large_boundary }, .block = 8,
};

/* Large blocks and small requests: a request has at most one segment of one page. */
static const struct nullb_attr large_little[] = {
	{ "blocksize", "4096" }, { "max_sectors", "8" }, { "discard", "1" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(blocks, little_4096) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = large_little }, .block = 8,
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
		SKIP(return, "the model device has blocks of 512 bytes only");
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

/* Whole blocks at block boundaries succeed; a sector more or less is an error. */
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

/* Run a prepared request, free it, and free the guest memory allocated since @mark. */
static const char *verify(struct request *q, uint64_t mark, struct rng *rng, uint8_t status)
{
	struct guest *g = q->guest;
	const char *why;

	request_arm(q, rng_next(rng));
	why = request_verify(&g->ring[0], q, status);
	request_free(q);
	guest_release(g, mark);
	return why;
}

static const char *in_segments(struct guest *g, uint32_t type, uint32_t segs, uint32_t step,
			       enum place how, struct rng *rng)
{
	struct request *q = request_new(g, type, 16, segs * step);
	uint64_t mark = g->bump;

	request_cut_every(q, step);
	request_place(q, how, rng);
	request_set_indirect(q, rng_next(rng) & 1);
	return verify(q, mark, rng, S_OK);
}

/* As many segments as the ring allows; the device splits the request. */
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
	/* 3.5 MiB in segments that start and end within pages */
	ASSERT_WELL(in_segments(&self->g, T_OUT, 1016, 3584, PLACE_ALIGNED, &self->rng));
	ASSERT_WELL(in_segments(&self->g, T_IN, 1016, 3584, PLACE_SCATTER, &self->rng));
}

struct piece {
	uint32_t offset;	/* in a page of its own */
	uint32_t len;
};

/* For each segment an offset and a length; the last entry has length 0. */
static const struct piece layouts[][9] = {
	{ { 512, 1536 }, { 0, 2560 } },
	{ { 0, 512 }, { 0, 512 }, { 0, 512 }, { 0, 512 },
	  { 0, 512 }, { 0, 512 }, { 0, 512 }, { 0, 512 } },
	{ { 3584, 512 }, { 0, 3584 } },
	{ { 512, 4096 } },
	{ { 3584, 4096 } },
	{ { 512, 4096 }, { 2048, 4096 } },
	{ { 0, 4096 }, { 512, 8192 }, { 0, 4096 } },
	{ { 512, 12288 }, { 512, 4096 }, { 1024, 16384 } },
	{ { 0, 512 }, { 0, 4096 }, { 0, 3584 } },
	{ { 4, 4096 } },
	{ { 510, 4096 }, { 0, 4096 } },
};

static unsigned int count_pieces(const struct piece *p, uint32_t *len)
{
	unsigned int n;

	*len = 0;
	for (n = 0; n < ARRAY_SIZE(layouts[0]) && p[n].len; n++)
		*len += p[n].len;
	return n;
}

static const char *in_pieces(struct guest *g, uint32_t type, const struct piece *p,
			     unsigned int n, uint32_t len, struct rng *rng, uint8_t status)
{
	struct request *q = request_new(g, type, 16, len);
	uint32_t cut[ARRAY_SIZE(layouts[0])], at = q->data_in ? 0 : HDR_LEN;
	uint64_t mark = g->bump;
	unsigned int i;

	for (i = 0; i < n; i++) {
		cut[i] = q->data_in ? at + p[i].len : at;
		at += p[i].len;
	}
	request_cut(q, cut, q->data_in ? 0 : n, cut, q->data_in ? n : 0);
	request_place(q, PLACE_ALIGNED, rng);
	for (i = 0; i < n; i++)
		q->seg[1 + i].gpa =
			guest_alloc(g, p[i].offset + p[i].len, 4096) + p[i].offset;
	request_set_indirect(q, rng_next(rng) & 1);
	return verify(q, mark, rng, status);
}

/* One range of memory, described by eight adjacent descriptors */
static const char *adjacent(struct guest *g, uint32_t type, uint32_t offset, struct rng *rng)
{
	struct request *q = request_new(g, type, 24, 4096);
	uint64_t mark = g->bump, at;
	unsigned int i;

	request_cut_every(q, SECTOR);
	request_place(q, PLACE_ALIGNED, rng);
	at = guest_alloc(g, 2 * 4096, 4096) + offset;
	for (i = 0; i < 8; i++, at += SECTOR)
		q->seg[1 + i].gpa = at;
	return verify(q, mark, rng, S_OK);
}

/*
 * Requests of whole blocks whose segments are multiples of a sector, at
 * addresses aligned to a sector.  The device must get whole blocks.
 */
TEST_F(blocks, pieces)
{
	static const uint32_t offset[] = { 0, 512, 2048, 3584 };
	unsigned int i, n;
	uint32_t len;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		n = count_pieces(layouts[i], &len);
		ASSERT_WELL(in_pieces(&self->g, T_OUT, layouts[i], n, len, &self->rng,
				      S_OK));
		ASSERT_WELL(in_pieces(&self->g, T_IN, layouts[i], n, len, &self->rng,
				      S_OK));
	}
	for (i = 0; i < ARRAY_SIZE(offset); i++) {
		ASSERT_WELL(adjacent(&self->g, T_OUT, offset[i], &self->rng));
		ASSERT_WELL(adjacent(&self->g, T_IN, offset[i], &self->rng));
	}
}

/* Random requests of all kinds, in whole blocks */
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

/* A device mapper disk whose table is replaced while it is attached */
FIXTURE(table) {
	struct backend small;
	struct backend large;
	struct dm dm;
	struct backend b;
	struct guest g;
	struct rng rng;
};

static const char *linear(struct dm *dm, struct backend *on, bool create)
{
	char params[256];

	snprintf(params, sizeof(params), "%s 0", on->path);
	return create ? dm_create(dm, on->size / SECTOR, "linear", params) :
			dm_replace(dm, on->size / SECTOR, "linear", params);
}

FIXTURE_SETUP(table)
{
	struct backend_opts named = { .kind = BACKEND_NAMED, .direct = true };
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	const char *why = no_kernel("the model device has blocks of 512 bytes only");

	self->dm.control = -1;
	if (!why)
		why = backend_open_as(&self->small, &disk);
	disk.nullb = large_boundary;
	if (!why)
		why = backend_open_as(&self->large, &disk);
	if (!why)
		why = linear(&self->dm, &self->small, true);
	named.path = self->dm.path;
	if (!why)
		why = backend_open_as(&self->b, &named);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	BOOT(.queues = 1);
}

FIXTURE_TEARDOWN(table)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->large);
	backend_close(&self->small);
}

static uint64_t capacity(struct guest *g)
{
	struct blk_config c = { 0 };

	guest_get_config(g, &c);
	return le64toh(c.capacity);
}

/*
 * The blocks of the backend become larger than the guest knows: no data is read
 * or written until they have their old size again.  On Linux 6.1 this would be
 * a BUG().
 */
TEST_F(table, larger_blocks)
{
	const struct piece *p = layouts[0];
	struct ring *r = &self->g.ring[0];
	uint64_t sectors = capacity(&self->g);
	uint32_t len;
	unsigned int n = count_pieces(p, &len);

	ASSERT_WELL(in_pieces(&self->g, T_OUT, p, n, len, &self->rng, S_OK));
	ASSERT_WELL(in_pieces(&self->g, T_IN, p, n, len, &self->rng, S_OK));
	ASSERT_WELL(linear(&self->dm, &self->large, false));
	ASSERT_EQ(4096, backend_sysfs(&self->b, "queue/logical_block_size"));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(in_pieces(&self->g, T_OUT, p, n, len, &self->rng, S_IOERR));
	ASSERT_WELL(in_pieces(&self->g, T_IN, p, n, len, &self->rng, S_IOERR));
	ASSERT_WELL(request_ends(r, T_IN, 0, 512, S_IOERR));
	ASSERT_WELL(request_ends(r, T_OUT, 16, 4096, S_IOERR));
	ASSERT_WELL(request_ends(r, VIRTIO_BLK_T_FLUSH, 0, 0, S_OK));
	EXPECT_EQ(0, capacity(&self->g));
	ASSERT_WELL(linear(&self->dm, &self->small, false));
	EXPECT_EQ(sectors, capacity(&self->g));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(in_pieces(&self->g, T_IN, p, n, len, &self->rng, S_OK));
	ASSERT_WELL(in_pieces(&self->g, T_OUT, p, n, len, &self->rng, S_OK));
}

TEST_HARNESS_MAIN
