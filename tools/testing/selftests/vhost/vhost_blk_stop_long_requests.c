// SPDX-License-Identifier: GPL-2.0
/*
 * All queues of a guest are full of requests that take very long: zeroes that
 * must be written as data, or resets of all zones.  A stop of the device does
 * not wait for them, and when the VMM exits, its disk is free soon.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/fs.h>
#include <linux/magic.h>

#include "dm.h"
#include "hang.h"
#include "iommu.h"
#include "ranges.h"
#include "suite.h"
#include "zones.h"

#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define DISK		(32U << 20)
#define QUEUES		64
#define PER_QUEUE	4
#define SEGS		16
/* The device gives up requests after a second; it completes the current step. */
#define STOP_MS		2000
#define PAUSE_MS	6000
#define LOCK_MS		5000

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

FIXTURE(zeroes) {
	struct backend b;
	struct guest g;
};

FIXTURE_VARIANT(zeroes) {
	struct backend_opts opts;
};

/* tmpfs can punch holes, but not zero a range. */
FIXTURE_VARIANT_ADD(zeroes, tmpfs) {
	.opts = { .kind = BACKEND_FILE, .size = DISK, .dir = "/dev/shm", .blank = true },
};

FIXTURE_VARIANT_ADD(zeroes, nullb) {
	.opts = { .kind = BACKEND_NULLB, .size = DISK, .direct = true, .blank = true },
};

