// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that breaks the rules of virtqueues.  A chain whose status byte can
 * be written gets a status; any other breaks its own queue and no other one,
 * until the queue is stopped, repaired and started.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "suite-hostile.h"

TEST_F(hostile, good)
{
	put_good(self);
	ring_add_raw(self->r, 0);
	ring_kick_now(self->r);
	while (ring_device_idx(self->r) == self->r->used_idx)
		usleep(1000);
	ASSERT_EQ(0, eventfd_drain(self->r->err));
}

/* A regression: an earlier driver used the result of vhost_get_vq_desc() as an index. */
TEST_F(hostile, head_out_of_range)
{
	put_good(self);
	ASSERT_WELL(expect_broken(self, self->r->num));
}

TEST_F(hostile, head_far_out_of_range)
{
	put_good(self);
	ASSERT_WELL(expect_broken(self, 0xffff));
}

TEST_F(hostile, next_out_of_range)
{
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, self->r->num);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, loop)
{
	put_good(self);
	ring_put_desc(self->r, 2, self->status, 1, F_NEXT | F_WRITE, 1);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, loop_to_itself)
{
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, out_after_in)
{
	put_good(self);
	ring_put_desc(self->r, 2, self->hdr, HDR_LEN, 0, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/*
 * The vhost core takes the entries of a table in their order, and ignores "next",
 * which a driver sets to the following entry.
 */
TEST_F(hostile, indirect_next_ignored)
{
	if (model_wanted())
		SKIP(return, "the model device follows it");
	put_table(self, 0, self->hdr, HDR_LEN, F_NEXT, 2);
	put_table(self, 1, self->data, SECTOR, F_NEXT | F_WRITE, 0xffff);
	put_table(self, 2, self->status, 1, F_WRITE, 1);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(completes_once(self, SECTOR + 1));
}

TEST_F(hostile, indirect_in_indirect)
{
	put_good_table(self);
	put_table(self, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 1);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, indirect_bad_length)
{
	put_good_table(self);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc) - 1, F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, indirect_empty)
{
	ring_put_desc(self->r, 0, self->table, 0, F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, indirect_unmapped)
{
	ring_put_desc(self->r, 0, HOLE_GPA, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, indirect_loop)
{
	put_good_table(self);
	put_table(self, 2, self->status, 1, F_NEXT | F_WRITE, 1);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, indirect_too_long)
{
	ring_put_desc(self->r, 0, self->g.region[0].gpa, 0x10001 * sizeof(struct vring_desc),
		      F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/* A regression: a request whose status byte cannot be written stayed in flight. */
TEST_F(hostile, status_unmapped)
{
	put_good(self);
	ring_put_desc(self->r, 2, HOLE_GPA, 1, F_WRITE, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, status_missing)
{
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_FLUSH, 0);
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, 0, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, status_empty)
{
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_FLUSH, 0);
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->status, 0, F_WRITE, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, status_read_only)
{
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT, 2);
	ring_put_desc(self->r, 2, self->status, 1, 0, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/* Remove a page of guest memory from this process, but not from the memory table. */
static void *hide_page(struct guest *g, uint64_t gpa)
{
	return mmap(guest_ptr(g, gpa, 4096), 4096, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void *show_page(struct guest *g, uint64_t gpa)
{
	return mmap(guest_ptr(g, gpa, 4096), 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static const char *status_faults(struct _test_data_hostile *self, uint64_t page)
{
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, page, 1, F_WRITE, 0);
	ring_add_raw(self->r, 0);
	ring_kick_now(self->r);
	return check_broken(self->r);
}

TEST_F(hostile, status_write_protected)
{
	uint64_t page = guest_alloc(&self->g, 4096, 4096);
	void *hva = guest_ptr(&self->g, page, 4096);

	if (model_wanted())
		SKIP(return, "the model device would crash");
	ASSERT_EQ(0, mprotect(hva, 4096, PROT_READ));
	ASSERT_WELL(status_faults(self, page));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, mprotect(hva, 4096, PROT_READ | PROT_WRITE));
}

TEST_F(hostile, status_not_there)
{
	uint64_t page = guest_alloc(&self->g, 4096, 4096);

	if (model_wanted())
		SKIP(return, "the model device would crash");
	ASSERT_NE(MAP_FAILED, hide_page(&self->g, page));
	ASSERT_WELL(status_faults(self, page));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_NE(MAP_FAILED, show_page(&self->g, page));
}

/* A fault in the data is an error of the request, reported by its status. */
TEST_F(hostile, data_not_there)
{
	uint64_t page = guest_alloc(&self->g, 4096, 4096);

	if (model_wanted())
		SKIP(return, "the model device would crash");
	put_good(self);
	ring_put_desc(self->r, 1, page, 4096, F_NEXT | F_WRITE, 2);
	guest_alloc(&self->g, 65536, 4096);
	ASSERT_NE(MAP_FAILED, hide_page(&self->g, page));
	ring_add_raw(self->r, 0);
	ring_kick_now(self->r);
	while (ring_device_idx(self->r) == self->r->used_idx)
		usleep(1000);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, *(uint8_t *)guest_ptr(&self->g, self->status, 1));
	EXPECT_EQ(0, eventfd_drain(self->r->err));
	ASSERT_NE(MAP_FAILED, show_page(&self->g, page));
}

TEST_F(hostile, header_not_there)
{
	uint64_t page = guest_alloc(&self->g, 4096, 4096);

	if (model_wanted())
		SKIP(return, "the model device would crash");
	put_good(self);
	ring_put_desc(self->r, 0, page, HDR_LEN, F_NEXT, 1);
	ASSERT_NE(MAP_FAILED, hide_page(&self->g, page));
	ring_add_raw(self->r, 0);
	ring_kick_now(self->r);
	while (ring_device_idx(self->r) == self->r->used_idx)
		usleep(1000);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, *(uint8_t *)guest_ptr(&self->g, self->status, 1));
	ASSERT_NE(MAP_FAILED, show_page(&self->g, page));
}

TEST_F(hostile, used_ring_write_protected)
{
	struct ring *r = self->r;

	if (model_wanted())
		SKIP(return, "the model device would crash");
	put_good(self);
	ASSERT_EQ(0, mprotect(r->used, 4096, PROT_READ));
	ring_add_raw(r, 0);
	ring_kick_now(r);
	EXPECT_TRUE(eventfd_wait(r->err, 10000));
	/* no request is left in flight */
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, mprotect(r->used, 4096, PROT_READ | PROT_WRITE));
}

TEST_F(hostile, header_short)
{
	unsigned int len;

	for (len = 1; len < HDR_LEN; len++) {
		put_good(self);
		ring_put_desc(self->r, 0, self->hdr, len, F_NEXT, 1);
		ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
	}
}

TEST_F(hostile, header_empty)
{
	put_good(self);
	ring_put_desc(self->r, 0, self->hdr, 0, F_NEXT, 1);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
}

/* All segments are device-writable: there is a status byte, but no header. */
TEST_F(hostile, header_writable)
{
	put_good(self);
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT | F_WRITE, 1);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
}

/* The status is the last device-writable byte, here one of a data segment. */
TEST_F(hostile, status_of_data)
{
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_WRITE, 0);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->data + SECTOR - 1, 0));
}

