// SPDX-License-Identifier: GPL-2.0
/*
 * A guest with logical blocks of 512 bytes on a backend with blocks of 4096: the
 * device reads, modifies and writes the backend's blocks.  Neighbours in a block
 * that are written at the same time must not lose data.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#include "dirty.h"
#include "filesystem.h"
#include "hang.h"
#include "inject.h"
#include "iommu.h"
#include "mix.h"
#include "ranges.h"
#include "suite.h"
#include "vmm.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR
#define DISCARD	BIT64(VIRTIO_BLK_F_DISCARD)
#define ZEROES	BIT64(VIRTIO_BLK_F_WRITE_ZEROES)
#define BLOCK	4096U
#define QUEUES	4

static const struct nullb_attr large[] = {
	{ "blocksize", "4096" }, { "discard", "1" }, { NULL, NULL },
};

FIXTURE(emulated) {
	struct backend b;
	struct backend below;	/* of the file system, if the backend is a file */
	struct filesystem fs;
	struct guest g;
	struct rng rng;
};

FIXTURE_VARIANT(emulated) {
	enum backend_kind kind;
};

FIXTURE_VARIANT_ADD(emulated, nullb) {
	.kind = BACKEND_NULLB,
};

FIXTURE_VARIANT_ADD(emulated, loop) {
	.kind = BACKEND_LOOP,
};

FIXTURE_VARIANT_ADD(emulated, file) {
	.kind = BACKEND_FILE,
};

/* Create a file system on a disk with blocks of 4096 bytes, and a file for direct I/O. */
static const char *open_file(struct backend *b, struct backend *below, struct filesystem *fs,
			     uint64_t size)
{
	struct backend_opts disk = {
		.kind = BACKEND_NULLB, .direct = true, .size = 64 << 20, .blank = true,
		.nullb = large,
	};
	struct backend_opts file = {
		.kind = BACKEND_FILE, .direct = true, .size = size, .dir = fs->dir,
	};
	const char *why = backend_open_as(below, &disk);

	if (!why)
		why = fs_on_device(fs, below->path, "", "");
	return why ? why : backend_open_as(b, &file);
}

static const char *open_backend(struct backend *b, struct backend *below,
				struct filesystem *fs, enum backend_kind kind)
{
	struct backend_opts opts = {
		.kind = kind, .direct = true, .nullb = large, .block_size = BLOCK,
	};

	if (kind == BACKEND_FILE)
		return open_file(b, below, fs, 0);
	return backend_open_as(b, &opts);
}

static void close_all(struct backend *b, struct backend *below, struct filesystem *fs)
{
	backend_close(b);
	if (fs->dir[0])
		fs_close(fs);
	backend_close(below);
}

static void none(struct backend *b, struct backend *below, struct filesystem *fs)
{
	memset(b, 0, sizeof(*b));
	backend_none(b);
	*below = *b;
	memset(fs, 0, sizeof(*fs));
	fs->image = -1;
	fs->loop = -1;
}

FIXTURE_SETUP(emulated)
{
	struct guest_opts guest = {
		.backend = &self->b, .queues = QUEUES, .num = 256, .mem = 24 << 20,
		.block_size = SECTOR,
	};
	const char *why = no_kernel("the model device has blocks of 512 bytes only");

	none(&self->b, &self->below, &self->fs);
	if (!why)
		why = open_backend(&self->b, &self->below, &self->fs, variant->kind);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	guest_init(&self->g, &guest);
}

FIXTURE_TEARDOWN(emulated)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	close_all(&self->b, &self->below, &self->fs);
	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

#define SIMPLE(type, sector, sectors, status)						\
	ASSERT_WELL(request_simple(&self->g.ring[0], type, sector, (sectors) * SECTOR, status))

