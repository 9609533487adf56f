// SPDX-License-Identifier: GPL-2.0
/*
 * Backends that fail: each request completes once, with the right status, and
 * the device works as before once its backend does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "scsi.h"
#include "ranges.h"
#include "suite-mapped.h"
#include "traffic.h"

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Every request that needs the disk fails; requests that do not need it succeed. */
TEST_F(mapped, error)
{
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "error", ""));
	ENDS(T_IN, 8, 8, S_IOERR);
	ENDS(T_OUT, 8, 8, S_IOERR);
	ENDS(T_IN, 0, 1, S_IOERR);
	ASSERT_WELL(request_ends(&self->g.ring[0], T_GET_ID, 0, 20, S_OK));
	ASSERT_WELL(linear(&self->dm, &self->below));
	GOOD();
}

/*
 * If a write fails on a zoned disk, the driver asks the disk for the reason;
 * this disk has no zones any more.
 */
TEST_F(faults, zones_lost)
{
	static const struct nullb_attr zoned[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { NULL, NULL },
	};
	struct backend_opts disk = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = zoned, .blank = true,
	};
	struct backend below;
	struct dm dm;
	const char *why = backend_open_as(&below, &disk);

	if (!why)
		why = open_mapped(&self->b, &dm, &below, true);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_ZONED));
	ENDS(T_OUT, 0, 8, S_OK);
	ASSERT_WELL(dm_replace(&dm, below.size / SECTOR, "error", ""));
	ENDS(T_OUT, 8, 8, S_IOERR);
	guest_destroy(&self->g);
	backend_close(&self->b);
	dm_remove(&dm);
	backend_close(&below);
}

/* The disk can still be read. */
TEST_F(mapped, flakey_writes)
{
	char params[256];

	snprintf(params, sizeof(params), "%s 0 0 3600 1 error_writes", self->below.path);
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "flakey", params));
	ENDS(T_OUT, 16, 8, S_IOERR);
	ENDS(T_IN, 16, 8, S_OK);
	ENDS(T_FLUSH, 0, 0, S_IOERR);
	ASSERT_WELL(linear(&self->dm, &self->below));
	GOOD();
	/* the data that was in the disk's cache may be lost */
	ENDS(T_FLUSH, 0, 0, S_IOERR);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, 0));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ENDS(T_FLUSH, 0, 0, S_OK);
}

static long flush(struct guest *g)
{
	return guest_ioctl(g, VHOST_BLK_FLUSH, NULL);
}

static int flush_error(struct guest *g)
{
	struct vhost_blk_info info = {};

	return guest_ioctl(g, VHOST_BLK_GET_INFO, &info) ? : info.flush_error;
}

/*
 * The VMM flushes a stopped device, and the flush fails.  The guest does not know
 * that its data may be lost, so its own flush must fail when it runs again.
 */
TEST_F(mapped, flush_of_vmm)
{
	char params[256];

	ENDS(T_OUT, 16, 8, S_OK);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	snprintf(params, sizeof(params), "%s 0 0 3600 1 error_writes", self->below.path);
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "flakey", params));
	EXPECT_EQ(EIO, -flush(&self->g));
	EXPECT_EQ(-EIO, flush_error(&self->g));
	ASSERT_WELL(linear(&self->dm, &self->below));
	EXPECT_EQ(EIO, -flush(&self->g));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	EXPECT_EQ(EIO, -flush(&self->g));
	ENDS(T_FLUSH, 0, 0, S_IOERR);
	ENDS(T_OUT, 16, 8, S_OK);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, 0));
	EXPECT_EQ(0, flush(&self->g));
	EXPECT_EQ(0, flush_error(&self->g));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ENDS(T_FLUSH, 0, 0, S_OK);
	GOOD();
}

