/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of tests of zoned devices: null_blk, with two conventional zones */
#ifndef VHOST_TEST_SUITE_ZONED_H
#define VHOST_TEST_SUITE_ZONED_H

#include "suite.h"
#include "zones.h"

#define CONV_ZONES	2
#define NO_ZONES	"the model device has no zones: its file has none"

#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define S_UNSUPP	VIRTIO_BLK_S_UNSUPP
#define S_INVALID	VIRTIO_BLK_S_ZONE_INVALID_CMD
#define S_UNALIGNED	VIRTIO_BLK_S_ZONE_UNALIGNED_WP
#define S_OPEN		VIRTIO_BLK_S_ZONE_OPEN_RESOURCE
#define S_ACTIVE	VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE
#define T_OPEN		VIRTIO_BLK_T_ZONE_OPEN
#define T_CLOSE		VIRTIO_BLK_T_ZONE_CLOSE
#define T_FINISH	VIRTIO_BLK_T_ZONE_FINISH
#define T_RESET		VIRTIO_BLK_T_ZONE_RESET
#define T_RESET_ALL	VIRTIO_BLK_T_ZONE_RESET_ALL

FIXTURE(zoned) {
	struct backend b;
	struct guest g;
	struct ring *r;
	struct rng rng;
	unsigned int zones;
	uint64_t size;		/* sectors of a zone */
	uint64_t cap;
};

FIXTURE_VARIANT(zoned) {
	const struct nullb_attr *attr;
	unsigned int mib;
	unsigned int zone_mib;
	unsigned int cap_mib;
};

/* After each test: only expected sectors were written. */
FIXTURE_TEARDOWN(zoned)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	backend_close(&self->b);
	if (why)
		EXPECT_EQ(NULL, why)
			TH_LOG("at the end: %s", why);
}

FIXTURE_SETUP(zoned)
{
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = variant->attr,
		.size = variant->mib << 20, .blank = true,
	};
	struct guest_opts guest = { .backend = &self->b, .queues = 4 };
	const char *why = no_kernel(NO_ZONES);

	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	self->size = variant->zone_mib * 2048;
	self->cap = variant->cap_mib * 2048;
	self->zones = self->b.size / SECTOR / self->size;
	/* sectors that were never written have some content, too */
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
	self->r = &self->g.ring[0];
}

/* The start of sequential zone number @i */
#define ZONE(i)		((CONV_ZONES + (i)) * self->size)
#define OP(type, sector, status)						\
	ASSERT_WELL(request_simple(self->r, type, sector, 0, status))
#define WRITE(sector, sectors, status)						\
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_OUT, sector, (sectors) * SECTOR, status))
#define IS(start, state, written)						\
	ASSERT_WELL(zone_is(self->r, start, state, written))
/* The content of the zone may have changed. */
#define ADOPT(start)								\
	ASSERT_WELL(backend_adopt(&self->b, (start) * SECTOR, self->size * SECTOR))

#endif /* VHOST_TEST_SUITE_ZONED_H */
