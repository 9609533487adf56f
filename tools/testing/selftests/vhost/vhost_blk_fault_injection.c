// SPDX-License-Identifier: GPL-2.0
/*
 * Failing allocations, copies and disks: each ends in a clean error, and the
 * device works afterwards.
 *
 * FAIL_FUNCTION, which lets functions fail by name, needs kprobes, which UML
 * lacks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "dirty.h"
#include "inject.h"
#include "suite-disk.h"
#include "ranges.h"
#include "traffic.h"

#define MOST_POINTS	5000	/* points of failure in one call, at most */

FIXTURE(faults) {
	struct backend b;
	struct guest g;
	unsigned int points;
};

FIXTURE_SETUP(faults)
{
	const char *why = faults_open();

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device is not in the kernel");
	if (!why)
		why = backend_open(&self->b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(faults)
{
	faults_close();
	backend_close(&self->b);
}

/* The only errors that these faults may cause */
static bool is_clean(long ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}

/*
 * One call of a VMM on a device in the stage @from; after it the device is in
 * the stage @to.
 */
struct call {
	const char *name;
	enum stage from, to;
	long (*fn)(struct guest *g);
};

/* Let the nth possible fault of the call happen. Return: an error of the test, or NULL. */
static const char *fail_once(struct guest *g, const struct call *c, unsigned int n, bool *hit)
{
	const char *why = guest_boot_to(g, c->from);
	long ret;

	if (why)
		return why;
	fault_nth(gettid(), n);
	ret = c->fn ? c->fn(g) : guest_enter(g, c->to);
	*hit = fault_was_hit();
	if (ret && !*hit)
		return guest_say(g, "%s fails without a fault: %s", c->name, strerror(-ret));
	if (ret && !is_clean(ret))
		return guest_say(g, "%s, fault %u: %s", c->name, n, strerror(-ret));
	if (!ret)
		g->stage = c->to;
	why = guest_prove(g);
	if (!why)
		return NULL;
	fprintf(stderr, "# %s: after fault %u, which it %s:\n", c->name, n,
		ret ? "reported" : "survived");
	return why;
}

/*
 * The first points are of many kinds; then hundreds of one kind follow, for the
 * queues.  Test only some of those, unless VHOST_TEST_ALL_FAULTS is set.
 */
static unsigned int next_point(unsigned int n)
{
	return n < 24 || getenv("VHOST_TEST_ALL_FAULTS") ? n + 1 : n + n / 3;
}

/* Each point of failure in turn, until there are no more. */
static const char *fail_each(struct backend *b, const struct call *c, unsigned int *points)
{
	struct guest_opts opts = { .backend = b, .queues = 2, .mem = 1 << 20, .num = 64 };
	static char why[256];
	const char *bad = NULL;
	bool hit = true;
	unsigned int n;
	struct guest g;

	*points = 0;
	for (n = 1; !bad && hit; n = next_point(n)) {
		if (n > MOST_POINTS)
			return "too many points of failure";
		guest_init(&g, &opts);
		bad = fail_once(&g, c, n, &hit);
		if (bad)
			snprintf(why, sizeof(why), "%s", bad);
		guest_destroy(&g);
		*points += hit;
	}
	return bad ? why : NULL;
}

static const struct call bring_up[] = {
	{ "open", STAGE_NONE, STAGE_OPEN },
	{ "SET_OWNER", STAGE_OPEN, STAGE_OWNED },
	{ "SET_BACKEND", STAGE_OWNED, STAGE_BACKEND },
	{ "SET_FEATURES", STAGE_BACKEND, STAGE_FEATURES },
	{ "SET_MEM_TABLE", STAGE_FEATURES, STAGE_MEMORY },
	{ "SET_VRING_*", STAGE_MEMORY, STAGE_RINGS },
	{ "SET_RUNNING 1", STAGE_RINGS, STAGE_RUNNING },
};

TEST_F_TIMEOUT(faults, bring_up, 300)
{
	unsigned int i, points;

	for (i = 0; i < ARRAY_SIZE(bring_up); i++) {
		ASSERT_WELL(fail_each(&self->b, &bring_up[i], &points));
		TH_LOG("%s: %u failures", bring_up[i].name, points);
		EXPECT_LT(0, points);
	}
}

static long stop(struct guest *g)
{
	return guest_set_running(g, 0);
}

static long swap(struct guest *g)
{
	return guest_set_backend(g, g->opts.backend->fd, 0);
}

static long reset_owner(struct guest *g)
{
	long ret = guest_ioctl(g, VHOST_RESET_OWNER, NULL);
	unsigned int i;

	for (i = 0; !ret && i < g->nrings; i++)
		ring_reset(&g->ring[i], 0);
	return ret;
}

static long get_stats(struct guest *g)
{
	struct vhost_blk_vring_stats stats = { .index = 0 };

	return guest_ioctl(g, VHOST_BLK_GET_STATS, &stats);
}

static long get_config(struct guest *g)
{
	struct blk_config config;

	return guest_get_config(g, &config);
}

static long writethrough(struct guest *g)
{
	return guest_set_writeback(g, 0);
}

static long config_call(struct guest *g)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	long ret = guest_config_call(g, fd);

	close(fd);
	return ret;
}

static long new_worker(struct guest *g)
{
	struct vhost_worker_state w = { 0 };
	long ret = guest_ioctl(g, VHOST_NEW_WORKER, &w);

	return ret == -ENOTTY ? 0 : ret;
}

/* The log is not read, so any memory will do. */
static long start_log(struct guest *g)
{
	uint64_t base = (uintptr_t)g->region[0].hva;
	long ret = guest_ioctl(g, VHOST_SET_LOG_BASE, &base);

	if (!ret)
		ret = guest_set_features(g, g->features | BIT64(VHOST_F_LOG_ALL));
	if (!ret)
		ret = guest_set_features(g, g->features & ~BIT64(VHOST_F_LOG_ALL));
	return ret;
}

/* Set other features on a stopped device. */
static long translate(struct guest *g)
{
	uint64_t before = g->features;
	long ret = guest_set_features(g, before | BIT64(VIRTIO_F_ACCESS_PLATFORM));

	return ret ? ret : guest_set_features(g, before);
}

static const struct call in_use[] = {
	{ "SET_RUNNING 0", STAGE_RUNNING, STAGE_RINGS, stop },
	{ "SET_BACKEND while running", STAGE_RUNNING, STAGE_RUNNING, swap },
	{ "SET_MEM_TABLE while running", STAGE_RUNNING, STAGE_RUNNING, guest_set_mem_table },
	{ "RESET_OWNER", STAGE_RUNNING, STAGE_OPEN, reset_owner },
	{ "GET_STATS", STAGE_RUNNING, STAGE_RUNNING, get_stats },
	{ "GET_CONFIG", STAGE_RUNNING, STAGE_RUNNING, get_config },
	{ "SET_CONFIG", STAGE_RUNNING, STAGE_RUNNING, writethrough },
	{ "SET_CONFIG_CALL", STAGE_RUNNING, STAGE_RUNNING, config_call },
	{ "NEW_WORKER", STAGE_RUNNING, STAGE_RUNNING, new_worker },
	{ "SET_FEATURES with a log", STAGE_RUNNING, STAGE_RUNNING, start_log },
	{ "SET_FEATURES with an IOMMU", STAGE_BACKEND, STAGE_BACKEND, translate },
};

TEST_F_TIMEOUT(faults, in_use, 300)
{
	unsigned int i, points;

	for (i = 0; i < ARRAY_SIZE(in_use); i++) {
		ASSERT_WELL(fail_each(&self->b, &in_use[i], &points));
		TH_LOG("%s: %u failures", in_use[i].name, points);
		EXPECT_LT(0, points);
	}
}

/* Requests whose preparation may fail, each in another way */
static struct request *make(struct guest *g, unsigned int kind)
{
	const struct range ranges[3] = { { 8, 8, 0 }, { 64, 8, 0 }, { 128, 8, 0 } };
	static const uint32_t type[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_GET_ID,
		VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_WRITE_ZEROES,
	};
	static const uint32_t len[] = { 32768, 24576, VIRTIO_BLK_ID_BYTES, 0, sizeof(ranges) };
	bool zeroes = type[kind] == VIRTIO_BLK_T_WRITE_ZEROES;
	struct request *q;

	if (zeroes)
		q = ranges_new(g, type[kind], len[kind]);
	else
		q = request_new(g, type[kind], 8, len[kind]);
	request_cut_usual(q);
	request_place(q, type[kind] == VIRTIO_BLK_T_OUT ? PLACE_PACKED : PLACE_ALIGNED, NULL);
	request_arm(q, kind);
	if (zeroes)
		request_put_data(q, ranges);
	return q;
}

#define KINDS	5

/*
 * One request during which the nth possible fault of the worker happens: it
 * completes, or its queue breaks and reports that.
 */
static const char *one_request(struct guest *g, unsigned int kind, unsigned int n, pid_t worker,
			       bool *hit)
{
	struct ring *r = &g->ring[0];
	uint64_t mark = g->bump;
	struct request *q = make(g, kind);
	const char *why;

	guest_snapshot(g);
	fault_nth(worker, n);
	ring_add(r, q);
	ring_kick(r);
	why = ring_wait(r, 1, 500);
	*hit = fault_was_hit();
	/* The copy of the available ring may have failed. */
	if (why && *hit && strstr(why, "error eventfd")) {
		guest_set_running(g, 0);
		why = backend_adopt(g->opts.backend, 0, g->opts.backend->size);
		if (!why)
			why = check_repaired(g);
	} else if (!why) {
		uint8_t status = request_status(q);

		if (status != VIRTIO_BLK_S_OK && !(status == VIRTIO_BLK_S_IOERR && *hit))
			why = guest_say(g, "kind %u, fault %u: status %u", kind, n, status);
	}
	request_free(q);
	guest_release(g, mark);
	return why;
}

/* On a loop device, because null_blk has faults of its own, such as losing a request. */
TEST_F_TIMEOUT(faults, worker, 300)
{
	struct guest_opts opts = { .backend = &self->b, .num = 64, .mem = 1 << 20 };
	unsigned int kind, n;
	const char *why;
	bool hit = true;
	pid_t worker;

	backend_close(&self->b);
	why = backend_open(&self->b, BACKEND_LOOP, true);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	for (kind = 0; kind < KINDS; kind++) {
		for (n = 1, hit = true; hit; n++) {
			/* A new device allocates everything again. */
			guest_close(&self->g);
			ring_reset(&self->g.ring[0], 0);
			ASSERT_WELL(guest_boot(&self->g));
			worker = worker_tid();
			if (!worker)
				SKIP(return, "the worker is not a thread of the owner");
			ASSERT_GT(MOST_POINTS, n);
			ASSERT_WELL(one_request(&self->g, kind, n, worker, &hit));
			ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
			ASSERT_WELL(guest_prove(&self->g));
		}
		TH_LOG("kind %u: %u points of failure", kind, n - 2);
	}
	guest_destroy(&self->g);
}

/* Let all allocations of the worker fail. */
static const char *go_without_memory(struct guest *g, pid_t worker, struct rng *rng)
{
	static const struct batch_opts opts[] = {
		{ .direct_only = true, .max_sectors = 96, .per_queue = 6 },
		{ .max_sectors = 256, .max_segs = 40, .per_queue = 6 },
	};
	const char *why = NULL;
	unsigned int i;

	fault_mark(worker, true);
	fault_often(FAULT_SLAB, 100, true);
	fault_often(FAULT_PAGE, 100, true);
	for (i = 0; !why && i < scaled(20, 8); i++) {
		why = batch_round(g, &opts[i % 2], rng);
		if (!why)
			why = request_simple(&g->ring[0], VIRTIO_BLK_T_FLUSH, 0, 0,
					     VIRTIO_BLK_S_OK);
	}
	faults_close();
	return why ? why : guest_prove(g);
}

/*
 * Reads, writes and flushes succeed without memory, because they may be what
 * the system needs to free memory.
 */
TEST_F_TIMEOUT(disk, no_memory, 120)
{
	const char *why = model_wanted() ? "the model device is not in the kernel" : faults_open();

	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	if (!worker_tid())
		SKIP(return, "the worker is not a thread of the owner");
	ASSERT_WELL(go_without_memory(&self->g, worker_tid(), &self->rng));
}

/* They succeed also while the dirty log is on, if necessary one after the other. */
TEST_F_TIMEOUT(disk, no_memory_logged, 120)
{
	const char *why = model_wanted() ? "the model device is not in the kernel" : faults_open();
	struct guest_opts opts = {
		.backend = &self->b, .queues = 2, .features_on = BIT64(VHOST_F_LOG_ALL),
	};
	struct dirty d;

	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	dirty_attach(&self->g, &d);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_MEMORY));
	ASSERT_EQ(0, dirty_set_base(&self->g));
	ASSERT_WELL(guest_boot(&self->g));
	if (!worker_tid())
		SKIP(return, "the worker is not a thread of the owner");
	/* the log is backed by memory now */
	memset(d.bits, 0, d.len);
	ASSERT_WELL(go_without_memory(&self->g, worker_tid(), &self->rng));
	ASSERT_LT(1, dirty_count(&self->g));
	dirty_free(&self->g);
}

