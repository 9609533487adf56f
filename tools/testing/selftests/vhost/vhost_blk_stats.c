// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of a device: VHOST_BLK_GET_STATS and fdinfo.  Each request is
 * counted once, by its kind and its result.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "hang.h"
#include "park.h"
#include "ranges.h"
#include "suite.h"
#include "traffic.h"

#define T_IN		VIRTIO_BLK_T_IN
#define T_OUT		VIRTIO_BLK_T_OUT
#define T_FLUSH		VIRTIO_BLK_T_FLUSH
#define T_DISCARD	VIRTIO_BLK_T_DISCARD
#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define T_UNKNOWN	77
#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define S_UNSUPP	VIRTIO_BLK_S_UNSUPP

#define READ		VHOST_BLK_STAT_READ
#define WRITE		VHOST_BLK_STAT_WRITE
#define FLUSH		VHOST_BLK_STAT_FLUSH
#define DISCARD		VHOST_BLK_STAT_DISCARD
#define ZEROES		VHOST_BLK_STAT_WRITE_ZEROES
#define OTHER		VHOST_BLK_STAT_OTHER
#define KINDS		(ZEROES + 1)

#define BAD_PTR		((void *)8)
#define SOON		1000	/* ms, for a call that must not wait */
#define PATIENCE	10000	/* ms */

FIXTURE(stats) {
	struct backend b;
	struct guest g;
	struct vhost_blk_vring_stats s;
};

FIXTURE_VARIANT(stats) {
	enum backend_kind kind;
};

FIXTURE_VARIANT_ADD(stats, bdev) {
	.kind = BACKEND_BDEV,
};

FIXTURE_VARIANT_ADD(stats, file) {
	.kind = BACKEND_FILE,
};

FIXTURE_SETUP(stats)
{
	const char *why = no_kernel("the model device has no counters");

	if (!why)
		why = backend_open(&self->b, variant->kind, false);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
}

FIXTURE_TEARDOWN(stats)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

static bool all_zero(const void *data, size_t len)
{
	const uint8_t *byte = data;

	while (len && !*byte) {
		byte++;
		len--;
	}
	return !len;
}

static uint64_t sum_of(const __u64 *bucket)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_STATS_BUCKETS; i++)
		sum += bucket[i];
	return sum;
}

/* Read the counters of a queue, and check what must hold at any time. */
static const char *get_stats(struct guest *g, uint32_t index, struct vhost_blk_vring_stats *s)
{
	unsigned int i;
	long ret;

	memset(s, 0xa5, sizeof(*s));
	s->index = index;
	ret = guest_ioctl(g, VHOST_BLK_GET_STATS, s);
	if (ret)
		return guest_say(g, "GET_STATS of queue %u: %ld", index, ret);
	if (s->index != index || s->reserved || !all_zero(s->reserved2, sizeof(s->reserved2)) ||
	    !all_zero(&s->op[KINDS], sizeof(s->op[0]) * (VHOST_BLK_STATS_OPS - KINDS)))
		return "reserved fields are not zero";
	for (i = 0; i < KINDS; i++) {
		if (!all_zero(s->op[i].reserved, sizeof(s->op[i].reserved)))
			return "reserved fields of a kind are not zero";
		if (sum_of(s->op[i].latency) != s->op[i].requests)
			return guest_say(g, "kind %u: the latencies are not those of the requests",
					 i);
	}
	return s->poll_hits > s->polls ? "more hits than polls" : NULL;
}

#define GET(index)	ASSERT_WELL(get_stats(&self->g, index, &self->s))
#define COUNTS(kind, requests_, bytes_, errors_, invalid_) do {		\
	const struct vhost_blk_op_stats *op_ = &self->s.op[kind];	\
									\
	EXPECT_EQ(requests_, op_->requests);				\
	EXPECT_EQ(bytes_, op_->bytes);					\
	EXPECT_EQ(errors_, op_->errors);				\
	EXPECT_EQ(invalid_, op_->invalid);				\
} while (0)
#define SIMPLE(type, sector, len, status) \
	ASSERT_WELL(request_simple(&self->g.ring[0], type, sector, len, status))
#define ENDS(type, sector, len, status) \
	ASSERT_WELL(request_ends(&self->g.ring[0], type, sector, len, status))
#define RANGE(type, sector, sectors, flags, status) \
	ASSERT_WELL(range_run(&self->g.ring[0], type, sector, sectors, flags, status))