/* A flush does not wait for requests: here a read takes seconds, and a flush no time. */
TEST_F_TIMEOUT(mapped, flush_beside_read, 60)
{
	struct ring *r = &self->g.ring[0];
	struct request *q = request_new(&self->g, T_IN, 8, 4096);
	struct vhost_blk_vring_info info = {};
	char params[3 * sizeof(self->below.path) + 32];
	long long start;

	snprintf(params, sizeof(params), "%s 0 3000 %s 0 0 %s 0 0", self->below.path,
		 self->below.path, self->below.path);
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "delay", params));
	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_arm(q, 7);
	start = now_ms();
	ring_add(r, q);
	ring_kick_now(r);
	while (!info.inflight && now_ms() - start < 1000)
		ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(1, info.inflight);
	EXPECT_EQ(0, flush(&self->g));
	EXPECT_GT(2000, now_ms() - start);
	EXPECT_EQ(0, ring_device_idx(r));
	ASSERT_WELL(ring_wait(r, 1, 20000));
	EXPECT_EQ(S_OK, request_status(q));
	request_free(q);
	ASSERT_WELL(linear(&self->dm, &self->below));
	GOOD();
}

/* The disk drops writes silently. The device cannot know, and reports no error. */
TEST_F(mapped, flakey_drops)
{
	char params[256];

	snprintf(params, sizeof(params), "%s 0 0 3600 1 drop_writes", self->below.path);
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "flakey", params));
	ENDS(T_OUT, 16, 8, S_OK);
	ENDS(T_IN, 16, 8, S_OK);
	ASSERT_WELL(linear(&self->dm, &self->below));
	GOOD();
}

/* A slow disk is not a failing disk, and its requests don't wait for each other. */
TEST_F_TIMEOUT(mapped, delay, 60)
{
	struct traffic t = { .depth = 40, .total = 80, .wait = WAIT_CALL };
	char params[256];
	long long start;

	snprintf(params, sizeof(params), "%s 0 200", self->below.path);
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "delay", params));
	t.ring = &self->g.ring[0];
	start = now_ms();
	ASSERT_WELL(traffic_run(&t));
	ASSERT_LE(200 * 80 / 40, now_ms() - start);
	ASSERT_GT(200 * 80 / 4, now_ms() - start);
	ASSERT_WELL(linear(&self->dm, &self->below));
	GOOD();
}

/* Bad blocks: exactly the requests that touch one fail. */
TEST_F(faults, bad_blocks)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	const char *why = backend_open_as(&self->b, &disk);
	unsigned int i;

	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "+100-107"));
	ENDS(T_IN, 100, 8, S_IOERR);
	ENDS(T_OUT, 100, 8, S_IOERR);
	for (i = 0; i < scaled(200, 60); i++) {
		uint64_t sector = 80 + rng_below(&self->rng, 40);
		unsigned int n = 1 + rng_below(&self->rng, 20);
		bool bad = sector <= 107 && sector + n > 100;

		ENDS(T_IN, sector, n, bad ? S_IOERR : S_OK);
	}
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-100-107"));
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
}

#define WINDOW	(128U << 10)	/* bytes that are copied at a time for one request: 32 pages */

/*
 * A read with unaligned data, which is copied in three steps; the second one
 * fails.  The data of the first step does not count: the guest sees that
 * nothing was read.
 */
static const char *fails_half_way(struct guest *g, bool status_apart)
{
	const uint32_t len = 3 * WINDOW;
	struct request *q = request_new(g, T_IN, 0, len);
	uint8_t *got = malloc(len), untouched = STATUS_POISON;
	uint64_t mark = g->bump, at = guest_alloc(g, HDR_LEN, 16);
	const char *why;
	uint32_t i;

	request_cut(q, NULL, 0, &len, status_apart);
	request_place_at(q, at, guest_alloc(g, q->in_len + 1, 4096) + 1);
	request_arm(q, 1);
	why = request_run(&g->ring[0], q, 60000);
	request_read_in(q, got);
	if (!why && request_status(q) != S_IOERR)
		why = guest_say(g, "status %u", request_status(q));
	if (!why && q->used_len)
		why = guest_say(g, "used.len %u, must be 0", q->used_len);
	if (!why && memcmp(got, g->opts.backend->model, WINDOW))
		why = "the first step has written nothing: the read is not done in three steps";
	for (i = WINDOW; !why && i < len; i++)
		if (got[i] != untouched)
			why = guest_say(g, "byte %u was written", i);
	free(got);
	request_free(q);
	guest_release(g, mark);
	return why;
}

