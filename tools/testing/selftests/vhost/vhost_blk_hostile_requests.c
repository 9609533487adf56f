// SPDX-License-Identifier: GPL-2.0
/*
 * More guests that break the rules: chains of unusual shape, memory that is
 * removed while the device uses it, and headers that change after they were
 * made available.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

#include "suite-hostile.h"

/*
 * An indirect descriptor with a next one: the specification forbids it
 * (2.7.5.3.1), and the vhost core continues the chain there.
 */
TEST_F(hostile, indirect_with_next)
{
	if (model_wanted())
		SKIP(return, "the model device breaks the queue, which is also correct");
	put_table(self, 0, self->hdr, HDR_LEN, 0, 0);
	ring_put_desc(self->r, 0, self->table, sizeof(struct vring_desc), F_INDIRECT | F_NEXT, 1);
	ring_put_desc(self->r, 1, self->data, 100, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->status, 1, F_WRITE, 0);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
}

/* The read of one sector succeeds. */
static const char *expect_read(struct _test_data_hostile *self)
{
	uint8_t ok = VIRTIO_BLK_S_OK;
	const char *why;

	guest_snapshot(&self->g);
	guest_expect(&self->g, self->data, self->b.model, SECTOR);
	guest_expect(&self->g, self->status, &ok, 1);
	why = completes_once(self, SECTOR + 1);
	return why ? why : guest_compare(&self->g);
}

/* The flag F_WRITE has no meaning for an indirect descriptor (2.7.5.3.2). */
TEST_F(hostile, indirect_with_write)
{
	put_good_table(self);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc),
		      F_INDIRECT | F_WRITE, 0);
	ASSERT_WELL(expect_read(self));
}

/* A chain may start in the ring and end in a table (2.7.5.3.2). */
TEST_F(hostile, indirect_behind_header)
{
	put_table(self, 0, self->data, SECTOR, F_NEXT | F_WRITE, 1);
	put_table(self, 1, self->status, 1, F_WRITE, 0);
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->table, 2 * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(expect_read(self));
}

/*
 * One segment more than the limit (uapi.rst); layout.long_table has as many as
 * the limit.
 */
TEST_F(hostile, indirect_of_2049)
{
	unsigned int i, n = 2049;

	self->table = guest_alloc(&self->g, n * sizeof(struct vring_desc), 16);
	put_table(self, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	for (i = 1; i < n - 1; i++)
		put_table(self, i, self->data, SECTOR, F_NEXT | F_WRITE, i + 1);
	put_table(self, n - 1, self->status, 1, F_WRITE, 0);
	ring_put_desc(self->r, 0, self->table, n * sizeof(struct vring_desc), F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/* Behind a table, no segment may be device-readable after a device-writable one. */
TEST_F(hostile, indirect_then_out)
{
	put_good_table(self);
	ring_put_desc(self->r, 0, self->table, 3 * sizeof(struct vring_desc), F_INDIRECT | F_NEXT,
		      1);
	ring_put_desc(self->r, 1, self->hdr, HDR_LEN, 0, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/* Two tables in one chain, each of which continues in the other */
TEST_F(hostile, indirect_twice_in_a_loop)
{
	put_table(self, 0, self->hdr, HDR_LEN, 0, 0);
	ring_put_desc(self->r, 0, self->table, sizeof(struct vring_desc), F_INDIRECT | F_NEXT, 1);
	ring_put_desc(self->r, 1, self->table, sizeof(struct vring_desc), F_INDIRECT | F_NEXT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/* As many descriptors as a length of 32 bits can claim, all in the memory table or not */
TEST_F(hostile, indirect_claims_2_28)
{
	put_good_table(self);
	ring_put_desc(self->r, 0, self->table, 0xfffffff0, F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

TEST_F(hostile, data_of_2_32)
{
	put_good(self);
	ring_put_desc(self->r, 1, self->data, ~0U, F_NEXT | F_WRITE, 2);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
}

#define PIECE	(16U << 20)
#define PIECES	256

/* Boot a guest with room for one data segment and descriptors for 2^32 bytes of it. */
static const char *boot_large(struct _test_data_hostile *self)
{
	struct guest_opts opts = self->g.opts;
	struct guest *g = &self->g;
	const char *why;

	opts.num = 1024;
	opts.mem = PIECE + (8 << 20);
	guest_destroy(g);
	guest_init(g, &opts);
	why = guest_boot(g);
	self->r = &g->ring[0];
	self->hdr = guest_alloc(g, HDR_LEN, 16);
	self->data = guest_alloc(g, PIECE, 4096);
	self->status = guest_alloc(g, 1, 1);
	return why;
}

/* A sum in 32 bits would be one sector. */
TEST_F(hostile, data_of_2_32_and_a_sector)
{
	unsigned int i, out;

	ASSERT_WELL(boot_large(self));
	for (out = 0; out < 2; out++) {
		uint16_t flags = F_NEXT | (out ? 0 : F_WRITE);

		put_header(&self->g, self->hdr, out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 3);
		ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
		for (i = 1; i <= PIECES; i++)
			ring_put_desc(self->r, i, self->data, PIECE, flags, i + 1);
		ring_put_desc(self->r, i, self->data, SECTOR, flags, i + 1);
		ring_put_desc(self->r, i + 1, self->status, 1, F_WRITE, 0);
		ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, out));
		ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK));
	}
}

TEST_F(hostile, data_over_a_hole)
{
	struct region *m = &self->g.region[0];

	ASSERT_WELL(add_region(self, 4096));
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_IN, 0);
	put_good(self);
	ring_put_desc(self->r, 1, m->gpa + m->len - SECTOR, 4096 + 2 * SECTOR, F_NEXT | F_WRITE,
		      2);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
}

TEST_F(hostile, data_in_a_hole)
{
	struct region *m = &self->g.region[0];

	ASSERT_WELL(add_region(self, 4096));
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_IN, 0);
	put_good(self);
	ring_put_desc(self->r, 1, m->gpa + m->len, SECTOR, F_NEXT | F_WRITE, 2);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 0));
}

TEST_F(hostile, table_over_a_hole)
{
	struct region *m = &self->g.region[0];

	ASSERT_WELL(add_region(self, 4096));
	ring_put_desc(self->r, 0, m->gpa + m->len - 32, 4096 + 64, F_INDIRECT, 0);
	ASSERT_WELL(expect_broken(self, 0));
}

/* The chain has only a status. */
TEST_F(hostile, header_missing)
{
	ring_put_desc(self->r, 0, self->status, 1, F_WRITE, 0);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_IOERR, self->status, 1));
}