/* The guest's blocks in the configuration space, the backend's in the topology */
TEST_F(emulated, topology)
{
	struct vhost_blk_info info;
	struct blk_config c;

	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(SECTOR, le32toh(c.blk_size));
	EXPECT_EQ(3, c.physical_block_exp);
	EXPECT_EQ(BLOCK / SECTOR, le16toh(c.min_io_size));
	EXPECT_EQ(self->b.size / SECTOR, le64toh(c.capacity));
	if (guest_has(&self->g, VIRTIO_BLK_F_DISCARD))
		EXPECT_EQ(0, le32toh(c.discard_sector_alignment) % (BLOCK / SECTOR));
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(BLOCK, info.block_size);
	EXPECT_EQ(self->b.size / SECTOR, info.capacity);
}

/* Every position in a block, and every length up to more than two blocks */
TEST_F_TIMEOUT(emulated, every_offset, 120)
{
	uint32_t off, n;

	ASSERT_WELL(guest_boot(&self->g));
	for (off = 0; off <= 8; off++) {
		for (n = 1; n <= 18; n += scaled(1, 2 + off % 2)) {
			SIMPLE(T_OUT, 64 + off, n, S_OK);
			SIMPLE(T_IN, 64 + off, n, S_OK);
			ASSERT_WELL(range_run(&self->g.ring[0], VIRTIO_BLK_T_WRITE_ZEROES,
					      128 + off, n, n & RANGE_UNMAP, S_OK));
		}
	}
	/* the last sector, and the first behind the end */
	SIMPLE(T_OUT, self->b.size / SECTOR - 1, 1, S_OK);
	SIMPLE(T_IN, self->b.size / SECTOR - 1, 1, S_OK);
	SIMPLE(T_OUT, self->b.size / SECTOR - 1, 2, S_IOERR);
	SIMPLE(T_IN, self->b.size / SECTOR, 1, S_IOERR);
	ASSERT_WELL(backend_compare_all(&self->b));
}

/* Any size, also of more than one chunk of the driver, in any layout */
TEST_F_TIMEOUT(emulated, random_layout, 240)
{
	struct guest *g = &self->g;
	uint64_t mark;
	unsigned int i;

	ASSERT_WELL(guest_boot(g));
	mark = g->bump;
	for (i = 0; i < scaled(400, 60); i++) {
		uint32_t max = i % 4 ? 40 : 1400, n = 1 + rng_below(&self->rng, max);
		uint64_t sector = rng_below(&self->rng, self->b.size / SECTOR - n);
		struct request *q = request_new(g, i & 1 ? T_IN : T_OUT, sector, n * SECTOR);

		request_cut_random(q, &self->rng, 1 + rng_below(&self->rng, 20));
		request_place(q, rng_below(&self->rng, 3), &self->rng);
		request_set_indirect(q, rng_next(&self->rng) & 1);
		request_arm(q, rng_next(&self->rng));
		ASSERT_WELL(request_verify(&g->ring[i % QUEUES], q, S_OK));
		request_free(q);
		guest_release(g, mark);
	}
}

/* Give neighbouring requests of a batch to different queues. */
static void shuffle(struct batch *b, struct rng *rng)
{
	unsigned int i, j, ring;

	for (i = b->n; i > 1; i--) {
		j = rng_below(rng, i);
		ring = b->ring[i - 1];
		b->ring[i - 1] = b->ring[j];
		b->ring[j] = ring;
	}
}

/* Requests of all queues that share the blocks of the backend, each with its own sectors */
static void build_shared(struct batch *b, struct guest *g, unsigned int max_sectors,
			 unsigned int per_queue, struct rng *rng)
{
	struct batch_opts opts = {
		.per_queue = per_queue, .max_sectors = max_sectors, .block = 1, .ranges = true,
		.max_segs = rng_next(rng) & 1 ? 6 : 0,
		.writes_only = rng_next(rng) & 1,
	};

	batch_build(b, g, &opts, rng);
	shuffle(b, rng);
}

static const char *shared_round(struct guest *g, unsigned int max_sectors,
				unsigned int per_queue, struct rng *rng)
{
	struct batch b;
	const char *why;

	build_shared(&b, g, max_sectors, per_queue, rng);
	why = batch_submit(&b);
	if (!why)
		why = batch_wait(&b, 60000);
	if (!why)
		why = batch_check(&b);
	batch_free(&b);
	return why;
}

