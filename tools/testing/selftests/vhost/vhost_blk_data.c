// SPDX-License-Identifier: GPL-2.0
/*
 * Data: sizes, addresses, memory regions, queue sizes and numbers of queues, on
 * each kind of backend, compared byte by byte with the backend.
 */
#include "suite-disk.h"
#include "trace.h"

static const char *write_and_read(struct guest *g, uint64_t sector, uint32_t sectors)
{
	const char *why;

	sector = backend_down(g->opts.backend, sector);
	sectors = backend_up(g->opts.backend, sectors);
	why = request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, sector, sectors * SECTOR,
			     VIRTIO_BLK_S_OK);
	if (!why)
		why = request_simple(&g->ring[0], VIRTIO_BLK_T_IN, sector,
				     sectors * SECTOR, VIRTIO_BLK_S_OK);
	return why;
}

TEST_F_TIMEOUT(disk, sizes, 300)
{
	static const uint32_t large[] = {
		127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025,
		2047, 2048, 2049, 4096, 6001,
	};
	uint64_t capacity = self->b.size / SECTOR;
	unsigned int n;

	BOOT(.mem = 16 << 20);
	for (n = 1; n <= scaled(72, 16); n++)
		ASSERT_WELL(write_and_read(&self->g, 3 * n, n));
	for (n = 0; n < ARRAY_SIZE(large); n++)
		ASSERT_WELL(write_and_read(&self->g, n, large[n]));
	/* the first sector, the last sector, and requests up to the end of the disk */
	ASSERT_WELL(write_and_read(&self->g, 0, 1));
	ASSERT_WELL(write_and_read(&self->g, capacity - 1, 1));
	ASSERT_WELL(write_and_read(&self->g, capacity - 2048, 2048));
}

static const char *many_segments(struct guest *g, uint32_t type, uint32_t segs,
				 uint32_t step, struct rng *rng)
{
	struct backend *b = g->opts.backend;
	/* more would exceed the number of segments */
	uint32_t len = backend_down(b, segs * step / SECTOR) * SECTOR;
	struct request *q = request_new_blocks(g, type, 7, len ? len : b->block);
	uint64_t mark = g->bump;
	const char *why;

	request_cut_every(q, step);
	request_place(q, rng_next(rng) & 1 ? PLACE_SCATTER : PLACE_ALIGNED, rng);
	request_set_indirect(q, rng_next(rng) & 1);
	request_arm(q, rng_next(rng));
	why = request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/* Up to the 1024 segments that vhost accepts, as guest pages are scattered in memory */
TEST_F_TIMEOUT(disk, many_segments, 300)
{
	static const uint32_t segs[] = { 2, 16, 126, 254, 255, 256, 257, 512, 1000, 1022 };
	unsigned int i;

	BOOT(.num = 1024, .mem = 16 << 20);
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		ASSERT_WELL(many_segments(&self->g, VIRTIO_BLK_T_OUT, segs[i], SECTOR, &self->rng));
		ASSERT_WELL(many_segments(&self->g, VIRTIO_BLK_T_IN, segs[i], SECTOR, &self->rng));
		ASSERT_WELL(many_segments(&self->g, VIRTIO_BLK_T_OUT, segs[i], 3584, &self->rng));
		ASSERT_WELL(many_segments(&self->g, VIRTIO_BLK_T_IN, segs[i], 3584, &self->rng));
	}
}

static const char *at_address(struct guest *g, uint32_t type, uint64_t sector, uint32_t len,
			      uint64_t out, uint64_t in)
{
	struct request *q = request_new_blocks(g, type, sector, len);
	const char *why;

	request_cut_usual(q);
	request_place_at(q, out, in);
	request_arm(q, out * 31 + in);
	why = request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK);
	request_free(q);
	return why;
}

TEST_F_TIMEOUT(disk, unaligned, 300)
{
	static const uint32_t len[] = { SECTOR, 3 * SECTOR, 8 * SECTOR, 17 * SECTOR };
	unsigned int off, i;
	uint64_t base;

	BOOT();
	base = guest_alloc(&self->g, 65536, 4096);
	/* every byte near the ends of a sector, and every 13th or 61st between */
	for (off = 0; off < 4096; off += off % 512 < 8 || off % 512 >= 504 ? 1 : scaled(13, 61)) {
		for (i = 0; i < ARRAY_SIZE(len); i++) {
			ASSERT_WELL(at_address(&self->g, VIRTIO_BLK_T_OUT, off, len[i],
					       base + off, base + 32768));
			ASSERT_WELL(at_address(&self->g, VIRTIO_BLK_T_IN, off, len[i],
					       base + 32768, base + off));
		}
	}
}

/*
 * Two regions that are adjacent for the guest, but not in this process: cross
 * the border.
 */
TEST_F_TIMEOUT(disk, regions, 120)
{
	static const uint32_t before[] = {
		1, 2, 15, 16, 17, 100, 511, 512, 513, 527, 528, 529, 1024, 4095, 4096, 4097, 8191,
	};
	struct guest_opts opts = { .backend = &self->b, .mem = 1 << 20 };
	uint64_t border, other;
	unsigned int i;

	guest_init(&self->g, &opts);
	border = self->g.region[0].gpa + self->g.region[0].len;
	ASSERT_NE(NULL, guest_add_region(&self->g, border, 65536));
	/* one page only, so that a request can be in three regions */
	ASSERT_NE(NULL, guest_add_region(&self->g, border + 65536, 4096));
	ASSERT_NE(NULL, guest_add_region(&self->g, border + 65536 + 4096, 65536));
	ASSERT_NE(NULL, guest_add_region(&self->g, 1ULL << 40, 65536));
	self->g.bump = self->g.region[0].len;	/* the whole region is compared */
	other = 1ULL << 40;
	ASSERT_WELL(guest_boot(&self->g));
	for (i = 0; i < ARRAY_SIZE(before); i++) {
		uint64_t at = border - before[i], at3 = border + 65536 - before[i];

		ASSERT_WELL(at_address(&self->g, VIRTIO_BLK_T_OUT, i, 8192, at, other));
		ASSERT_WELL(at_address(&self->g, VIRTIO_BLK_T_IN, i, 8192, other, at));
		ASSERT_WELL(at_address(&self->g, VIRTIO_BLK_T_OUT, i, 16384, at3, other));
		ASSERT_WELL(at_address(&self->g, VIRTIO_BLK_T_IN, i, 16384, other, at3));
	}
}

