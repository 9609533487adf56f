// SPDX-License-Identifier: GPL-2.0
/*
 * The worker must not hold the mutex of the queue while it waits: for a tag of a
 * disk that has fewer tags than the guest has requests, whether or not the
 * disk's driver can report that it would have to wait (REQ_NOWAIT); nor for a
 * write to a file to become stable, a read ahead, or the writeback of a page.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"
#include "dm.h"
#include "filesystem.h"
#include "ranges.h"
#include "suite.h"
#include "trace.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR

/* More than the disk's tag and the requests that an I/O scheduler holds */
#define REQUESTS	6
#define NSEC		1000000000

FIXTURE(nowait) {
	struct backend disk;
	struct dm dm;
	struct backend b;
	struct guest g;
	struct request *q[REQUESTS];
};

FIXTURE_VARIANT(nowait) {
	bool zoned;
	bool dm;
};

FIXTURE_VARIANT_ADD(nowait, disk) {
	.zoned = false,
};

/* Without REQ_NOWAIT: writes to zones must stay in order. */
FIXTURE_VARIANT_ADD(nowait, zoned) {
	.zoned = true,
};

/* Without REQ_NOWAIT before Linux 6.16 */
FIXTURE_VARIANT_ADD(nowait, dm) {
	.dm = true,
};

/* The tests use only conventional zones. */
static const struct nullb_attr one_tag[] = {
	{ "hw_queue_depth", "1" }, { "irqmode", "2" }, { "completion_nsec", "1000000000" },
	{ NULL, NULL },
};

static const struct nullb_attr one_tag_zoned[] = {
	{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" },
	{ "hw_queue_depth", "1" }, { "irqmode", "2" }, { "completion_nsec", "1000000000" },
	{ NULL, NULL },
};

/* Put a device mapper device on the disk. */
static const char *put_dm_between(struct dm *dm, struct backend *disk, struct backend *b)
{
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	char params[256];
	const char *why;

	snprintf(params, sizeof(params), "%s 0", disk->path);
	why = dm_create(dm, disk->size / SECTOR, "linear", params);
	opts.path = dm->path;
	return why ? why : backend_open_as(b, &opts);
}

FIXTURE_SETUP(nowait)
{
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .size = 4 << 20, .blank = true,
		.nullb = variant->zoned ? one_tag_zoned : one_tag,
	};
	const char *why = no_kernel("the model device never has requests in flight");

	self->dm.control = -1;
	backend_none(&self->disk);
	if (!why)
		why = backend_open_as(variant->dm ? &self->disk : &self->b, &opts);
	if (!why && variant->dm)
		why = put_dm_between(&self->dm, &self->disk, &self->b);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
}

FIXTURE_TEARDOWN(nowait)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->disk);
}

static const char *submit(struct request **q, struct ring *r, bool large)
{
	uint32_t len = large ? 64 << 10 : 4096;
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		/* far apart, so that they are not merged */
		q[i] = request_new(r->guest, i & 1 ? T_IN : T_OUT, i * 300, len);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_arm(q[i], i);
		if (ring_add(r, q[i]))
			return "the ring is full";
	}
	ring_kick(r);
	return NULL;
}

static const char *finish(struct request **q, struct ring *r)
{
	const char *why = ring_wait(r, REQUESTS, 60000);
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		if (!why && request_status(q[i]) != S_OK)
			why = guest_say(r->guest, "request %u: status %u", i,
					request_status(q[i]));
		request_free(q[i]);
	}
	return why;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* An ioctl that takes the mutex of the queue is faster than one request to the disk. */
TEST_F_TIMEOUT(nowait, ioctl, 60)
{
	struct ring *r = &self->g.ring[0];
	struct vhost_vring_file f = { .index = 0, .fd = r->call };
	unsigned int i;
	uint64_t start;

	for (i = 0; i < 2; i++) {
		ASSERT_WELL(submit(self->q, r, i));
		/* the worker has started */
		usleep(NSEC / 1000 / 4);
		start = now();
		ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_VRING_CALL, &f));
		EXPECT_GT(NSEC, now() - start);
		ASSERT_WELL(finish(self->q, r));
	}
}