/* No update is lost, whatever the neighbours of a sector do meanwhile. */
TEST_F_TIMEOUT(emulated, shared_blocks, 300)
{
	static const unsigned int max[] = { 1, 3, 7, 13, 40 };
	unsigned int i;

	self->g.opts.features_off = DISCARD;
	ASSERT_WELL(guest_boot(&self->g));
	for (i = 0; i < scaled(100, 20); i++)
		ASSERT_WELL(shared_round(&self->g, max[i % ARRAY_SIZE(max)], 40, &self->rng));
	/* requests of several chunks */
	for (i = 0; i < scaled(20, 4); i++)
		ASSERT_WELL(shared_round(&self->g, 700, 2, &self->rng));
}

/* Writes that are stable when they complete */
TEST_F_TIMEOUT(emulated, writethrough, 120)
{
	unsigned int i;

	self->g.opts.features_off = DISCARD;
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_EQ(0, guest_set_writeback(&self->g, 0));
	for (i = 0; i < scaled(10, 3); i++)
		ASSERT_WELL(shared_round(&self->g, 7, 20, &self->rng));
}

/* A discard of whole blocks has an effect; parts of blocks keep their data. */
TEST_F(emulated, discard)
{
	struct guest *g = &self->g;
	uint32_t off, n;

	ASSERT_WELL(guest_boot(g));
	if (!guest_has(g, VIRTIO_BLK_F_DISCARD))
		SKIP(return, "the disk can't discard");
	for (off = 0; off < 8; off++) {
		for (n = 1; n < 26; n += 3) {
			uint64_t first = (64 + off + 7) / 8 * 8, last = (64 + off + n) / 8 * 8;
			const struct range range = { 64 + off, n, 0 };
			struct request *q = ranges_new(g, VIRTIO_BLK_T_DISCARD, sizeof(range));
			uint64_t mark = g->bump;

			SIMPLE(T_OUT, 56, 48, S_OK);
			request_cut_usual(q);
			request_place(q, PLACE_ALIGNED, NULL);
			ranges_arm(q, &range);
			ASSERT_WELL(request_run(&g->ring[0], q, 20000));
			ASSERT_EQ(S_OK, request_status(q));
			request_free(q);
			guest_release(g, mark);
			if (first < last)
				memset(self->b.model + first * SECTOR, 0, (last - first) * SECTOR);
			ASSERT_WELL(backend_compare(&self->b, 64 * SECTOR, 32 * SECTOR));
		}
	}
}

/* Zeroes of several ranges, which begin and end in blocks */
TEST_F(emulated, zero_ranges)
{
	static const struct range range[] = {
		{ 17, 3, 0 }, { 20, 30, 0 }, { 101, 40, 1 }, { 8, 8, 0 }, { 300, 0, 0 },
		{ 255, 2, 1 }, { 511, 513, 0 },
	};

	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_WELL(ranges_run(&self->g.ring[0], VIRTIO_BLK_T_WRITE_ZEROES, range,
			       ARRAY_SIZE(range), S_OK));
	ASSERT_WELL(backend_compare_all(&self->b));
}

#define RANGES	16	/* maximum of a request */

/*
 * Zeroes of one sector in each of many blocks, in any order, and writes of other
 * queues to another sector of each of these blocks
 */
static void build_zeroes(struct batch *b, struct guest *g, struct rng *rng)
{
	struct range range[RANGES];
	unsigned int i, j;

	memset(b, 0, sizeof(*b));
	b->guest = g;
	b->mark = g->bump;
	b->n = 1 + RANGES;
	b->q = calloc(b->n, sizeof(*b->q));
	b->ring = calloc(b->n, sizeof(*b->ring));
	for (i = 0; i < RANGES; i++) {
		j = rng_below(rng, i + 1);
		range[i] = range[j];
		range[j] = (struct range){ 8 * i + rng_below(rng, 7), 1, 0 };
	}
	b->q[0] = ranges_new(g, VIRTIO_BLK_T_WRITE_ZEROES, sizeof(range));
	for (i = 1; i < b->n; i++)
		b->q[i] = request_new(g, T_OUT, range[i - 1].sector + 1, SECTOR);
	for (i = 0; i < b->n; i++) {
		request_cut_usual(b->q[i]);
		request_place(b->q[i], PLACE_PACKED, rng);
		request_arm(b->q[i], rng_next(rng));
		b->ring[i] = i ? 1 + i % (QUEUES - 1) : 0;
	}
	request_put_data(b->q[0], range);
}

