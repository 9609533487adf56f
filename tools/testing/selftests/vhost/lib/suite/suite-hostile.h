/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of guests that break the rules, and checks for the two outcomes */
#ifndef VHOST_TEST_SUITE_HOSTILE_H
#define VHOST_TEST_SUITE_HOSTILE_H

#include "suite.h"
#include "traffic.h"

#define F_NEXT		VRING_DESC_F_NEXT
#define F_WRITE		VRING_DESC_F_WRITE
#define F_INDIRECT	VRING_DESC_F_INDIRECT

FIXTURE(hostile) {
	struct backend b;
	struct guest g;
	struct ring *r;
	uint64_t hdr, data, status;	/* addresses of a valid read of one sector */
	uint64_t table;
};

FIXTURE_VARIANT(hostile) {
	bool event_idx;
};

FIXTURE_VARIANT_ADD(hostile, flags) {
	.event_idx = false,
};

FIXTURE_VARIANT_ADD(hostile, event_idx) {
	.event_idx = true,
};

static inline void put_header(struct guest *g, uint64_t at, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = htole32(type), .sector = htole64(sector) };

	guest_write(g, at, &h, sizeof(h));
}

FIXTURE_SETUP(hostile)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 2, .num = 16 };
	struct guest *g = &self->g;
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	why = backend_open(&self->b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
	if (!variant->event_idx)
		opts.features_off = BIT64(VIRTIO_RING_F_EVENT_IDX);
	guest_init(g, &opts);
	ASSERT_WELL(guest_boot(g));
	self->r = &g->ring[0];
	self->hdr = guest_alloc(g, HDR_LEN, 16);
	self->data = guest_alloc(g, 4096, 4096);
	self->status = guest_alloc(g, 1, 1);
	self->table = guest_alloc(g, 4096, 4096);
	put_header(g, self->hdr, VIRTIO_BLK_T_IN, 0);
}

/* After each test: the device works, and the backend is unchanged. */
FIXTURE_TEARDOWN(hostile)
{
	const char *why = NULL;

	if (self->b.model)
		why = backend_compare_all(&self->b);
	if (why)
		EXPECT_EQ(NULL, why)
			TH_LOG("%s", why);
	why = check_repaired(&self->g);
	if (why)
		EXPECT_EQ(NULL, why)
			TH_LOG("afterwards: %s", why);
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/*
 * Add a second region, @gap bytes behind the first one, at another address in
 * this process.
 */
static inline const char *add_region(struct _test_data_hostile *self, uint64_t gap)
{
	struct guest *g = &self->g;
	const struct region *m = &g->region[0];

	guest_close(g);
	ring_reset(&g->ring[0], 0);
	ring_reset(&g->ring[1], 0);
	if (!guest_add_region(g, m->gpa + m->len + gap, 65536))
		return "no memory";
	return guest_boot(g);
}

/* Descriptors 0, 1, 2: a valid read */
static inline void put_good(struct _test_data_hostile *self)
{
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->status, 1, F_WRITE, 0);
}

static inline void put_table(struct _test_data_hostile *self, unsigned int i, uint64_t gpa,
			     uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = {
		.addr = htole64(gpa), .len = htole32(len),
		.flags = htole16(flags), .next = htole16(next),
	};

	guest_write(&self->g, self->table + i * sizeof(d), &d, sizeof(d));
}

static inline void put_good_table(struct _test_data_hostile *self)
{
	put_table(self, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	put_table(self, 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	put_table(self, 2, self->status, 1, F_WRITE, 0);
}

/* The chain at descriptor 0 cannot be completed: the queue breaks, the other one works. */
static inline const char *expect_broken(struct _test_data_hostile *self, uint16_t head)
{
	const char *why;

	guest_snapshot(&self->g);
	ring_add_raw(self->r, head);
	ring_kick_now(self->r);
	why = check_broken(self->r);
	if (!why)
		why = guest_compare(&self->g);
	if (!why)
		why = request_simple(&self->g.ring[1], VIRTIO_BLK_T_IN, 8, 4096,
				     VIRTIO_BLK_S_OK);
	return why;
}

/* The chain at head 0 completes once, with this used length. */
static inline const char *completes_once(struct _test_data_hostile *self, uint32_t len)
{
	struct ring *r = self->r;
	struct vring_used_elem *e = &r->used->ring[r->used_idx % r->num];
	unsigned int ms;

	ring_add_raw(r, 0);
	ring_kick_now(r);
	for (ms = 0; ms < 10000 && ring_device_idx(r) == r->used_idx; ms++)
		usleep(1000);
	if (ring_device_idx(r) != (uint16_t)(r->used_idx + 1))
		return "not completed once";
	r->used_idx++;
	if (e->id || le32toh(e->len) != len)
		return guest_say(&self->g, "used id %u len %u, must be 0 and %u",
				 le32toh(e->id), le32toh(e->len), len);
	return NULL;
}

/* The chain at head 0 completes with this status at @at and this used length. */
static inline const char *expect_status(struct _test_data_hostile *self, uint8_t status,
					uint64_t at, uint32_t used)
{
	const char *why;

	guest_snapshot(&self->g);
	guest_expect(&self->g, at, &status, 1);
	why = completes_once(self, used);
	if (why)
		return why;
	if (eventfd_drain(self->r->err))
		return "the error eventfd was signalled";
	return guest_compare(&self->g);
}

#endif /* VHOST_TEST_SUITE_HOSTILE_H */
