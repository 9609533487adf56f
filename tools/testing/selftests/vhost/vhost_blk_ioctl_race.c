// SPDX-License-Identifier: GPL-2.0
/*
 * VMMs that misbehave while requests are in flight: they remove memory, and
 * make calls that are refused then.  The suite live_change has the changes that
 * are allowed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "hang.h"
#include "suite-flight.h"
#include "task.h"

#define AREA_GPA	0x10000000000ULL
#define AREA		0x100000U
#define DEPTH		40
#define BYTES		4096U
#define SOON		20000

enum theft {
	DROPPED,	/* MADV_DONTNEED */
	PUNCHED,	/* a hole in the file that the memory is */
	PROTECTED,	/* mprotect(PROT_NONE) */
	REPLACED,	/* other memory is mapped there */
	UNMAPPED,
	THEFTS
};

struct thief {
	struct region *area;
	int memory;
	enum theft how;
	bool stop;
	unsigned int times;
};

static void steal(struct thief *t)
{
	struct region *r = t->area;

	switch (t->how) {
	case DROPPED:
		madvise(r->hva, r->len, MADV_DONTNEED);
		break;
	case PUNCHED:
		fallocate(t->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, r->len);
		break;
	case PROTECTED:
		mprotect(r->hva, r->len, PROT_NONE);
		break;
	case REPLACED:
		mmap(r->hva, r->len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	default:
		munmap(r->hva, r->len);
	}
}

static void *steal_forever(void *arg)
{
	struct thief *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_SEQ_CST)) {
		steal(t);
		usleep(300);
		if (!region_back(t->area, t->memory))
			abort();
		usleep(300);
		t->times++;
	}
	return NULL;
}

/* Data in the area that is removed, aligned or not; header and status elsewhere */
static void build(struct guest *g, struct request **q, struct rng *rng)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		q[i] = request_new(g, i & 1 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 8 * i, BYTES);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		q[i]->seg[1].gpa = AREA_GPA + 2 * BYTES * i + (i & 2 ? rng_below(rng, BYTES) : 0);
		request_arm(q[i], i);
	}
}

/* Every request completes. IOERR is allowed only if the data was removed. */
static const char *round_of(struct ring *r, struct request **q, bool may_fail, unsigned int *failed)
{
	const char *why;
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		request_rearm(q[i]);
		if (ring_add(r, q[i]))
			return "the ring is full";
	}
	ring_kick(r);
	why = ring_wait(r, DEPTH, 20000);
	for (i = 0; !why && i < DEPTH; i++) {
		uint8_t status = request_status(q[i]);

		if (status == VIRTIO_BLK_S_IOERR && may_fail)
			*failed += 1;
		else if (status != VIRTIO_BLK_S_OK || q[i]->done != 1)
			why = guest_say(r->guest, "status %u, completed %u times", status,
					q[i]->done);
	}
	return why;
}

/*
 * In User-Mode Linux a copy by the kernel faults the page in, and then looks it
 * up again without a lock.  If the page was removed in between, the copy fails.
 */
static bool copies_may_fail(void)
{
	char line[128] = "";
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool uml = false;

	while (f && !uml && fgets(line, sizeof(line), f))
		uml = strstr(line, "User Mode Linux");
	if (f)
		fclose(f);
	return uml;
}