/* Each kind of requests has its counters, and so has each queue. */
TEST_F(stats, each_kind)
{
	unsigned int i;

	GET(0);
	EXPECT_TRUE(all_zero(self->s.op, sizeof(self->s.op)));
	for (i = 0; i < 3; i++)
		SIMPLE(T_IN, 8 * i, 4096, S_OK);
	SIMPLE(T_OUT, 0, 8192, S_OK);
	SIMPLE(T_OUT, 64, 512, S_OK);
	SIMPLE(T_FLUSH, 0, 0, S_OK);
	SIMPLE(VIRTIO_BLK_T_GET_ID, 0, 20, S_OK);
	/* without data */
	SIMPLE(T_IN, 8, 0, S_OK);
	ASSERT_WELL(request_simple(&self->g.ring[1], T_IN, 0, 512, S_OK));
	GET(0);
	COUNTS(READ, 4, 3 * 4096, 0, 0);
	COUNTS(WRITE, 2, 8192 + 512, 0, 0);
	COUNTS(FLUSH, 1, 0, 0, 0);
	COUNTS(OTHER, 1, 0, 0, 0);
	EXPECT_LT(0, self->s.op[READ].time_ns);
	EXPECT_LE(1, self->s.batches);
	EXPECT_GE(8, self->s.batches);
	GET(1);
	COUNTS(READ, 1, 512, 0, 0);
	COUNTS(WRITE, 0, 0, 0, 0);
}

TEST_F(stats, ranges)
{
	static const struct range two[] = { { 16, 8, 0 }, { 64, 16, 0 } };
	struct ring *r = &self->g.ring[0];

	if (!guest_has(&self->g, VIRTIO_BLK_F_DISCARD) ||
	    !guest_has(&self->g, VIRTIO_BLK_F_WRITE_ZEROES))
		SKIP(return, "the disk can't discard or write zeroes");
	ASSERT_WELL(ranges_run(r, T_DISCARD, two, 2, S_OK));
	ASSERT_WELL(ranges_run(r, T_ZEROES, two, 2, S_OK));
	RANGE(T_ZEROES, 0, 1, RANGE_UNMAP, S_OK);
	RANGE(T_DISCARD, 0, 8, RANGE_UNMAP, S_UNSUPP);
	RANGE(T_ZEROES, self->b.size / SECTOR, 1, 0, S_IOERR);
	GET(0);
	COUNTS(DISCARD, 1, 24 * SECTOR, 0, 1);
	COUNTS(ZEROES, 2, 25 * SECTOR, 0, 1);
}

/* Requests that the device refuses, by the type that they have */
TEST_F(stats, invalid)
{
	SIMPLE(T_IN, self->b.size / SECTOR, 512, S_IOERR);
	SIMPLE(T_OUT, self->b.size / SECTOR - 1, 1024, S_IOERR);
	SIMPLE(T_OUT, 0, 100, S_IOERR);
	SIMPLE(T_UNKNOWN, 0, 0, S_UNSUPP);
	SIMPLE(VIRTIO_BLK_T_ZONE_APPEND, 0, 512, S_UNSUPP);
	SIMPLE(VIRTIO_BLK_T_ZONE_OPEN, 0, 0, S_UNSUPP);
	GET(0);
	COUNTS(READ, 0, 0, 0, 1);
	COUNTS(WRITE, 0, 0, 0, 3);
	COUNTS(OTHER, 0, 0, 0, 2);
	/* the disk becomes read-only */
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, guest_set_backend(&self->g, -1, 0));
	ASSERT_EQ(0, guest_set_features(&self->g, self->g.features | BIT64(VIRTIO_BLK_F_RO)));
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, VHOST_BLK_BACKEND_F_RO));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ENDS(T_OUT, 0, 512, S_IOERR);
	GET(0);
	COUNTS(WRITE, 0, 0, 0, 4);
}

/* A stop and a swap keep the counters, a reset clears them. */
TEST_F(stats, kept)
{
	struct vhost_blk_vring_stats before;

	SIMPLE(T_IN, 0, 4096, S_OK);
	SIMPLE(T_OUT, 8, 4096, S_OK);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	GET(0);
	EXPECT_LE(1, self->s.rounds);
	before = self->s;
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, 0));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	GET(0);
	EXPECT_EQ(0, memcmp(self->s.op, before.op, sizeof(before.op)));
	EXPECT_LE(before.rounds, self->s.rounds);
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	SIMPLE(T_IN, 0, 512, S_OK);
	GET(0);
	COUNTS(READ, 2, 4096 + 512, 0, 0);
	COUNTS(WRITE, 1, 4096, 0, 0);
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_RESET_OWNER, NULL));
	GET(0);
	EXPECT_TRUE(all_zero(self->s.op, sizeof(self->s.op)));
	EXPECT_EQ(0, self->s.rounds);
	EXPECT_EQ(0, self->s.batches);
}

