// SPDX-License-Identifier: GPL-2.0
/*
 * ZONED: reports into buffers of any size and shape, appends by many queues at
 * once, and appends that are stable when they complete
 */
#include <sys/stat.h>

#include "suite-zoned.h"
#include "trace.h"

static const struct nullb_attr usual[] = {
	{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(zoned, nullb) {
	.attr = usual, .mib = 8, .zone_mib = 1, .cap_mib = 1,
};

#define REPORT(sector, len, z, status)						\
	ASSERT_WELL(zones_report(self->r, sector, len, NULL, z, status))

/* Every field of a report */
TEST_F(zoned, report)
{
	struct zones z;
	unsigned int i;

	WRITE(ZONE(1), 24, S_OK);
	OP(T_OPEN, ZONE(3), S_OK);
	REPORT(0, 64 * (1 + self->zones), &z, S_OK);
	ASSERT_EQ(self->zones, z.n);
	for (i = 0; i < z.n; i++) {
		bool conv = i < CONV_ZONES;
		uint8_t state = conv ? ZS_NOT_WP : i == CONV_ZONES + 1 ? ZS_IOPEN :
				i == CONV_ZONES + 3 ? ZS_EOPEN : ZS_EMPTY;

		EXPECT_EQ(i * self->size, le64toh(z.zone[i].z_start));
		EXPECT_EQ(self->cap, le64toh(z.zone[i].z_cap));
		EXPECT_EQ(conv ? ZT_CONV : ZT_SWR, z.zone[i].z_type);
		EXPECT_EQ(state, z.zone[i].z_state);
		if (!conv)
			EXPECT_EQ(i * self->size + (i == CONV_ZONES + 1 ? 24 : 0),
				  le64toh(z.zone[i].z_wp));
	}
}

/* From any sector on, a report starts with the zone of that sector. */
TEST_F(zoned, report_from)
{
	uint64_t end = self->b.size / SECTOR;
	const uint64_t past[] = { end, end + 1, 1ULL << 55, 1ULL << 63, ~0ULL };
	struct zones z;
	unsigned int i;

	for (i = 0; i < scaled(40, 10); i++) {
		uint64_t sector = rng_below(&self->rng, end), first = sector / self->size;

		REPORT(sector, 64 * (1 + self->zones), &z, S_OK);
		ASSERT_EQ(self->zones - first, z.n);
		EXPECT_EQ(first * self->size, le64toh(z.zone[0].z_start));
	}
	REPORT(end - 1, 128, &z, S_OK);
	ASSERT_EQ(1, z.n);
	for (i = 0; i < ARRAY_SIZE(past); i++)
		REPORT(past[i], 4096, &z, S_INVALID);
}

/*
 * A report has as many zones as fit completely; a buffer without room for one
 * is refused.
 */
TEST_F(zoned, report_room)
{
	static const uint32_t extra[] = { 0, 1, 31, 63 };
	struct zones z;
	unsigned int k, i;

	for (k = 0; k < self->zones + 3; k++) {
		uint64_t fit = k < self->zones ? k : self->zones;

		for (i = 0; i < ARRAY_SIZE(extra); i++) {
			REPORT(0, 64 * (1 + k) + extra[i], &z, k ? S_OK : S_INVALID);
			if (k)
				ASSERT_EQ(fit, z.n);
		}
	}
	for (i = 0; i < 64; i += 7)
		REPORT(0, i, &z, S_INVALID);
	/* more room than any device of this size needs */
	REPORT(0, 64 * 2000, &z, S_OK);
	ASSERT_EQ(self->zones, z.n);
}

/* A report into a buffer that is cut at any byte is the same. */
TEST_F_TIMEOUT(zoned, report_cut, 60)
{
	struct zones first, z;
	uint32_t cut;

	WRITE(ZONE(0), 8, S_OK);
	REPORT(0, 64 * 4, &first, S_OK);
	for (cut = 0; cut <= 64 * 4; cut += scaled(1, 5)) {
		memset(&z, 0, sizeof(z));
		ASSERT_WELL(zones_report(self->r, 0, 64 * 4, &cut, &z, S_OK));
		ASSERT_EQ(first.n, z.n);
		ASSERT_EQ(0, memcmp(first.zone, z.zone, z.n * sizeof(z.zone[0])));
	}
}

/* Each append is placed after the previous one, whatever its buffer looks like. */
TEST_F_TIMEOUT(zoned, append_in_order, 60)
{
	uint64_t z = ZONE(2), at, wp = 0;
	unsigned int i;

	for (i = 0; i < scaled(60, 20); i++) {
		uint32_t sectors = 1 + rng_below(&self->rng, 16);

		ASSERT_WELL(zone_append(self->r, z, sectors * SECTOR,
					i & 1 ? PLACE_SCATTER : PLACE_ALIGNED,
					i & 2 ? &self->rng : NULL, S_OK, &at));
		ASSERT_EQ(z + wp, at);
		wp += sectors;
		IS(z, ZS_IOPEN, wp);
		ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, at, sectors * SECTOR, S_OK));
	}
	/* and a write continues after them */
	WRITE(z + wp, 8, S_OK);
}

