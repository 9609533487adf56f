// SPDX-License-Identifier: GPL-2.0
/*
 * VIRTIO_F_ANY_LAYOUT: a request may be cut into descriptors anywhere
 * (virtio 1.3, 2.7.4): the header over several, header and data in one, data
 * and status in one.
 */
#include "suite-disk.h"

struct layout {
	const uint32_t *out;
	unsigned int nout;
	const uint32_t *in;
	unsigned int nin;
	enum place place;
	bool indirect;
	unsigned int direct;
	uint16_t table_flags;
};

static const char *run_layout(struct guest *g, uint32_t type, uint32_t len,
			      const struct layout *l, struct rng *rng)
{
	struct request *q = request_new_blocks(g, type, 40, len);
	uint64_t mark = g->bump;
	const char *why;
	static char text[512];

	request_cut(q, l->out, l->nout, l->in, l->nin);
	request_place(q, l->place, rng);
	q->direct = l->direct;
	q->table_flags = l->table_flags;
	request_set_indirect(q, l->indirect);
	request_arm(q, rng_next(rng));
	why = request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK);
	if (why)
		snprintf(text, sizeof(text),
			 "type %u len %u, out %u pieces at %u, in %u pieces at %u%s, %u direct: %s",
			 type, len, l->nout + 1, l->nout ? l->out[0] : 0, l->nin + 1,
			 l->nin ? l->in[0] : 0, l->indirect ? ", indirect" : "", l->direct, why);
	request_free(q);
	guest_release(g, mark);
	return why ? text : NULL;
}

/* Use these cuts in a write and in a read, with direct and with indirect descriptors. */
static const char *both_ways(struct guest *g, const struct layout *base, uint32_t type,
			     uint32_t len, struct rng *rng)
{
	struct layout l = *base;
	const char *why;

	l.indirect = false;
	why = run_layout(g, type, len, &l, rng);
	l.indirect = true;
	return why ? why : run_layout(g, type, len, &l, rng);
}

/* Each single cut in or near header and status, and every third one in between */
TEST_F_TIMEOUT(disk, one_cut, 300)
{
	unsigned int step = scaled(3, 31);
	uint32_t cut, len;

	BOOT(.num = 16);
	len = backend_up_bytes(&self->b, 2 * SECTOR);
	for (cut = 1; cut < HDR_LEN + len; cut += cut < 34 ? 1 : step) {
		struct layout l = { .out = &cut, .nout = 1, .place = PLACE_SCATTER };

		ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_OUT, len, &self->rng));
	}
	for (cut = 1; cut < 1 + len; cut += cut < 34 ? 1 : step) {
		struct layout l = { .in = &cut, .nin = 1, .place = PLACE_SCATTER };

		ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_IN, len, &self->rng));
	}
	/* always test the last cuts: only the status, and one byte earlier */
	for (cut = len - 2; cut <= len; cut++) {
		struct layout l = { .in = &cut, .nin = 1, .place = PLACE_PACKED };

		ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_IN, len, &self->rng));
	}
}

/* Any two cuts of the header and of the ends of the data */
TEST_F_TIMEOUT(disk, two_cuts, 300)
{
	static const uint32_t data_cut[] = {
		HDR_LEN + 1, HDR_LEN + 511, HDR_LEN + 512, HDR_LEN + 513, HDR_LEN + 1023,
	};
	uint32_t cut[2], in[2];
	unsigned int i;

	BOOT(.num = 16);
	for (cut[0] = 1; cut[0] <= HDR_LEN; cut[0]++) {
		struct layout l = {
			.out = cut, .nout = 2, .in = in, .nin = 2, .place = PLACE_SCATTER,
		};

		for (cut[1] = cut[0] + 1; cut[1] < HDR_LEN; cut[1] += scaled(1, 5)) {
			in[0] = cut[0];
			in[1] = cut[1];
			ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_IN, 1024, &self->rng));
		}
		l.nin = 0;
		for (i = 0; i < ARRAY_SIZE(data_cut); i += scaled(1, 2)) {
			cut[1] = data_cut[i];
			ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_OUT, 1024, &self->rng));
		}
	}
}

/* No cut: header and data in one descriptor, data and status in one */
TEST_F(disk, no_cut)
{
	struct layout l = { .place = PLACE_PACKED };
	unsigned int i;

	BOOT(.num = 2);
	for (i = 1; i <= 16; i++) {
		ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_OUT, i * SECTOR, &self->rng));
		ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_IN, i * SECTOR, &self->rng));
	}
}

/* Every byte in a descriptor of its own */
TEST_F_TIMEOUT(disk, single_bytes, 120)
{
	struct layout l = { .place = PLACE_SCATTER };
	uint32_t cut[HDR_LEN + SECTOR];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cut); i++)
		cut[i] = i + 1;
	BOOT(.num = 1024);
	l.out = cut;
	l.nout = HDR_LEN + SECTOR - 1;
	ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_OUT, SECTOR, &self->rng));
	l.nout = HDR_LEN - 1;
	l.in = cut;
	l.nin = SECTOR;
	ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_IN, SECTOR, &self->rng));
}

/* Descriptors of length 0 among the others make no difference. */
TEST_F(disk, empty_pieces)
{
	static const uint32_t out[] = { 0, 4, 4, HDR_LEN, HDR_LEN, HDR_LEN + 512 };
	static const uint32_t in[] = { 0, 512, 512, 1024, 1024 };
	struct layout l = { .out = out, .nout = 6, .place = PLACE_SCATTER };

	BOOT(.num = 16);
	ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_OUT, 1024, &self->rng));
	l.nout = 5;
	l.in = in;
	l.nin = 5;
	ASSERT_WELL(both_ways(&self->g, &l, VIRTIO_BLK_T_IN, 1024, &self->rng));
}