/* Another queue of the same worker works: its request needs no tag. */
TEST_F_TIMEOUT(nowait, other_queue, 60)
{
	struct ring *r = &self->g.ring[0];
	uint64_t start;

	ASSERT_WELL(submit(self->q, r, false));
	usleep(NSEC / 1000 / 4);
	start = now();
	ASSERT_WELL(request_ends(&self->g.ring[1], VIRTIO_BLK_T_GET_ID, 0, 20, S_OK));
	EXPECT_GT(NSEC, now() - start);
	ASSERT_WELL(finish(self->q, r));
}

/* A stop waits for the requests in the workqueue, and they complete. */
TEST_F_TIMEOUT(nowait, stop, 60)
{
	struct ring *r = &self->g.ring[0];

	ASSERT_WELL(submit(self->q, r, false));
	usleep(NSEC / 1000 / 4);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_WELL(finish(self->q, r));
	EXPECT_EQ(0, ring_inflight(r));
}

/* Only the status of zeroes is checked. */
static const char *zeroes_end(struct ring *r, uint64_t sector, uint32_t sectors, uint8_t status)
{
	struct range range = { .sector = sector, .sectors = sectors };
	struct request *q = ranges_new(r->guest, VIRTIO_BLK_T_WRITE_ZEROES, sizeof(range));
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	ranges_arm(q, &range);
	why = request_run(r, q, 20000);
	if (!why && request_status(q) != status)
		why = guest_say(r->guest, "status %u, must be %u", request_status(q), status);
	request_free(q);
	return why;
}

/*
 * Another table adds zones.  Then writes must stay in order, as with variant
 * zoned, and ranges are refused.
 */
TEST_F_TIMEOUT(nowait, became_zoned, 60)
{
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .size = 4 << 20, .blank = true,
		.nullb = one_tag_zoned,
	};
	struct backend zoned;
	char params[256];
	const char *why;
	struct stat st;

	if (!variant->dm)
		SKIP(return, "only for device mapper");
	why = backend_open_as(&zoned, &opts);
	if (why)
		SKIP(return, "%s", why);
	snprintf(params, sizeof(params), "%s 0", zoned.path);
	why = dm_replace(&self->dm, zoned.size / SECTOR, "linear", params);
	if (!why && fstat(self->b.fd, &st))
		why = "no fstat()";
	if (!why)
		why = trace_bios_begin(st.st_rdev);
	if (!why) {
		EXPECT_EQ(NULL, request_ends(&self->g.ring[0], T_OUT, 0, 4096, S_OK));
		EXPECT_TRUE(trace_worker_bio(1000))
			TH_LOG("the worker has submitted the write");
		fclose(trace_bios_end());
		EXPECT_EQ(NULL, zeroes_end(&self->g.ring[0], 0, 8192, S_IOERR));
	}
	/* before the disk can be removed */
	guest_close(&self->g);
	backend_close(&self->b);
	dm_remove(&self->dm);
	backend_close(&zoned);
	if (why)
		SKIP(return, "%s", why);
}

/*
 * A file whose disk hangs.  XFS and btrfs can write to the page cache without
 * waiting, but then write the data to the disk if it must be stable.
 */
FIXTURE(stable) {
	struct backend disk;
	struct dm dm;
	struct filesystem fs;
	struct backend b;
	struct guest g;
	bool hangs;
};

FIXTURE_VARIANT(stable) {
	const char *type;
	bool nocow;
	/* why a write must be stable, unless the guest has no write cache */
	bool dsync;	/* the file is opened with O_DSYNC */
	bool chattr;	/* its inode has FS_SYNC_FL */
};

FIXTURE_VARIANT_ADD(stable, ext4) {
	.type = "ext4",
};

FIXTURE_VARIANT_ADD(stable, xfs) {
	.type = "xfs",
};

FIXTURE_VARIANT_ADD(stable, xfs_dsync) {
	.type = "xfs", .dsync = true,
};

FIXTURE_VARIANT_ADD(stable, xfs_chattr) {
	.type = "xfs", .chattr = true,
};

FIXTURE_VARIANT_ADD(stable, btrfs) {
	.type = "btrfs", .nocow = true,
};

FIXTURE_VARIANT_ADD(stable, btrfs_dsync) {
	.type = "btrfs", .nocow = true, .dsync = true,
};

FIXTURE_VARIANT_ADD(stable, btrfs_chattr) {
	.type = "btrfs", .nocow = true, .chattr = true,
};

#define FS_BYTES	(64U << 20)
#define WRITES		60	/* of a train, which takes longer than some ticks of the clock */
#define READ_SECTOR	4096	/* of a block that no write touches */
#define LINGER		5500	/* see vhost_blk_backend_hang.c */