static const char *queues_round(struct backend *b, unsigned int queues, unsigned int num,
				struct rng *rng)
{
	struct guest_opts opts = { .backend = b, .queues = queues, .num = num, .mem = 16 << 20 };
	struct batch_opts round = { .max_segs = num >= 16 ? 6 : 0 };
	struct guest g;
	const char *why;
	static char text[512];

	guest_init(&g, &opts);
	why = guest_boot(&g);
	if (!why)
		why = batch_round(&g, &round, rng);
	/* again, with the indices of the end of the first round */
	if (!why)
		why = batch_round(&g, &round, rng);
	if (why)
		snprintf(text, sizeof(text), "%u queues of %u: %s", queues, num, why);
	guest_destroy(&g);
	return why ? text : NULL;
}

/* Every queue size with 1 to 8 queues, filled up */
TEST_F_TIMEOUT(disk, queues, 300)
{
	static const unsigned int queues[] = { 1, 2, 4, 8 };
	unsigned int num, i;

	for (num = 2; num <= 1024; num *= 2) {
		for (i = 0; i < ARRAY_SIZE(queues); i++) {
			if (scaled(0, 1) && (num == 4 || num == 16 || num == 128 || i == 1))
				continue;
			ASSERT_WELL(queues_round(&self->b, queues[i], num, &self->rng));
		}
	}
	ASSERT_WELL(queues_round(&self->b, VHOST_BLK_MAX_QUEUES, 8, &self->rng));
}

/* Rings that wrap many times, all layouts, all kinds of requests */
TEST_F_TIMEOUT(disk, mix, 300)
{
	unsigned int i;

	BOOT(.queues = 4, .num = 64);
	for (i = 0; i < scaled(60, 6); i++) {
		struct batch_opts round = {
			.max_sectors = 1 + rng_below(&self->rng, 32),
			.max_segs = 4 + rng_below(&self->rng, 16),
		};

		ASSERT_WELL(batch_round(&self->g, &round, &self->rng));
	}
}

/* A disk that completes reads without data */
FIXTURE(unfilled) {
	struct backend b;
	struct guest g;
};

#define UNFILLED_BYTES	(128U << 10)	/* fits into the bounce pages of one request */
#define BUFFER_BYTE	0x5a

FIXTURE_SETUP(unfilled)
{
	static const struct nullb_attr no_data[] = { { "memory_backed", "0" }, { NULL, NULL } };
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .blank = true, .nullb = no_data,
	};
	const char *why = no_kernel("the model device has no kernel memory");

	backend_none(&self->b);
	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(unfilled)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* A request whose data is at an odd address */
static struct request *bounced_request(struct guest *g, uint32_t type)
{
	struct request *q = request_new(g, type, 0, UNFILLED_BYTES);

	request_cut_usual(q);
	guest_alloc(g, 1, 1);
	request_place(q, PLACE_SCATTER, NULL);
	request_arm(q, 1);
	return q;
}

/* Leave data in free pages of the kernel: in the bounce pages of a device that ends. */
static const char *soil_free_pages(struct backend *b)
{
	struct guest_opts opts = { .backend = b };
	struct request *q;
	struct guest g;
	const char *why;

	guest_init(&g, &opts);
	why = guest_boot(&g);
	if (!why) {
		q = bounced_request(&g, VIRTIO_BLK_T_OUT);
		why = request_run(&g.ring[0], q, 20000);
		request_free(q);
	}
	guest_destroy(&g);
	return why;
}

/*
 * A bounced read of such a disk must not return what was in kernel memory.  With
 * init_on_alloc=1 all pages are zeroed, so there the test cannot fail.
 */
TEST_F(unfilled, no_old_memory)
{
	const char *untraced = trace_begin("submit");
	unsigned int i, other = 0, bounced = 0;
	struct trace_event e;
	struct request *q;
	uint8_t *data;
	FILE *f;

	ASSERT_WELL(soil_free_pages(&self->b));
	BOOT();
	q = bounced_request(&self->g, VIRTIO_BLK_T_IN);
	data = guest_ptr(&self->g, q->seg[q->nout].gpa, UNFILLED_BYTES);
	memset(data, BUFFER_BYTE, UNFILLED_BYTES);
	ASSERT_WELL(request_run(&self->g.ring[0], q, 20000));
	EXPECT_EQ(VIRTIO_BLK_S_OK, request_status(q));
	/* the device has written all of the data */
	for (i = 0; i < UNFILLED_BYTES; i++)
		other += data[i] != 0;
	EXPECT_EQ(0, other);
	request_free(q);
	if (untraced)
		return;
	f = trace_end();
	while (f && trace_next(f, &e))
		bounced += trace_field(&e, "bounced") == 1;
	if (f)
		fclose(f);
	EXPECT_LE(2, bounced)
		TH_LOG("the write and the read were not bounced");
}

TEST_HARNESS_MAIN