/*
 * QEMU before 9.1 aborts if it cannot switch the log on, so no memory is needed
 * for that.
 */
TEST_F(disk, log_without_memory)
{
	const char *why = model_wanted() ? "the model device is not in the kernel" : faults_open();
	long ret;
	int mark;

	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	mark = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, mark);
	fault_often(FAULT_SLAB, 100, true);
	fault_often(FAULT_PAGE, 100, true);
	/* this process can open no file until it is unmarked */
	ASSERT_EQ(1, pwrite(mark, "1", 1, 0));
	ret = start_log(&self->g);
	ASSERT_EQ(1, pwrite(mark, "0", 1, 0));
	faults_close();
	close(mark);
	ASSERT_EQ(0, ret);
	ASSERT_WELL(guest_prove(&self->g));
}

/* Every request completes once, with OK or IOERR. */
static const char *check_answered(struct batch *b, unsigned int *failed)
{
	unsigned int i;

	for (i = 0; i < b->n; i++) {
		uint8_t status = request_status(b->q[i]);

		if (b->q[i]->done != 1)
			return guest_say(b->guest, "request %u: completed %u times", i,
					 b->q[i]->done);
		if (status != VIRTIO_BLK_S_OK && status != VIRTIO_BLK_S_IOERR)
			return guest_say(b->guest, "request %u: status %u", i, status);
		*failed += status == VIRTIO_BLK_S_IOERR;
	}
	return NULL;
}