/* Open the file again with O_DSYNC. */
static const char *open_dsync(struct backend *b)
{
	int fd = backend_reopen(b, O_RDWR | O_DSYNC);

	if (fd < 0 || dup2(fd, b->fd) < 0)
		return "the file can't be opened with O_DSYNC";
	close(fd);
	return NULL;
}

/* chattr +S */
static const char *set_sync(struct backend *b)
{
	int flags = 0;

	if (ioctl(b->fd, FS_IOC_GETFLAGS, &flags))
		return "no FS_IOC_GETFLAGS";
	flags |= FS_SYNC_FL;
	return ioctl(b->fd, FS_IOC_SETFLAGS, &flags) ? "no chattr +S" : NULL;
}

static void close_disks(struct _test_data_stable *self)
{
	backend_close(&self->b);
	fs_close(&self->fs);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->disk);
}

FIXTURE_SETUP(stable)
{
	struct backend_opts disk = {
		.kind = BACKEND_LOOP, .direct = true, .size = FS_BYTES, .blank = true,
	};
	struct backend_opts file = { .kind = BACKEND_FILE, .dir = self->fs.dir };
	const char *why = no_kernel("the model device never has requests in flight");
	char params[256];

	self->dm.control = -1;
	backend_none(&self->disk);
	self->b = self->disk;
	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = backend_open_as(&self->disk, &disk);
	snprintf(params, sizeof(params), "%s 0", self->disk.path);
	if (!why)
		why = dm_create(&self->dm, self->disk.size / SECTOR, "linear", params);
	if (!why)
		why = fs_type_on_device(&self->fs, variant->type, self->dm.path, "", "");
	if (!why && variant->nocow)
		why = fs_set_nocow(&self->fs);
	if (!why)
		why = backend_open_as(&self->b, &file);
	if (!why && variant->dsync)
		why = open_dsync(&self->b);
	if (!why && variant->chattr)
		why = set_sync(&self->b);
	if (why) {
		/* the harness does not call the teardown */
		close_disks(self);
		SKIP(return, "%s", why);
	}
	/* no data of the setup is left to be written */
	ASSERT_EQ(0, fsync(self->b.fd));
}

FIXTURE_TEARDOWN(stable)
{
	if (self->hangs)
		dm_resume(&self->dm);
	guest_destroy(&self->g);
	close_disks(self);
}

static bool has_cache(const struct _fixture_variant_stable *v)
{
	return v->dsync || v->chattr;
}

/* Start the guest, and read a block, so that the page cache has it. */
static const char *start_stable(struct guest *g, struct backend *b, bool writeback)
{
	struct guest_opts opts = { .backend = b, .queues = 2 };
	const char *why;

	guest_init(g, &opts);
	why = guest_boot(g);
	if (!why && guest_set_writeback(g, writeback))
		why = "the cache mode can't be set";
	return why ? why : request_simple(&g->ring[1], T_IN, READ_SECTOR, 4096, S_OK);
}

/*
 * Send stable writes for longer than a tick of the clock.  The file system
 * cannot change the file's times without waiting, so it refuses a write that is
 * the first in a tick.
 */
static const char *write_train(struct guest *g, struct request **q)
{
	struct ring *r = &g->ring[0];
	unsigned int i;

	for (i = 0; i < WRITES; i++) {
		q[i] = request_new(g, T_OUT, 8 * i, 4096);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_set_indirect(q[i], true);
		request_arm(q[i], i);
		if (ring_add(r, q[i]))
			return "the ring is full";
		ring_kick_now(r);
		usleep(1000);
	}
	return NULL;
}

