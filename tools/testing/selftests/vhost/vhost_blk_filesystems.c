// SPDX-License-Identifier: GPL-2.0
/*
 * Properties of single file systems: btrfs has checksums of written data; XFS
 * cannot write a part of a block that several files share; ext4 updates the
 * access time of a direct read after it was submitted; a file can become
 * immutable.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/fs.h>

#include "filesystem.h"
#include "flip.h"
#include "ranges.h"
#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR

FIXTURE(btrfs) {
	struct filesystem fs;
	struct backend b;
	struct guest g;
};

FIXTURE_VARIANT(btrfs) {
	bool nocow;
};

FIXTURE_VARIANT_ADD(btrfs, checksums) {
	.nocow = false,
};

FIXTURE_VARIANT_ADD(btrfs, nocow) {
	.nocow = true,
};

FIXTURE_SETUP(btrfs)
{
	struct backend_opts file = { .kind = BACKEND_FILE, .direct = true, .dir = self->fs.dir };
	const char *why = no_kernel("the model device copies all data first");

	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = fs_of_type(&self->fs, "btrfs", 64 << 20, "", "");
	if (!why && variant->nocow)
		why = fs_set_nocow(&self->fs);
	if (!why)
		why = backend_open_as(&self->b, &file);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 1);
}

FIXTURE_TEARDOWN(btrfs)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	fs_close(&self->fs);
}

/*
 * A guest may change data while it is written.  Then the disk has old or new
 * data, and it must be readable.  Data that does not match its checksum is not.
 */
TEST_F_TIMEOUT(btrfs, stable, 300)
{
	static const uint32_t len[] = { 4096, 65536, 512 << 10 };
	struct ring *r = &self->g.ring[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		ASSERT_WELL(flip_writes(r, 64, len[i], scaled(100, 20)));
		ASSERT_WELL(request_ends(r, T_IN, 64, len[i], S_OK));
		ASSERT_WELL(backend_adopt(&self->b, 64 * SECTOR, len[i]));
	}
	ASSERT_WELL(backend_compare_all(&self->b));
}

/* Each subvolume has its own device number, different from that of the file system. */
TEST_F(btrfs, named_as_by_stat)
{
	struct vhost_blk_info info;
	struct stat st;

	ASSERT_EQ(0, fstat(self->b.fd, &st));
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(st.st_ino, info.ino);
	EXPECT_EQ(major(st.st_dev), info.dev_major);
	EXPECT_EQ(minor(st.st_dev), info.dev_minor);
}

FIXTURE(xfs) {
	struct filesystem fs;
	struct backend b;
	struct guest g;
	struct rng rng;
	int copy;
};

FIXTURE_VARIANT(xfs) {
	bool shared;
	bool writeback;
};

FIXTURE_VARIANT_ADD(xfs, own_blocks) {
	.writeback = true,
};

FIXTURE_VARIANT_ADD(xfs, shared_blocks) {
	.shared = true, .writeback = true,
};

FIXTURE_VARIANT_ADD(xfs, shared_blocks_sync) {
	.shared = true,
};

/* cp --reflink: share the blocks with another file, until one of them is written */
static const char *share_blocks(struct filesystem *fs, struct backend *b, int *copy)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/copy", fs->dir);
	*copy = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*copy < 0 || ioctl(*copy, FICLONE, b->check_fd))
		return "files of this xfs can't share blocks";
	return NULL;
}

FIXTURE_SETUP(xfs)
{
	struct backend_opts file = { .kind = BACKEND_FILE, .direct = true, .dir = self->fs.dir };
	const char *why = no_kernel("the model device has blocks of 512 bytes");

	self->fs.image = -1;
	self->fs.loop = -1;
	self->copy = -1;
	if (!why)
		why = fs_of_type(&self->fs, "xfs", 64 << 20, "", "");
	if (!why)
		why = backend_open_as(&self->b, &file);
	if (!why && variant->shared)
		why = share_blocks(&self->fs, &self->b, &self->copy);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	BOOT(.queues = 2);
	ASSERT_EQ(0, guest_set_writeback(&self->g, variant->writeback));
}

