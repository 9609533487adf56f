// SPDX-License-Identifier: GPL-2.0
/*
 * Accounting of I/O: it is charged to the owner's control group, throttled
 * there, and has the owner's ioprio.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <linux/ioprio.h>

#include "cgroup.h"
#include "ranges.h"
#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK
#define DEPTH	8
#define BYTES	16384U

FIXTURE(charged) {
	struct backend b;
	struct guest g;
	struct cgroup c;
	dev_t dev;		/* the disk that gets the I/O */
};

FIXTURE_VARIANT(charged) {
	struct backend_opts opts;
};

static const struct nullb_attr with_discard[] = { { "discard", "1" }, { NULL, NULL } };

FIXTURE_VARIANT_ADD(charged, bdev) {
	.opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = with_discard },
};

FIXTURE_VARIANT_ADD(charged, file_direct) {
	.opts = { .kind = BACKEND_FILE, .direct = true },
};

FIXTURE_VARIANT_ADD(charged, file_buffered) {
	.opts = { .kind = BACKEND_FILE },
};

/* The process joins the group before its files and the device are associated with one. */
FIXTURE_SETUP(charged)
{
	struct guest_opts guest = { .backend = &self->b, .serial = "charged" };
	struct stat st;
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device is a thread of this process");
	why = cgroup_enter(&self->c);
	if (!why)
		why = backend_open_as(&self->b, &variant->opts);
	if (!why && stat(self->b.path, &st))
		why = "stat fails";
	if (!why && S_ISREG(st.st_mode) && !major(st.st_dev))
		why = "the files are not on a block device";
	if (why)
		SKIP(return, "%s", why);
	self->dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(charged)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	cgroup_leave(&self->c);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Return: requests per second, with DEPTH in flight for @seconds; -1: error */
static double rate(struct ring *r, uint32_t type, double seconds)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	double begin = now(), end;
	struct request *q;
	unsigned int i, done = 0;

	for (i = 0; i < DEPTH; i++) {
		q = request_new(g, type, 32 * i, BYTES);
		request_cut_usual(q);
		request_place(q, PLACE_ALIGNED, NULL);
		request_arm(q, i);
		ring_add(r, q);
	}
	ring_kick(r);
	do {
		q = ring_take(r);
		end = now();
		if (!q) {
			usleep(200);
			continue;
		}
		done++;
		if (request_status(q) != S_OK)
			return -1;
		request_rearm(q);
		ring_add(r, q);
		ring_kick(r);
	} while (end - begin < seconds);
	/* throttled requests complete once the limit is removed: see settle() */
	guest_release(g, mark);
	return done / (end - begin);
}

static const char *settle(struct ring *r)
{
	return ring_wait(r, ring_inflight(r), 30000);
}