TEST_F_TIMEOUT(emulated, shared_ranges, 120)
{
	struct batch b;
	unsigned int i;

	ASSERT_WELL(guest_boot(&self->g));
	for (i = 0; i < scaled(200, 40); i++) {
		build_zeroes(&b, &self->g, &self->rng);
		ASSERT_WELL(batch_submit(&b));
		ASSERT_WELL(batch_wait(&b, 20000));
		ASSERT_WELL(batch_check(&b));
		batch_free(&b);
	}
}

/* The dirty log has the pages that the guest asked for, and no others. */
TEST_F_TIMEOUT(emulated, dirty_log, 120)
{
	struct mix_opts mix = { .per_queue = 12 };
	struct guest *g = &self->g;
	unsigned int i;
	struct dirty d;

	g->opts.features_on = BIT64(VHOST_F_LOG_ALL) | ZEROES;
	dirty_attach(g, &d);
	ASSERT_WELL(guest_boot_to(g, STAGE_MEMORY));
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_WELL(guest_boot(g));
	ASSERT_TRUE(guest_has(g, VHOST_F_LOG_ALL));
	for (i = 0; i < scaled(20, 5); i++)
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
	dirty_free(g);
}

/* Behind an IOMMU, with misses */
TEST_F_TIMEOUT(emulated, iommu, 120)
{
	struct mix_opts mix = { .per_queue = 6 };
	struct guest_opts opts = {
		.backend = &self->b, .queues = 2, .mem = 1 << 20, .block_size = SECTOR,
	};
	struct iommu m = {};
	unsigned int i;

	guest_destroy(&self->g);
	guest_init(&self->g, &opts);
	iommu_attach(&self->g, &m, 4096, true, &self->rng);
	ASSERT_WELL(iommu_boot(&self->g, false));
	for (i = 0; i < scaled(10, 3); i++) {
		ASSERT_WELL(mix_round(&self->g, &mix, &self->rng));
		ASSERT_EQ(0, iommu_invalidate(&self->g, self->g.data_start,
					      self->g.region[0].len - self->g.data_start));
	}
	iommu_free(&self->g, &m);
}

/* The same disk is attached again and again while requests are in flight. */
TEST_F_TIMEOUT(emulated, swaps, 120)
{
	struct guest *g = &self->g;
	struct batch b;
	unsigned int i;

	g->opts.features_off = DISCARD;
	ASSERT_WELL(guest_boot(g));
	for (i = 0; i < scaled(30, 8); i++) {
		build_shared(&b, g, 7, 30, &self->rng);
		ASSERT_WELL(batch_submit(&b));
		usleep(rng_below(&self->rng, 2000));
		ASSERT_EQ(0, guest_set_backend(g, self->b.fd, 0));
		if (i & 1) {
			ASSERT_EQ(0, guest_set_running(g, 0));
			ASSERT_EQ(0, guest_set_running(g, 1));
		}
		ASSERT_WELL(batch_wait(&b, 60000));
		ASSERT_WELL(batch_check(&b));
		batch_free(&b);
	}
}

