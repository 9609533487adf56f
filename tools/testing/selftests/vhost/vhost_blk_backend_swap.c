// SPDX-License-Identifier: GPL-2.0
/*
 * Which backend may replace which one while the guest runs: negotiated features
 * must remain valid.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

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
	uint64_t off;		/* features that are not acknowledged */
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
	{ PLAIN, ZONES, 0, false },	/* zoned devices offer no WRITE_ZEROES */
	{ ZONES, LARGE_ZONES, 0, false },
	{ LARGE_ZONES, ZONES, 0, false },
	{ ZONES, FEW_ZONES, 0, false },	/* fewer open zones */
	{ FEW_ZONES, ZONES, 0, true },
	{ ERASES, PLAIN, 0, false },
	{ ERASES, PLAIN, ERASE, true },
	{ PLAIN, ERASES, 0, true },
};

/* A feature that is offered or acknowledged has all its limits in the configuration space. */
static const char *limits_there(struct guest *g)
{
	uint64_t f = guest_offered(g) | g->features;
	struct blk_config c;

	if (guest_get_config(g, &c))
		return "no configuration space";
	if ((f & DISCARD) && !(c.max_discard_sectors && c.max_discard_seg &&
			       c.discard_sector_alignment))
		return "DISCARD has a limit of 0";
	if ((f & ZEROES) && !(c.max_write_zeroes_sectors && c.max_write_zeroes_seg))
		return "WRITE_ZEROES has a limit of 0";
	if ((f & ERASE) && !(c.max_secure_erase_sectors && c.max_secure_erase_seg &&
			     c.secure_erase_sector_alignment))
		return "SECURE_ERASE has a limit of 0";
	return NULL;
}

static const char *try_swap(unsigned int i, struct backend *from, struct backend *to)
{
	struct guest_opts opts = { .backend = from, .features_off = swaps[i].off };
	struct guest g;
	static char text[300];
	const char *why;
	long ret;

	guest_init(&g, &opts);
	why = guest_boot(&g);
	if (!why)
		why = limits_there(&g);
	if (!why) {
		ret = guest_set_backend(&g, to->fd, 0);
		if (ret != (swaps[i].ok ? 0 : -EOPNOTSUPP))
			why = guest_say(&g, "SET_BACKEND returns %ld", ret);
		else if (!ret)
			g.opts.backend = to;
	}
	if (!why)
		why = limits_there(&g);
	/* after a refused swap the old backend still works */
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
		SKIP(return, "the model device accepts every backend");
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

/* Disable discards on a disk, as an administrator does through sysfs. */
static int withdraw(struct backend *b)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(b->path, '/') + 1);
	return put_attr(dir, "discard_max_bytes", "0");
}

/*
 * A guest that negotiated DISCARD keeps a disk whose discards are disabled
 * later.  Such a disk cannot replace another one, nor be attached again.
 */
static const char *swap_withdrawn(struct guest *g, struct backend *now, struct backend *other,
				  struct backend *file)
{
	const struct range range = { .sector = 64, .sectors = 64 };
	const char *why = guest_boot(g);

	if (!why && !guest_has(g, VIRTIO_BLK_F_DISCARD))
		why = "DISCARD is not offered";
	if (!why && guest_set_backend(g, other->fd, 0) != -EOPNOTSUPP)
		why = "a disk without discards has replaced one with discards";
	if (!why)
		why = limits_there(g);
	if (!why && withdraw(now))
		why = "discard_max_bytes can't be set";
	if (!why)
		why = limits_there(g);
	if (!why && guest_set_backend(g, now->fd, 0) != -EOPNOTSUPP)
		why = "a disk whose discards are disabled can be attached again";
	if (!why)
		why = limits_there(g);
	if (!why)
		why = guest_prove(g);
	if (!why && guest_set_backend(g, file->fd, 0))
		why = "a file cannot replace it";
	g->opts.backend = file;
	if (!why)
		why = limits_there(g);
	return why ? why : range_run(&g->ring[0], VIRTIO_BLK_T_DISCARD, range.sector,
				     range.sectors, 0, VIRTIO_BLK_S_OK);
}