TEST_F_TIMEOUT(flight, memory_stolen, 240)
{
	struct guest *g = &self->g;
	struct region *area = guest_add_region(g, AREA_GPA, AREA);
	struct thief t = { .area = area, .memory = memfd_create("vhost-test", MFD_CLOEXEC) };
	unsigned int i, rounds = variant->kind == BACKEND_SLOW ? scaled(6, 2) : scaled(40, 6);
	struct request *q[DEPTH];
	bool any_may = copies_may_fail();

	ASSERT_EQ(0, ftruncate(t.memory, AREA));
	ASSERT_TRUE(region_back(area, t.memory));
	ASSERT_EQ(0, guest_set_mem_table(g));
	build(g, q, &self->rng);
	for (t.how = 0; t.how < THEFTS; t.how++) {
		unsigned int failed = 0;
		pthread_t thread;

		t.stop = false;
		t.times = 0;
		ASSERT_EQ(0, pthread_create(&thread, NULL, steal_forever, &t));
		for (i = 0; i < rounds || t.times < scaled(15, 4); i++)
			ASSERT_WELL(round_of(&g->ring[0], q,
					     any_may || t.how == PROTECTED || t.how == UNMAPPED,
					     &failed));
		__atomic_store_n(&t.stop, true, __ATOMIC_SEQ_CST);
		pthread_join(thread, NULL);
		TH_LOG("way %u: removed %u times, %u requests failed", t.how, t.times, failed);
		ASSERT_LT(0, t.times);
	}
	/*
	 * Unmap the area for good, so that no request can succeed.  PROT_NONE
	 * would not do: copies by the kernel of User-Mode Linux ignore it if
	 * the page is present.
	 */
	t.how = UNMAPPED;
	steal(&t);
	i = 0;
	ASSERT_WELL(round_of(&g->ring[0], q, true, &i));
	ASSERT_EQ(DEPTH, i);
	ASSERT_TRUE(region_back(area, t.memory));
	for (i = 0; i < DEPTH; i++)
		request_free(q[i]);
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(guest_prove(g));
	close(t.memory);
}

/*
 * A request whose status cannot be written is not completed: the queue breaks
 * and reports that, and the other queue works.
 */
TEST_F_TIMEOUT(flight, status_stolen, 60)
{
	struct guest *g = &self->g;
	struct region *area = guest_add_region(g, AREA_GPA, AREA);
	struct thief t = { .area = area, .memory = memfd_create("vhost-test", MFD_CLOEXEC) };
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, 8, BYTES);

	ASSERT_EQ(0, ftruncate(t.memory, AREA));
	ASSERT_TRUE(region_back(area, t.memory));
	ASSERT_EQ(0, guest_set_mem_table(g));
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	/* after the header and the data */
	q->seg[2].gpa = AREA_GPA;
	request_arm(q, 1);
	t.how = UNMAPPED;
	steal(&t);
	ASSERT_EQ(0, ring_add(&g->ring[0], q));
	ring_kick_now(&g->ring[0]);
	ASSERT_WELL(check_broken(&g->ring[0]));
	ASSERT_WELL(request_ends(&g->ring[1], VIRTIO_BLK_T_IN, 8, BYTES, VIRTIO_BLK_S_OK));
	ASSERT_TRUE(region_back(area, t.memory));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(check_repaired(g));
	request_free(q);
	close(t.memory);
}

struct shouter {
	struct guest *guest;
	struct rng rng;
	bool stop;
	unsigned int times;
	const char *why;
};

/* Call ioctls that are refused while the queue runs, or that change nothing. */
static const char *shout(struct shouter *s)
{
	struct vhost_vring_state state = { .index = 0, .num = 64 };
	struct vhost_vring_file file = { .index = 0, .fd = s->guest->ring[0].err };
	struct guest *g = s->guest;
	uint64_t features = g->features ^ BIT64(VIRTIO_BLK_F_FLUSH);
	uint16_t base;

	switch (rng_below(&s->rng, 11)) {
	case 0:
		return guest_ioctl(g, VHOST_SET_VRING_NUM, &state) == -EBUSY ? NULL : "NUM";
	case 1:
		return guest_ioctl(g, VHOST_SET_VRING_BASE, &state) == -EBUSY ? NULL : "BASE";
	case 2:
		return ring_set_addr(&g->ring[0]) ? "ADDR" : NULL;
	case 3:
		return guest_ioctl(g, VHOST_SET_FEATURES, &features) == -EBUSY ? NULL : "FEATURES";
	case 4:
		return guest_set_features(g, g->features) ? "the same FEATURES" : NULL;
	case 5:
		return guest_ioctl(g, VHOST_SET_OWNER, NULL) == -EBUSY ? NULL : "OWNER";
	case 6:
		return guest_ioctl(g, VHOST_SET_VRING_ERR, &file) ? "ERR" : NULL;
	case 7:
		return guest_set_backend(g, -1, 0) == -EBUSY ? NULL : "BACKEND -1";
	case 8:
		return guest_set_backend(g, g->opts.backend->fd, 0) ? "BACKEND" : NULL;
	case 9:
		return guest_ioctl(g, VHOST_BLK_FLUSH, NULL) ? "FLUSH" : NULL;
	default:
		/* stop and start the other queue */
		if (ring_stop(&g->ring[1], &base) || ring_set_running(&g->ring[1], 1))
			return "SET_VRING_RUNNING";
		return guest_set_writeback(g, rng_next(&s->rng) & 1) ? "SET_CONFIG" : NULL;
	}
}