TEST_F(stats, arguments)
{
	struct vhost_blk_vring_stats s = { .index = VHOST_BLK_MAX_QUEUES };

	EXPECT_EQ(ENOBUFS, -guest_ioctl(&self->g, VHOST_BLK_GET_STATS, &s));
	s.index = ~0U;
	EXPECT_EQ(ENOBUFS, -guest_ioctl(&self->g, VHOST_BLK_GET_STATS, &s));
	EXPECT_EQ(EFAULT, -guest_ioctl(&self->g, VHOST_BLK_GET_STATS, BAD_PTR));
	/* a queue that was never started */
	GET(VHOST_BLK_MAX_QUEUES - 1);
	EXPECT_EQ(0, self->s.rounds);
	EXPECT_TRUE(all_zero(self->s.op, sizeof(self->s.op)));
}

/* The counters are read while many requests are in flight. */
TEST_F_TIMEOUT(stats, traffic, 60)
{
	struct traffic t = {
		.ring = &self->g.ring[0], .depth = 32, .total = scaled(4000, 400),
		.wait = WAIT_CALL,
	};
	uint64_t last = 0;
	pthread_t thread;

	traffic_prepare(&t);
	ASSERT_EQ(0, pthread_create(&thread, NULL, traffic_thread, &t));
	do {
		GET(0);
		EXPECT_LE(last, self->s.op[READ].requests);
		last = self->s.op[READ].requests;
	} while (__atomic_load_n(&t.done, __ATOMIC_RELAXED) < t.total && !t.why);
	pthread_join(thread, NULL);
	ASSERT_WELL(t.why);
	GET(0);
	EXPECT_EQ(t.total, self->s.op[READ].requests + self->s.op[WRITE].requests);
	EXPECT_GE(t.total, self->s.batches);
}

/* Data at an odd address is copied. */
TEST_F(stats, bounced)
{
	struct ring *r = &self->g.ring[0];
	struct request *q = request_new(&self->g, T_IN, 0, 4096);

	if (variant->kind == BACKEND_FILE)
		SKIP(return, "a buffered file accepts any address");
	request_cut_usual(q);
	request_place_at(q, guest_alloc(&self->g, HDR_LEN, 16),
			 guest_alloc(&self->g, 8192, 4096) + 1);
	request_arm(q, 1);
	ASSERT_WELL(request_run(r, q, PATIENCE));
	EXPECT_EQ(S_OK, request_status(q));
	request_free(q);
	SIMPLE(T_IN, 0, 4096, S_OK);
	GET(0);
	EXPECT_EQ(1, self->s.bounced);
	COUNTS(READ, 2, 8192, 0, 0);
}

/* The file of another process can be read, too. */
TEST_F(stats, other_process)
{
	int status;
	pid_t pid;

	SIMPLE(T_IN, 0, 4096, S_OK);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (get_stats(&self->g, 0, &self->s))
			_exit(1);
		_exit(self->s.op[READ].requests == 1 ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* The latency is at least the time that the disk takes. */
TEST_F(stats, latency)
{
	const unsigned int n = 4;
	unsigned int i, slow = 0;
	struct backend b;
	const char *why;

	if (variant->kind == BACKEND_FILE)
		SKIP(return, "there is no slow file");
	why = backend_open(&b, BACKEND_SLOW, true);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, guest_set_backend(&self->g, b.fd, 0));
	for (i = 0; i < n; i++)
		ENDS(T_IN, 0, 4096, S_OK);
	GET(0);
	COUNTS(READ, n, n * 4096, 0, 0);
	EXPECT_LE((uint64_t)n * SLOW_NSEC, self->s.op[READ].time_ns);
	/* element i ends at 2^(i + 10) ns */
	for (i = 0; i < VHOST_BLK_STATS_BUCKETS; i++)
		if (1ULL << (i + 10) > SLOW_NSEC)
			slow += self->s.op[READ].latency[i];
	EXPECT_EQ(n, slow);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, guest_set_backend(&self->g, -1, 0));
	backend_close(&b);
}