TEST_F(faults, half_way)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	const char *why = backend_open_as(&self->b, &disk);

	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "+384-391"));
	EXPECT_EQ(NULL, fails_half_way(&self->g, true))
		TH_LOG("%s", self->g.why);
	EXPECT_EQ(NULL, fails_half_way(&self->g, false))
		TH_LOG("%s", self->g.why);
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-384-391"));
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* Enable one kind of null_blk's faults. Return: -errno if this null_blk lacks it. */
static int inject(struct backend *b, const char *fault, const char *times)
{
	char dir[192];
	int ret;

	snprintf(dir, sizeof(dir), "%s/%s", b->nullb, fault);
	ret = put_attr(dir, "verbose", "0");
	if (!ret)
		ret = put_attr(dir, "interval", "1");
	if (!ret)
		ret = put_attr(dir, "times", times);
	return ret ? ret : put_attr(dir, "probability", "100");
}

/* The disk loses a request: the timeout of the block layer ends it. */
TEST_F_TIMEOUT(faults, timeout, 60)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	const char *why = backend_open_as(&self->b, &disk);
	char queue[128];

	if (why)
		SKIP(return, "%s", why);
	snprintf(queue, sizeof(queue), "/sys/block/%s/queue", strrchr(self->b.path, '/') + 1);
	BOOT(.queues = 2);
	if (inject(&self->b, "timeout_inject", "1")) {
		guest_destroy(&self->g);
		backend_close(&self->b);
		SKIP(return, "this null_blk cannot inject timeouts");
	}
	ASSERT_EQ(0, put_attr(queue, "io_timeout", "500"));
	ENDS(T_IN, 8, 8, S_IOERR);
	ENDS(T_IN, 8, 8, S_OK);
	ASSERT_EQ(0, inject(&self->b, "timeout_inject", "1"));
	ENDS(T_OUT, 8, 8, S_IOERR);
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* A disk that is busy from time to time: the guest does not notice. */
TEST_F_TIMEOUT(faults, requeue, 60)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	struct batch_opts opts = { .per_queue = 40 };
	const char *why = backend_open_as(&self->b, &disk);
	unsigned int i;

	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	for (i = 0; i < scaled(10, 4); i++) {
		if (inject(&self->b, "requeue_inject", "30")) {
			guest_destroy(&self->g);
			backend_close(&self->b);
			SKIP(return, "this null_blk cannot inject requeues");
		}
		ASSERT_WELL(batch_round(&self->g, &opts, &self->rng));
	}
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* A SCSI disk with a medium error: SCSI and the block layer retry and report it. */
TEST_F_TIMEOUT(faults, medium_error, 60)
{
	struct scsi s;
	struct backend_opts disk = { .kind = BACKEND_NAMED, .direct = true, .path = s.path };
	const char *why = scsi_open(&s);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(backend_open_as(&self->b, &disk));
	BOOT(.queues = 2);
	ASSERT_EQ(0, scsi_param("medium_error_start", "1000"));
	ASSERT_EQ(0, scsi_param("medium_error_count", "8"));
	ASSERT_EQ(0, scsi_param("opts", "2"));
	ENDS(T_IN, 1000, 8, S_IOERR);
	ENDS(T_IN, 990, 64, S_IOERR);
	ENDS(T_IN, 900, 8, S_OK);
	ASSERT_EQ(0, scsi_param("opts", "0"));
	ENDS(T_IN, 1000, 8, S_OK);
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
	scsi_close(&s);
}