/* A guest with blocks of 4096 bytes gets smaller ones while it runs, but no larger ones. */
TEST_F_TIMEOUT(emulated, swap_size, 60)
{
	struct guest *g = &self->g;
	struct blk_config c;
	unsigned int i;

	g->opts.block_size = BLOCK;
	g->opts.features_off = DISCARD;
	ASSERT_WELL(guest_boot(g));
	ASSERT_EQ(0, guest_get_config(g, &c));
	EXPECT_EQ(BLOCK, le32toh(c.blk_size));
	SIMPLE(T_OUT, 8, 8, S_OK);
	SIMPLE(T_OUT, 8, 1, S_IOERR);
	g->opts.block_size = SECTOR;
	ASSERT_EQ(0, guest_set_backend(g, self->b.fd, 0));
	ASSERT_EQ(0, guest_get_config(g, &c));
	EXPECT_EQ(SECTOR, le32toh(c.blk_size));
	self->b.block = SECTOR;
	for (i = 0; i < 3; i++)
		ASSERT_WELL(shared_round(g, 7, 30, &self->rng));
	g->opts.block_size = 1024;
	EXPECT_EQ(-EOPNOTSUPP, guest_set_backend(g, self->b.fd, 0));
	g->opts.block_size = 0;
	EXPECT_EQ(-EOPNOTSUPP, guest_set_backend(g, self->b.fd, 0));
	SIMPLE(T_OUT, 9, 1, S_OK);
	g->opts.block_size = SECTOR;
}

static long attach(struct guest *g, struct backend *b, uint32_t block_size)
{
	struct vhost_blk_backend arg = { .fd = b->fd, .block_size = block_size };

	return guest_ioctl(g, VHOST_BLK_SET_BACKEND, &arg);
}

/* Which sizes the ioctl accepts; all that are not smaller only limit requests. */
TEST(sizes)
{
	static const uint32_t bad[] = {
		1, 256, 511, 513, 768, 4097, VHOST_BLK_MAX_BLOCK_SIZE + 512,
		2 * VHOST_BLK_MAX_BLOCK_SIZE, 1U << 31, ~0U,
	};
	static const struct nullb_attr zones[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { NULL, NULL },
	};
	struct backend_opts zoned = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = zones, .blank = true,
	};
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	struct backend b, z;
	struct guest_opts opts = { .backend = &b };
	const char *why = no_kernel("the model device has blocks of 512 bytes only");
	struct blk_config c;
	struct guest g;
	uint32_t size;
	unsigned int i;

	if (!why)
		why = backend_open_as(&b, &disk);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot_to(&g, STAGE_OWNED));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, attach(&g, &b, bad[i]))
			TH_LOG("%u", bad[i]);
	for (size = SECTOR; size <= VHOST_BLK_MAX_BLOCK_SIZE; size *= 2) {
		ASSERT_EQ(0, attach(&g, &b, size));
		ASSERT_EQ(0, guest_get_config(&g, &c));
		EXPECT_EQ(size, le32toh(c.blk_size));
		EXPECT_EQ(0, c.physical_block_exp);
		EXPECT_EQ(1, le16toh(c.min_io_size));
		EXPECT_EQ(b.size / SECTOR, le64toh(c.capacity));
	}
	if (!backend_open_as(&z, &zoned)) {
		EXPECT_EQ(-EOPNOTSUPP, attach(&g, &z, BLOCK));
		EXPECT_EQ(0, attach(&g, &z, SECTOR));
		EXPECT_EQ(0, attach(&g, &z, 0));
		backend_close(&z);
	}
	guest_destroy(&g);
	backend_close(&b);
}

/* Larger blocks than the backend's: smaller requests are refused. */
TEST(larger)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	struct backend b;
	struct guest_opts opts = { .backend = &b, .block_size = BLOCK, .queues = 2 };
	const char *why = no_kernel("the model device has blocks of 512 bytes only");
	struct rng rng = { rng_seed_from_env() };
	struct batch_opts batch = { .per_queue = 20, .block = 8, .max_sectors = 16 };
	struct guest g;
	unsigned int i;

	if (!why)
		why = backend_open_as(&b, &disk);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	for (i = 1; i < 8; i++) {
		ASSERT_WELL(request_simple(&g.ring[0], T_OUT, 8, i * SECTOR, S_IOERR));
		ASSERT_WELL(request_simple(&g.ring[0], T_IN, i, BLOCK, S_IOERR));
	}
	ASSERT_WELL(batch_round(&g, &batch, &rng));
	guest_destroy(&g);
	backend_close(&b);
}