static const char *round_of_faults(struct guest *g, struct rng *rng, unsigned int *failed)
{
	const struct batch_opts opts = { .ranges = true, .max_sectors = 64, .per_queue = 12 };
	struct batch b;
	const char *why;

	batch_build(&b, g, &opts, rng);
	why = batch_submit(&b);
	if (!why)
		why = batch_wait(&b, 30000);
	if (!why)
		why = check_answered(&b, failed);
	batch_free(&b);
	return why;
}

/* Some requests of the disk fail, including those submitted by workqueues. */
TEST_F_TIMEOUT(faults, disk_fails, 120)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 2 };
	struct rng rng = { rng_seed_from_env() };
	unsigned int i, failed = 0;
	const char *why = NULL;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_EQ(0, fault_disk(self->b.path, true));
	fault_often(FAULT_REQUEST, 20, false);
	for (i = 0; !why && i < scaled(40, 10); i++)
		why = round_of_faults(&self->g, &rng, &failed);
	fault_often(FAULT_REQUEST, 0, false);
	fault_disk(self->b.path, false);
	ASSERT_WELL(why);
	TH_LOG("%u requests failed", failed);
	EXPECT_LT(0, failed);
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(guest_prove(&self->g));
	guest_destroy(&self->g);
}

static long mem_kb(const char *name)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && kb < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), ": %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

