// SPDX-License-Identifier: GPL-2.0
/*
 * DISCARD, WRITE_ZEROES and SECURE_ERASE: which requests are executed, which
 * are refused and with which status, and that a refused request has changed
 * nothing.
 */
#include "suite-ranges.h"

/*
 * Expected status of a valid range of this length: above the advertised limit
 * it is refused.
 */
static uint8_t by_length(struct guest *g, uint32_t type, uint64_t sectors)
{
	struct blk_config c;
	uint32_t most;

	if (model_wanted() || guest_get_config(g, &c))
		return ranges_status(g, type);
	most = le32toh(type == T_DISCARD ? c.max_discard_sectors :
		       type == T_ZEROES ? c.max_write_zeroes_sectors : c.max_secure_erase_sectors);
	return sectors > most ? either(g, type, S_IOERR) : ranges_status(g, type);
}

/* Sizes and places, with and without the flag unmap */
TEST_F_TIMEOUT(ranges, sizes, 120)
{
	static const uint32_t sectors[] = { 1, 2, 7, 8, 9, 63, 64, 65, 100, 128, 1000 };
	uint64_t end = self->b.size / SECTOR;
	unsigned int t, i;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];

		for (i = 0; i < ARRAY_SIZE(sectors); i++) {
			uint32_t n = backend_up(&self->b, sectors[i]);
			uint8_t ok = by_length(&self->g, type, n);
			uint64_t at = rng_below(&self->rng, end - n);

			RANGE(type, backend_down(&self->b, at), n, 0, ok);
			if (type == T_ZEROES)
				RANGE(type, backend_down(&self->b, at / 2), n, RANGE_UNMAP, ok);
		}
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/* The first and the last sector of the disk, and all of it */
TEST_F_TIMEOUT(ranges, ends, 60)
{
	uint64_t end = self->b.size / SECTOR;
	unsigned int t, block;

	BOOT();
	block = self->b.block / SECTOR;
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];
		uint8_t ok = ranges_status(&self->g, type);

		RANGE(type, 0, block, 0, ok);
		RANGE(type, end - block, block, 0, ok);
		RANGE(type, end - 9 * block, 9 * block, 0, ok);
		ASSERT_WELL(guest_prove(&self->g));
		RANGE(type, 0, end, 0, by_length(&self->g, type, end));
		/* and data that is written there later stays */
		ASSERT_WELL(guest_prove(&self->g));
	}
}

static void scatter(const struct backend *b, struct range *r, unsigned int n, struct rng *rng)
{
	uint64_t end = b->size / SECTOR;
	unsigned int i;

	for (i = 0; i < n; i++) {
		r[i].sectors = backend_down(b, rng_below(rng, 40));
		r[i].sector = backend_down(b, rng_below(rng, end - 40));
		r[i].flags = 0;
	}
}

/* Many segments, empty and overlapping ones among them, up to the limit and one more */
TEST_F_TIMEOUT(ranges, segments, 120)
{
	struct range r[257];
	unsigned int t, n;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];
		unsigned int max = max_segs(type);

		for (n = 2; n <= max; n = n == max ? n + 1 : n < 4 ? 4 : max) {
			scatter(&self->b, r, n, &self->rng);
			ASSERT_WELL(ranges_run(&self->g.ring[0], type, r, n,
					       either(&self->g, type, S_OK)));
		}
		scatter(&self->b, r, max + 1, &self->rng);
		ASSERT_WELL(ranges_run(&self->g.ring[0], type, r, max + 1,
				       either(&self->g, type, S_IOERR)));
	}
}

static const char *cut_at(struct guest *g, uint32_t type, const uint32_t *cut, unsigned int n,
			  bool indirect, struct rng *rng)
{
	const struct backend *b = g->opts.backend;
	struct range r[] = {
		{ backend_down(b, rng_below(rng, 1000)), backend_up(b, 1 + rng_below(rng, 20)), 0 },
		{ 1000, 0, 0 },
		{ 1000 + backend_down(b, rng_below(rng, 1000)),
		  backend_up(b, 1 + rng_below(rng, 20)), 0 },
	};
	struct request *q = ranges_new(g, type, sizeof(r));
	uint64_t mark = g->bump;
	const char *why;

	request_cut(q, cut, n, NULL, 0);
	request_place(q, PLACE_SCATTER, rng);
	request_set_indirect(q, indirect);
	ranges_arm(q, r);
	why = request_verify(&g->ring[0], q, ranges_status(g, type));
	request_free(q);
	guest_release(g, mark);
	return why;
}