/*
 * A file whose size is not a multiple of what direct I/O needs: the rest is not
 * part of the disk, and the file does not grow.
 */
TEST(odd_size)
{
	struct backend b, below;
	struct filesystem fs;
	struct guest_opts opts = { .backend = &b, .block_size = SECTOR };
	const char *why = no_kernel("the model device has blocks of 512 bytes only");
	uint64_t size = (1 << 20) + 3 * SECTOR, end = (1 << 20) / SECTOR;
	struct blk_config c;
	struct guest g;
	struct stat st;

	none(&b, &below, &fs);
	if (!why)
		why = open_file(&b, &below, &fs, size);
	if (why) {
		close_all(&b, &below, &fs);
		SKIP(return, "%s", why);
	}
	guest_init(&g, &opts);
	EXPECT_EQ(NULL, guest_boot(&g));
	EXPECT_EQ(0, guest_get_config(&g, &c));
	EXPECT_EQ(end, le64toh(c.capacity));
	EXPECT_EQ(NULL, request_simple(&g.ring[0], T_OUT, end - 1, SECTOR, S_OK));
	EXPECT_EQ(NULL, request_simple(&g.ring[0], T_IN, end - 9, 9 * SECTOR, S_OK));
	EXPECT_EQ(NULL, request_simple(&g.ring[0], T_OUT, end, SECTOR, S_IOERR));
	EXPECT_EQ(NULL, request_simple(&g.ring[0], T_OUT, end - 1, 2 * SECTOR, S_IOERR));
	EXPECT_EQ(0, stat(b.path, &st));
	EXPECT_EQ(size, st.st_size);
	guest_destroy(&g);
	close_all(&b, &below, &fs);
}

/*
 * If a block that is written in part cannot be read, the write fails and changes
 * nothing.
 */
TEST(read_error)
{
	static const struct {
		uint64_t sector;
		uint32_t sectors;
	} writes[] = {
		{ 800, 1 }, { 807, 1 }, { 798, 4 }, { 801, 14 }, { 799, 2 },
		/* more than one chunk of the driver; the last block is the bad one */
		{ 401, 403 }, { 400, 401 },
		/* and the first one */
		{ 803, 500 }, { 801, 7 },
	};
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true, .nullb = large };
	struct backend b;
	struct guest_opts opts = { .backend = &b, .block_size = SECTOR };
	const char *why = no_kernel("the model device has blocks of 512 bytes only");
	struct guest g;
	unsigned int i;

	if (!why)
		why = backend_open_as(&b, &disk);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	ASSERT_EQ(0, nullb_put(&b, "badblocks", "+800-807"));
	for (i = 0; i < ARRAY_SIZE(writes); i++)
		ASSERT_WELL(request_ends(&g.ring[0], T_OUT, writes[i].sector,
					 writes[i].sectors * SECTOR, S_IOERR));
	ASSERT_WELL(request_ends(&g.ring[0], T_IN, 801, SECTOR, S_IOERR));
	ASSERT_WELL(request_ends(&g.ring[0], T_IN, 790, 20 * SECTOR, S_IOERR));
	/* neighbours in other blocks are not concerned */
	ASSERT_WELL(request_ends(&g.ring[0], T_IN, 799, SECTOR, S_OK));
	ASSERT_EQ(0, nullb_put(&b, "badblocks", "-800-807"));
	ASSERT_WELL(backend_compare_all(&b));
	ASSERT_WELL(request_simple(&g.ring[0], T_OUT, 801, SECTOR, S_OK));
	guest_destroy(&g);
	backend_close(&b);
}

