// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors outside the memory table, as guests send them that do I/O on memory
 * of another device.  If the status can be reached the request fails, once, and the
 * queue goes on; if not, the queue breaks.
 */
#define _GNU_SOURCE

#include "dirty.h"
#include "suite-hostile.h"

/* This chain gets IOERR and nothing else is touched; the next request is served. */
static const char *expect_ioerr(struct _test_data_hostile *self, uint64_t at, uint32_t used)
{
	const char *why = expect_status(self, VIRTIO_BLK_S_IOERR, at, used);

	if (!why)
		why = request_simple(self->r, VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK);
	if (!why)
		why = check_kick_wanted(self->r);
	return why;
}

#define FAILS		ASSERT_WELL(expect_ioerr(self, self->status, 0))
#define BREAKS		ASSERT_WELL(expect_broken(self, 0))

TEST_F(hostile, read)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	FAILS;
}

/* The status alone is writable, so that all of the writable part is written. */
TEST_F(hostile, write)
{
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_OUT, 3);
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT, 2);
	ASSERT_WELL(expect_ioerr(self, self->status, 1));
}

/* One of several, with some in memory on both sides */
TEST_F(hostile, part_of_data)
{
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, 3);
	ring_put_desc(self->r, 3, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 4);
	ring_put_desc(self->r, 4, self->data + SECTOR, SECTOR, F_NEXT | F_WRITE, 2);
	FAILS;
}

TEST_F(hostile, header)
{
	put_good(self);
	ring_put_desc(self->r, 0, HOLE_GPA, HDR_LEN, F_NEXT, 1);
	FAILS;
}

/* Begins in memory and ends behind it */
TEST_F(hostile, data_leaves_memory)
{
	struct region *m = &self->g.region[0];

	put_good(self);
	ring_put_desc(self->r, 1, m->gpa + m->len - 100, SECTOR, F_NEXT | F_WRITE, 2);
	FAILS;
}

TEST_F(hostile, data_address_wraps)
{
	put_good(self);
	ring_put_desc(self->r, 1, ~0ULL - 10, SECTOR, F_NEXT | F_WRITE, 2);
	FAILS;
}

/* All 16 descriptors of the ring, the longest chain that is no loop */
TEST_F(hostile, longest)
{
	unsigned int i, n = self->r->num;

	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	for (i = 1; i < n - 1; i++)
		ring_put_desc(self->r, i, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, i + 1);
	ring_put_desc(self->r, n - 1, self->status, 1, F_WRITE, 0);
	FAILS;
}

/* Many of them, at once and one behind the other, mixed with good ones */
TEST_F(hostile, again_and_again)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		put_good(self);
		ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
		FAILS;
	}
}

TEST_F(hostile, indirect)
{
	put_good_table(self);
	put_table(self, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	FAILS;
}

TEST_F(hostile, indirect_header)
{
	put_good_table(self);
	put_table(self, 0, HOLE_GPA, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	FAILS;
}

/* Direct descriptors, and a table with the rest behind them (2.7.5.3.2) */
TEST_F(hostile, chain_ends_in_table)
{
	put_table(self, 0, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 1);
	put_table(self, 1, self->status, 1, F_WRITE, 0);
	put_good(self);
	ring_put_desc(self->r, 1, self->table, 2 * sizeof(struct vring_desc), F_INDIRECT, 0);
	FAILS;
	/* half of the data in front of the table, the other half in it */
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->table, 2 * sizeof(struct vring_desc), F_INDIRECT, 0);
	FAILS;
	/* and the hole among the direct ones */
	put_good(self);
	ring_put_desc(self->r, 2, self->table, 2 * sizeof(struct vring_desc), F_INDIRECT, 0);
	put_table(self, 0, self->data, SECTOR, F_NEXT | F_WRITE, 1);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	FAILS;
}

TEST_F(hostile, write_ends_in_table)
{
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_OUT, 3);
	put_table(self, 0, HOLE_GPA, SECTOR, F_NEXT, 1);
	put_table(self, 1, self->status, 1, F_WRITE, 0);
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT, 2);
	ring_put_desc(self->r, 2, self->table, 2 * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(expect_ioerr(self, self->status, 1));
}

/* That its descriptor is marked as writable is ignored (2.7.5.3.2). */
TEST_F(hostile, table_marked_writable)
{
	put_good_table(self);
	put_table(self, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc),
		      F_INDIRECT | F_WRITE, 0);
	FAILS;
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_OUT, 3);
	put_table(self, 1, HOLE_GPA, SECTOR, F_NEXT, 2);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc),
		      F_INDIRECT | F_WRITE, 0);
	ASSERT_WELL(expect_ioerr(self, self->status, 1));
}

/* The status is the last byte of what is data else, in memory or not. */
TEST_F(hostile, status_in_data)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->data, SECTOR, F_WRITE, 0);
	ASSERT_WELL(expect_ioerr(self, self->data + SECTOR - 1, 0));
}