FIXTURE_SETUP(zeroes)
{
	const char *why = no_kernel("the model device does one request at a time");
	struct statfs fs;

	if (!why && variant->opts.dir &&
	    (statfs(variant->opts.dir, &fs) || fs.f_type != TMPFS_MAGIC))
		why = "no tmpfs on /dev/shm";
	if (!why)
		why = backend_open_as(&self->b, &variant->opts);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(zeroes)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/*
 * Duration of the steps in progress when requests are given up: 64 steps of 256
 * KiB.  A busy machine sometimes needs three times as long.
 */
static long long steps_ms(struct guest *g)
{
	long long start = now_ms();

	if (range_run(&g->ring[0], T_ZEROES, 0, (16 << 20) / SECTOR, 0, S_OK))
		return 0;
	return 3 * (now_ms() - start);
}

/* Send the largest possible requests, as many as possible. */
static const char *submit_zeroes(struct guest *g)
{
	struct range range[SEGS];
	unsigned int i, k;

	for (k = 0; k < SEGS; k++)
		range[k] = (struct range){ 0, DISK / SECTOR, 0 };
	for (i = 0; i < g->nrings; i++) {
		for (k = 0; k < PER_QUEUE; k++) {
			struct request *q = ranges_new(g, T_ZEROES, sizeof(range));

			request_cut_usual(q);
			request_place(q, PLACE_PACKED, NULL);
			ranges_arm(q, range);
			if (ring_add(&g->ring[i], q) < 0)
				return "a ring is full";
		}
	}
	for (i = 0; i < g->nrings; i++)
		ring_kick(&g->ring[i]);
	return NULL;
}

/* Every request that was taken has completed, with any status. */
static const char *all_ended(struct guest *g, unsigned int *given_up)
{
	struct request *q;
	unsigned int i;

	*given_up = 0;
	for (i = 0; i < g->nrings; i++) {
		while ((q = ring_take(&g->ring[i]))) {
			uint8_t status = request_status(q);

			if (status != S_OK && status != S_IOERR)
				return "neither OK nor IOERR";
			*given_up += status == S_IOERR;
			request_free(q);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(zeroes, stop, 120)
{
	unsigned int given_up;
	long long start, steps;

	BOOT(.queues = QUEUES, .num = 16, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	steps = steps_ms(&self->g);
	ASSERT_WELL(submit_zeroes(&self->g));
	usleep(200000);
	/* an ioctl that pauses the device */
	start = now_ms();
	ASSERT_EQ(0, guest_set_mem_table(&self->g));
	EXPECT_GT(PAUSE_MS + steps, now_ms() - start);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	EXPECT_GT(STOP_MS + steps, now_ms() - start);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	guest_destroy(&self->g);
	/* the disk still works */
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	BOOT(.queues = 2, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_WELL(range_run(&self->g.ring[0], T_ZEROES, 8, 8, 0, S_OK));
	ASSERT_WELL(guest_prove(&self->g));
}

/* A queue that breaks in the meantime has requests to wait for too. */
TEST_F_TIMEOUT(zeroes, broken, 120)
{
	unsigned int i, given_up;
	long long start, steps;

	BOOT(.queues = QUEUES, .num = 16, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	steps = steps_ms(&self->g);
	ASSERT_WELL(submit_zeroes(&self->g));
	usleep(200000);
	for (i = 0; i < self->g.nrings; i++) {
		ring_add_raw(&self->g.ring[i], self->g.ring[i].num);
		ring_kick_now(&self->g.ring[i]);
	}
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_mem_table(&self->g));
	EXPECT_GT(PAUSE_MS + steps, now_ms() - start);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
}

/*
 * Behind an IOMMU: the memory of all statuses is unmapped, and mapped again.
 * Then the device is stopped.
 */
TEST_F_TIMEOUT(zeroes, invalidated, 120)
{
	struct guest_opts opts = {
		.backend = &self->b, .queues = QUEUES, .num = 16, .mem = 4 << 20,
		.features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES),
	};
	struct guest *g = &self->g;
	unsigned int i, given_up;
	uint64_t len;
	struct iommu m;
	struct rng rng = { 1 };
	long long start, steps;

	guest_init(g, &opts);
	len = g->region[0].len - g->data_start;
	iommu_attach(g, &m, 4096, false, &rng);
	ASSERT_WELL(iommu_boot(g, true));
	steps = steps_ms(g);
	ASSERT_WELL(submit_zeroes(g));
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, iommu_invalidate(g, g->data_start, len));
	EXPECT_GT(PAUSE_MS + steps, now_ms() - start);
	ASSERT_WELL(all_ended(g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	ASSERT_LT(0, given_up);
	/*
	 * the other requests start: each queue has one miss, and one answer
	 * maps everything
	 */
	m.chunk = m.npages;
	for (i = 0; i < 40; i++) {
		iommu_serve(g);
		usleep(10000);
	}
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(g, 0));
	EXPECT_GT(STOP_MS + steps, now_ms() - start);
	ASSERT_WELL(all_ended(g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	ASSERT_LT(0, given_up);
	iommu_free(g, &m);
}

/* The VMM; the lock of its file is on the description that the device uses. */
static void run_vmm(struct guest *g, struct backend *b, const char *(*load)(struct guest *g))
{
	const char *why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	why = backend_reopen_locked(b, O_RDWR | (b->direct ? O_DIRECT : 0));
	if (!why)
		why = guest_boot(g);
	if (!why)
		why = load(g);
	if (why) {
		fprintf(stderr, "# VMM: %s\n", why);
		_exit(1);
	}
	usleep(200000);
	raise(SIGSTOP);
	_exit(1);
}

/* Kill a VMM that runs @load. *@ms: the time until its file is free. */
static const char *kill_loaded(struct guest *g, const char *(*load)(struct guest *g),
			       long long *ms)
{
	struct backend *b = g->opts.backend;
	pid_t pid = fork();
	long long start;
	int status;

	if (!pid)
		run_vmm(g, b, load);
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		return "the VMM has failed";
	if (!backend_in_use(b->check_fd))
		return "the file is not locked";
	start = now_ms();
	kill(pid, SIGKILL);
	backend_let_go(b->check_fd, 60000);
	*ms = now_ms() - start;
	return waitpid(pid, &status, 0) == pid ? NULL : "the VMM has not exited";
}

TEST_F_TIMEOUT(zeroes, killed, 120)
{
	struct guest_opts opts = { .backend = &self->b, .queues = QUEUES, .num = 16,
				   .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) };
	long long ms;

	guest_init(&self->g, &opts);
	ASSERT_WELL(kill_loaded(&self->g, submit_zeroes, &ms));
	EXPECT_GT(LOCK_MS, ms);
	TH_LOG("the lock is free after %lld ms", ms);
}

/*
 * A part of a zoned disk, by device mapper, so that no kernel can reset all of
 * its zones by one request.  The disk takes one request at a time, 60 ms for
 * each.
 */
#define ZONE_MIB	1
#define ZONE_SECTORS	(ZONE_MIB * 2048ULL)
#define ZONES		160	/* the first one is conventional */
#define SOME_ZONES	80	/* more than a stop waits for */
#define T_RESET_ALL	VIRTIO_BLK_T_ZONE_RESET_ALL

FIXTURE(zones) {
	struct backend below;
	struct backend b;
	struct dm dm;
	struct guest g;
};

FIXTURE_SETUP(zones)
{
	static const struct nullb_attr slow[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "1" },
		{ "irqmode", "2" }, { "completion_nsec", "60000000" },
		{ "hw_queue_depth", "1" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = slow, .blank = true,
		.size = (ZONES + 4ULL) * ZONE_MIB << 20,
	};
	const char *why = no_kernel("the model device has no zones");
	char params[256];

	self->dm.control = -1;
	if (!why)
		why = backend_open_as(&self->below, &opts);
	if (why)
		SKIP(return, "%s", why);
	snprintf(params, sizeof(params), "%s 0", self->below.path);
	why = dm_create(&self->dm, ZONES * ZONE_SECTORS, "linear", params);
	if (why)
		SKIP(return, "%s", why);
	opts = (struct backend_opts){
		.kind = BACKEND_NAMED, .path = self->dm.path, .direct = true, .blank = true,
	};
	ASSERT_WELL(backend_open_as(&self->b, &opts));
}

FIXTURE_TEARDOWN(zones)
{
	guest_destroy(&self->g);
	if (self->b.path[0])
		backend_close(&self->b);
	if (self->dm.control >= 0)
		EXPECT_EQ(NULL, dm_remove(&self->dm));
	if (self->below.nullb[0])
		backend_close(&self->below);
}

/* Open zones, so that they have to be reset. */
static const char *open_zones(struct guest *g, unsigned int n)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 1; !why && i < n; i++)
		why = request_ends(&g->ring[0], VIRTIO_BLK_T_ZONE_OPEN, i * ZONE_SECTORS, 0, S_OK);
	return why;
}

static const char *submit_reset_all(struct guest *g)
{
	if (ring_add(&g->ring[0], zone_request(g, T_RESET_ALL, 0)) < 0)
		return "a ring is full";
	ring_kick(&g->ring[0]);
	return NULL;
}

static const char *open_and_reset(struct guest *g)
{
	const char *why = open_zones(g, ZONES);

	return why ? why : submit_reset_all(g);
}

TEST_F_TIMEOUT(zones, stop, 120)
{
	unsigned int given_up;
	long long start, took;

	BOOT();
	ASSERT_WELL(open_zones(&self->g, SOME_ZONES));
	ASSERT_WELL(submit_reset_all(&self->g));
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	took = now_ms() - start;
	TH_LOG("stopped in %lld ms", took);
	EXPECT_GT(STOP_MS, took);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	EXPECT_EQ(1, given_up);
	/* some of them are reset; the next request resets all */
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ASSERT_WELL(zone_is(&self->g.ring[0], ZONE_SECTORS, ZS_EMPTY, 0));
	ASSERT_WELL(zone_is(&self->g.ring[0], (SOME_ZONES - 1) * ZONE_SECTORS, ZS_EOPEN, 0));
	ASSERT_WELL(request_ends(&self->g.ring[0], T_RESET_ALL, 0, 0, S_OK));
	ASSERT_WELL(zone_is(&self->g.ring[0], (SOME_ZONES - 1) * ZONE_SECTORS, ZS_EMPTY, 0));
	ASSERT_WELL(zone_is(&self->g.ring[0], 0, ZS_NOT_WP, -1));
}

/*
 * Each of these takes 60 ms too.  The ones that the backend has accepted, and a
 * few more, are done: about 8 s.  All of them would take a minute.
 */
TEST_F_TIMEOUT(zones, stop_single, 120)
{
	unsigned int i, given_up;
	long long start, took;

	BOOT(.num = 1024);
	for (i = 0; i < 1000; i++)
		ASSERT_LE(0, ring_add(&self->g.ring[0],
				      zone_request(&self->g, VIRTIO_BLK_T_ZONE_RESET,
						   ZONE_SECTORS)));
	ring_kick(&self->g.ring[0]);
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	took = now_ms() - start;
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, took);
	EXPECT_GT(15000, took);
	EXPECT_LT(500, given_up);
}

static struct request *report_request(struct guest *g)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_ZONE_REPORT, 0, 4096);

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_set_indirect(q, guest_has(g, VIRTIO_RING_F_INDIRECT_DESC));
	request_arm(q, 1);
	return q;
}

/* While device mapper is suspended, the guest waits. */
TEST_F_TIMEOUT(zones, suspended, 120)
{
	struct request *q;

	BOOT();
	ASSERT_WELL(open_zones(&self->g, 4));
	ASSERT_WELL(dm_suspend(&self->dm));
	q = zone_request(&self->g, T_RESET_ALL, 0);
	ASSERT_LE(0, ring_add(&self->g.ring[0], q));
	ring_kick(&self->g.ring[0]);
	usleep(500000);
	ASSERT_EQ(NULL, ring_take(&self->g.ring[0]));
	ASSERT_WELL(dm_resume(&self->dm));
	ASSERT_WELL(ring_wait(&self->g.ring[0], 1, 10000));
	EXPECT_EQ(S_OK, request_status(q));
	request_free(q);
	ASSERT_WELL(zone_is(&self->g.ring[0], 3 * ZONE_SECTORS, ZS_EMPTY, 0));
}

/* The device completes a zone report that it was sent during the suspension. */
TEST_F_TIMEOUT(zones, report_suspended, 120)
{
	unsigned int i, given_up;
	struct request *q;
	struct ring *r;

	BOOT();
	r = &self->g.ring[0];
	for (i = 0; i < 2; i++) {
		ASSERT_WELL(dm_suspend(&self->dm));
		q = report_request(&self->g);
		ASSERT_LE(0, ring_add(r, q));
		ring_kick(r);
		usleep(500000);
		ASSERT_EQ(NULL, ring_take(r));
		if (i)
			break;
		ASSERT_WELL(dm_resume(&self->dm));
		ASSERT_WELL(ring_wait(r, 1, 10000));
		EXPECT_EQ(S_OK, request_status(q));
		request_free(q);
	}
	/* it gives up if the device is stopped */
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_WELL(all_ended(&self->g, &given_up));
	EXPECT_EQ(1, given_up);
	ASSERT_WELL(dm_resume(&self->dm));
}

#define PUNTED	64	/* VHOST_BLK_MAX_PUNTED of the driver */

/*
 * The disk becomes read-only after the device has checked a reset of a full zone.
 * That is no error of the zone.  Reports that wait delay the reset.
 */
TEST_F_TIMEOUT(zones, reset_read_only, 120)
{
	int ro = 1, fd = backend_reopen(&self->b, O_RDONLY);
	struct request *q[PUNTED + 1];
	struct ring *r;
	unsigned int i;

	ASSERT_LE(0, fd);
	BOOT(.num = 256);
	r = &self->g.ring[0];
	ASSERT_WELL(request_ends(r, VIRTIO_BLK_T_ZONE_FINISH, ZONE_SECTORS, 0, S_OK));
	ASSERT_WELL(dm_suspend(&self->dm));
	for (i = 0; i <= PUNTED; i++) {
		q[i] = i < PUNTED ? report_request(&self->g) :
				    zone_request(&self->g, VIRTIO_BLK_T_ZONE_RESET, ZONE_SECTORS);
		ASSERT_LE(0, ring_add(r, q[i]));
	}
	ring_kick(r);
	usleep(500000);
	ASSERT_EQ(0, ioctl(fd, BLKROSET, &ro));
	ASSERT_WELL(dm_resume(&self->dm));
	ASSERT_WELL(ring_wait(r, ARRAY_SIZE(q), 20000));
	for (i = 0; i < PUNTED; i++)
		ASSERT_EQ(S_OK, request_status(q[i]));
	EXPECT_EQ(S_IOERR, request_status(q[PUNTED]));
	for (i = 0; i <= PUNTED; i++)
		request_free(q[i]);
	ro = 0;
	ASSERT_EQ(0, ioctl(fd, BLKROSET, &ro));
	close(fd);
	ASSERT_WELL(zone_is(r, ZONE_SECTORS, ZS_FULL, -1));
}

/* The disk becomes read-only while its zones are reset: those that are left keep their data. */
TEST_F_TIMEOUT(zones, became_read_only, 120)
{
	int ro = 1, fd = backend_reopen(&self->b, O_RDONLY);
	struct request *q;

	ASSERT_LE(0, fd);
	BOOT();
	ASSERT_WELL(open_zones(&self->g, ZONES));
	q = zone_request(&self->g, T_RESET_ALL, 0);
	ASSERT_LE(0, ring_add(&self->g.ring[0], q));
	ring_kick(&self->g.ring[0]);
	usleep(1000000);
	ASSERT_EQ(0, ioctl(fd, BLKROSET, &ro));
	ASSERT_WELL(ring_wait(&self->g.ring[0], 1, 10000));
	EXPECT_NE(S_OK, request_status(q));
	request_free(q);
	ro = 0;
	ASSERT_EQ(0, ioctl(fd, BLKROSET, &ro));
	ASSERT_WELL(zone_is(&self->g.ring[0], ZONE_SECTORS, ZS_EMPTY, 0));
	ASSERT_WELL(zone_is(&self->g.ring[0], (ZONES - 1) * ZONE_SECTORS, ZS_EOPEN, 0));
	close(fd);
}

TEST_F_TIMEOUT(zones, killed, 120)
{
	struct guest_opts opts = { .backend = &self->b };
	long long ms;

	guest_init(&self->g, &opts);
	ASSERT_WELL(kill_loaded(&self->g, open_and_reset, &ms));
	EXPECT_GT(LOCK_MS, ms);
	TH_LOG("the lock is free after %lld ms", ms);
}

FIXTURE(small) {
	struct hang h;
	struct guest g;
};

FIXTURE_VARIANT(small) {
	bool file;
};

FIXTURE_VARIANT_ADD(small, bdev) {
	.file = false,
};

FIXTURE_VARIANT_ADD(small, file) {
	.file = true,
};

FIXTURE_SETUP(small)
{
	const char *why = no_kernel("the model device never has requests in flight");

	if (why)
		SKIP(return, "%s", why);
	why = hang_open(&self->h, variant->file);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(small)
{
	guest_destroy(&self->g);
	hang_close(&self->h);
}

struct stopper {
	struct guest *g;
	int ret;
};

static void *stop_it(void *arg)
{
	struct stopper *s = arg;

	s->ret = guest_set_running(s->g, 0);
	return NULL;
}

/* Send @n requests of a few small ranges each; the first one waits for the backend. */
static struct request *submit_ranges(struct ring *r, unsigned int n, uint32_t sectors)
{
	struct range range[SEGS];
	struct request *q = ranges_new(r->guest, T_ZEROES, n * sizeof(range[0]));
	unsigned int i;

	for (i = 0; i < n; i++)
		range[i] = (struct range){ i * sectors, sectors, 0 };
	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	ranges_arm(q, range);
	if (ring_add(r, q) < 0)
		return NULL;
	ring_kick(r);
	return q;
}

/*
 * The backend is slow while the device is stopped: the rest of a small request
 * is done, the rest of a large one is not.
 */
TEST_F_TIMEOUT(small, stop, 60)
{
	struct guest_opts opts = { .backend = &self->h.disk, .queues = 2,
				   .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) };
	struct stopper s = { .g = &self->g };
	struct request *little, *much, *q;
	struct ring *r;
	pthread_t thread;
	int i;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	r = &self->g.ring[0];
	ASSERT_WELL(hang_on(&self->h));
	much = submit_ranges(r, 8, (1U << 20) / SECTOR);
	little = submit_ranges(r, 8, 8);
	ASSERT_TRUE(little && much);
	usleep(200000);
	ASSERT_EQ(0, pthread_create(&thread, NULL, stop_it, &s));
	usleep(1500000);
	ASSERT_WELL(hang_off(&self->h));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, s.ret);
	EXPECT_EQ(S_OK, request_status(little));
	EXPECT_EQ(S_IOERR, request_status(much));
	for (i = 0; i < 2; i++) {
		q = ring_take(r);
		ASSERT_TRUE(q == little || q == much);
		request_free(q);
	}
}