static void drop_cache(struct backend *b)
{
	fsync(b->check_fd);
	posix_fadvise(b->check_fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* Set the limit to a twentieth of the unlimited rate; at most a quarter must be reached. */
static void check_limit(struct __test_metadata *_metadata, struct cgroup *c, dev_t dev,
			struct ring *r, uint32_t type)
{
	double free_rate, limited, seconds = scaled(10, 6) / 10.0;
	char limit[64];

	free_rate = rate(r, type, seconds);
	ASSERT_WELL(settle(r));
	ASSERT_LT(0, free_rate);
	snprintf(limit, sizeof(limit), "%cbps=%u", type == T_IN ? 'r' : 'w',
		 (unsigned int)(free_rate * BYTES / 20) + 4096);
	ASSERT_EQ(0, cgroup_io_max(c, dev, limit));
	limited = rate(r, type, seconds);
	snprintf(limit, sizeof(limit), "%cbps=max", type == T_IN ? 'r' : 'w');
	ASSERT_EQ(0, cgroup_io_max(c, dev, limit));
	ASSERT_WELL(settle(r));
	TH_LOG("%.0f requests a second, with a limit %.0f", free_rate, limited);
	EXPECT_GT(free_rate / 4, limited);
}

TEST_F_TIMEOUT(charged, throttled_writes, 120)
{
	if (!variant->opts.direct)
		SKIP(return, "writes to the page cache are not throttled by io.max");
	check_limit(_metadata, &self->c, self->dev, &self->g.ring[0], T_OUT);
}

TEST_F_TIMEOUT(charged, throttled_reads, 120)
{
	if (!variant->opts.direct)
		SKIP(return, "reads come from the page cache");
	check_limit(_metadata, &self->c, self->dev, &self->g.ring[0], T_IN);
}

/*
 * Reads, writes and requests by a workqueue are charged to the owner, every
 * byte of them.
 */
TEST_F_TIMEOUT(charged, account, 60)
{
	struct ring *r = &self->g.ring[0];
	struct io_stat before, after;

	drop_cache(&self->b);
	before = cgroup_io_stat(&self->c, self->dev);
	ASSERT_WELL(request_simple(r, T_IN, 2048, 65536, S_OK));
	after = cgroup_io_stat(&self->c, self->dev);
	EXPECT_LE(before.rbytes + 65536, after.rbytes);
	/* data in the page cache is charged to the owner of the inode's writeback */
	if (!variant->opts.direct)
		return;
	ASSERT_WELL(request_simple(r, T_OUT, 2048, 65536, S_OK));
	before = after;
	after = cgroup_io_stat(&self->c, self->dev);
	EXPECT_LE(before.wbytes + 65536, after.wbytes);
	if (self->b.kind == BACKEND_FILE)
		return;
	/* null_blk cannot write zeroes by itself, so zeroes are written as data */
	ASSERT_WELL(range_run(r, VIRTIO_BLK_T_WRITE_ZEROES, 4096, 256, 0, S_OK));
	before = after;
	after = cgroup_io_stat(&self->c, self->dev);
	EXPECT_LE(before.wbytes + 256 * SECTOR, after.wbytes);
	ASSERT_WELL(range_run(r, VIRTIO_BLK_T_DISCARD, 4096, 256, 0, S_OK));
	before = after;
	after = cgroup_io_stat(&self->c, self->dev);
	EXPECT_LE(before.dbytes + 256 * SECTOR, after.dbytes);
}

/* Fewer tags than requests: most requests are submitted a second time. */
FIXTURE(few_tags) {
	struct backend b;
	struct guest g;
	struct cgroup c;
	dev_t dev;
};

FIXTURE_SETUP(few_tags)
{
	static const struct nullb_attr attr[] = {
		{ "irqmode", "2" }, { "completion_nsec", "20000000" },
		{ "hw_queue_depth", "4" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .blank = true,
	};
	const char *why = no_kernel("the model device is a thread of this process");
	struct stat st;

	if (!why)
		why = cgroup_enter(&self->c);
	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (!why && stat(self->b.path, &st))
		why = "stat fails";
	if (why)
		SKIP(return, "%s", why);
	self->dev = st.st_rdev;
	BOOT(.queues = 1);
}

FIXTURE_TEARDOWN(few_tags)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	cgroup_leave(&self->c);
}

#define MANY	32

/* Each byte is counted once. */
TEST_F_TIMEOUT(few_tags, account, 60)
{
	struct ring *r = &self->g.ring[0];
	struct io_stat before, after;
	struct request *q[MANY];
	unsigned int i;

	before = cgroup_io_stat(&self->c, self->dev);
	for (i = 0; i < MANY; i++) {
		q[i] = request_new(&self->g, T_OUT, 64 * i, BYTES);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_arm(q[i], i);
		ASSERT_EQ(0, ring_add(r, q[i]));
	}
	ring_kick(r);
	ASSERT_WELL(ring_wait(r, MANY, 20000));
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(S_OK, request_status(q[i]));
		request_free(q[i]);
	}
	after = cgroup_io_stat(&self->c, self->dev);
	EXPECT_EQ(before.wbytes + MANY * BYTES, after.wbytes);
}

FIXTURE(priority) {
	struct backend b;
	struct guest g;
	char queued[160];	/* path of mq-deadline's count of requests for each class */
};

/* A slow device that takes one request at a time: other requests wait in mq-deadline. */
FIXTURE_SETUP(priority)
{
	static const struct nullb_attr attr[] = {
		{ "irqmode", "2" }, { "completion_nsec", "30000000" },
		{ "hw_queue_depth", "1" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .blank = true,
	};
	char path[160];
	const char *why;
	int fd;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device is a thread of this process");
	why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
	snprintf(path, sizeof(path), "/sys/block/%s/queue/scheduler",
		 strrchr(self->b.path, '/') + 1);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "mq-deadline", 11) != 11)
		SKIP(return, "no mq-deadline");
	close(fd);
	snprintf(self->queued, sizeof(self->queued), "/sys/kernel/debug/block/%s/sched/queued",
		 strrchr(self->b.path, '/') + 1);
	if (access(self->queued, R_OK))
		SKIP(return, "no %s (CONFIG_BLK_DEBUG_FS, debugfs mounted)", self->queued);
}