/* Header and segments cut anywhere, in any number of pieces, at any address */
TEST_F_TIMEOUT(ranges, layouts, 120)
{
	const uint32_t len = HDR_LEN + 3 * sizeof(struct range);
	uint32_t every[HDR_LEN + 3 * sizeof(struct range)];
	unsigned int t, i;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];

		for (i = 0; i <= len; i += 1 + rng_below(&self->rng, scaled(6, 16))) {
			uint32_t cut[2] = { i, i + rng_below(&self->rng, len - i + 1) };

			ASSERT_WELL(cut_at(&self->g, type, cut, 1, i & 1, &self->rng));
			ASSERT_WELL(cut_at(&self->g, type, cut, 2, i & 2, &self->rng));
		}
		for (i = 0; i < len - 1; i++)
			every[i] = i + 1;
		ASSERT_WELL(cut_at(&self->g, type, every, len - 1, false, &self->rng));
		ASSERT_WELL(cut_at(&self->g, type, every, len - 1, true, &self->rng));
	}
}

/* Data that is not a whole number of segments, or empty */
TEST_F(ranges, lengths)
{
	static const uint32_t len[] = { 0, 1, 8, 15, 17, 24, 31, 33, 47, 16 * 256 + 1 };
	uint8_t data[16 * 256 + 1];
	unsigned int t, i;

	BOOT();
	/* as segments they would all be valid */
	for (i = 0; i < sizeof(data); i++)
		data[i] = i % sizeof(struct range) == 8;
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		for (i = 0; i < ARRAY_SIZE(len); i++) {
			struct request *q = ranges_new(&self->g, range_type[t], len[i]);

			request_cut_usual(q);
			request_place(q, PLACE_PACKED, NULL);
			request_arm(q, 0);
			if (len[i])
				request_put_data(q, data);
			ASSERT_WELL(request_verify(&self->g.ring[0], q,
						   either(&self->g, range_type[t], S_IOERR)));
			request_free(q);
		}
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/*
 * Only WRITE_ZEROES may have the flag unmap, no request any other flag; flags
 * are checked first.
 */
/* One valid segment, in the device-writable part of the request */
static const char *segment_to_write(struct ring *r, uint32_t type, const struct range *range,
				    uint8_t expect)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = ranges_new(g, type, 0);
	const char *why;

	q->in_len += sizeof(*range);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 0);
	guest_write(g, q->seg[q->nout].gpa, range, sizeof(*range));
	guest_snapshot(g);
	guest_expect(g, q->seg[q->nout + 1].gpa, &expect, 1);
	why = request_run(r, q, 20000);
	if (!why && (q->done != 1 || q->used_len))
		why = guest_say(g, "type %u completed %u times, used.len %u", type, q->done,
				q->used_len);
	if (!why && request_status(q) != expect)
		why = guest_say(g, "type %u: status %u, must be %u", type, request_status(q),
				expect);
	if (!why)
		why = guest_compare(g);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/* A device does not read the device-writable part (2.7.5.1), so it finds no segment. */
TEST_F(ranges, data_where_to_write)
{
	struct range r = { 64, 64, 0 };
	unsigned int t;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];

		ASSERT_WELL(segment_to_write(&self->g.ring[0], type, &r,
					     either(&self->g, type, S_IOERR)));
		ASSERT_WELL(backend_compare_all(&self->b));
	}
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F_TIMEOUT(ranges, flags, 60)
{
	unsigned int t, bit;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];

		for (bit = 0; bit < 32; bit += bit < 2 ? 1 : scaled(5, 29)) {
			bool good = type == T_ZEROES && bit == 0;
			struct range r[] = { { 8, 8, 0 }, { 64, 8, 1U << bit }, { 128, 8, 0 } };

			RANGE(type, 8, 8, 1U << bit, either(&self->g, type,
							    good ? S_OK : S_UNSUPP));
			ASSERT_WELL(ranges_run(&self->g.ring[0], type, r, 3,
					       either(&self->g, type, good ? S_OK : S_UNSUPP)));
			RANGE(type, ~0ULL, 8, 1U << bit, either(&self->g, type,
								good ? S_IOERR : S_UNSUPP));
		}
		RANGE(type, 8, 8, ~0U, S_UNSUPP);
		RANGE(type, 8, 8, ~0U - 1, S_UNSUPP);
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/*
 * One range that is outside the disk or too long, among valid ones: none of
 * them is executed.
 */