/* Many small ranges take as long as a large one: a sector each, 10 ms for each. */
FIXTURE(flood) {
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(flood)
{
	static const struct nullb_attr slow[] = {
		{ "irqmode", "2" }, { "completion_nsec", "10000000" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .size = DISK, .direct = true, .blank = true, .nullb = slow,
	};
	const char *why = no_kernel("the model device does one request at a time");

	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(flood)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

TEST_F_TIMEOUT(flood, stop, 120)
{
	struct range range[SEGS];
	unsigned int i, k, given_up;
	long long start, took;

	BOOT(.queues = QUEUES, .num = 128,
	     .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	for (k = 0; k < SEGS; k++)
		range[k] = (struct range){ k * 8, 1, 0 };
	for (i = 0; i < QUEUES; i++)
		for (k = 0; k < 40; k++) {
			struct request *q = ranges_new(&self->g, T_ZEROES, sizeof(range));

			request_cut_usual(q);
			request_place(q, PLACE_PACKED, NULL);
			ranges_arm(q, range);
			ASSERT_LE(0, ring_add(&self->g.ring[i], q));
		}
	for (i = 0; i < QUEUES; i++)
		ring_kick(&self->g.ring[i]);
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	took = now_ms() - start;
	EXPECT_GT(STOP_MS, took);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, took);
	EXPECT_LT(0, given_up);
}

FIXTURE(tables) {
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(tables)
{
	const char *why = no_kernel("the model device does one request at a time");

	if (!why)
		why = backend_open(&self->b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(tables)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

#define ENTRIES	65536	/* of a table: with one more their number would not fit */
#define TABLES	8	/* of a chain */
#define CHAINS	127

/* The longest possible table: its last entry is @last, the others have length 0. */
static uint64_t largest_table(struct guest *g, struct vring_desc last)
{
	uint64_t table = guest_alloc(g, ENTRIES * sizeof(last), 4096);
	struct vring_desc *d = guest_ptr(g, table, ENTRIES * sizeof(last));
	unsigned int i;

	for (i = 0; i < ENTRIES - 1; i++)
		d[i] = (struct vring_desc){
			.addr = last.addr, .flags = htole16(VRING_DESC_F_NEXT),
			.next = htole16(i + 1),
		};
	d[ENTRIES - 1] = last;
	return table;
}

/* Chains of headers and a status, which take long to parse */
static void put_long_chains(struct ring *r)
{
	struct virtio_blk_outhdr h = { .type = htole32(VIRTIO_BLK_T_FLUSH) };
	struct guest *g = r->guest;
	uint64_t at = guest_alloc(g, sizeof(h) + 1, 16);
	uint64_t first = largest_table(g, (struct vring_desc){
		.addr = htole64(at), .len = htole32(sizeof(h)) });
	uint64_t last = largest_table(g, (struct vring_desc){
		.addr = htole64(at + sizeof(h)), .len = htole32(1),
		.flags = htole16(VRING_DESC_F_WRITE) });
	unsigned int i;

	guest_write(g, at, &h, sizeof(h));
	for (i = 0; i < CHAINS * TABLES; i++) {
		bool ends = i % TABLES == TABLES - 1;

		ring_put_desc(r, i, ends ? last : first, ENTRIES * sizeof(struct vring_desc),
			      VRING_DESC_F_INDIRECT | (ends ? 0 : VRING_DESC_F_NEXT), i + 1);
	}
	for (i = 0; i < CHAINS; i++)
		ring_add_raw(r, i * TABLES);
}

/* An ioctl does not wait long for the mutex of the queue. */
TEST_F_TIMEOUT(tables, turn, 120)
{
	struct vhost_vring_file call = {};
	struct ring *r;
	long long start;

	BOOT(.num = 1024);
	r = &self->g.ring[0];
	call.fd = r->call;
	put_long_chains(r);
	ring_kick_now(r);
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_VRING_CALL, &call));
	TH_LOG("%u chains, and %lld ms", ring_device_idx(r), now_ms() - start);
	EXPECT_GT(STOP_MS, now_ms() - start);
	/* otherwise there was nothing to wait for */
	EXPECT_GT(CHAINS, ring_device_idx(r));
	ASSERT_EQ(0, ring_set_running(r, 0));
}

/* A ring full of such chains: the device stops between two of them. */
TEST_F_TIMEOUT(tables, stop, 120)
{
	struct ring *r;
	long long start;

	BOOT(.num = 1024);
	r = &self->g.ring[0];
	put_long_chains(r);
	ring_kick_now(r);
	usleep(500000);
	start = now_ms();
	ASSERT_EQ(0, ring_set_running(r, 0));
	TH_LOG("%u chains, then stopped in %lld ms", ring_device_idx(r), now_ms() - start);
	EXPECT_GT(STOP_MS, now_ms() - start);
	/* some chains were taken, but not all */
	EXPECT_LT(0, ring_device_idx(r));
	EXPECT_GT(CHAINS, ring_device_idx(r));
}

TEST_HARNESS_MAIN