/* Each number of direct descriptors before a table with the rest */
static const char *ends_in_table(struct guest *g, const struct layout *base, uint32_t type,
				 struct rng *rng)
{
	unsigned int n = base->nout + 1 + base->nin + 1;
	struct layout l = *base;
	const char *why = NULL;

	l.indirect = true;
	l.place = PLACE_SCATTER;
	for (l.direct = 1; !why && l.direct < n; l.direct++)
		why = run_layout(g, type, 1024, &l, rng);
	return why;
}

/* A chain may end with a table after direct descriptors (2.7.5.3.2). */
TEST_F(disk, chain_ends_in_table)
{
	/*
	 * header and half of the data; at odd places; right after a start and
	 * before an end
	 */
	static const uint32_t out[][2] = {
		{ HDR_LEN, HDR_LEN + 512 }, { 7, HDR_LEN + 300 }, { HDR_LEN + 1, HDR_LEN + 1023 },
	};
	static const uint32_t in[][2] = { { 512, 1024 }, { 7, 300 }, { 1, 1023 } };
	static const uint32_t half = HDR_LEN / 2;
	unsigned int i;

	BOOT(.num = 16);
	for (i = 0; i < ARRAY_SIZE(out); i++) {
		struct layout w = { .out = out[i], .nout = 2 };
		struct layout r = { .out = &half, .nout = i & 1, .in = in[i], .nin = 2 };

		ASSERT_WELL(ends_in_table(&self->g, &w, VIRTIO_BLK_T_OUT, &self->rng));
		ASSERT_WELL(ends_in_table(&self->g, &r, VIRTIO_BLK_T_IN, &self->rng));
	}
}

/* The device ignores F_WRITE in the descriptor of a table (2.7.5.3.2). */
TEST_F(disk, table_marked_writable)
{
	static const uint32_t out = HDR_LEN, in = 1024;
	struct layout l = {
		.out = &out, .in = &in, .nin = 1, .place = PLACE_SCATTER, .indirect = true,
		.table_flags = VRING_DESC_F_WRITE,
	};

	BOOT(.num = 16);
	for (l.direct = 0; l.direct < 2; l.direct++) {
		l.nout = 0;
		l.nin = 1;
		ASSERT_WELL(run_layout(&self->g, VIRTIO_BLK_T_IN, 1024, &l, &self->rng));
		l.nout = 1;
		l.nin = 0;
		ASSERT_WELL(run_layout(&self->g, VIRTIO_BLK_T_OUT, 1024, &l, &self->rng));
	}
}

TEST_F_TIMEOUT(disk, random_cuts, 300)
{
	unsigned int i;

	BOOT(.num = 256);
	for (i = 0; i < scaled(600, 40); i++) {
		struct guest *g = &self->g;
		uint32_t type = i & 1 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		uint32_t sectors = 1 + rng_below(&self->rng, i % 10 ? 16 : 300);
		struct request *q = request_new_blocks(g, type, i, sectors * SECTOR);
		uint64_t mark = g->bump;

		request_cut_random(q, &self->rng, 2 + rng_below(&self->rng, 100));
		request_place(q, rng_below(&self->rng, 3), &self->rng);
		request_set_indirect(q, rng_next(&self->rng) & 1);
		request_arm(q, rng_next(&self->rng));
		ASSERT_WELL(request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK));
		request_free(q);
		guest_release(g, mark);
	}
}

/* Neither VERSION_1 nor ANY_LAYOUT: the layout that old drivers use */
TEST_F(disk, legacy)
{
	unsigned int i;

	BOOT(.features_off = BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_ANY_LAYOUT) |
	     BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX));
	for (i = 1; i < 40; i++) {
		uint64_t at = backend_down(&self->b, i);
		uint32_t len = backend_up_bytes(&self->b, i * SECTOR);

		ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_OUT, at, len,
					   VIRTIO_BLK_S_OK));
		ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_IN, at, len,
					   VIRTIO_BLK_S_OK));
	}
}

static const char *long_table(struct guest *g, uint32_t type, uint32_t segs, struct rng *rng)
{
	struct request *q = request_new_blocks(g, type, 0, segs * SECTOR);
	uint64_t mark = g->bump;
	const char *why;

	request_cut_every(q, SECTOR);
	request_place(q, rng_next(rng) & 1 ? PLACE_SCATTER : PLACE_ALIGNED, rng);
	request_set_indirect(q, true);
	request_arm(q, rng_next(rng));
	why = request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/*
 * A table may be longer than its ring, although drivers should not use that
 * (2.7.5.3.1): up to 2048 segments are accepted, including header and status.
 */
TEST_F_TIMEOUT(disk, long_table, 120)
{
	static const uint32_t segs[] = { 15, 515, 1022, 1023, 2046 };
	unsigned int i;

	if (model_wanted())
		SKIP(return, "the model device has another limit");
	BOOT(.num = 16, .mem = 16 << 20);
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		uint32_t n = backend_down(&self->b, segs[i]);

		ASSERT_WELL(long_table(&self->g, VIRTIO_BLK_T_OUT, n ? n : 8, &self->rng));
		ASSERT_WELL(long_table(&self->g, VIRTIO_BLK_T_IN, n ? n : 8, &self->rng));
	}
}

TEST_HARNESS_MAIN