FIXTURE_TEARDOWN(xfs)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->copy >= 0)
		close(self->copy);
	fs_close(&self->fs);
}

/*
 * The logical blocks are those of the disk below, whether or not a copy of the
 * image was made: its partition table counts in them.  A write to a part of a
 * block leaves the rest of the block intact, also if the rest is in flight on
 * another queue.
 */
TEST_F_TIMEOUT(xfs, parts_of_blocks, 120)
{
	struct batch_opts opts = { .max_sectors = 16 };
	uint8_t *before = malloc(self->b.size), *after = malloc(self->b.size);
	struct blk_config config;
	unsigned int i;

	ASSERT_NE(NULL, before);
	ASSERT_NE(NULL, after);
	memcpy(before, self->b.model, self->b.size);
	ASSERT_EQ(0, guest_get_config(&self->g, &config));
	EXPECT_EQ(512, le32toh(config.blk_size));
	EXPECT_EQ(3, config.physical_block_exp);
	ASSERT_WELL(request_simple(&self->g.ring[0], T_IN, 1, 512, S_OK));
	ASSERT_WELL(request_simple(&self->g.ring[0], T_OUT, 1, 512, S_OK));
	ASSERT_WELL(request_simple(&self->g.ring[1], T_OUT, 15, 4096, S_OK));
	for (i = 0; i < scaled(30, 5); i++)
		ASSERT_WELL(batch_round(&self->g, &opts, &self->rng));
	ASSERT_WELL(request_ends(&self->g.ring[0], VIRTIO_BLK_T_FLUSH, 0, 0, S_OK));
	ASSERT_WELL(backend_compare_all(&self->b));
	/* the copy has not changed */
	if (variant->shared) {
		ASSERT_EQ((ssize_t)self->b.size, pread(self->copy, after, self->b.size, 0));
		EXPECT_EQ(0, memcmp(before, after, self->b.size));
	}
	free(before);
	free(after);
}

FIXTURE(forbidden) {
	struct backend b;
	struct guest g;
	int memfd;
};

FIXTURE_VARIANT(forbidden) {
	bool sealed;
};

FIXTURE_VARIANT_ADD(forbidden, immutable) {
	.sealed = false,
};

FIXTURE_VARIANT_ADD(forbidden, sealed) {
	.sealed = true,
};

/* Replace the file by one that can be sealed, with the same data. */
static const char *use_memfd(struct backend *b, int *memfd)
{
	*memfd = memfd_create("vhost-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*memfd < 0)
		return "no memfd_create()";
	if (pwrite(*memfd, b->model, b->size, 0) != (ssize_t)b->size ||
	    dup2(*memfd, b->fd) < 0 || dup2(*memfd, b->check_fd) < 0)
		return "the memfd cannot be written";
	return NULL;
}

FIXTURE_SETUP(forbidden)
{
	const char *why = no_kernel("the model device has no file system of its own");

	self->memfd = -1;
	if (!why)
		why = backend_open(&self->b, BACKEND_FILE, false);
	if (!why && variant->sealed)
		why = use_memfd(&self->b, &self->memfd);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) | BIT64(VIRTIO_BLK_F_DISCARD));
}

FIXTURE_TEARDOWN(forbidden)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->memfd >= 0)
		close(self->memfd);
}

/* Set chattr +i, or a seal against writes. */
static int forbid(struct backend *b, bool sealed, bool on)
{
	int flags;

	if (sealed)
		return on ? fcntl(b->check_fd, F_ADD_SEALS, F_SEAL_WRITE) : 0;
	if (ioctl(b->check_fd, FS_IOC_GETFLAGS, &flags))
		return -1;
	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	return ioctl(b->check_fd, FS_IOC_SETFLAGS, &flags);
}