FIXTURE_TEARDOWN(priority)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* Record the maximum of waiting requests in each class, until none is in flight. */
static const char *watch(struct ring *r, const char *path, unsigned int most[3])
{
	double end = now() + 20;

	memset(most, 0, 3 * sizeof(most[0]));
	while (ring_inflight(r)) {
		unsigned int n[3] = { 0 }, i;
		FILE *f = fopen(path, "re");

		if (!f || fscanf(f, "%u %u %u", &n[0], &n[1], &n[2]) != 3)
			return "mq-deadline's counts can't be read";
		fclose(f);
		for (i = 0; i < 3; i++)
			if (most[i] < n[i])
				most[i] = n[i];
		ring_take(r);
		usleep(1000);
		if (now() > end)
			return "the requests do not complete";
	}
	return NULL;
}

static const char *submit_slowly(struct guest *g, uint32_t type, unsigned int n)
{
	struct range range = { 0, 64, 0 };
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct request *q = request_new(g, type, 64 * i,
						ranges_type(type) ? sizeof(range) : 4096);

		request_cut_usual(q);
		request_place(q, PLACE_ALIGNED, NULL);
		request_arm(q, i);
		range.sector = 64 * i;
		if (ranges_type(type))
			request_put_data(q, &range);
		if (ring_add(&g->ring[0], q))
			return "the ring is full";
	}
	ring_kick(&g->ring[0]);
	return NULL;
}

/*
 * From Linux 6.4 on the worker is a thread of the owner and inherits its
 * priority.  Before that it is a kernel thread, whose priority must be set.
 */
static void prioritise_kthread(int prio)
{
	char want[32], path[300], comm[32];
	DIR *proc = opendir("/proc");
	struct dirent *d;

	snprintf(want, sizeof(want), "vhost-%d\n", getpid());
	while (proc && (d = readdir(proc))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = atoi(d->d_name) ? fopen(path, "re") : NULL;
		if (f && fgets(comm, sizeof(comm), f) && !strcmp(comm, want))
			syscall(SYS_ioprio_set, 1, atoi(d->d_name), prio);
		if (f)
			fclose(f);
	}
	if (proc)
		closedir(proc);
}

/* Requests have the worker's priority, whether it or a workqueue submits them. */
TEST_F_TIMEOUT(priority, of_worker, 60)
{
	static const uint32_t type[] = { T_OUT, T_IN, VIRTIO_BLK_T_WRITE_ZEROES };
	static const unsigned int class[] = { IOPRIO_CLASS_RT, IOPRIO_CLASS_IDLE };
	struct guest_opts opts = { .backend = &self->b };
	unsigned int most[3], i, k;

	for (k = 0; k < ARRAY_SIZE(class); k++) {
		int prio = IOPRIO_PRIO_VALUE(class[k], 4);

		ASSERT_EQ(0, syscall(SYS_ioprio_set, 1, 0, prio));
		guest_init(&self->g, &opts);
		ASSERT_WELL(guest_boot(&self->g));
		prioritise_kthread(prio);
		for (i = 0; i < ARRAY_SIZE(type); i++) {
			ASSERT_WELL(submit_slowly(&self->g, type[i], 6));
			ASSERT_WELL(watch(&self->g.ring[0], self->queued, most));
			EXPECT_LE(2, most[class[k] - 1])
				TH_LOG("type %u: %u %u %u", type[i], most[0], most[1], most[2]);
			EXPECT_EQ(0, most[1]);
		}
		if (k + 1 < ARRAY_SIZE(class))
			guest_destroy(&self->g);
	}
}

TEST_HARNESS_MAIN