/* While a write waits for the disk, ioctls return and another queue is served. */
TEST_F_TIMEOUT(stable, hung, 120)
{
	struct caller c;
	struct request *q[WRITES], *read;
	struct ring *r;
	unsigned int i;

	ASSERT_WELL(start_stable(&self->g, &self->b, has_cache(variant)));
	r = &self->g.ring[0];
	read = request_new(&self->g, T_IN, READ_SECTOR, 4096);
	request_cut_usual(read);
	request_place(read, PLACE_ALIGNED, NULL);
	request_arm(read, 1);
	ASSERT_WELL(dm_suspend(&self->dm));
	self->hangs = true;
	ASSERT_WELL(write_train(&self->g, q));
	EXPECT_EQ(0, ring_device_idx(r))
		TH_LOG("the disk does not hang");
	EXPECT_EQ(NULL, request_run(&self->g.ring[1], read, 1000))
		TH_LOG("the worker does not serve the other queue");
	ASSERT_EQ(0, caller_start(&c, &self->g));
	EXPECT_TRUE(caller_returns(&c, 1000))
		TH_LOG("the worker holds the mutex of the queue");
	self->hangs = false;
	ASSERT_WELL(dm_resume(&self->dm));
	caller_join(&c);
	EXPECT_EQ(0, c.ret);
	ASSERT_WELL(ring_wait(r, WRITES, 20000));
	for (i = 0; i < WRITES; i++) {
		EXPECT_EQ(S_OK, request_status(q[i]));
		backend_model_write(&self->b, 4096 * i, q[i]->data, q[i]->len);
		request_free(q[i]);
	}
	ASSERT_EQ(1, read->done);
	request_free(read);
	ASSERT_WELL(guest_prove(&self->g));
	ASSERT_WELL(backend_compare_all(&self->b));
}

static void vmm_of_stable(struct guest *g, struct backend *b, struct dm *dm,
			  const struct _fixture_variant_stable *v, int said)
{
	struct request *q[WRITES];

	/* a file of its own, which the kernel locks as long as the device has it */
	if (backend_reopen_locked(b, O_RDWR | (v->dsync ? O_DSYNC : 0)))
		_exit(1);
	if (start_stable(g, b, has_cache(v)) || dm_suspend(dm) || write_train(g, q) ||
	    write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static bool exits(pid_t pid, unsigned int ms)
{
	int ret;

	while ((ret = waitpid(pid, NULL, WNOHANG)) == 0 && ms--)
		usleep(1000);
	return ret == pid;
}

/* The VMM can be killed while such writes wait for the disk. */
TEST_F_TIMEOUT(stable, killed, 120)
{
	int said[2];
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(said));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		vmm_of_stable(&self->g, &self->b, &self->dm, variant, said[1]);
	close(said[1]);
	ASSERT_EQ(1, read(said[0], &byte, 1));
	close(said[0]);
	self->hangs = true;
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_TRUE(exits(pid, LINGER))
		TH_LOG("the VMM does not exit");
	self->hangs = false;
	ASSERT_WELL(dm_resume(&self->dm));
	exits(pid, 20000);
	ASSERT_TRUE(backend_let_go(self->b.check_fd, 20000));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(start_stable(&self->g, &self->b, has_cache(variant)));
	ASSERT_WELL(guest_prove(&self->g));
}

/*
 * A file in the page cache.  Its file system is on a loop device, or on device
 * mapper, which hangs.
 */
struct cached {
	struct backend disk;
	struct dm dm;
	int below;		/* descriptor of the device below the loop device, else -1 */
	int loop;		/* descriptor of the loop device, else -1 */
	char path[32];		/* the device with the file system */
	struct filesystem fs;
	struct backend b;
	struct guest g;
	bool hangs;
};

/* more requests than the disk has tags, see put_loop_on(); not in the page cache */
#define READ_BYTES	(1024U * 1024)
#define READ_AT		(52U << 20)

/* An attribute of the request queue of a device */
static const char *set_queue(const char *path, const char *name, const char *value)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(path, '/') + 1);
	return put_attr(dir, name, value) ? "an attribute of a disk can't be set" : NULL;
}

/* Put a loop device on the device that hangs.  Its requests are small. */
static const char *put_loop_on(struct cached *c)
{
	c->below = open(c->dm.path, O_RDWR | O_CLOEXEC);
	if (c->below < 0)
		return "the device of device mapper can't be opened";
	c->loop = loop_attach(c->below, 0, c->path, sizeof(c->path));
	if (c->loop < 0)
		return "no loop device";
	if (ioctl(c->loop, LOOP_SET_DIRECT_IO, 1UL))
		return "the loop device does not use direct I/O";
	return set_queue(c->path, "max_sectors_kb", "4");
}

enum {
	CACHED_LOOP	= 1,	/* a loop device is between device mapper and file system */
	CACHED_STABLE	= 2,	/* the disk wants data that does not change during a write */
	CACHED_JOURNAL	= 4,	/* O_DIRECT, see set_journal() */
};

