// SPDX-License-Identifier: GPL-2.0
/*
 * The guest and host processes use one block device, the latter through the
 * page cache: as with O_DIRECT, no reader gets old data, and no new data is
 * lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>

#include "ranges.h"
#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR
#define BYTES	65536

FIXTURE(pagecache) {
	struct backend b;
	struct guest g;
	struct ring *r;
	int host;		/* buffered */
	uint8_t buf[BYTES];
};

FIXTURE_SETUP(pagecache)
{
	static const struct nullb_attr attr[] = { { "discard", "1" }, { NULL, NULL } };
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr,
	};
	const char *why = no_kernel("the model device has files only");

	self->host = -1;
	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 1);
	self->r = &self->g.ring[0];
	self->host = open(self->b.path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->host, 0);
}

FIXTURE_TEARDOWN(pagecache)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	if (self->host >= 0)
		close(self->host);
	backend_close(&self->b);
	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

/* A read by the host through the page cache returns what the device must hold. */
#define HOST_READS(off) do {							\
	uint64_t off_ = off;							\
										\
	ASSERT_EQ(BYTES, pread(self->host, self->buf, BYTES, off_));		\
	EXPECT_EQ(0, memcmp(self->buf, self->b.model + off_, BYTES));		\
} while (0)

/* Write from an odd address, so that the data is bounced. */
static const char *write_odd(struct ring *r, uint64_t sector, uint32_t len)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, T_OUT, sector, len);
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_SCATTER, NULL);
	q->seg[1].gpa |= 1;
	request_arm(q, sector + 1);
	why = request_verify(r, q, S_OK);
	request_free(q);
	guest_release(g, mark);
	return why;
}

TEST_F(pagecache, host_reads)
{
	HOST_READS(0);
	ASSERT_WELL(request_simple(self->r, T_OUT, 8, 4096, S_OK));
	HOST_READS(0);
	ASSERT_WELL(request_simple(self->r, T_OUT, 1, 512, S_OK));
	HOST_READS(0);
	ASSERT_WELL(request_simple(self->r, T_OUT, 0, BYTES, S_OK));
	HOST_READS(0);
	ASSERT_WELL(write_odd(self->r, 3, BYTES / 2));
	HOST_READS(0);
	ASSERT_WELL(range_run(self->r, VIRTIO_BLK_T_WRITE_ZEROES, 17, 10, 0, S_OK));
	HOST_READS(0);
	ASSERT_WELL(range_run(self->r, VIRTIO_BLK_T_DISCARD, 64, 8, 0, S_OK));
	HOST_READS(0);
}

/*
 * The guest reads data that the host has written, even if it is still only in
 * the page cache.
 */
TEST_F(pagecache, guest_reads)
{
	memset(self->buf, 0x77, BYTES);
	ASSERT_EQ(4096, pwrite(self->host, self->buf, 4096, 4096));
	backend_model_write(&self->b, 4096, self->buf, 4096);
	ASSERT_WELL(request_simple(self->r, T_IN, 0, BYTES, S_OK));
	HOST_READS(0);
}

/*
 * A dirty page is written back first, so that it does not overwrite the guest's
 * data later.
 */
TEST_F(pagecache, dirty)
{
	memset(self->buf, 0x99, BYTES);
	ASSERT_EQ(8192, pwrite(self->host, self->buf, 8192, 0));
	backend_model_write(&self->b, 0, self->buf, 8192);
	ASSERT_WELL(request_simple(self->r, T_OUT, 4, 2048, S_OK));
	ASSERT_WELL(request_simple(self->r, T_OUT, 15, 512, S_OK));
	ASSERT_EQ(0, fsync(self->host));
	ASSERT_WELL(request_simple(self->r, T_IN, 0, BYTES, S_OK));
	HOST_READS(0);
}

static int make_swap(struct backend *b)
{
	uint32_t info[3] = { 1, b->size / 4096 - 1, 0 };
	uint8_t *page = b->scratch;

	memset(page, 0, 4096);
	memcpy(page + 1024, info, sizeof(info));
	memcpy(page + 4086, "SWAPSPACE2", 10);
	backend_model_write(b, 0, page, 4096);
	return pwrite(b->check_fd, page, 4096, 0) == 4096 ? 0 : -errno;
}

/* After swapping in, memory of the host has its content, as it would with write(). */
TEST_F(pagecache, swap)
{
	ASSERT_EQ(0, make_swap(&self->b));
	if (access("/proc/swaps", R_OK))
		SKIP(return, "this kernel has no swap");
	ASSERT_EQ(0, swapon(self->b.path, 0));
	ASSERT_WELL(request_ends(self->r, T_OUT, 64, 4096, S_IOERR));
	ASSERT_WELL(range_run(self->r, VIRTIO_BLK_T_DISCARD, 64, 8, 0, S_IOERR));
	ASSERT_WELL(range_run(self->r, VIRTIO_BLK_T_WRITE_ZEROES, 64, 8, 0, S_IOERR));
	ASSERT_WELL(request_ends(self->r, T_IN, 64, 4096, S_OK));
	ASSERT_EQ(0, swapoff(self->b.path));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(request_simple(self->r, T_OUT, 64, 4096, S_OK));
}

TEST_HARNESS_MAIN