static void *shout_forever(void *arg)
{
	struct shouter *s = arg;

	while (!s->why && !__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		s->why = shout(s);
		s->times++;
		usleep(rng_below(&s->rng, 500));
	}
	return NULL;
}

/* Two threads call all of the ioctls at any time; the guest must not notice. */
TEST_F_TIMEOUT(flight, ioctls, 120)
{
	unsigned int i, enough = variant->kind == BACKEND_SLOW ? scaled(40, 8) : scaled(100, 15);
	struct guest *g = &self->g;
	const char *why = NULL;
	struct shouter s[2];
	pthread_t thread[2];

	for (i = 0; i < 2; i++) {
		s[i] = (struct shouter) { .guest = g, .rng = { rng_next(&self->rng) } };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, shout_forever, &s[i]));
	}
	while (!why && !s[0].why && !s[1].why && (s[0].times < enough || s[1].times < enough)) {
		struct traffic t = {
			.ring = &g->ring[0], .depth = 40, .total = 120, .wait = WAIT_CALL,
		};
		uint64_t mark = g->bump;

		why = traffic_run(&t);
		guest_release(g, mark);
	}
	for (i = 0; i < 2; i++)
		__atomic_store_n(&s[i].stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ASSERT_WELL(why);
	ASSERT_WELL(s[0].why);
	ASSERT_WELL(s[1].why);
	TH_LOG("%u and %u ioctls", s[0].times, s[1].times);
	ASSERT_EQ(0, guest_set_writeback(g, 1));
	ASSERT_WELL(guest_prove(g));
}

/*
 * Map a page of a disk, with these bytes at its start, so that it has to be
 * read from the disk.
 */
static const char *map_from_disk(void *page, const struct hang *h, const void *bytes, size_t len)
{
	alignas(4096) static uint8_t content[4096];

	memcpy(content, bytes, len);
	if (pwrite(h->disk.fd, content, sizeof(content), 0) != sizeof(content) ||
	    fsync(h->disk.fd))
		return "the page can't be written";
	if (mmap(page, sizeof(content), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 h->disk.fd, 0) == MAP_FAILED ||
	    posix_fadvise(h->disk.fd, 0, 0, POSIX_FADV_DONTNEED))
		return "the page can't be mapped";
	return NULL;
}

/* A thread that sets addresses, whose argument changes in the middle of the ioctl */
struct addresser {
	struct guest *guest;
	struct vhost_vring_addr *addr;
	pthread_t thread;
	pid_t tid;
	bool returned;
	long ret;
};