/* Allocate all memory except @left kB, and hold it until killed. */
static void fill_memory(long left)
{
	for (;;) {
		long room = mem_kb("MemAvailable") - left;

		if (room <= 0 || mem_kb("MemFree") <= left / 2)
			usleep(20000);
		else
			mmap(NULL, room > 65536 ? 32 << 20 : 256 << 10, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	}
}

/* I/O works on a host without free memory. */
TEST_F_TIMEOUT(faults, full_host, 300)
{
	const struct batch_opts batch = { .max_sectors = 256, .max_segs = 40, .per_queue = 6 };
	struct guest_opts opts = { .backend = &self->b, .queues = 2 };
	struct rng rng = { rng_seed_from_env() };
	const long left = 24 << 10;
	const char *why = NULL;
	unsigned int i;
	pid_t pid;

	if (mem_kb("MemTotal") > 4 << 20)
		SKIP(return, "more than 4 GiB of memory: this is not a test host");
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		fill_memory(left);
	for (i = 0; i < 2000 && mem_kb("MemAvailable") > left + 8192; i++)
		usleep(50000);
	TH_LOG("%ld kB of memory available, %ld free", mem_kb("MemAvailable"),
	       mem_kb("MemFree"));
	EXPECT_GE(left + 8192, mem_kb("MemAvailable"));
	for (i = 0; !why && i < 20; i++)
		why = batch_round(&self->g, &batch, &rng);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ASSERT_WELL(why);
	guest_destroy(&self->g);
}

TEST_HARNESS_MAIN
