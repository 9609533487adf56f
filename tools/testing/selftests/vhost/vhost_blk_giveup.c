// SPDX-License-Identifier: GPL-2.0
/*
 * A guest whose every queue is full of zeroes that have to be written: whoever
 * needs its device to stop, or its disk after its end, doesn't wait for them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/magic.h>

#include "hang.h"
#include "iommu.h"
#include "ranges.h"
#include "suite.h"

#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define DISK		(32U << 20)
#define QUEUES		64
#define PER_QUEUE	4
#define SEGS		16
/* The hurry starts after a second; what is in progress then is one step. */
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

/* Holes can be punched there, but not zeroed. */
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

/* The most that one request may ask for, as often as it may */
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

/* Each that was taken has ended, in one way or the other. */
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
	long long start;

	BOOT(.queues = QUEUES, .num = 16, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_WELL(submit_zeroes(&self->g));
	usleep(200000);
	/* an ioctl after which the device goes on */
	start = now_ms();
	ASSERT_EQ(0, guest_set_mem_table(&self->g));
	EXPECT_GT(PAUSE_MS, now_ms() - start);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	EXPECT_GT(STOP_MS, now_ms() - start);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	guest_destroy(&self->g);
	/* the disk is as good as before */
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	BOOT(.queues = 2, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_WELL(range_run(&self->g.ring[0], T_ZEROES, 8, 8, 0, S_OK));
	ASSERT_WELL(guest_prove(&self->g));
}

/* A queue that breaks meanwhile has requests to wait for as well. */
TEST_F_TIMEOUT(zeroes, broken, 120)
{
	unsigned int i, given_up;
	long long start;

	BOOT(.queues = QUEUES, .num = 16, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_WELL(submit_zeroes(&self->g));
	usleep(200000);
	for (i = 0; i < self->g.nrings; i++) {
		ring_add_raw(&self->g.ring[i], self->g.ring[i].num);
		ring_kick_now(&self->g.ring[i]);
	}
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, guest_set_mem_table(&self->g));
	EXPECT_GT(PAUSE_MS, now_ms() - start);
	ASSERT_WELL(all_ended(&self->g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
}

/*
 * Behind an IOMMU: what has the status of each of them is taken away, and comes back.
 * Then the device is to stop.
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
	long long start;

	guest_init(g, &opts);
	len = g->region[0].len - g->data_start;
	iommu_attach(g, &m, 4096, false, &rng);
	ASSERT_WELL(iommu_boot(g, true));
	ASSERT_WELL(submit_zeroes(g));
	usleep(200000);
	start = now_ms();
	ASSERT_EQ(0, iommu_invalidate(g, g->data_start, len));
	EXPECT_GT(PAUSE_MS, now_ms() - start);
	ASSERT_WELL(all_ended(g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	ASSERT_LT(0, given_up);
	/* what is left begins: each queue has asked, and one answer has all that is missing */
	m.chunk = m.npages;
	for (i = 0; i < 40; i++) {
		iommu_serve(g);
		usleep(10000);
	}
	start = now_ms();
	ASSERT_EQ(0, guest_set_running(g, 0));
	EXPECT_GT(STOP_MS, now_ms() - start);
	ASSERT_WELL(all_ended(g, &given_up));
	TH_LOG("%u given up, in %lld ms", given_up, now_ms() - start);
	ASSERT_LT(0, given_up);
	iommu_free(g, &m);
}

/* The VMM: its file is locked by the description that the device has. */
static void run_vmm(struct guest *g, struct backend *b)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	b->fd = backend_reopen(b, O_RDWR | (b->direct ? O_DIRECT : 0));
	if (b->fd < 0 || flock(b->fd, LOCK_SH) || guest_boot(g) || submit_zeroes(g))
		_exit(1);
	usleep(200000);
	raise(SIGSTOP);
	_exit(1);
}

TEST_F_TIMEOUT(zeroes, killed, 120)
{
	struct guest_opts opts = { .backend = &self->b, .queues = QUEUES, .num = 16,
				   .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) };
	long long start;
	int status;
	pid_t pid;

	guest_init(&self->g, &opts);
	pid = fork();
	if (!pid)
		run_vmm(&self->g, &self->b);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(-1, flock(self->b.check_fd, LOCK_EX | LOCK_NB));
	start = now_ms();
	kill(pid, SIGKILL);
	while (flock(self->b.check_fd, LOCK_EX | LOCK_NB) && now_ms() - start < 60000)
		usleep(10000);
	EXPECT_GT(LOCK_MS, now_ms() - start);
	TH_LOG("the lock is free after %lld ms", now_ms() - start);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
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
	if (why) {
		hang_close(&self->h);
		SKIP(return, "%s", why);
	}
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

/* A few ranges of a few sectors, the first of which waits for the backend: @n of them */
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
 * The backend is slow while the device is to stop: what is left of a small request is
 * done, what is left of a large one isn't.
 */
TEST_F_TIMEOUT(small, stop, 60)
{
	struct guest_opts opts = { .backend = &self->h.disk, .queues = 2,
				   .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) };
	struct stopper s = { .g = &self->g };
	struct request *little, *much;
	pthread_t thread;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_WELL(hang_on(&self->h));
	little = submit_ranges(&self->g.ring[0], 8, 8);
	much = submit_ranges(&self->g.ring[1], 4, (1U << 20) / SECTOR + 8);
	ASSERT_TRUE(little && much);
	usleep(200000);
	ASSERT_EQ(0, pthread_create(&thread, NULL, stop_it, &s));
	usleep(1500000);
	ASSERT_WELL(hang_off(&self->h));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, s.ret);
	ASSERT_EQ(little, ring_take(&self->g.ring[0]));
	ASSERT_EQ(much, ring_take(&self->g.ring[1]));
	EXPECT_EQ(S_OK, request_status(little));
	EXPECT_EQ(S_IOERR, request_status(much));
	request_free(little);
	request_free(much);
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

#define ENTRIES	65536	/* of a table: one more has no number */
#define TABLES	8	/* of a chain */
#define CHAINS	127

/* The longest there is: its last entry is @last, the others have no length. */
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

/* Chains of headers and a status, which take their time to be read */
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

/* They are no reason for an ioctl to wait long for the mutex of the queue. */
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
	/* else there was nothing to wait for */
	EXPECT_GT(CHAINS, ring_device_idx(r));
	ASSERT_EQ(0, ring_set_running(r, 0));
}

/* A ring full of them: the device stops between two. */
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
	/* some were taken, and not all of them were */
	EXPECT_LT(0, ring_device_idx(r));
	EXPECT_GT(CHAINS, ring_device_idx(r));
}

TEST_HARNESS_MAIN