/*
 * The largest append, from pages, from any address, in many segments; a larger
 * one fails.
 */
TEST_F_TIMEOUT(zoned, append_largest, 60)
{
	uint64_t z = ZONE(0), at;
	struct blk_config c;
	uint32_t max;

	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	max = le32toh(c.zoned.max_append_sectors);
	ASSERT_GE(self->size, max);
	ASSERT_WELL(zone_append(self->r, z, (max + 1) * SECTOR, PLACE_ALIGNED, NULL, S_INVALID,
				&at));
	ASSERT_WELL(zone_append(self->r, z, 0, PLACE_ALIGNED, NULL, S_INVALID, &at));
	ASSERT_WELL(zone_append(self->r, z, 100, PLACE_ALIGNED, NULL, S_IOERR, &at));
	IS(z, ZS_EMPTY, 0);
	ASSERT_WELL(zone_append(self->r, z, max * SECTOR, PLACE_ALIGNED, NULL, S_OK, &at));
	EXPECT_EQ(z, at);
	z = ZONE(1);
	ASSERT_WELL(zone_append(self->r, z, max * SECTOR, PLACE_SCATTER, &self->rng, S_OK, &at));
	EXPECT_EQ(z, at);
}

/* An append that does not fit into the rest of the zone is not started. */
TEST_F(zoned, append_no_room)
{
	uint64_t z = ZONE(0), at;

	WRITE(z, self->cap - 8, S_OK);
	ASSERT_WELL(zone_append(self->r, z, 9 * SECTOR, PLACE_ALIGNED, NULL, S_INVALID, &at));
	IS(z, ZS_IOPEN, self->cap - 8);
	ASSERT_WELL(zone_append(self->r, z, 8 * SECTOR, PLACE_ALIGNED, NULL, S_OK, &at));
	EXPECT_EQ(z + self->cap - 8, at);
	IS(z, ZS_FULL, -1);
	ASSERT_WELL(zone_append(self->r, z, SECTOR, PLACE_ALIGNED, NULL, S_INVALID, &at));
}

/*
 * The reply is 8 bytes in descriptors of any shape; without room for it nothing
 * is executed.
 */
TEST_F(zoned, append_answer)
{
	struct guest *g = &self->g;
	uint64_t z = ZONE(1), at;
	uint32_t cut, i;

	for (cut = 0; cut <= sizeof(at); cut++) {
		struct request *q = request_new(g, VIRTIO_BLK_T_ZONE_APPEND, z, SECTOR);

		request_cut(q, NULL, 0, &cut, 1);
		request_place(q, PLACE_SCATTER, &self->rng);
		request_arm(q, cut);
		ASSERT_WELL(request_verify(self->r, q, S_OK));
		request_read_in(q, &at);
		EXPECT_EQ(z + cut, le64toh(at));
		request_free(q);
	}
	for (i = 0; i < sizeof(at); i++) {
		struct request *q = request_new(g, VIRTIO_BLK_T_ZONE_APPEND, z, SECTOR);

		q->in_len = i + 1;
		request_cut(q, NULL, 0, NULL, 0);
		request_place(q, PLACE_PACKED, NULL);
		request_arm(q, i);
		ASSERT_WELL(request_verify(self->r, q, S_IOERR));
		request_free(q);
	}
	IS(z, ZS_IOPEN, sizeof(at) + 1);
}

#define IN_FLIGHT	96

/*
 * Appends by all queues to three zones: each is written once, as a whole, and
 * nothing else.
 */