/* Writes to a file that became immutable (EPERM) complete with IOERR, reads succeed. */
TEST_F_TIMEOUT(forbidden, later, 60)
{
	struct ring *r = &self->g.ring[0];
	unsigned int i;

	ASSERT_WELL(request_simple(r, T_OUT, 8, 4096, S_OK));
	if (forbid(&self->b, variant->sealed, true))
		SKIP(return, "a file cannot be made immutable here");
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(NULL, request_ends(r, T_OUT, 16 * i, 4096, S_IOERR));
		EXPECT_EQ(NULL, range_run(r, VIRTIO_BLK_T_WRITE_ZEROES, 64, 64, 0, S_IOERR));
		EXPECT_EQ(NULL, range_run(r, VIRTIO_BLK_T_DISCARD, 64, 64, 0, S_IOERR));
		EXPECT_EQ(NULL, request_simple(r, T_IN, 16 * i, 8192, S_OK));
	}
	EXPECT_EQ(NULL, backend_compare_all(&self->b));
	/* an immutable file cannot be removed */
	ASSERT_EQ(0, forbid(&self->b, variant->sealed, false));
}

/* A read that the workqueue does part by part */
#define LONG_BYTES	(16U << 20)
#define LONG_SECTORS	(LONG_BYTES / SECTOR)
#define LONG_READS	2

FIXTURE(ext4) {
	struct filesystem fs;
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(ext4)
{
	struct backend_opts file = {
		.kind = BACKEND_FILE, .direct = true, .dir = self->fs.dir,
		.size = LONG_READS * LONG_BYTES,
	};
	const char *why = no_kernel("the model device never has requests in flight");

	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = fs_on_loop(&self->fs, 64 << 20, "", "");
	if (!why && mount(NULL, self->fs.dir, NULL, MS_REMOUNT | MS_BIND | MS_STRICTATIME, NULL))
		why = "no strictatime";
	if (!why)
		why = backend_open_as(&self->b, &file);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 1, .mem = 48 << 20);
}

FIXTURE_TEARDOWN(ext4)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	fs_close(&self->fs);
}

/* Attach the image through a file that only the device has open. */
static const char *attach_again(struct guest *g)
{
	int fd = open(g->opts.backend->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	long ret = guest_set_backend(g, fd, 0);

	close(fd);
	return ret ? guest_say(g, "SET_BACKEND: %s", strerror(-ret)) : NULL;
}

static const char *long_reads(struct ring *r, struct request **q)
{
	unsigned int i;

	for (i = 0; i < LONG_READS; i++) {
		q[i] = request_new(r->guest, T_IN, (uint64_t)i * LONG_SECTORS, LONG_BYTES);
		request_cut_every(q[i], 1 << 20);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_arm(q[i], i + 1);
		if (ring_add(r, q[i]))
			return "the ring is full";
	}
	ring_kick(r);
	return NULL;
}

/* Let the device close the file, in one of several ways, when nothing is in flight. */
static const char *take_file(struct guest *g, unsigned int how)
{
	long ret = 0;

	if (how == 0)
		return attach_again(g);
	if (how == 1)
		ret = guest_ioctl(g, VHOST_RESET_OWNER, NULL);
	else
		guest_close(g);
	g->stage = how == 1 ? STAGE_OPEN : STAGE_NONE;
	return ret ? guest_say(g, "RESET_OWNER: %s", strerror(-ret)) : NULL;
}

/*
 * The submitter of a direct read needs the file until the read is done, so the
 * device must not close it earlier.
 */
TEST_F_TIMEOUT(ext4, closed_after_reads, 240)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct request *q[LONG_READS];
	uint64_t mark = g->bump;
	unsigned int i, k;

	for (i = 0; i < scaled(30, 9); i++) {
		ASSERT_WELL(guest_boot(g));
		ASSERT_WELL(attach_again(g));
		ASSERT_WELL(long_reads(r, q));
		/* a request is in flight, or will be at once */
		if (i & 1)
			ASSERT_WELL(ring_wait(r, 1, 20000));
		ASSERT_WELL(take_file(g, i % 3));
		if (g->stage == STAGE_RUNNING)
			ASSERT_WELL(ring_wait(r, ring_inflight(r), 20000));
		for (k = 0; k < LONG_READS; k++)
			request_free(q[k]);
		if (g->stage != STAGE_RUNNING)
			ring_reset(r, 0);
		guest_release(g, mark);
	}
	ASSERT_WELL(guest_prove(g));
}

TEST_HARNESS_MAIN