TEST_F(hostile, status_behind_empty)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->status, 1, F_NEXT | F_WRITE, 3);
	ring_put_desc(self->r, 3, HOLE_GPA, 0, F_WRITE, 0);
	FAILS;
}

TEST_F(hostile, status_unmapped)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, HOLE_GPA + 4096, 1, F_WRITE, 0);
	BREAKS;
}

/* It would be at address 0 and something. */
TEST_F(hostile, status_address_wraps)
{
	put_good(self);
	ring_put_desc(self->r, 2, -self->g.region[0].len / 2, self->g.region[0].len, F_WRITE, 0);
	BREAKS;
}

TEST_F(hostile, status_leaves_memory)
{
	struct region *m = &self->g.region[0];

	put_good(self);
	ring_put_desc(self->r, 2, m->gpa + m->len - 1, 2, F_WRITE, 0);
	BREAKS;
}

TEST_F(hostile, no_status)
{
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, 0, 0);
	BREAKS;
}

/* A chain that is malformed besides breaks its queue as any other does. */
TEST_F(hostile, loop)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->status, 1, F_NEXT | F_WRITE, 1);
	BREAKS;
}

TEST_F(hostile, loop_of_nothing)
{
	put_good(self);
	ring_put_desc(self->r, 0, HOLE_GPA, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, HOLE_GPA, 0, F_NEXT | F_WRITE, 1);
	BREAKS;
}

TEST_F(hostile, next_out_of_range)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, self->r->num);
	BREAKS;
}

TEST_F(hostile, out_after_in)
{
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 3);
	ring_put_desc(self->r, 3, self->hdr, HDR_LEN, F_NEXT, 2);
	BREAKS;
}

TEST_F(hostile, indirect_in_indirect)
{
	put_good_table(self);
	put_table(self, 0, HOLE_GPA, HDR_LEN, F_NEXT, 1);
	put_table(self, 1, self->table, 3 * sizeof(struct vring_desc), F_NEXT | F_INDIRECT, 2);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	BREAKS;
}

TEST_F(hostile, indirect_loop)
{
	put_good_table(self);
	put_table(self, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	put_table(self, 2, self->status, 1, F_NEXT | F_WRITE, 1);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT, 0);
	BREAKS;
}

TEST_F(hostile, indirect_bad_length)
{
	put_good_table(self);
	put_table(self, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc) + 1, F_INDIRECT, 0);
	BREAKS;
}

/* The first entries are in memory, the others are not. */
TEST_F(hostile, table_leaves_memory)
{
	struct region *m = &self->g.region[0];
	struct vring_desc d = {
		.addr = htole64(HOLE_GPA), .len = htole32(HDR_LEN), .flags = htole16(F_NEXT),
	};

	guest_write(&self->g, m->gpa + m->len - sizeof(d), &d, sizeof(d));
	ring_put_desc(self->r, 0, m->gpa + m->len - sizeof(d), 3 * sizeof(d), F_INDIRECT, 0);
	BREAKS;
}

/* The table is in two regions, which are one piece for the guest. */
TEST_F(hostile, table_in_two_regions)
{
	struct region *m = &self->g.region[0];
	unsigned int k;

	if (model_wanted())
		SKIP(return, "the model device takes no such table");
	ASSERT_WELL(add_region(self, 0));
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_IN, 0);
	for (k = 8; k < 3 * sizeof(struct vring_desc); k += 8) {
		self->table = m->gpa + m->len - k;
		put_good_table(self);
		put_table(self, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
		ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc),
			      F_INDIRECT, 0);
		FAILS;
	}
}

/*
 * With a hole between them: if the chain ends in front of the hole its status is known,
 * and if it goes on in the hole the queue breaks.
 */
TEST_F(hostile, table_ends_before_hole)
{
	struct region *m = &self->g.region[0];

	if (model_wanted())
		SKIP(return, "the model device takes no such table");
	ASSERT_WELL(add_region(self, 4096));
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_IN, 0);
	self->table = m->gpa + m->len - 3 * sizeof(struct vring_desc);
	put_good_table(self);
	ring_put_desc(self->r, 0, self->table, 4096 + 64, F_INDIRECT, 0);
	FAILS;
	put_table(self, 2, self->data, SECTOR, F_NEXT | F_WRITE, 3);
	ring_put_desc(self->r, 0, self->table, 4096 + 64, F_INDIRECT, 0);
	BREAKS;
}

/* What is logged of it is the page of the status, which is what was written. */
TEST_F(hostile, logged)
{
	struct guest *g = &self->g;
	struct dirty d;

	if (model_wanted())
		SKIP(return, "the model device logs nothing");
	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, dirty_switch(g, true));
	self->status = guest_alloc(g, 4096, 4096);
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, 2);
	dirty_begin(g);
	dirty_may(g, self->status, 1);
	ASSERT_WELL(completes_once(self, 0));
	ASSERT_EQ(VIRTIO_BLK_S_IOERR, *(uint8_t *)guest_ptr(g, self->status, 1));
	ASSERT_WELL(dirty_check(g));
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_free(g);
	FAILS;
}

TEST_HARNESS_MAIN
