/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of discard and zeroes, on backends that implement them
 * differently
 */
#ifndef VHOST_TEST_SUITE_RANGES_H
#define VHOST_TEST_SUITE_RANGES_H

#include <sys/vfs.h>
#include <linux/magic.h>

#include "ranges.h"
#include "suite.h"

#define T_DISCARD	VIRTIO_BLK_T_DISCARD
#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define T_ERASE		VIRTIO_BLK_T_SECURE_ERASE
#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define S_UNSUPP	VIRTIO_BLK_S_UNSUPP

/* small, because every test fills a disk of its own */
#define RANGES_SIZE	(1024U * 1024)

static const uint32_t range_type[] = { T_DISCARD, T_ZEROES, T_ERASE };

FIXTURE(ranges) {
	struct backend b;
	struct guest g;
	struct rng rng;
};

FIXTURE_VARIANT(ranges) {
	struct backend_opts opts;
};

static const struct nullb_attr with_discard[] = { { "discard", "1" }, { NULL, NULL } };

FIXTURE_VARIANT_ADD(ranges, nullb_discard) {
	.opts = {
		.size = RANGES_SIZE, .kind = BACKEND_NULLB, .direct = true,
		.nullb = with_discard,
	},
};

/* without discards, unless VHOST_TEST_BDEV names another disk */
FIXTURE_VARIANT_ADD(ranges, bdev) {
	.opts = { .size = RANGES_SIZE, .kind = BACKEND_BDEV, .direct = true },
};

FIXTURE_VARIANT_ADD(ranges, loop) {
	.opts = { .size = RANGES_SIZE, .kind = BACKEND_LOOP, .direct = true },
};

FIXTURE_VARIANT_ADD(ranges, erase) {
	.opts = { .size = RANGES_SIZE, .kind = BACKEND_ERASE, .direct = true },
};

FIXTURE_VARIANT_ADD(ranges, file_direct) {
	.opts = { .size = RANGES_SIZE, .kind = BACKEND_FILE, .direct = true },
};

FIXTURE_VARIANT_ADD(ranges, file_buffered) {
	.opts = { .size = RANGES_SIZE, .kind = BACKEND_FILE },
};

FIXTURE_VARIANT_ADD(ranges, tmpfs) {
	.opts = { .size = RANGES_SIZE, .kind = BACKEND_FILE, .dir = "/dev/shm" },
};

static inline const char *is_tmpfs(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) || fs.f_type != TMPFS_MAGIC)
		return "no tmpfs on /dev/shm";
	return NULL;
}

FIXTURE_SETUP(ranges)
{
	const char *why = NULL;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (variant->opts.dir)
		why = is_tmpfs(variant->opts.dir);
	if (!why)
		why = backend_open_as(&self->b, &variant->opts);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

/* After each test: nothing else on the disk has changed. */
FIXTURE_TEARDOWN(ranges)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	backend_close(&self->b);
	if (why)
		EXPECT_EQ(NULL, why)
			TH_LOG("at the end: %s", why);
}

#define RANGE(type, sector, sectors, flags, status)			\
	ASSERT_WELL(range_run(&self->g.ring[0], type, sector, sectors, flags, status))

/* Expected status of a request: UNSUPP instead of OK if it was not negotiated */
static inline uint8_t either(struct guest *g, uint32_t type, uint8_t status)
{
	return ranges_status(g, type) == S_OK ? status : S_UNSUPP;
}

/* Maximum number of segments in a request, see Documentation/virt/vhost-blk/uapi.rst */
static inline unsigned int max_segs(uint32_t type)
{
	return type == T_ZEROES ? 16 : 256;
}

#endif /* VHOST_TEST_SUITE_RANGES_H */