static void *set_addresses(void *arg)
{
	struct addresser *a = arg;

	__atomic_store_n(&a->tid, gettid(), __ATOMIC_SEQ_CST);
	a->ret = guest_ioctl(a->guest, VHOST_SET_VRING_ADDR, a->addr);
	__atomic_store_n(&a->returned, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static const char *addresser_start(struct addresser *a)
{
	unsigned int ms;
	pid_t tid = 0;

	if (pthread_create(&a->thread, NULL, set_addresses, a))
		return "no thread";
	for (ms = 0; ms < SOON && !tid; ms++) {
		usleep(1000);
		tid = __atomic_load_n(&a->tid, __ATOMIC_SEQ_CST);
	}
	return task_sleeps(tid, SOON) ? NULL : "the ioctl does not wait";
}

/* Call it after a change of the argument. */
static const char *addresser_waits(const struct addresser *a)
{
	return __atomic_load_n(&a->returned, __ATOMIC_SEQ_CST) ?
	       "the ioctl returned before its argument was changed" : NULL;
}

static const char *all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return len ? "the device wrote to other rings" : NULL;
}

/*
 * A running queue accepts its own addresses.  While the ioctl waits for the
 * worker, which reads a header, another thread changes the argument.
 */
TEST_F_TIMEOUT(flight, addresses_changed, 60)
{
	const struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_IN) };
	struct guest *g = &self->g;
	struct region *area = guest_add_region(g, AREA_GPA, AREA);
	int memory = memfd_create("vhost-test", MFD_CLOEXEC);
	struct vhost_vring_addr addr;
	struct addresser a = { .guest = g, .addr = &addr };
	struct ring *r = &g->ring[0];
	struct request *q;
	uint8_t *other;
	struct hang h;
	const char *why;
	unsigned int i;

	why = hang_open(&h, false);
	if (why)
		SKIP(return, "%s", why);
	other = guest_ptr(g, guest_alloc(g, 4096, 4096), 4096);
	memset(other, 0, 4096);
	q = request_new(g, VIRTIO_BLK_T_IN, 0, BYTES);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	q->seg[0].gpa = AREA_GPA;
	ASSERT_EQ(0, ftruncate(memory, AREA));
	ASSERT_TRUE(region_back(area, memory));
	ASSERT_EQ(0, guest_set_mem_table(g));
	request_arm(q, 1);
	ASSERT_WELL(map_from_disk(area->hva, &h, &hdr, sizeof(hdr)));
	ASSERT_WELL(hang_on(&h));
	ASSERT_EQ(0, ring_add(r, q));
	ring_kick_now(r);
	ASSERT_TRUE(worker_sleeps(getpid(), SOON));
	addr = (struct vhost_vring_addr) {
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->avail,
		.used_user_addr = (uintptr_t)r->used,
		.log_guest_addr = r->used_gpa,
	};
	ASSERT_WELL(addresser_start(&a));
	__atomic_store_n(&addr.used_user_addr, (uintptr_t)other, __ATOMIC_SEQ_CST);
	EXPECT_EQ(NULL, addresser_waits(&a));
	EXPECT_EQ(0, ring_device_idx(r));
	ASSERT_WELL(hang_off(&h));
	pthread_join(a.thread, NULL);
	EXPECT_EQ(0, a.ret);
	for (i = 0; i < 500 && !ring_device_idx(r); i++)
		usleep(10000);
	EXPECT_EQ(1, ring_device_idx(r));
	ASSERT_WELL(all_zero(other, 4096));
	EXPECT_EQ(0, guest_set_running(g, 0));
	request_free(q);
	ASSERT_TRUE(region_back(area, memory));
	close(memory);
	hang_close(&h);
}

/*
 * A stopped queue accepts other addresses.  While the ioctl reads them, another
 * thread replaces the index by that of a running queue, which keeps its rings.
 */
TEST_F_TIMEOUT(flight, index_changed, 60)
{
	struct guest *g = &self->g;
	struct addresser a = { .guest = g };
	struct vhost_vring_addr addr;
	uint8_t *pages, *other;
	struct hang h;
	const char *why;

	why = hang_open(&h, false);
	if (why)
		SKIP(return, "%s", why);
	other = guest_ptr(g, guest_alloc(g, 3 * 4096, 4096), 3 * 4096);
	memset(other, 0, 3 * 4096);
	addr = (struct vhost_vring_addr) {
		.desc_user_addr = (uintptr_t)other,
		.avail_user_addr = (uintptr_t)other + 4096,
		.used_user_addr = (uintptr_t)other + 8192,
	};
	/* index and flags are the end of a page that is present */
	pages = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, pages);
	a.addr = (void *)(pages + 4096 - offsetof(struct vhost_vring_addr, desc_user_addr));
	a.addr->index = 1;
	a.addr->flags = 0;
	ASSERT_WELL(map_from_disk(pages + 4096, &h, &addr.desc_user_addr,
				  sizeof(addr) - offsetof(typeof(addr), desc_user_addr)));
	ASSERT_EQ(0, ring_set_running(&g->ring[1], 0));
	ASSERT_WELL(hang_on(&h));
	ASSERT_WELL(addresser_start(&a));
	__atomic_store_n(&a.addr->index, 0, __ATOMIC_SEQ_CST);
	EXPECT_EQ(NULL, addresser_waits(&a));
	ASSERT_WELL(hang_off(&h));
	pthread_join(a.thread, NULL);
	munmap(pages, 2 * 4096);
	hang_close(&h);
	EXPECT_EQ(0, a.ret);
	ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_IN, 8, BYTES, VIRTIO_BLK_S_OK));
	ASSERT_WELL(all_zero(other, 3 * 4096));
}

