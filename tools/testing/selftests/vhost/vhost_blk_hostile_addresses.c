// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors outside the memory table, as sent by guests that do I/O on memory
 * of another device.  If the status byte is in the table, the request fails,
 * once, and the queue continues; if not, the queue breaks.
 */
#define _GNU_SOURCE

#include "dirty.h"
#include "suite-hostile.h"

/* This chain gets IOERR and nothing else is written; the next request succeeds. */
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

/* Only the status is device-writable, so the used length is complete. */
TEST_F(hostile, write)
{
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_OUT, 3);
	put_good(self);
	ring_put_desc(self->r, 1, HOLE_GPA, SECTOR, F_NEXT, 2);
	ASSERT_WELL(expect_ioerr(self, self->status, 1));
}

/* One segment of several is outside; others before and after it are in the table. */
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

/* Starts in the table and ends outside */
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

/* All 16 descriptors of the ring: the longest chain without a loop */
TEST_F(hostile, longest)
{
	unsigned int i, n = self->r->num;

	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	for (i = 1; i < n - 1; i++)
		ring_put_desc(self->r, i, HOLE_GPA, SECTOR, F_NEXT | F_WRITE, i + 1);
	ring_put_desc(self->r, n - 1, self->status, 1, F_WRITE, 0);
	FAILS;
}

/* Many of them at once, one after the other, mixed with valid requests */
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
	/* half of the data before the table, the other half in it */
	put_good(self);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->table, 2 * sizeof(struct vring_desc), F_INDIRECT, 0);
	FAILS;
	/* the segment outside is a direct descriptor */
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

/* The flag F_WRITE of the descriptor of the table is ignored (2.7.5.3.2). */
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

/* The status is the last byte of a data segment, which is in the table or not. */
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

/* The status would wrap to an address near 0. */
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

/* A chain with another defect as well breaks its queue, as it does without this one. */
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

/* The first entries of the indirect table are in memory, the others are not. */
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

/* The indirect table is in two regions, which are adjacent for the guest. */
TEST_F(hostile, table_in_two_regions)
{
	struct region *m = &self->g.region[0];
	unsigned int k;

	if (model_wanted())
		SKIP(return, "the model device does not accept such a table");
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
 * There is a hole between the regions: if the chain ends before the hole, its
 * status is known; if it continues in the hole, the queue breaks.
 */
TEST_F(hostile, table_ends_before_hole)
{
	struct region *m = &self->g.region[0];

	if (model_wanted())
		SKIP(return, "the model device does not accept such a table");
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

/* The log has only the page of the status, because only the status was written. */
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
