// SPDX-License-Identifier: GPL-2.0
/*
 * Regular files whose open file description is shared with other processes: a
 * writeback error reaches the guest even if another process, or another request,
 * was told of it first, and stays.  Flags that are set on the description later
 * make no difference.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "dm.h"
#include "filesystem.h"
#include "ranges.h"
#include "suite.h"

#define T_OUT		VIRTIO_BLK_T_OUT
#define T_IN		VIRTIO_BLK_T_IN
#define T_FLUSH		VIRTIO_BLK_T_FLUSH
#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define ZEROES		BIT64(VIRTIO_BLK_F_WRITE_ZEROES)

/* Which call reports the error first */
enum first { BY_GUEST, BY_SWAP, BY_SAME_FILE, BY_OTHER_FILE, BY_CONFIG, BY_ZEROES };

FIXTURE(wberror) {
	struct backend disk;
	struct dm dm;
	struct filesystem fs;
	struct backend b;
	struct backend other;
	struct guest g;
};

FIXTURE_VARIANT(wberror) {
	enum first first;
};

FIXTURE_VARIANT_ADD(wberror, guest) {
	.first = BY_GUEST,
};

FIXTURE_VARIANT_ADD(wberror, swap) {
	.first = BY_SWAP,
};

FIXTURE_VARIANT_ADD(wberror, same_description) {
	.first = BY_SAME_FILE,
};

FIXTURE_VARIANT_ADD(wberror, other_description) {
	.first = BY_OTHER_FILE,
};

FIXTURE_VARIANT_ADD(wberror, set_config) {
	.first = BY_CONFIG,
};

FIXTURE_VARIANT_ADD(wberror, zeroes) {
	.first = BY_ZEROES,
};

static const char *table(struct dm *dm, struct backend *disk, bool good)
{
	char params[256];

	snprintf(params, sizeof(params), "%s 0", disk->path);
	return dm_replace(dm, disk->size / SECTOR, good ? "linear" : "error", good ? params : "");
}

/* An ext4 whose disk can be told to lose its writes.  A journal would abort after the error. */
static const char *open_fs(struct backend *disk, struct dm *dm, struct filesystem *fs,
			   const char *mkfs)
{
	struct backend_opts below = { .kind = BACKEND_BDEV, .size = 32 << 20, .blank = true };
	const char *why = backend_open_as(disk, &below);
	char params[256];

	if (why)
		return why;
	snprintf(params, sizeof(params), "%s 0", disk->path);
	why = dm_create(dm, disk->size / SECTOR, "linear", params);
	return why ? why : fs_on_device(fs, dm->path, mkfs, "errors=continue");
}

/* Two buffered files on it */
static const char *open_files(struct backend *disk, struct dm *dm, struct filesystem *fs,
			      struct backend *b, struct backend *other)
{
	struct backend_opts file = { .kind = BACKEND_FILE, .dir = fs->dir, .size = 1 << 20 };
	const char *why = open_fs(disk, dm, fs, "-O ^has_journal");

	if (!why)
		why = backend_open_as(b, &file);
	return why ? why : backend_open_as(other, &file);
}

FIXTURE_SETUP(wberror)
{
	const char *why = no_kernel("the model device has a file, which does not fail");

	self->dm.control = -1;
	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = open_files(&self->disk, &self->dm, &self->fs, &self->b, &self->other);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.features_on = ZEROES);
}

FIXTURE_TEARDOWN(wberror)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	backend_close(&self->other);
	fs_close(&self->fs);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->disk);
}

#define ENDS(type, sector, status)							\
	ASSERT_WELL(request_ends(&self->g.ring[0], type, sector,			\
				 (type) == T_FLUSH ? 0 : 4096, status))

static const char *zeroes_fail(struct ring *r)
{
	const struct range range = { 8, 8, 0 };
	struct request *q = ranges_new(r->guest, T_ZEROES, sizeof(range));
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	ranges_arm(q, &range);
	why = request_run(r, q, 60000);
	if (!why && request_status(q) != S_IOERR)
		why = "a write of zeroes succeeds although it is not stable";
	request_free(q);
	return why;
}