static long set_kick(struct ring *r, int fd)
{
	struct vhost_vring_file file = { .index = r->index, .fd = fd };

	return guest_ioctl(r->guest, VHOST_SET_VRING_KICK, &file);
}

/*
 * Stop the first queue, give it another worker, and free the old one.  Without
 * an eventfd for kicks the vhost core does this at once.
 */
static const char *replace_worker(struct ring *r, struct vhost_worker_state *worker)
{
	struct vhost_worker_state before = *worker;
	struct vhost_vring_worker v = { .index = r->index };
	struct guest *g = r->guest;

	if (guest_ioctl(g, VHOST_NEW_WORKER, worker))
		return "NEW_WORKER fails";
	v.worker_id = worker->worker_id;
	if (ring_set_running(r, 0) || set_kick(r, -1))
		return "the queue can't be stopped";
	if (guest_ioctl(g, VHOST_ATTACH_VRING_WORKER, &v))
		return "ATTACH_VRING_WORKER fails";
	if (before.worker_id != ~0U && guest_ioctl(g, VHOST_FREE_WORKER, &before))
		return "FREE_WORKER fails";
	if (set_kick(r, r->kick) || ring_set_running(r, 1))
		return "the queue can't be started";
	return NULL;
}

/*
 * The thread that completed the last request may still be waking a worker that
 * has no work left.
 */
TEST_F_TIMEOUT(flight, worker_replaced, 120)
{
	struct batch_opts opts = { .per_queue = 32 };
	struct vhost_worker_state w = { .worker_id = ~0U };
	struct vhost_vring_worker v = { .index = 0 };
	struct guest *g = &self->g;
	unsigned int i;

	if (guest_ioctl(g, VHOST_GET_VRING_WORKER, &v) == -ENOTTY)
		SKIP(return, "this kernel has no worker ioctls (Linux 6.5)");
	if (guest_ioctl(g, VHOST_NEW_WORKER, &w) == -EFAULT)
		SKIP(return, "vhost.fork_from_owner_default=0: one worker only");
	for (i = 0; i < scaled(60, 12); i++) {
		batch_build(&self->batch, g, &opts, &self->rng);
		ASSERT_WELL(batch_submit(&self->batch));
		usleep(rng_below(&self->rng, 3000));
		ASSERT_WELL(replace_worker(&g->ring[0], &w));
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
	}
}

/* Reset the owner while other threads call the owner's ioctls. */
TEST_F_TIMEOUT(flight, reset_owner, 120)
{
	struct batch_opts opts = { .per_queue = 32, .reads_only = true };
	struct guest *g = &self->g;
	unsigned int i, k;

	for (i = 0; i < scaled(8, 3); i++) {
		struct shouter s = { .guest = g, .rng = { rng_next(&self->rng) } };
		pthread_t thread;
		struct batch b;

		batch_build(&b, g, &opts, &self->rng);
		ASSERT_WELL(batch_submit(&b));
		ASSERT_EQ(0, pthread_create(&thread, NULL, shout_forever, &s));
		usleep(rng_below(&self->rng, 5000));
		ASSERT_EQ(0, guest_ioctl(g, VHOST_RESET_OWNER, NULL));
		/* one of them was the first to fail because there is no owner */
		pthread_join(thread, NULL);
		ASSERT_NE(NULL, s.why);
		batch_free(&b);
		/* a SET_OWNER may have come after the reset */
		guest_close(g);
		for (k = 0; k < 2; k++)
			ring_reset(&g->ring[k], 0);
		ASSERT_WELL(guest_prove(g));
	}
}

TEST_HARNESS_MAIN
