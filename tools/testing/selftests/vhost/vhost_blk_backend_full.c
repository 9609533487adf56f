// SPDX-License-Identifier: GPL-2.0
/*
 * A backend that runs out of space: a file with holes on a full file system, a loop
 * device on such a file, a thin device whose pool is too small.  Blocks that are
 * allocated can still be written, a write to a hole is IOERR, and reads succeed.
 *
 * VHOST_TEST_DIR is a small file system, which the test fills up; VHOST_TEST_BDEV is
 * a thin device.  Run by name only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR

#define FULL_SIZE	(8U << 20)
#define MIB_SECTORS	2048U
#define STEP		64U		/* sectors of a request */
#define MOST_ROOM	(256ULL << 20)	/* a file system with more free space is not small */

FIXTURE(full) {
	struct backend b;
	struct guest g;
	struct rng rng;
	char ballast[256];
};

FIXTURE_VARIANT(full) {
	struct backend_opts opts;
};

FIXTURE_VARIANT_ADD(full, file_direct) {
	.opts = { .kind = BACKEND_FILE, .direct = true, .size = FULL_SIZE, .blank = true },
};

FIXTURE_VARIANT_ADD(full, file_buffered) {
	.opts = { .kind = BACKEND_FILE, .size = FULL_SIZE, .blank = true },
};

FIXTURE_VARIANT_ADD(full, loop) {
	.opts = { .kind = BACKEND_LOOP, .direct = true, .size = FULL_SIZE, .blank = true },
};

FIXTURE_VARIANT_ADD(full, bdev) {
	.opts = { .kind = BACKEND_BDEV, .direct = true, .blank = true },
};

FIXTURE_SETUP(full)
{
	const char *dir = getenv("VHOST_TEST_DIR"), *why = no_kernel("the model has no holes");
	struct statfs fs;

	if (why)
		SKIP(return, "%s", why);
	if (variant->opts.kind == BACKEND_BDEV) {
		if (!getenv("VHOST_TEST_BDEV"))
			SKIP(return, "VHOST_TEST_BDEV is not a thin device");
	} else {
		if (!dir || statfs(dir, &fs) || fs.f_bfree * fs.f_bsize > MOST_ROOM)
			SKIP(return, "VHOST_TEST_DIR is not on a small file system");
		snprintf(self->ballast, sizeof(self->ballast), "%s/vhost-test-ballast", dir);
	}
	why = backend_open_as(&self->b, &variant->opts);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

FIXTURE_TEARDOWN(full)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->ballast[0])
		unlink(self->ballast);
	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

/* Write until there is no room for @len more bytes.  Return: how much was written, -1: error */
static long long fill_by(int fd, size_t len)
{
	char *buf = calloc(1, len);
	long long sum = 0;
	ssize_t ret;

	while ((ret = write(fd, buf, len)) > 0)
		sum += ret;
	free(buf);
	return ret && errno != ENOSPC ? -1 : sum;
}

/* fsync() may free space that was reserved for delayed allocation: several rounds. */
static const char *fill_up(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	unsigned int round;
	long long sum = 1;

	if (fd < 0)
		return "can't create the ballast";
	for (round = 0; sum > 0 && round < 50; round++) {
		sum = fill_by(fd, 65536);
		if (sum >= 0)
			sum += fill_by(fd, 512);
		fsync(fd);
		if (round < 2)
			sum = 1;
	}
	close(fd);
	return sum ? "the file system cannot be filled up" : NULL;
}

/* Write, and set *failed if the status is IOERR; any status but these two is an error. */
static const char *try_write(struct guest *g, uint64_t sector, bool *failed)
{
	struct request *q = request_new(g, T_OUT, sector, STEP * SECTOR);
	uint64_t mark = g->bump;
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, sector);
	guest_snapshot(g);
	why = request_run(&g->ring[0], q, 60000);
	*failed = !why && request_status(q) == S_IOERR;
	if (!why)
		why = request_outcome(q, *failed ? S_IOERR : S_OK);
	if (!why)
		why = guest_compare(g);
	/* part of it may have been written */
	if (!why && *failed)
		why = backend_adopt(g->opts.backend, sector * SECTOR, STEP * SECTOR);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/*
 * Write to allocated blocks.  This may fail too if the file system needs space for
 * metadata, as btrfs does; then pwrite() of this process must fail as well.
 */