/* A driver that has not acknowledged DISCARD may get such a disk. */
static const char *swap_unaware(struct guest *g, struct backend *withdrawn)
{
	const char *why;

	g->opts.features_off = DISCARD;
	why = guest_boot(g);
	if (!why)
		why = limits_there(g);
	if (!why && guest_set_backend(g, withdrawn->fd, 0))
		why = "a driver without DISCARD cannot have a disk without discards";
	g->opts.backend = withdrawn;
	if (!why && (guest_offered(g) & DISCARD))
		why = "DISCARD is offered for a disk whose discards are disabled";
	if (!why)
		why = limits_there(g);
	return why ? why : guest_prove(g);
}

TEST(withdrawn)
{
	struct backend first, second, third, file;
	struct guest_opts opts = { .backend = &first };
	const char *why;
	struct guest g;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device accepts every backend");
	why = backend_open_as(&first, &disk[DISCARDS]);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(backend_open_as(&second, &disk[DISCARDS]));
	ASSERT_WELL(backend_open_as(&third, &disk[DISCARDS]));
	ASSERT_WELL(backend_open_as(&file, &disk[A_FILE]));
	ASSERT_EQ(0, withdraw(&second));
	guest_init(&g, &opts);
	EXPECT_EQ(NULL, (why = swap_withdrawn(&g, &first, &second, &file)))
		TH_LOG("%s", why);
	guest_destroy(&g);
	opts.backend = &third;
	guest_init(&g, &opts);
	EXPECT_EQ(NULL, (why = swap_unaware(&g, &second)))
		TH_LOG("%s", why);
	guest_destroy(&g);
	backend_close(&first);
	backend_close(&second);
	backend_close(&third);
	backend_close(&file);
}

static const char *detach_by_swap(struct guest *g, struct backend *other)
{
	return guest_set_backend(g, other->fd, 0) ? "a swap fails" : NULL;
}

static const char *detach_by_unbind(struct guest *g, struct backend *other)
{
	(void)other;
	if (guest_set_running(g, 0))
		return "SET_RUNNING fails";
	return guest_set_backend(g, -1, 0) ? "SET_BACKEND -1 fails" : NULL;
}

static const char *detach_by_reset(struct guest *g, struct backend *other)
{
	(void)other;
	return guest_ioctl(g, VHOST_RESET_OWNER, NULL) ? "RESET_OWNER fails" : NULL;
}

static const char *detach_by_close(struct guest *g, struct backend *other)
{
	(void)other;
	guest_close(g);
	return NULL;
}

/* Attach a file on a new file system; only the device has it open afterwards. */
static const char *attach_only(struct guest *g, struct backend *b, const char *dir)
{
	struct backend_opts opts = { .kind = BACKEND_FILE, .dir = dir };
	struct guest_opts guest = { .backend = b };
	const char *why = backend_open_as(b, &opts);

	if (why)
		return why;
	guest_init(g, &guest);
	why = guest_boot(g);
	if (!why)
		why = guest_prove(g);
	backend_close(b);
	return why;
}

/*
 * The call returns only after the old file is closed, so its file system can be
 * unmounted.
 */
TEST(closed_at_once)
{
	static const char *(*const detach[])(struct guest *g, struct backend *other) = {
		detach_by_swap, detach_by_unbind, detach_by_reset, detach_by_close,
	};
	char dir[] = "/tmp/vhost-test-swap-XXXXXX";
	struct backend b, other;
	struct guest g;
	unsigned int i;
	const char *why = no_kernel("the model device is a thread of this process");

	if (!why)
		why = backend_open(&other, BACKEND_FILE, false);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_NE(NULL, mkdtemp(dir));
	for (i = 0; i < scaled(10, 3) * ARRAY_SIZE(detach); i++) {
		ASSERT_EQ(0, mount("tmpfs", dir, "tmpfs", 0, NULL));
		why = attach_only(&g, &b, dir);
		/* while the device has the file, the file system is busy */
		EXPECT_EQ(-1, umount(dir));
		if (!why)
			why = detach[i % ARRAY_SIZE(detach)](&g, &other);
		EXPECT_EQ(NULL, why)
			TH_LOG("%u: %s", i, why);
		EXPECT_EQ(0, umount(dir)) {
			TH_LOG("way %u: busy", i);
			umount2(dir, MNT_DETACH);
		}
		guest_destroy(&g);
	}
	rmdir(dir);
	backend_close(&other);
}

TEST_HARNESS_MAIN