TEST_F_TIMEOUT(ranges, one_is_bad, 120)
{
	uint64_t end = self->b.size / SECTOR;
	const struct range bad[] = {
		{ end, 1, 0 }, { end - 1, 2, 0 }, { end - 8, 9, 0 }, { end + 1, 1, 0 },
		{ 0, end + 1, 0 }, { 1, end, 0 }, { 1ULL << 55, 8, 0 },
		{ (1ULL << 55) - 8, 8, 0 }, { ~0ULL, 1, 0 }, { ~0ULL, 2, 0 }, { ~0ULL - 7, 8, 0 },
		{ 0, RANGE_MAX_SECTORS, 0 }, { 0, RANGE_MAX_SECTORS + 1, 0 },
		{ 0, ~0U, 0 }, { 1, ~0U, 0 }, { ~0ULL, ~0U, 0 }, { 1ULL << 63, 1U << 31, 0 },
	};
	unsigned int t, i, at;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint32_t type = range_type[t];

		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			at = i % 4;
			struct range r[] = {
				{ 16, 8, 0 }, { 64, 8, 0 }, { 1000, 104, 0 }, { end - 8, 8, 0 },
			};

			RANGE(type, bad[i].sector, bad[i].sectors, 0,
			      either(&self->g, type, S_IOERR));
			r[at] = bad[i];
			ASSERT_WELL(ranges_run(&self->g.ring[0], type, r, ARRAY_SIZE(r),
					       either(&self->g, type, S_IOERR)));
		}
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/* A range of no sectors succeeds. */
TEST_F(ranges, empty)
{
	uint64_t end = self->b.size / SECTOR;
	unsigned int t;

	BOOT();
	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint8_t ok = ranges_status(&self->g, range_type[t]);
		uint64_t inside = backend_down(&self->b, 77);
		struct range r[] = { { 0, 0, 0 }, { end, 0, 0 }, { inside, 0, 0 } };

		RANGE(range_type[t], inside, 0, 0, ok);
		RANGE(range_type[t], end, 0, 0, ok);
		ASSERT_WELL(ranges_run(&self->g.ring[0], range_type[t], r, 3, ok));
	}
}

/* Each of the three features enables its own requests and no others. */
TEST_F(ranges, not_negotiated)
{
	uint64_t all = BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES) |
		       BIT64(VIRTIO_BLK_F_SECURE_ERASE);
	unsigned int t, i;

	for (t = 0; t < ARRAY_SIZE(range_type); t++) {
		uint64_t off = all & ~BIT64(ranges_feature(range_type[t]));

		BOOT(.features_off = off);
		for (i = 0; i < ARRAY_SIZE(range_type); i++) {
			uint8_t ok = ranges_status(&self->g, range_type[i]);

			ASSERT_EQ(S_UNSUPP, i == t ? S_UNSUPP : ok);
			RANGE(range_type[i], 8, 8, 0, ok);
			/* UNSUPP, although the segment is wrong as well */
			RANGE(range_type[i], ~0ULL, ~0U, 0,
			      either(&self->g, range_type[i], S_IOERR));
		}
		ASSERT_WELL(guest_prove(&self->g));
		guest_destroy(&self->g);
		guest_init(&self->g, &(struct guest_opts){ .backend = &self->b });
	}
}

/* Discards, zeroes, writes and reads in flight together, on several queues */
TEST_F_TIMEOUT(ranges, mix, 120)
{
	unsigned int i;

	BOOT(.queues = 4, .num = 64);
	for (i = 0; i < scaled(6, 2); i++) {
		struct batch_opts round = { .max_sectors = 24, .max_segs = 6, .ranges = true };

		ASSERT_WELL(batch_round(&self->g, &round, &self->rng));
	}
}

