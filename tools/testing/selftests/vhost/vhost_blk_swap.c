// SPDX-License-Identifier: GPL-2.0
/* Which backend may take the place of which while the guest runs: what it was promised stays */
#define _GNU_SOURCE
#include "ranges.h"
#include "suite.h"

#define DISCARD	BIT64(VIRTIO_BLK_F_DISCARD)
#define ZEROES	BIT64(VIRTIO_BLK_F_WRITE_ZEROES)
#define ERASE	BIT64(VIRTIO_BLK_F_SECURE_ERASE)
#define ZONED	BIT64(VIRTIO_BLK_F_ZONED)

static const struct nullb_attr with_discard[] = { { "discard", "1" }, { NULL, NULL } };

static const struct nullb_attr zones[] = {
	{ "zoned", "1" }, { "zone_size", "1" }, { NULL, NULL },
};

static const struct nullb_attr large_zones[] = {
	{ "zoned", "1" }, { "zone_size", "2" }, { NULL, NULL },
};

static const struct nullb_attr few_zones[] = {
	{ "zoned", "1" }, { "zone_size", "1" }, { "zone_max_open", "3" }, { NULL, NULL },
};

enum { PLAIN, DISCARDS, BLOCKS, A_FILE, ERASES, ZONES, LARGE_ZONES, FEW_ZONES, NR_DISKS };

static const struct backend_opts disk[NR_DISKS] = {
	[PLAIN] = { .kind = BACKEND_NULLB, .direct = true },
	[DISCARDS] = { .kind = BACKEND_NULLB, .direct = true, .nullb = with_discard },
	[BLOCKS] = { .kind = BACKEND_LOOP, .direct = true, .block_size = 4096 },
	[ZONES] = { .kind = BACKEND_NULLB, .direct = true, .nullb = zones, .blank = true },
	[LARGE_ZONES] = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = large_zones, .blank = true,
	},
	[FEW_ZONES] = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = few_zones, .blank = true,
	},
	[A_FILE] = { .kind = BACKEND_FILE },
	[ERASES] = { .kind = BACKEND_ERASE, .direct = true },
};

static const struct {
	unsigned int from, to;
	uint64_t off;		/* not acknowledged */
	bool ok;
} swaps[] = {
	{ PLAIN, DISCARDS, 0, true },
	{ PLAIN, A_FILE, 0, true },
	{ DISCARDS, PLAIN, 0, false },
	{ DISCARDS, PLAIN, DISCARD, true },
	{ DISCARDS, A_FILE, 0, true },
	{ A_FILE, DISCARDS, 0, true },
	{ A_FILE, PLAIN, 0, false },
	{ A_FILE, PLAIN, DISCARD, true },
	{ PLAIN, BLOCKS, 0, false },
	{ PLAIN, BLOCKS, DISCARD | ZEROES, false },
	{ BLOCKS, PLAIN, DISCARD, true },
	{ BLOCKS, DISCARDS, 0, true },
	{ BLOCKS, BLOCKS, 0, true },
	{ ZONES, PLAIN, 0, false },
	{ PLAIN, ZONES, 0, false },	/* which has no WRITE_ZEROES */
	{ ZONES, LARGE_ZONES, 0, false },
	{ LARGE_ZONES, ZONES, 0, false },
	{ ZONES, FEW_ZONES, 0, false },	/* open at a time */
	{ FEW_ZONES, ZONES, 0, true },
	{ ERASES, PLAIN, 0, false },
	{ ERASES, PLAIN, ERASE, true },
	{ PLAIN, ERASES, 0, true },
};

static const char *try_swap(unsigned int i, struct backend *from, struct backend *to)
{
	struct guest_opts opts = { .backend = from, .features_off = swaps[i].off };
	struct guest g;
	static char text[300];
	const char *why;
	long ret;

	guest_init(&g, &opts);
	why = guest_boot(&g);
	if (!why) {
		ret = guest_set_backend(&g, to->fd, 0);
		if (ret != (swaps[i].ok ? 0 : -EOPNOTSUPP))
			why = guest_say(&g, "SET_BACKEND returns %ld", ret);
		else if (!ret)
			g.opts.backend = to;
	}
	/* the old one goes on where the new one was refused */
	if (!why && swaps[i].from < ZONES && swaps[i].from != BLOCKS)
		why = guest_prove(&g);
	if (!why)
		why = request_simple(&g.ring[0], VIRTIO_BLK_T_IN, 8, 8192, VIRTIO_BLK_S_OK);
	if (why) {
		snprintf(text, sizeof(text), "swap %u: %s", i, why);
		why = text;
	}
	guest_destroy(&g);
	return why;
}

TEST(promises)
{
	struct backend b[NR_DISKS], other;
	const char *missing[NR_DISKS];
	unsigned int i;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device takes every backend");
	for (i = 0; i < NR_DISKS; i++) {
		missing[i] = backend_open_as(&b[i], &disk[i]);
		if (missing[i])
			TH_LOG("without disk %u: %s", i, missing[i]);
		else if (i >= ZONES)
			ASSERT_WELL(backend_adopt(&b[i], 0, b[i].size));
	}
	for (i = 0; i < ARRAY_SIZE(swaps); i++) {
		unsigned int from = swaps[i].from, to = swaps[i].to;
		const char *why;

		if (missing[from] || missing[to])
			continue;
		if (from != to) {
			why = try_swap(i, &b[from], &b[to]);
		} else {
			ASSERT_WELL(backend_open_as(&other, &disk[to]));
			why = try_swap(i, &b[from], &other);
			backend_close(&other);
		}
		EXPECT_EQ(NULL, why)
			TH_LOG("%s", why);
	}
	for (i = 0; i < NR_DISKS; i++)
		if (!missing[i])
			backend_close(&b[i]);
}

TEST_HARNESS_MAIN