/* Set whether allocations fail in the threads of all unbound workqueues. */
static void mark_workqueues(bool on)
{
	char dir_of[280], path[300], name[32];
	DIR *dir = opendir("/proc");
	struct dirent *e;
	FILE *f;

	while (dir && (e = readdir(dir))) {
		snprintf(dir_of, sizeof(dir_of), "/proc/%s", e->d_name);
		snprintf(path, sizeof(path), "%s/comm", dir_of);
		f = *e->d_name >= '1' && *e->d_name <= '9' ? fopen(path, "re") : NULL;
		if (f && fgets(name, sizeof(name), f) && !strncmp(name, "kworker/u", 9))
			put_attr(dir_of, "make-it-fail", on ? "1" : "0");
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
}

/* Requests succeed without memory, one after the other. */
TEST(no_memory)
{
	static const struct nullb_attr plain[] = { { "blocksize", "4096" }, { NULL, NULL } };
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true, .nullb = plain };
	struct backend b;
	struct guest_opts opts = {
		.backend = &b, .queues = QUEUES, .num = 256, .block_size = SECTOR,
		.features_off = ZEROES | DISCARD, .mem = 16 << 20,
	};
	const char *why = no_kernel("the model device is not in the kernel");
	struct rng rng = { rng_seed_from_env() };
	struct guest g;
	unsigned int i;

	if (!why)
		why = faults_open();
	if (!why)
		why = backend_open_as(&b, &disk);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	ASSERT_WELL(shared_round(&g, 7, 20, &rng));
	fault_often(FAULT_SLAB, 100, true);
	fault_often(FAULT_PAGE, 100, true);
	for (i = 0; !why && i < scaled(20, 6); i++) {
		mark_workqueues(true);
		why = shared_round(&g, i % 3 ? 7 : 700, i % 3 ? 20 : 2, &rng);
	}
	mark_workqueues(false);
	faults_close();
	ASSERT_WELL(why);
	guest_destroy(&g);
	backend_close(&b);
}

/* Each allocation of an attach in turn fails, while the device is stopped or runs. */
static const char *attach_without_memory(struct guest *g, struct backend *b, unsigned int *points)
{
	unsigned int n;
	bool hit = true;
	long ret;

	for (n = 1; hit; n++) {
		fault_nth(gettid(), n);
		ret = attach(g, b, SECTOR);
		hit = fault_was_hit();
		if (ret && !(hit && (ret == -ENOMEM || ret == -EFAULT)))
			return guest_say(g, "fault %u: SET_BACKEND returns %ld", n, ret);
		if (g->stage == STAGE_RUNNING &&
		    request_simple(&g->ring[0], T_OUT, 8, BLOCK, S_OK))
			return guest_say(g, "fault %u: a write fails", n);
		*points += hit;
	}
	return attach(g, b, SECTOR) ? "SET_BACKEND fails without a fault" : NULL;
}

TEST(attach_fails)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true, .nullb = large };
	struct backend b;
	struct guest_opts opts = { .backend = &b };
	const char *why = no_kernel("the model device is not in the kernel");
	unsigned int points = 0;
	struct guest g;

	if (!why)
		why = faults_open();
	if (!why)
		why = backend_open_as(&b, &disk);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot_to(&g, STAGE_OWNED));
	EXPECT_EQ(NULL, attach_without_memory(&g, &b, &points))
		TH_LOG("%s", g.why);
	/* the reserve has 33 pages */
	EXPECT_LT(33U, points);
	guest_destroy(&g);
	/* the locks of a queue that runs */
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	EXPECT_EQ(NULL, attach_without_memory(&g, &b, &points))
		TH_LOG("%s", g.why);
	faults_close();
	guest_destroy(&g);
	backend_close(&b);
}

FIXTURE(hung) {
	struct hang h;
	struct guest g;
	struct rng rng;
	struct batch batch;
};

FIXTURE_SETUP(hung)
{
	struct guest_opts guest = {
		.backend = &self->h.disk, .queues = QUEUES, .num = 256, .block_size = SECTOR,
		.features_off = DISCARD,
	};
	const char *why = no_kernel("the model device never hangs");

	if (!why)
		why = hang_open_4096(&self->h);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	guest_init(&self->g, &guest);
}

FIXTURE_TEARDOWN(hung)
{
	guest_destroy(&self->g);
	hang_close(&self->h);
}