/* chattr +j: ext4 uses the page cache for this file, also with O_DIRECT. */
static const char *set_journal(struct backend *b)
{
	int flags = 0;

	if (ioctl(b->fd, FS_IOC_GETFLAGS, &flags))
		return "no FS_IOC_GETFLAGS";
	flags |= FS_JOURNAL_DATA_FL;
	return ioctl(b->fd, FS_IOC_SETFLAGS, &flags) ? "no chattr +j" : NULL;
}

static const char *cached_open(struct cached *c, const char *type, unsigned int how)
{
	struct backend_opts disk = {
		.kind = BACKEND_LOOP, .direct = true, .size = FS_BYTES, .blank = true,
	};
	struct backend_opts file = {
		.kind = BACKEND_FILE, .dir = c->fs.dir, .direct = how & CACHED_JOURNAL,
	};
	const char *why = no_kernel("the model device never has requests in flight");
	char params[256];

	c->dm.control = -1;
	c->below = -1;
	c->loop = -1;
	backend_none(&c->disk);
	c->b = c->disk;
	c->fs.image = -1;
	c->fs.loop = -1;
	if (!why)
		why = backend_open_as(&c->disk, &disk);
	/* device mapper inherits it */
	if (!why && (how & CACHED_STABLE))
		why = set_queue(c->disk.path, "stable_writes", "1");
	snprintf(params, sizeof(params), "%s 0", c->disk.path);
	if (!why)
		why = dm_create(&c->dm, c->disk.size / SECTOR, "linear", params);
	snprintf(c->path, sizeof(c->path), "%s", c->dm.path);
	if (!why && (how & CACHED_LOOP))
		why = put_loop_on(c);
	if (!why)
		why = fs_type_on_device(&c->fs, type, c->path, "",
					how & CACHED_JOURNAL ? "nodelalloc" : "");
	if (!why && !strcmp(type, "btrfs"))
		why = fs_set_nocow(&c->fs);
	if (!why)
		why = backend_open_as(&c->b, &file);
	if (!why && (how & CACHED_JOURNAL))
		why = set_journal(&c->b);
	return why;
}

static void cached_close(struct cached *c)
{
	if (c->hangs)
		dm_resume(&c->dm);
	guest_destroy(&c->g);
	backend_close(&c->b);
	fs_close(&c->fs);
	if (c->loop >= 0)
		loop_detach(c->loop);
	if (c->below >= 0)
		close(c->below);
	if (c->dm.control >= 0)
		dm_remove(&c->dm);
	backend_close(&c->disk);
}

static const char *cached_hang(struct cached *c, bool on)
{
	c->hangs = on;
	return on ? dm_suspend(&c->dm) : dm_resume(&c->dm);
}

/* A request on the first queue; it is added. */
static struct request *cached_send(struct guest *g, uint32_t type, uint64_t sector)
{
	struct request *q = request_new(g, type, sector, 4096);

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, sector);
	ring_add(&g->ring[0], q);
	ring_kick(&g->ring[0]);
	return q;
}

/*
 * While a request waits, an ioctl returns, and another queue is served.  Then the
 * disk works again.
 */
static const char *worker_is_free(struct cached *c)
{
	struct request *id = request_new(&c->g, VIRTIO_BLK_T_GET_ID, 0, 20);
	const char *why = NULL, *late;
	struct caller caller;

	request_cut_usual(id);
	request_place(id, PLACE_ALIGNED, NULL);
	request_arm(id, 1);
	usleep(100000);
	if (!ring_inflight(&c->g.ring[0]) || ring_device_idx(&c->g.ring[0]) !=
	    c->g.ring[0].used_idx)
		why = "the request does not wait";
	if (!why && request_run(&c->g.ring[1], id, 1000))
		why = "the worker does not serve the other queue";
	if (caller_start(&caller, &c->g))
		return "no thread";
	if (!caller_returns(&caller, 1000))
		why = "the worker holds the mutex of the queue";
	late = cached_hang(c, false);
	caller_join(&caller);
	if (!late)
		late = ring_wait(&c->g.ring[1], ring_inflight(&c->g.ring[1]), 20000);
	request_free(id);
	return why ? why : late;
}

/* Nothing of the file is in the page cache, and the disk has no tag for a read ahead. */
FIXTURE(uncached) {
	struct cached c;
};

FIXTURE_VARIANT(uncached) {
	const char *type;
	unsigned int how;
};

FIXTURE_VARIANT_ADD(uncached, ext4) {
	.type = "ext4",
};

FIXTURE_VARIANT_ADD(uncached, ext4_journal) {
	.type = "ext4", .how = CACHED_JOURNAL,
};