/* Make the call that reports the error first; the guest's request before it succeeded. */
static void meet(struct __test_metadata *_metadata, struct guest *g, struct backend *b,
		 struct backend *other, enum first first)
{
	switch (first) {
	case BY_GUEST:
		ASSERT_WELL(request_ends(&g->ring[0], T_FLUSH, 0, 0, S_IOERR));
		break;
	case BY_SWAP:
		ASSERT_EQ(-ENOTRECOVERABLE, guest_set_backend(g, other->fd, 0));
		break;
	case BY_SAME_FILE:
		ASSERT_EQ(-1, fsync(b->fd));
		ASSERT_EQ(EIO, errno);
		break;
	case BY_OTHER_FILE:
		ASSERT_EQ(-1, fsync(b->check_fd));
		ASSERT_EQ(EIO, errno);
		break;
	case BY_CONFIG:
		ASSERT_EQ(-EIO, guest_set_writeback(g, 0));
		break;
	case BY_ZEROES:
		ASSERT_WELL(zeroes_fail(&g->ring[0]));
		break;
	}
}

static void info_says(struct __test_metadata *_metadata, struct guest *g, int error)
{
	struct vhost_blk_info info;

	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(error, info.flush_error);
}

static void attach(struct __test_metadata *_metadata, struct guest *g, struct backend *b)
{
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(0, guest_set_backend(g, b->fd, 0));
	ASSERT_EQ(0, guest_set_running(g, 1));
	g->opts.backend = b;
}

/*
 * Data that the host could not write is lost, and its page then counts as
 * clean: no later flush may claim that everything is stable.
 */
TEST_F_TIMEOUT(wberror, stays, 60)
{
	if (variant->first == BY_ZEROES)
		ASSERT_EQ(0, guest_set_writeback(&self->g, 0));
	ASSERT_WELL(table(&self->dm, &self->disk, false));
	/*
	 * a write by the guest would be made stable by the zeroes, so lose a
	 * write by the host
	 */
	if (variant->first != BY_ZEROES)
		ENDS(T_OUT, 8, S_OK);
	else
		ASSERT_EQ(4096, pwrite(self->b.check_fd, self->b.scratch, 4096, 65536));
	meet(_metadata, &self->g, &self->b, &self->other, variant->first);
	ASSERT_WELL(table(&self->dm, &self->disk, true));
	ENDS(T_FLUSH, 0, S_IOERR);
	ENDS(T_FLUSH, 0, S_IOERR);
	/* reads and writes succeed */
	ENDS(T_IN, 64, S_OK);
	if (variant->first != BY_ZEROES)
		ENDS(T_OUT, 64, S_OK);
	ENDS(T_FLUSH, 0, S_IOERR);
	/* this is not an error of the new backend */
	ASSERT_EQ(-ENOTRECOVERABLE, guest_set_backend(&self->g, self->other.fd, 0));
	info_says(_metadata, &self->g, -EIO);
	/* until another backend is attached, or this one again */
	attach(_metadata, &self->g, &self->other);
	info_says(_metadata, &self->g, 0);
	ENDS(T_OUT, 8, S_OK);
	ENDS(T_FLUSH, 0, S_OK);
	attach(_metadata, &self->g, &self->b);
	ENDS(T_OUT, 8, S_OK);
	ENDS(T_FLUSH, 0, S_OK);
}

/* A flush of a read-only disk has no work to do, even if its file system has an error. */
TEST_F_TIMEOUT(wberror, read_only, 60)
{
	if (variant->first != BY_GUEST)
		SKIP(return, "tested with another variant");
	guest_destroy(&self->g);
	BOOT(.backend_flags = VHOST_BLK_BACKEND_F_RO);
	ASSERT_WELL(table(&self->dm, &self->disk, false));
	ASSERT_EQ(4096, pwrite(self->b.check_fd, self->b.scratch, 4096, 65536));
	ENDS(T_FLUSH, 0, S_OK);
	ASSERT_EQ(-1, fsync(self->b.check_fd));
	ASSERT_WELL(table(&self->dm, &self->disk, true));
}