/* A regression under I/O: one head is made available again while it is in flight. */
TEST_F(hostile, head_in_flight)
{
	struct guest_opts opts = self->g.opts;
	struct backend slow;
	struct guest g;
	const char *why;

	if (model_wanted())
		SKIP(return, "the model device never has requests in flight");
	why = backend_open(&slow, BACKEND_SLOW, true);
	if (why)
		SKIP(return, "%s", why);
	opts.backend = &slow;
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	put_header(&g, self->hdr, VIRTIO_BLK_T_IN, 0);
	ring_put_desc(&g.ring[0], 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(&g.ring[0], 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(&g.ring[0], 2, self->status, 1, F_WRITE, 0);
	ring_add_raw(&g.ring[0], 0);
	ring_add_raw(&g.ring[0], 0);
	ring_kick_now(&g.ring[0]);
	EXPECT_TRUE(eventfd_wait(g.ring[0].err, 10000));
	/* the first one completes, the second one does not */
	usleep(5 * SLOW_NSEC / 1000);
	EXPECT_EQ(1, ring_device_idx(&g.ring[0]));
	EXPECT_EQ(NULL, check_repaired(&g));
	guest_destroy(&g);
	backend_close(&slow);
}

/* The available index jumps: more entries are available than the ring has. */
TEST_F(hostile, avail_idx_jumps)
{
	put_good(self);
	self->r->avail_idx += self->r->num;
	ASSERT_WELL(expect_broken(self, 0));
}

/* The available index goes back (2.7.13.3.1 forbids it). */
TEST_F(hostile, avail_idx_goes_back)
{
	put_good(self);
	ASSERT_WELL(completes_once(self, SECTOR + 1));
	self->r->avail_idx -= 2;
	ASSERT_WELL(expect_broken(self, 0));
}

/*
 * A queue breaks while it suppresses notifications.  After a restart its flags
 * must be 0: an idle queue needs notifications, and with EVENT_IDX flags are
 * always 0 (2.7.10).
 */
TEST_F(hostile, flags_after_restart)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		put_good(self);
		ASSERT_WELL(expect_broken(self, self->r->num));
		ASSERT_WELL(check_repaired(&self->g));
		ASSERT_WELL(check_kick_wanted(self->r));
		ASSERT_EQ(0, load16(&self->r->used->flags));
	}
}

