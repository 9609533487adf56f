// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory that cannot be accessed for a while: a page of a disk that hangs,
 * or one of a userfaultfd.  The worker waits there.  Meanwhile another process
 * closes the device, or the owner exits: nothing is written any more, neither to
 * the guest nor to the disk.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hang.h"
#include "suite.h"
#include "task.h"

#define SOON		20000
#define SLOW_GPA	0x10000000	/* of the first slow page; the next one follows */

/* This process has opened the device, and another one owns it. */
FIXTURE(slow) {
	struct hang h;		/* the disk; tests in which it does not hang use h.below */
	struct hang page[2];	/* disks of which a page is guest memory */
	unsigned int npages;
	struct guest g;
	int memory;		/* which both processes have */
	int fd;			/* for the lock */
	pid_t owner;
	/* how the owner prepares the test, when the guest has booted */
	bool (*prepare)(struct _test_data_slow *self);
	bool keeps;		/* the owner keeps its descriptors */
};

FIXTURE_SETUP(slow)
{
	struct guest_opts opts = {};
	const char *why = no_kernel("the model device has only one process");

	if (!why)
		why = hang_open(&self->h, false);
	if (why)
		SKIP(return, "%s", why);
	self->fd = -1;
	self->memory = memfd_create("guest", MFD_CLOEXEC);
	guest_init(&self->g, &opts);
	ASSERT_EQ(0, ftruncate(self->memory, self->g.region[0].len));
	ASSERT_TRUE(region_back(&self->g.region[0], self->memory));
}

FIXTURE_TEARDOWN(slow)
{
	unsigned int i;

	for (i = 0; i < self->npages; i++)
		if (self->page[i].on)
			hang_off(&self->page[i]);
	if (self->owner > 0) {
		kill(self->owner, SIGKILL);
		waitpid(self->owner, NULL, 0);
	}
	for (; self->npages; self->npages--) {
		munmap(self->g.region[--self->g.nregions].hva, 4096);
		hang_close(&self->page[self->npages - 1]);
	}
	guest_destroy(&self->g);
	close(self->memory);
	close(self->fd);
	hang_close(&self->h);
}

/* Let a page of a disk be guest memory, with these bytes, and status bytes that are not set. */
static const char *add_slow_page(struct _test_data_slow *self, const void *bytes, size_t len)
{
	struct region *r = &self->g.region[self->g.nregions];
	struct hang *h = &self->page[self->npages];
	const char *why = hang_open(h, false);
	void *page = NULL;

	if (why)
		return why;
	if (posix_memalign(&page, 4096, 4096))
		return "no memory";
	memset(page, STATUS_POISON, 4096);
	memcpy(page, bytes, len);
	if (pwrite(h->disk.fd, page, 4096, 0) != 4096)
		why = "the page cannot be written";
	free(page);
	*r = (struct region){
		.gpa = SLOW_GPA + 4096 * self->npages, .len = 4096, .hva = hang_map_page(h, 0),
	};
	if (!r->hva)
		return "the page cannot be mapped";
	self->npages++;
	self->g.nregions++;
	return why;
}

/* Own the device, send the requests, leave the device to the other process, and live on. */
static void own(struct _test_data_slow *self, struct request **q, unsigned int n, int said)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	unsigned int i;

	if (backend_reopen_locked(g->opts.backend, O_RDWR) || guest_boot(g) ||
	    (self->prepare && !self->prepare(self)))
		_exit(1);
	for (i = 0; i < n; i++)
		if (ring_add(r, q[i]))
			_exit(1);
	ring_kick_now(r);
	usleep(100000);
	close(g->opts.backend->fd);
	if (!self->keeps)
		close(g->fd);
	if (write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Start the owner of a device with @b.  Return: NULL, or what is wrong */
static const char *own_start(struct _test_data_slow *self, struct backend *b,
			     struct request **q, unsigned int n)
{
	const char *why;
	int said[2];
	char byte;

	self->fd = backend_reopen(b, O_RDWR);
	self->g.opts.backend = b;
	why = guest_boot_to(&self->g, STAGE_OPEN);
	if (!why && pipe(said))
		why = "no pipe";
	if (why)
		return why;
	self->owner = fork();
	if (!self->owner)
		own(self, q, n, said[1]);
	close(said[1]);
	if (self->owner < 0 || read(said[0], &byte, 1) != 1)
		why = "the owner does not boot";
	close(said[0]);
	return why;
}

static bool let_disk_hang(struct _test_data_slow *self)
{
	return !hang_on(&self->h);
}

#define TOGETHER	8	/* requests whose completions are one batch */

static struct request *write_with_status(struct guest *g, uint64_t sector, uint64_t status)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, sector, 512);

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, sector);
	q->seg[q->nout + q->nin - 1].gpa = status;
	return q;
}

/*
 * The device is closed while the worker waits to write a status of a batch.  The
 * owner may use its memory for something else from then on, so no other status
 * is written.  The worker waits for the first page while the requests of the
 * batch complete, and for the second one in that batch.
 */