static const char *rewrite(struct guest *g, uint64_t sector)
{
	struct backend *b = g->opts.backend;
	uint64_t off = sector * SECTOR;
	const char *why;
	bool failed;

	why = try_write(g, sector, &failed);
	if (why || !failed)
		return why;
	if (b->kind == BACKEND_FILE &&
	    pwrite(b->check_fd, b->model + off, STEP * SECTOR, off) < 0 && errno == ENOSPC)
		return NULL;
	return guest_say(g, "sector %llu is allocated, but can't be written",
			 (unsigned long long)sector);
}

#define SIMPLE(type, sector, sectors, status)						\
	ASSERT_WELL(request_simple(&self->g.ring[0], type, sector, (sectors) * SECTOR, status))

/* Write from @sector on until a write fails.  Return: the sector of that write, or the end. */
static uint64_t write_until_full(struct guest *g, uint64_t sector, const char **why)
{
	uint64_t end = g->opts.backend->size / SECTOR - STEP;
	bool failed = false;

	for (*why = NULL; !*why && !failed && sector <= end; sector += STEP)
		*why = try_write(g, sector, &failed);
	return failed ? sector - STEP : end + STEP;
}

TEST_F_TIMEOUT(full, holes_fail, 240)
{
	uint64_t end, sector, first = variant->opts.kind == BACKEND_BDEV ? 1 : 2;
	unsigned int i, failures = 0;
	const char *why;
	bool failed;

	BOOT(.queues = 2);
	end = self->b.size / SECTOR;
	/* the first MiB is written, the second allocated, the rest are holes */
	for (sector = 0; sector < MIB_SECTORS; sector += STEP)
		SIMPLE(T_OUT, sector, STEP, S_OK);
	SIMPLE(VIRTIO_BLK_T_FLUSH, 0, 0, S_OK);
	if (self->ballast[0]) {
		int fd = self->b.loop_file >= 0 ? self->b.loop_file : self->b.check_fd;

		if (fallocate(fd, 0, MIB_SECTORS * SECTOR, MIB_SECTORS * SECTOR)) {
			ASSERT_EQ(EOPNOTSUPP, errno);
			first = 1;
		}
		ASSERT_WELL(fill_up(self->ballast));
	}
	sector = write_until_full(&self->g, first * MIB_SECTORS, &why);
	ASSERT_WELL(why);
	ASSERT_LT(sector, end);
	TH_LOG("full at sector %llu of %llu", (unsigned long long)sector, (unsigned long long)end);
	for (i = 0; i < 20; i++) {
		/* written or allocated before */
		sector = rng_below(&self->rng, first * MIB_SECTORS / STEP) * STEP;
		ASSERT_WELL(rewrite(&self->g, sector));
		SIMPLE(T_IN, sector, STEP, S_OK);
		sector = end - STEP * (1 + rng_below(&self->rng, 40));
		ASSERT_WELL(try_write(&self->g, sector, &failed));
		failures += failed;
		SIMPLE(T_IN, sector, STEP, S_OK);
	}
	ASSERT_LT(10, failures);
	SIMPLE(VIRTIO_BLK_T_FLUSH, 0, 0, S_OK);
	if (!self->ballast[0]) {
		ASSERT_WELL(guest_prove(&self->g));
		return;
	}
	/* with free space again every write succeeds */
	ASSERT_EQ(0, unlink(self->ballast));
	sync();
	for (sector = first * MIB_SECTORS; sector <= end - STEP; sector += STEP)
		SIMPLE(T_OUT, sector, STEP, S_OK);
	SIMPLE(VIRTIO_BLK_T_FLUSH, 0, 0, S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_HARNESS_MAIN