static uint8_t run_unmodelled(struct guest *g, uint32_t type, const struct range *r)
{
	struct request *q = ranges_new(g, type, sizeof(*r));
	uint8_t status = STATUS_POISON;

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	ranges_arm(q, r);
	if (!request_run(&g->ring[0], q, 60000))
		status = request_status(q);
	request_free(q);
	return status;
}

/*
 * The administrator disables the discards of a disk that offered them.  The
 * limits stay, because the feature does, and a discard that cannot be done is
 * no error.
 */
TEST_F(ranges, discard_withdrawn)
{
	char dir[64];
	struct blk_config before, after;
	unsigned int i;

	if (backend_sysfs(&self->b, "queue/discard_max_bytes") <= 0 || model_wanted())
		SKIP(return, "no block device with discards");
	/* Without discards the granularity is 0 too, and then sysfs refuses any size. */
	if (self->b.loop >= 0)
		SKIP(return, "the loop device of the run would stay without discards");
	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(self->b.path, '/') + 1);
	BOOT();
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_DISCARD));
	ASSERT_EQ(0, guest_get_config(&self->g, &before));
	ASSERT_EQ(0, put_attr(dir, "discard_max_bytes", "0"));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, guest_get_config(&self->g, &after));
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
		EXPECT_EQ(S_OK, run_unmodelled(&self->g, T_DISCARD, &(struct range){ 64, 64, 0 }));
		EXPECT_EQ(NULL, range_run(&self->g.ring[0], T_ZEROES, 512, 64, 0, S_OK));
		EXPECT_EQ(NULL, range_run(&self->g.ring[0], T_ZEROES, 640, 64, RANGE_UNMAP, S_OK));
		EXPECT_EQ(0, guest_set_running(&self->g, 0));
		EXPECT_EQ(0, guest_set_running(&self->g, 1));
	}
}

/* On a disk that is larger than the largest range, the limit is exact. */
TEST(largest)
{
	const uint64_t size = 8ULL << 30, far = (5ULL << 30) + 4096;
	const uint32_t max = RANGE_MAX_SECTORS, written = RANGE_WRITTEN_SECTORS;
	char mark[4096], back[4096];
	struct backend b;
	struct guest_opts opts = { .backend = &b };
	struct guest g;
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device writes all zeroes as data");
	why = backend_open(&b, BACKEND_FILE, false);
	if (why)
		SKIP(return, "%s", why);
	memset(mark, 0x5a, sizeof(mark));
	ASSERT_EQ(0, ftruncate(b.check_fd, size));
	ASSERT_EQ(sizeof(mark), pwrite(b.check_fd, mark, sizeof(mark), far));
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	EXPECT_EQ(S_IOERR, run_unmodelled(&g, T_DISCARD, &(struct range){ 8, max + 1, 0 }));
	EXPECT_EQ(S_IOERR, run_unmodelled(&g, T_ZEROES, &(struct range){ 8, written + 1, 0 }));
	EXPECT_EQ(S_IOERR, run_unmodelled(&g, T_ZEROES, &(struct range){ 8, max, 1 }));
	EXPECT_EQ(sizeof(back), pread(b.check_fd, back, sizeof(back), 8 * SECTOR));
	EXPECT_NE(0, back[0]);
	EXPECT_EQ(S_OK, run_unmodelled(&g, T_ZEROES, &(struct range){ 8, written, 0 }));
	EXPECT_EQ(sizeof(back), pread(b.check_fd, back, sizeof(back), 8 * SECTOR));
	EXPECT_EQ(0, back[0]);
	EXPECT_EQ(S_OK, run_unmodelled(&g, T_DISCARD, &(struct range){ 8, max, 0 }));
	EXPECT_EQ(sizeof(back), pread(b.check_fd, back, sizeof(back), far));
	EXPECT_EQ(0, memcmp(mark, back, sizeof(back)));
	EXPECT_EQ(S_OK, run_unmodelled(&g, T_DISCARD, &(struct range){ far / SECTOR, max / 8, 0 }));
	EXPECT_EQ(sizeof(back), pread(b.check_fd, back, sizeof(back), far));
	EXPECT_EQ(0, back[0]);
	guest_destroy(&g);
	backend_close(&b);
}

TEST_HARNESS_MAIN