/* Get a line of fdinfo. Return: false if there is none, or several */
static bool get_line(struct guest *g, const char *key, char *value, size_t len)
{
	char path[64], line[256];
	unsigned int found = 0;
	size_t n = strlen(key);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", g->fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, n) || strncmp(line + n, ":\t", 2))
			continue;
		snprintf(value, len, "%s", line + n + 2);
		found++;
	}
	if (f)
		fclose(f);
	return found == 1;
}

static const char *fdinfo_is(struct guest *g, const char *key, const char *want)
{
	char value[64];

	if (!get_line(g, key, value, sizeof(value)))
		return guest_say(g, "fdinfo does not have %s", key);
	return strcmp(value, want) ? guest_say(g, "fdinfo: %s is \"%s\", not \"%s\"", key, value,
					       want) : NULL;
}

static const char *fdinfo_number(struct guest *g, const char *key, unsigned long long want)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", want);
	return fdinfo_is(g, key, text);
}

static const char *fdinfo_op(struct guest *g, const char *name, unsigned long long requests,
			     unsigned long long bytes, unsigned long long invalid)
{
	char key[64];
	const char *why;

	snprintf(key, sizeof(key), "vhost-blk-%s-requests", name);
	why = fdinfo_number(g, key, requests);
	snprintf(key, sizeof(key), "vhost-blk-%s-bytes", name);
	why = why ? why : fdinfo_number(g, key, bytes);
	snprintf(key, sizeof(key), "vhost-blk-%s-errors", name);
	why = why ? why : fdinfo_number(g, key, 0);
	snprintf(key, sizeof(key), "vhost-blk-%s-invalid", name);
	return why ? why : fdinfo_number(g, key, invalid);
}

/* fdinfo has the sums of all queues, and describes the disk. */
TEST_F(stats, fdinfo)
{
	struct guest *g = &self->g;
	struct vhost_blk_info info;
	char text[64], ns[64];
	struct stat st;
	dev_t dev;

	ASSERT_EQ(0, fstat(self->b.fd, &st));
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_GET_INFO, &info));
	SIMPLE(T_IN, 0, 4096, S_OK);
	ASSERT_WELL(request_simple(&g->ring[1], T_IN, 0, 512, S_OK));
	SIMPLE(T_OUT, 0, 512, S_OK);
	SIMPLE(T_FLUSH, 0, 0, S_OK);
	SIMPLE(T_UNKNOWN, 0, 0, S_UNSUPP);
	snprintf(text, sizeof(text), "%u:%u", major(dev), minor(dev));
	ASSERT_WELL(fdinfo_is(g, "vhost-blk-backend", text));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-ino", S_ISBLK(st.st_mode) ? 0 : st.st_ino));
	snprintf(text, sizeof(text), "%#x", info.flags);
	ASSERT_WELL(fdinfo_is(g, "vhost-blk-flags", text));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-trace-dev", info.trace_dev));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-capacity", info.capacity));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-flush-error", 0));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-inflight", 0));
	ASSERT_WELL(fdinfo_is(g, "vhost-blk-queue-0", "running"));
	ASSERT_WELL(fdinfo_is(g, "vhost-blk-queue-1", "running"));
	EXPECT_FALSE(get_line(g, "vhost-blk-queue-2", text, sizeof(text)));
	ASSERT_WELL(fdinfo_op(g, "read", 2, 4096 + 512, 0));
	ASSERT_WELL(fdinfo_op(g, "write", 1, 512, 0));
	ASSERT_WELL(fdinfo_op(g, "flush", 1, 0, 0));
	ASSERT_WELL(fdinfo_op(g, "discard", 0, 0, 0));
	ASSERT_WELL(fdinfo_op(g, "write-zeroes", 0, 0, 0));
	ASSERT_WELL(fdinfo_op(g, "other", 0, 0, 1));
	ASSERT_TRUE(get_line(g, "vhost-blk-read-ns", ns, sizeof(ns)));
	EXPECT_LT(0, strtoull(ns, NULL, 10));
	ASSERT_EQ(0, guest_set_running(g, 0));
	EXPECT_FALSE(get_line(g, "vhost-blk-queue-0", text, sizeof(text)));
	ASSERT_EQ(0, guest_set_backend(g, -1, 0));
	ASSERT_WELL(fdinfo_is(g, "vhost-blk-backend", "0:0"));
	ASSERT_WELL(fdinfo_op(g, "read", 2, 4096 + 512, 0));
}