/* A segment of length 0 at an invalid address, which must not be accessed */
TEST_F(hostile, data_empty)
{
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_FLUSH, 0);
	put_good(self);
	ring_put_desc(self->r, 1, self->data, 0, F_NEXT | F_WRITE, 2);
	ASSERT_WELL(expect_status(self, VIRTIO_BLK_S_OK, self->status, 1));
}

/* The chain completes with this used length, and guest memory is as expected. */
static const char *expect_used(struct _test_data_hostile *self, uint32_t len)
{
	const char *why = completes_once(self, len);

	return why ? why : guest_compare(&self->g);
}

/* A writable byte before the data belongs to the data, and the last byte is the status. */
TEST_F(hostile, status_in_the_middle)
{
	const uint8_t *sector = self->b.model;
	const uint8_t ok = VIRTIO_BLK_S_OK;

	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->status, 1, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->data, SECTOR, F_WRITE, 0);
	guest_snapshot(&self->g);
	guest_expect(&self->g, self->status, sector, 1);
	guest_expect(&self->g, self->data, sector + 1, SECTOR - 1);
	guest_expect(&self->g, self->data + SECTOR - 1, &ok, 1);
	ASSERT_WELL(expect_used(self, SECTOR + 1));
}

/* A read with additional device-readable data, which is ignored */
TEST_F(hostile, read_with_readable_data)
{
	const uint8_t ok = VIRTIO_BLK_S_OK;

	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->data + SECTOR, 100, F_NEXT, 2);
	ring_put_desc(self->r, 2, self->data, SECTOR, F_NEXT | F_WRITE, 3);
	ring_put_desc(self->r, 3, self->status, 1, F_WRITE, 0);
	guest_snapshot(&self->g);
	guest_expect(&self->g, self->data, self->b.model, SECTOR);
	guest_expect(&self->g, self->status, &ok, 1);
	ASSERT_WELL(expect_used(self, SECTOR + 1));
}

/* A write with additional device-writable room, which stays as it was */
TEST_F(hostile, write_with_writable_data)
{
	uint8_t bytes[SECTOR];
	const uint8_t ok = VIRTIO_BLK_S_OK;

	guest_read(&self->g, self->data, bytes, SECTOR);
	put_header(&self->g, self->hdr, VIRTIO_BLK_T_OUT, 3);
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT, 2);
	ring_put_desc(self->r, 2, self->data + SECTOR, SECTOR, F_NEXT | F_WRITE, 3);
	ring_put_desc(self->r, 3, self->status, 1, F_WRITE, 0);
	backend_model_write(&self->b, 3 * SECTOR, bytes, SECTOR);
	guest_snapshot(&self->g);
	guest_expect(&self->g, self->status, &ok, 1);
	ASSERT_WELL(expect_used(self, 0));
}