TEST_F_TIMEOUT(slow, closed_while_completing, 60)
{
	struct request *q[1 + TOGETHER];
	unsigned int i, written = 0;

	for (i = 0; i < 2; i++)
		ASSERT_WELL(add_slow_page(self, "", 0));
	for (i = 0; i <= TOGETHER; i++)
		q[i] = write_with_status(&self->g, 8 * i, SLOW_GPA + (i ? 4096 + i : 0));
	self->prepare = let_disk_hang;
	ASSERT_WELL(own_start(self, &self->h.disk, q, 1 + TOGETHER));
	self->h.on = true;
	for (i = 0; i < 2; i++)
		ASSERT_WELL(hang_on(&self->page[i]));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(worker_sleeps(self->owner, SOON));
	usleep(200000);
	ASSERT_WELL(hang_off(&self->page[0]));
	usleep(200000);
	ASSERT_TRUE(worker_sleeps(self->owner, SOON));
	guest_close(&self->g);
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->page[1]));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	for (i = 1; i <= TOGETHER; i++)
		written += request_status(q[i]) != STATUS_POISON;
	EXPECT_EQ(1, written);
	/* the first request may have been complete before that batch */
	EXPECT_GE(1, ring_device_idx(&self->g.ring[0]));
	for (i = 0; i <= TOGETHER; i++)
		request_free(q[i]);
}

/*
 * Let the device be closed while the worker waits for the first page.  Nothing
 * more may reach the disk, which is one to which the worker submits: what a
 * workqueue does is dropped there.  Return: NULL if the block at @off was not
 * written, or what is wrong
 */
static const char *close_and_compare(struct _test_data_slow *self, struct request *q,
				     uint64_t off)
{
	const char *why = hang_on(&self->page[0]);

	if (!why)
		why = own_start(self, &self->h.below, &q, 1);
	if (!why && !worker_sleeps(self->owner, SOON))
		why = "the worker does not wait for the page";
	if (why)
		return why;
	guest_close(&self->g);
	if (!backend_in_use(self->fd))
		return "the backend is free while the worker has the request";
	why = hang_off(&self->page[0]);
	if (!why && !backend_let_go(self->fd, SOON))
		why = "the backend is still in use";
	if (!why && ring_device_idx(&self->g.ring[0]))
		why = "the request was completed";
	return why ? why : backend_compare_near(&self->h.below, off, 4096, 0);
}

/* The header of a write is in the slow page. */
TEST_F_TIMEOUT(slow, closed_while_reading, 60)
{
	const uint64_t sector = 8;
	struct virtio_blk_outhdr hdr = {
		.type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(sector),
	};
	struct request *q = request_new(&self->g, VIRTIO_BLK_T_OUT, sector, 512);

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	q->seg[0].gpa = SLOW_GPA;
	ASSERT_WELL(add_slow_page(self, &hdr, sizeof(hdr)));
	ASSERT_WELL(close_and_compare(self, q, sector * SECTOR));
	request_free(q);
}

#define WINDOW	(128U << 10)	/* bytes that are copied at a time for one request: 32 pages */

/*
 * The data of a write is not aligned, so it is copied.  The slow page has the
 * part that is copied after the first I/O has ended.
 */
TEST_F_TIMEOUT(slow, closed_between_windows, 60)
{
	const uint32_t cut[] = { HDR_LEN, HDR_LEN + WINDOW };
	const uint64_t sector = 64;
	struct request *q = request_new(&self->g, VIRTIO_BLK_T_OUT, sector, WINDOW + 4096);

	request_cut(q, cut, 2, NULL, 0);
	request_place(q, PLACE_ALIGNED, NULL);
	q->seg[1].gpa++;
	request_arm(q, 1);
	q->seg[2].gpa = SLOW_GPA;
	ASSERT_WELL(add_slow_page(self, "", 0));
	ASSERT_WELL(close_and_compare(self, q, sector * SECTOR + WINDOW));
	/* the first part was written, otherwise the test has shown nothing */
	backend_model_write(&self->h.below, sector * SECTOR, q->data, WINDOW);
	ASSERT_WELL(backend_compare_near(&self->h.below, sector * SECTOR, WINDOW, 0));
	request_free(q);
}

#define BALLAST	(64U << 20)

/*
 * Create a file that takes a while to release.  The exit of a process releases
 * its files one after the other.
 */
static bool add_ballast(void)
{
	int fd = memfd_create("ballast", MFD_CLOEXEC);

	return fd >= 0 && !fallocate(fd, 0, 0, BALLAST);
}

/* No page of the second region exists, until the descriptor is closed: then it has zeroes. */
static bool let_page_miss(struct _test_data_slow *self)
{
	const struct region *r = &self->g.region[1];
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)r->hva, r->len }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	bool before = add_ballast();
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	/* before and behind this descriptor: only one of them is released after it */
	return before && add_ballast() && !madvise(r->hva, r->len, MADV_DONTNEED) &&
	       !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg);
}

/*
 * The owner is killed while the worker, a kernel thread, waits for a page of the
 * owner's userfaultfd.  Its exit closes that.  The guest has never written the
 * zeroes that the page then has.
 */
TEST_F_TIMEOUT(slow, owner_exits, 120)
{
	const uint64_t sector = 8;
	struct request *q;
	int fd;

	if (worker_is_thread())
		SKIP(return, "the worker is killed with its owner");
	fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "no userfaultfd");
	close(fd);
	q = request_new(&self->g, VIRTIO_BLK_T_OUT, sector, 4096);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	q->seg[1].gpa = SLOW_GPA;
	ASSERT_NE(NULL, guest_add_region(&self->g, SLOW_GPA, 4096));
	self->prepare = let_page_miss;
	self->keeps = true;
	ASSERT_WELL(own_start(self, &self->h.below, &q, 1));
	ASSERT_TRUE(worker_sleeps(self->owner, SOON));
	ASSERT_EQ(0, kill(self->owner, SIGKILL));
	ASSERT_EQ(self->owner, waitpid(self->owner, NULL, 0));
	self->owner = 0;
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_WELL(backend_compare_near(&self->h.below, sector * SECTOR, 4096, 0));
	request_free(q);
}

TEST_HARNESS_MAIN