static const char *zeroes_end(struct ring *r, uint64_t sector, uint32_t sectors, uint8_t status)
{
	const struct range range = { .sector = sector, .sectors = sectors };
	struct request *q = ranges_new(r->guest, VIRTIO_BLK_T_WRITE_ZEROES, sizeof(range));
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	ranges_arm(q, &range);
	why = request_run(r, q, 60000);
	if (!why && request_status(q) != status)
		why = guest_say(r->guest, "zeroes: status %u, must be %u", request_status(q),
				status);
	request_free(q);
	return why;
}

/* A file with holes on a full file system: existing data can be read and overwritten. */
TEST_F(faults, no_space)
{
	char dir[] = "/tmp/vhost-test-full-XXXXXX";
	struct backend_opts disk = {
		.kind = BACKEND_FILE, .dir = dir, .blank = true, .size = 8 << 20,
	};
	uint64_t sector, last = 0;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount("vhost-test", dir, "tmpfs", 0, "size=1m"));
	ASSERT_WELL(backend_open_as(&self->b, &disk));
	BOOT(.queues = 2, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_WELL(request_simple(&self->g.ring[0], T_OUT, 0, 8 * SECTOR, S_OK));
	/* until the file system is full: after a MiB at most, and within a request */
	for (sector = 8; sector < 4096; sector += 64) {
		if (request_simple(&self->g.ring[0], T_OUT, sector, 64 * SECTOR, S_OK))
			break;
		last = sector;
	}
	ASSERT_LT(0, last);
	ASSERT_LT(sector, 4096);
	/* the file system is really full, not only by its own count */
	ENDS(T_OUT, sector, 64, S_IOERR);
	ENDS(T_OUT, 8192, 8, S_IOERR);
	/* tmpfs can allocate blocks only by writing them */
	ASSERT_WELL(zeroes_end(&self->g.ring[0], 8192, 64, S_IOERR));
	ENDS(T_OUT, 0, 8, S_OK);
	ENDS(T_IN, 8192, 8, S_OK);
	ENDS(T_FLUSH, 0, 0, S_OK);
	ASSERT_EQ(0, mount("vhost-test", dir, "tmpfs", MS_REMOUNT, "size=16m"));
	ENDS(T_OUT, 8192, 8, S_OK);
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
	ASSERT_EQ(0, umount(dir));
	rmdir(dir);
}

static void *cut_file(void *arg)
{
	struct backend *b = arg;
	unsigned int i;

	for (i = 0; i < 40; i++) {
		if (ftruncate(b->check_fd, i & 1 ? b->size : b->size / 4))
			break;
		usleep(1000);
	}
	return NULL;
}

/*
 * The file is truncated while requests are in flight: each completes, with or
 * without an error.
 */
TEST_F_TIMEOUT(faults, truncated, 60)
{
	struct batch_opts opts = { .per_queue = 40, .max_sectors = 64 };
	unsigned int i, direct;

	for (direct = 0; direct < 2; direct++) {
		const char *why = backend_open(&self->b, BACKEND_FILE, direct);
		pthread_t thread;

		if (why)
			SKIP(return, "%s", why);
		BOOT(.queues = 2);
		ASSERT_EQ(0, pthread_create(&thread, NULL, cut_file, &self->b));
		for (i = 0; i < scaled(20, 8); i++) {
			struct batch b;

			batch_build(&b, &self->g, &opts, &self->rng);
			ASSERT_WELL(batch_submit(&b));
			ASSERT_WELL(batch_wait(&b, 20000));
			ASSERT_LE(0, batch_failed(&b));
			batch_free(&b);
		}
		pthread_join(thread, NULL);
		ASSERT_EQ(0, ftruncate(self->b.check_fd, self->b.size / 4));
		ENDS(T_IN, self->b.size / SECTOR / 2, 8, S_IOERR);
		ENDS(T_OUT, self->b.size / SECTOR / 2, 8, S_IOERR);
		ASSERT_EQ(0, ftruncate(self->b.check_fd, self->b.size));
		ENDS(T_OUT, self->b.size / SECTOR / 2, 8, S_OK);
		GOOD();
		guest_destroy(&self->g);
		backend_close(&self->b);
	}
}

TEST_HARNESS_MAIN