TEST_F_TIMEOUT(zoned, append_many, 120)
{
	struct guest *g = &self->g;
	struct request *q[IN_FLIGHT];
	uint8_t *taken = calloc(self->b.size / SECTOR, 1);
	unsigned int round, i, k;
	uint64_t sum[3] = { 0 }, mark = g->bump, at;

	for (round = 0; round < scaled(4, 2); round++) {
		for (i = 0; i < IN_FLIGHT; i++) {
			uint32_t sectors = 1 + rng_below(&self->rng, 8);

			k = rng_below(&self->rng, 3);
			sum[k] += sectors;
			q[i] = request_new(g, VIRTIO_BLK_T_ZONE_APPEND, ZONE(k),
					   sectors * SECTOR);
			request_cut_usual(q[i]);
			request_place(q[i], i & 1 ? PLACE_SCATTER : PLACE_ALIGNED, &self->rng);
			request_arm(q[i], rng_next(&self->rng));
		}
		guest_snapshot(g);
		for (i = 0; i < IN_FLIGHT; i++)
			ASSERT_EQ(0, ring_add(&g->ring[i % g->nrings], q[i]));
		for (i = 0; i < g->nrings; i++)
			ring_kick(&g->ring[i]);
		for (i = 0; i < g->nrings; i++)
			ASSERT_WELL(ring_wait(&g->ring[i], ring_inflight(&g->ring[i]), 30000));
		for (i = 0; i < IN_FLIGHT; i++) {
			ASSERT_WELL(request_outcome(q[i], S_OK));
			request_read_in(q[i], &at);
			at = le64toh(at);
			EXPECT_EQ(q[i]->sector, at / self->size * self->size);
			for (k = 0; k < q[i]->len / SECTOR; k++)
				EXPECT_EQ(0, taken[at + k]++);
			request_free(q[i]);
		}
		ASSERT_WELL(guest_compare(g));
		ASSERT_WELL(backend_compare_all(&self->b));
		guest_release(g, mark);
	}
	for (k = 0; k < 3; k++)
		IS(ZONE(k), ZS_IOPEN, sum[k]);
	free(taken);
}

/* A zoned disk with a write cache */
FIXTURE(stable) {
	struct backend b;
	struct guest g;
	struct rng rng;
	dev_t dev;
};

FIXTURE_SETUP(stable)
{
	static const struct nullb_attr cached[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" },
		{ "cache_size", "1" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = cached, .size = 4 << 20,
		.blank = true,
	};
	const char *why = no_kernel("the model device has no zones");
	struct stat st;

	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (!why)
		why = trace_bios_begin(fstat(self->b.fd, &st) ? 0 : st.st_rdev);
	if (why)
		SKIP(return, "%s", why);
	self->dev = st.st_rdev;
	self->rng.state = rng_seed_from_env();
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
}

FIXTURE_TEARDOWN(stable)
{
	FILE *f = trace_bios_end();

	if (f)
		fclose(f);
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/*
 * Append to zone 2 and write to zone 3, aligned and bounced.  Either all of
 * their bios must have FUA, or none.
 */
static const char *check_fua(struct guest *g, dev_t dev, struct rng *rng, bool fua)
{
	const uint64_t zone = 2048;
	unsigned int appends = 0, writes = 0, i;
	struct trace_bio bio;
	const char *why = trace_bios_begin(dev);
	uint64_t at;
	FILE *f;

	for (i = 0; !why && i < 4; i++)
		why = zone_append(&g->ring[0], 2 * zone, 8 * SECTOR,
				  i & 1 ? PLACE_SCATTER : PLACE_ALIGNED, i & 2 ? rng : NULL,
				  S_OK, &at);
	if (!why)
		why = request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, 3 * zone, 8 * SECTOR, S_OK);
	f = trace_bios_end();
	if (why || !f)
		return why ? why : "the trace can't be read";
	while (trace_next_bio(f, &bio)) {
		/* a read is by the test, which checks the data */
		if (bio.rwbs[0] == 'R' || !bio.sectors)
			continue;
		/*
		 * the sector of an append is the start of the zone, not where
		 * it is placed
		 */
		appends += bio.sector == 2 * zone;
		writes += bio.sector == 3 * zone;
		if (bio.fua != fua)
			why = guest_say(g, "bio %s of %u sectors at %llu", bio.rwbs, bio.sectors,
					(unsigned long long)bio.sector);
	}
	fclose(f);
	if (!why && (appends != 4 || writes != 1))
		why = guest_say(g, "%u appends, %u writes", appends, writes);
	return why;
}

/* Without FLUSH, or with writeback 0, an append is stable when it completes (5.2.6.2). */
TEST_F(stable, append)
{
	static const struct {
		uint64_t off;
		int writeback;		/* -1: unchanged */
		bool fua;
	} t[] = {
		{ 0, 1, false },
		{ 0, 0, true },
		{ BIT64(VIRTIO_BLK_F_FLUSH), -1, true },
		{ BIT64(VIRTIO_BLK_F_CONFIG_WCE), -1, false },
		{ BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_CONFIG_WCE), -1, true },
	};
	struct guest *g = &self->g;
	const char *why;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		BOOT(.features_off = t[i].off);
		if (t[i].writeback >= 0)
			ASSERT_EQ(0, guest_set_writeback(g, t[i].writeback));
		ASSERT_WELL(request_ends(&g->ring[0], T_RESET_ALL, 0, 0, S_OK));
		ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
		why = check_fua(g, self->dev, &self->rng, t[i].fua);
		ASSERT_EQ(NULL, why)
			TH_LOG("entry %u: %s", i, why);
		guest_destroy(g);
	}
}

TEST_HARNESS_MAIN