/* A request that cannot be completed must not be written to any more. */
static bool answered(struct _test_data_hostile *self)
{
	uint8_t *status = guest_ptr(&self->g, self->status, 1);
	unsigned int ms;

	for (ms = 0; ms < 10000 && __atomic_load_n(status, __ATOMIC_ACQUIRE) == STATUS_POISON; ms++)
		usleep(1000);
	return *status == VIRTIO_BLK_S_OK;
}

/*
 * Remove the page of a ring while the queue runs, and put it back after a stop.
 * The device has taken the request if it could read it.
 */
static const char *lose_page(struct _test_data_hostile *self, void *ring, bool taken)
{
	void *page = (void *)((uintptr_t)ring & ~4095UL);
	const char *why = NULL;

	put_good(self);
	*(uint8_t *)guest_ptr(&self->g, self->status, 1) = STATUS_POISON;
	ring_add_raw(self->r, 0);
	if (munmap(page, 4096))
		return "munmap";
	ring_kick_now(self->r);
	if (!eventfd_wait(self->r->err, 10000))
		why = "the error eventfd was not signalled";
	if (!why && taken && !answered(self))
		why = "the request did not complete";
	if (!why)
		why = request_simple(&self->g.ring[1], VIRTIO_BLK_T_IN, 8, 4096,
				     VIRTIO_BLK_S_OK);
	if (!why && guest_set_running(&self->g, 0))
		why = "SET_RUNNING 0 fails";
	if (mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != page)
		why = "mmap";
	return why;
}

TEST_F(hostile, avail_ring_unmapped)
{
	if (model_wanted())
		SKIP(return, "the model device would crash");
	/* the descriptors and the available ring share a page */
	ASSERT_EQ((uintptr_t)self->r->desc >> 12, (uintptr_t)self->r->avail >> 12);
	ASSERT_WELL(lose_page(self, self->r->avail, false));
}

TEST_F(hostile, used_ring_unmapped)
{
	if (model_wanted())
		SKIP(return, "the model device would crash");
	ASSERT_WELL(lose_page(self, self->r->used, true));
}

struct flipper {
	struct virtio_blk_outhdr *hdr;
	bool stop;
};

/* Change the header in turn: valid read, read past the end, unknown type, write, flush. */
static void *flip(void *arg)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, 0x1234,
		VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD,
	};
	struct flipper *f = arg;
	struct rng rng = { 1 };

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&f->hdr->type, htole32(types[rng_below(&rng, 6)]),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&f->hdr->sector,
				 rng_below(&rng, 2) ? htole64(rng_below(&rng, 64)) : ~0ULL,
				 __ATOMIC_RELAXED);
		sched_yield();
	}
	return NULL;
}

/*
 * The device executes one of these requests, whichever it has read, and
 * completes it once.
 */
static const char *one_of_them(struct _test_data_hostile *self)
{
	struct ring *r = self->r;
	uint8_t *status = guest_ptr(&self->g, self->status, 1);
	struct vring_used_elem *e = &r->used->ring[r->used_idx % r->num];
	uint32_t len, ms;

	*status = STATUS_POISON;
	ring_add_raw(r, 0);
	ring_kick_now(r);
	for (ms = 0; ms < 100000 && ring_device_idx(r) == r->used_idx; ms++)
		sched_yield();
	if (ring_device_idx(r) != (uint16_t)(r->used_idx + 1))
		return "not completed once";
	r->used_idx++;
	len = le32toh(e->len);
	if (*status > VIRTIO_BLK_S_UNSUPP)
		return guest_say(&self->g, "status %u", *status);
	if (len && (*status || (len != SECTOR + 1 && len != VIRTIO_BLK_ID_BYTES)))
		return guest_say(&self->g, "used.len %u with status %u", len, *status);
	return NULL;
}