/* A file with holes, for direct I/O, on an ext4 that writes to holes through the page cache */
FIXTURE(holes) {
	struct backend disk;
	struct dm dm;
	struct filesystem fs;
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(holes)
{
	struct backend_opts file = {
		.kind = BACKEND_FILE, .dir = self->fs.dir, .direct = true, .size = 1 << 20,
		.blank = true,
	};
	const char *why = no_kernel("the model device has a file, which does not fail");

	self->dm.control = -1;
	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = open_fs(&self->disk, &self->dm, &self->fs,
			      "-O ^has_journal,^extents,^64bit");
	if (!why)
		why = backend_open_as(&self->b, &file);
	if (why)
		SKIP(return, "%s", why);
	BOOT();
}

FIXTURE_TEARDOWN(holes)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	fs_close(&self->fs);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->disk);
}

#define WRITES	32

static const char *send_writes(struct guest *g, struct request **q)
{
	struct ring *r = &g->ring[0];
	unsigned int i;

	for (i = 0; i < WRITES; i++) {
		q[i] = request_new(g, T_OUT, 512 + 16 * i, 4096);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_arm(q[i], i);
		if (ring_add(r, q[i]))
			return "the ring is full";
	}
	ring_kick_now(r);
	/* time for all of them to wait for the disk */
	usleep(500000);
	return NULL;
}

/*
 * Stable writes fail at the same time.  The kernel reports a writeback error once
 * for each open file, but none of the writes is stable.
 */
TEST_F_TIMEOUT(holes, all_fail, 60)
{
	struct request *q[WRITES];
	unsigned int i, good = 0;

	ASSERT_EQ(0, guest_set_writeback(&self->g, 0));
	/* after that the file system has its metadata in memory */
	ENDS(T_OUT, 0, S_OK);
	ASSERT_WELL(dm_suspend(&self->dm));
	ASSERT_WELL(send_writes(&self->g, q));
	ASSERT_WELL(table(&self->dm, &self->disk, false));
	ASSERT_WELL(ring_wait(&self->g.ring[0], WRITES, 20000));
	for (i = 0; i < WRITES; i++) {
		good += request_status(q[i]) == S_OK;
		request_free(q[i]);
	}
	EXPECT_EQ(0, good);
	ASSERT_WELL(table(&self->dm, &self->disk, true));
}

FIXTURE(flags) {
	struct backend b;
	struct guest g;
	struct rng rng;
};

FIXTURE_VARIANT(flags) {
	bool direct;
};

FIXTURE_VARIANT_ADD(flags, direct) {
	.direct = true,
};

FIXTURE_VARIANT_ADD(flags, buffered) {
	.direct = false,
};

FIXTURE_SETUP(flags)
{
	const char *why = no_kernel("the model device uses the current flags");

	if (!why)
		why = backend_open(&self->b, BACKEND_FILE, variant->direct);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	BOOT(.features_on = ZEROES);
}

FIXTURE_TEARDOWN(flags)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* Write from any address, which a buffered file accepts and a direct one does not. */
static const char *write_odd(struct ring *r, uint64_t sector, struct rng *rng)
{
	struct request *q = request_new(r->guest, T_OUT, sector, 4096);
	uint64_t mark = r->guest->bump;
	const char *why;

	request_cut_random(q, rng, 6);
	request_place(q, PLACE_SCATTER, rng);
	request_arm(q, sector);
	why = request_verify(r, q, S_OK);
	request_free(q);
	guest_release(r->guest, mark);
	return why;
}

/* The flags at the time when the file was attached are in effect. */
TEST_F_TIMEOUT(flags, set_later, 60)
{
	static const int set[] = {
		O_APPEND, O_DIRECT, O_APPEND | O_DIRECT, 0, O_DIRECT, O_APPEND, 0,
	};
	struct ring *r = &self->g.ring[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(set); i++) {
		ASSERT_EQ(0, fcntl(self->b.fd, F_SETFL, set[i]));
		ASSERT_WELL(request_simple(r, T_OUT, 16 * i, 4096, S_OK));
		ASSERT_WELL(write_odd(r, 16 * i + 8, &self->rng));
		ASSERT_WELL(range_run(r, T_ZEROES, 1024 + 3 * i, 5, 0, S_OK));
		ASSERT_WELL(request_simple(r, T_IN, 16 * i, 8192, S_OK));
		/* nothing was appended to the file */
		ASSERT_EQ((off_t)self->b.size, lseek(self->b.check_fd, 0, SEEK_END));
	}
	ASSERT_WELL(backend_compare_all(&self->b));
}

TEST_HARNESS_MAIN