static void *stop_all(void *g)
{
	return (void *)guest_set_running(g, 0);
}

static void *stop_one(void *g)
{
	return (void *)ring_set_running(&((struct guest *)g)->ring[1], 0);
}

static void *swap(void *arg)
{
	struct guest *g = arg;

	return (void *)guest_set_backend(g, g->opts.backend->fd, 0);
}

/*
 * Requests that wait for each other's blocks when the disk hangs are in flight
 * like others: an ioctl waits for them, and they complete when the disk works
 * again.
 */
TEST_F_TIMEOUT(hung, ioctls_wait, 120)
{
	static void *(*const ioctls[])(void *) = { stop_all, stop_one, swap };
	struct guest *g = &self->g;
	unsigned int i, k;
	pthread_t thread;
	uint16_t base;
	void *ret;

	ASSERT_WELL(guest_boot(g));
	for (i = 0; i < scaled(12, 6); i++) {
		build_shared(&self->batch, g, 3, 30, &self->rng);
		ASSERT_WELL(hang_on(&self->h));
		ASSERT_WELL(batch_submit(&self->batch));
		usleep(50000);
		ASSERT_EQ(0, pthread_create(&thread, NULL, ioctls[i % 3], g));
		usleep(100000);
		ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, &ret));
		ASSERT_WELL(hang_off(&self->h));
		ASSERT_EQ(0, pthread_join(thread, &ret));
		ASSERT_EQ(NULL, ret);
		/* all that were taken are complete */
		for (k = 0; i % 3 == 0 && k < QUEUES; k++) {
			ASSERT_EQ(0, ring_get_base(&g->ring[k], &base));
			ASSERT_EQ(base, ring_device_idx(&g->ring[k]));
		}
		ASSERT_EQ(0, guest_set_running(g, 1));
		ASSERT_WELL(batch_wait(&self->batch, 60000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
	}
}

/*
 * The VMM is killed while its requests read the blocks that they are going to
 * write.  Nothing is written any more: another VMM may use the disk.
 */
TEST_F_TIMEOUT(hung, killed, 120)
{
	struct vmm_opts opts = {
		.backend = &self->h.disk, .queues = 2, .writes_only = true,
		.block_size = SECTOR,
	};
	struct vmm v;

	ASSERT_WELL(vmm_start(&v, &opts));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_WELL(vmm_sleeps(&v, 5000));
	ASSERT_WELL(vmm_kill(&v, 10000));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(backend_let_go(self->h.disk.fd, 20000));
	vmm_forget(&v);
	ASSERT_WELL(backend_compare_all(&self->h.disk));
	/* another VMM */
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_WELL(shared_round(&self->g, 3, 30, &self->rng));
}

/* A write that fails has no effect on the other sectors of its blocks. */
TEST_F(hung, write_error)
{
	struct backend *below = &self->h.below;
	char params[256], linear[256];
	uint64_t sectors = below->size / SECTOR;

	ASSERT_WELL(guest_boot(&self->g));
	snprintf(linear, sizeof(linear), "%s 0", below->path);
	snprintf(params, sizeof(params), "%s 0 0 3600 1 error_writes", below->path);
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "flakey", params));
	ASSERT_WELL(request_ends(&self->g.ring[0], T_OUT, 801, SECTOR, S_IOERR));
	ASSERT_WELL(request_ends(&self->g.ring[0], T_OUT, 801, 500 * SECTOR, S_IOERR));
	ASSERT_WELL(request_ends(&self->g.ring[0], T_IN, 801, SECTOR, S_OK));
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "error", ""));
	ASSERT_WELL(request_ends(&self->g.ring[0], T_OUT, 801, SECTOR, S_IOERR));
	ASSERT_WELL(request_ends(&self->g.ring[0], T_IN, 801, SECTOR, S_IOERR));
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "linear", linear));
	ASSERT_WELL(backend_compare_all(&self->h.disk));
	ASSERT_WELL(shared_round(&self->g, 3, 30, &self->rng));
}

TEST_HARNESS_MAIN