FIXTURE_VARIANT_ADD(uncached, xfs) {
	.type = "xfs",
};

FIXTURE_SETUP(uncached)
{
	const char *why = cached_open(&self->c, variant->type, CACHED_LOOP | variant->how);

	if (why) {
		/* the harness does not call the teardown */
		cached_close(&self->c);
		SKIP(return, "%s", why);
	}
}

FIXTURE_TEARDOWN(uncached)
{
	cached_close(&self->c);
}

/* A thread that reads the disk itself */
static void *read_disk(void *arg)
{
	int fd = open(arg, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t len = -1;
	void *data;

	if (!posix_memalign(&data, 4096, READ_BYTES)) {
		len = pread(fd, data, READ_BYTES, READ_AT);
		free(data);
	}
	close(fd);
	return (void *)(uintptr_t)(len == READ_BYTES);
}

TEST_F_TIMEOUT(uncached, read, 60)
{
	struct cached *c = &self->c;
	struct request *q;
	const char *why;
	pthread_t reader;
	void *ok;

	ASSERT_WELL(start_stable(&c->g, &c->b, true));
	/* the access time of the file is up to date */
	ASSERT_EQ(0, fsync(c->b.check_fd));
	ASSERT_EQ(0, posix_fadvise(c->b.check_fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_WELL(cached_hang(c, true));
	ASSERT_EQ(0, pthread_create(&reader, NULL, read_disk, c->path));
	usleep(100000);
	q = cached_send(&c->g, T_IN, 0);
	why = worker_is_free(c);
	EXPECT_EQ(NULL, why)
		TH_LOG("%s", why);
	pthread_join(reader, &ok);
	EXPECT_NE(NULL, ok);
	ASSERT_WELL(ring_wait(&c->g.ring[0], 1, 20000));
	ASSERT_WELL(request_outcome(q, S_OK));
	request_free(q);
	ASSERT_WELL(guest_prove(&c->g));
}

/* A write waits until the data that its page had before is on the disk. */
FIXTURE(rewrite) {
	struct cached c;
};

FIXTURE_VARIANT(rewrite) {
	const char *type;
	unsigned int how;
};

FIXTURE_VARIANT_ADD(rewrite, xfs) {
	.type = "xfs", .how = CACHED_STABLE,
};

/* The file system itself waits. */
FIXTURE_VARIANT_ADD(rewrite, btrfs) {
	.type = "btrfs",
};

FIXTURE_SETUP(rewrite)
{
	const char *why = cached_open(&self->c, variant->type, variant->how);

	if (why) {
		/* the harness does not call the teardown */
		cached_close(&self->c);
		SKIP(return, "%s", why);
	}
}

FIXTURE_TEARDOWN(rewrite)
{
	cached_close(&self->c);
}

TEST_F_TIMEOUT(rewrite, under_writeback, 60)
{
	struct cached *c = &self->c;
	struct request *q[3];
	const char *why;
	unsigned int i;

	ASSERT_EQ(0, fsync(c->b.fd));
	ASSERT_WELL(start_stable(&c->g, &c->b, true));
	q[0] = cached_send(&c->g, T_OUT, 0);
	ASSERT_WELL(ring_wait(&c->g.ring[0], 1, 10000));
	ASSERT_WELL(cached_hang(c, true));
	EXPECT_EQ(0, sync_file_range(c->b.check_fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	/*
	 * So that the times of the file need not be changed again.  Not the same
	 * folio.
	 */
	q[1] = cached_send(&c->g, T_OUT, READ_SECTOR + 8);
	EXPECT_EQ(NULL, ring_wait(&c->g.ring[0], 1, 10000));
	q[2] = cached_send(&c->g, T_OUT, 0);
	why = worker_is_free(c);
	EXPECT_EQ(NULL, why)
		TH_LOG("%s", why);
	ASSERT_WELL(ring_wait(&c->g.ring[0], ring_inflight(&c->g.ring[0]), 20000));
	for (i = 0; i < ARRAY_SIZE(q); i++) {
		EXPECT_EQ(S_OK, request_status(q[i]));
		backend_model_write(&c->b, q[i]->sector * SECTOR, q[i]->data, q[i]->len);
		request_free(q[i]);
	}
	ASSERT_WELL(guest_prove(&c->g));
	ASSERT_WELL(backend_compare_all(&c->b));
}

TEST_HARNESS_MAIN