TEST_F_TIMEOUT(hostile, header_changes, 120)
{
	struct flipper f = { .hdr = guest_ptr(&self->g, self->hdr, HDR_LEN) };
	struct guest *g = &self->g;
	const char *why = NULL;
	pthread_t thread;
	unsigned int i;

	if (model_wanted())
		SKIP(return, "the model device is a thread of this process");
	guest_close(g);
	ring_reset(&g->ring[0], 0);
	ring_reset(&g->ring[1], 0);
	g->opts.backend_flags = VHOST_BLK_BACKEND_F_RO;
	ASSERT_WELL(guest_boot(g));
	put_good(self);
	guest_snapshot(g);
	ASSERT_EQ(0, pthread_create(&thread, NULL, flip, &f));
	for (i = 0; !why && i < scaled(20000, 500); i++)
		why = one_of_them(self);
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_WELL(why);
	ASSERT_EQ(0, eventfd_drain(self->r->err));
	/* nothing else was written */
	guest_expect(g, self->hdr, f.hdr, HDR_LEN);
	guest_expect(g, self->data, guest_ptr(g, self->data, SECTOR), SECTOR);
	guest_expect(g, self->status, guest_ptr(g, self->status, 1), 1);
	ASSERT_WELL(guest_compare(g));
	g->opts.backend_flags = 0;
	guest_close(g);
	ring_reset(&g->ring[0], 0);
	ring_reset(&g->ring[1], 0);
	ASSERT_WELL(guest_boot(g));
}

/*
 * The second half of the header is in a page that must be read from a slow
 * disk.  In the meantime the first half is changed.  The device has already
 * read that half, and must not read it again.
 */
static const char *slow_header(struct _test_data_hostile *self, struct backend *slow)
{
	struct guest *g = &self->g;
	int fd = open(slow->path, O_RDWR | O_CLOEXEC);
	const uint64_t sector = 0;
	const char *why = add_region(self, 4096);
	struct region *far = &g->region[1];

	if (fd < 0 || !region_back(far, fd))
		return "the slow disk cannot be mapped";
	memcpy(far->hva, &sector, sizeof(sector));
	if (msync(far->hva, 4096, MS_SYNC) || madvise(far->hva, 4096, MADV_DONTNEED) ||
	    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		why = "the page cannot be dropped";
	close(fd);
	put_header(g, self->hdr, VIRTIO_BLK_T_IN, 0);
	ring_put_desc(self->r, 0, self->hdr, HDR_LEN / 2, F_NEXT, 3);
	ring_put_desc(self->r, 3, far->gpa, HDR_LEN / 2, F_NEXT, 1);
	ring_put_desc(self->r, 1, self->data, SECTOR, F_NEXT | F_WRITE, 2);
	ring_put_desc(self->r, 2, self->status, 1, F_WRITE, 0);
	return why;
}

/* Does the disk have a read in flight, namely that of the second half? */
static bool being_read(const struct backend *slow)
{
	int reads = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/block/%s/inflight",
		 strrchr(slow->path, '/') + 1);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &reads) != 1)
		reads = 0;
	fclose(f);
	return reads > 0;
}

TEST_F(hostile, header_read_once)
{
	/* The read takes a second, so that it is seen in flight on a busy host, too. */
	static const struct nullb_attr second[] = {
		{ "irqmode", "2" }, { "completion_nsec", "1000000000" }, { NULL, NULL },
	};
	const struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .blank = true, .nullb = second,
	};
	const uint32_t other = htole32(VIRTIO_BLK_T_OUT);
	const uint8_t ok = VIRTIO_BLK_S_OK;
	struct guest *g = &self->g;
	struct backend slow;
	bool reading = false;
	unsigned int ms;
	const char *why;

	if (model_wanted())
		SKIP(return, "the model device does not wait for disks");
	why = backend_open_as(&slow, &opts);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(slow_header(self, &slow));
	ring_add_raw(self->r, 0);
	ring_kick_now(self->r);
	/*
	 * The time until the device has read the first half depends on the
	 * host, so poll for it.
	 */
	for (ms = 0; ms < 10000 && !reading; ms++) {
		usleep(1000);
		reading = being_read(&slow);
	}
	ASSERT_TRUE(reading);
	ASSERT_EQ(self->r->used_idx, ring_device_idx(self->r)) {
		TH_LOG("the slow disk is not slow");
	}
	guest_write(g, self->hdr, &other, sizeof(other));
	for (ms = 0; ms < 10000 && ring_device_idx(self->r) == self->r->used_idx; ms++)
		usleep(1000);
	EXPECT_EQ(SECTOR + 1, le32toh(self->r->used->ring[0].len));
	EXPECT_EQ(ok, *(uint8_t *)guest_ptr(g, self->status, 1));
	EXPECT_EQ(0, memcmp(guest_ptr(g, self->data, SECTOR), self->b.model, SECTOR));
	/* restore the guest's memory before the disk is removed */
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(g->region[1].hva,
		  mmap(g->region[1].hva, g->region[1].len, PROT_READ | PROT_WRITE,
		       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	backend_close(&slow);
}

TEST_HARNESS_MAIN