/* A disk that can hang or fail */
FIXTURE(mapped) {
	struct hang h;
	struct guest g;
	struct vhost_blk_vring_stats s;
};

FIXTURE_SETUP(mapped)
{
	struct guest_opts opts = { .backend = &self->h.disk };
	const char *why = no_kernel("the model device has no counters");

	if (!why)
		why = hang_open_cached(&self->h);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(mapped)
{
	if (self->h.on)
		hang_off(&self->h);
	guest_destroy(&self->g);
	hang_close(&self->h);
}

TEST_F(mapped, errors)
{
	uint64_t sectors = self->h.disk.size / SECTOR;
	char params[256];

	ENDS(T_OUT, 0, 4096, S_OK);
	snprintf(params, sizeof(params), "%s 0 0 3600 1 error_writes", self->h.below.path);
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "flakey", params));
	ENDS(T_OUT, 0, 512, S_IOERR);
	ENDS(T_OUT, 8, 512, S_IOERR);
	ENDS(T_FLUSH, 0, 0, S_IOERR);
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "error", ""));
	ENDS(T_IN, 0, 512, S_IOERR);
	GET(0);
	COUNTS(READ, 0, 0, 1, 0);
	COUNTS(WRITE, 1, 4096, 2, 0);
	COUNTS(FLUSH, 0, 0, 1, 0);
	ASSERT_WELL(fdinfo_number(&self->g, "vhost-blk-write-errors", 2));
	ASSERT_WELL(fdinfo_is(&self->g, "vhost-blk-flush-error", "-5"));
}

/* A parked request is counted when it completes. */
TEST_F(mapped, parked)
{
	uint64_t sectors = self->h.disk.size / SECTOR;
	struct ring *r = &self->g.ring[0];
	struct request *q = request_new(&self->g, T_OUT, 0, 4096);
	char params[256];

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "error", ""));
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 7);
	ring_add(r, q);
	ring_kick_now(r);
	ASSERT_WELL(park_wait(r, VHOST_BLK_QUEUE_PARKED, 1));
	ASSERT_WELL(fdinfo_is(&self->g, "vhost-blk-queue-0", "parked"));
	GET(0);
	COUNTS(WRITE, 0, 0, 0, 0);
	snprintf(params, sizeof(params), "%s 0", self->h.below.path);
	ASSERT_WELL(dm_replace(&self->h.dm, sectors, "linear", params));
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(ring_wait(r, 1, PATIENCE));
	EXPECT_EQ(S_OK, request_status(q));
	GET(0);
	COUNTS(WRITE, 1, 4096, 0, 0);
	request_free(q);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void *stop(void *arg)
{
	return (void *)guest_set_running(arg, 0);
}

/* The counters can be read while a stop waits for a disk that hangs. */
TEST_F_TIMEOUT(mapped, while_a_stop_hangs, 60)
{
	struct vhost_blk_vring_info info = {};
	struct guest *g = &self->g;
	struct request *q = request_new(g, T_IN, 8, 4096);
	pthread_t thread;
	long long start;
	unsigned int ms;
	void *ret;

	ENDS(T_IN, 0, 512, S_OK);
	ASSERT_WELL(hang_on(&self->h));
	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_arm(q, 7);
	ring_add(&g->ring[0], q);
	ring_kick_now(&g->ring[0]);
	for (ms = 0; ms < PATIENCE && info.inflight != 1; ms++) {
		usleep(1000);
		ASSERT_EQ(0, ring_info(&g->ring[0], &info));
	}
	ASSERT_EQ(1, info.inflight);
	ASSERT_EQ(0, pthread_create(&thread, NULL, stop, g));
	for (ms = 0; ms < PATIENCE && info.state != VHOST_BLK_QUEUE_DRAINING; ms++) {
		usleep(1000);
		ASSERT_EQ(0, ring_info(&g->ring[0], &info));
	}
	start = now_ms();
	GET(0);
	COUNTS(READ, 1, 512, 0, 0);
	ASSERT_WELL(fdinfo_is(g, "vhost-blk-queue-0", "draining"));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-inflight", 1));
	ASSERT_WELL(fdinfo_number(g, "vhost-blk-read-requests", 1));
	EXPECT_GT(SOON, now_ms() - start);
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	GET(0);
	COUNTS(READ, 2, 512 + 4096, 0, 0);
	request_free(q);
}

TEST_HARNESS_MAIN