/* Far from the memory of the other queue, which is compared */
#define NOISE	(4 << 20)

static void make_noise(struct _test_data_hostile *self, struct rng *rng)
{
	uint64_t area = self->g.region[0].gpa + NOISE;
	unsigned int i;

	for (i = 0; i < self->r->num; i++) {
		uint64_t gpa = rng_below(rng, 8) ? area + rng_below(rng, 1 << 16) : rng_next(rng);
		uint32_t len = rng_below(rng, 8) ? rng_below(rng, 5000) : rng_next(rng);

		put_header(&self->g, area + rng_below(rng, 1 << 16), rng_below(rng, 10),
			   rng_below(rng, 3) ? rng_below(rng, 1000) : rng_next(rng));
		ring_put_desc(self->r, i, gpa, len, rng_below(rng, 8),
			      rng_below(rng, self->r->num + 1));
	}
	for (i = 0; i < 8; i++)
		ring_add_raw(self->r, rng_below(rng, self->r->num));
	ring_kick_now(self->r);
}

static const char *restart(struct guest *g)
{
	guest_close(g);
	ring_reset(&g->ring[0], 0);
	ring_reset(&g->ring[1], 0);
	return guest_boot(g);
}

/* An indirect table that was not negotiated (2.7.5.3.1) is accepted nevertheless. */
TEST_F(hostile, indirect_not_negotiated)
{
	const uint8_t ok = VIRTIO_BLK_S_OK;
	struct guest *g = &self->g;

	g->opts.features_off |= BIT64(VIRTIO_RING_F_INDIRECT_DESC);
	ASSERT_WELL(restart(g));
	ASSERT_FALSE(guest_has(g, VIRTIO_RING_F_INDIRECT_DESC));
	put_header(g, self->hdr, VIRTIO_BLK_T_IN, 0);
	put_good_table(self);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	guest_snapshot(g);
	guest_expect(g, self->data, self->b.model, SECTOR);
	guest_expect(g, self->status, &ok, 1);
	ASSERT_WELL(completes_once(self, SECTOR + 1));
	ASSERT_EQ(0, eventfd_drain(self->r->err));
	ASSERT_WELL(guest_compare(g));
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK));
}

/* Random bytes in all descriptors and available entries: only this queue breaks. */
TEST_F_TIMEOUT(hostile, noise, 120)
{
	struct rng rng = { rng_seed_from_env() };
	struct guest *g = &self->g;
	unsigned int i;

	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)rng.state);
	if (model_wanted())
		SKIP(return, "the model device does not check the indices of a ring");
	/* read-only, because random bytes may be a valid write */
	g->opts.backend_flags = VHOST_BLK_BACKEND_F_RO;
	for (i = 0; i < scaled(150, 20); i++) {
		ASSERT_WELL(restart(g));
		make_noise(self, &rng);
		ASSERT_WELL(request_simple(&g->ring[1], VIRTIO_BLK_T_IN, 8, 4096,
					   VIRTIO_BLK_S_OK));
	}
	g->opts.backend_flags = 0;
	ASSERT_WELL(restart(g));
}

TEST_HARNESS_MAIN
