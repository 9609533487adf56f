// SPDX-License-Identifier: GPL-2.0
/*
 * A device behind an IOMMU knows the addresses that the VMM told it, and asks
 * for all others.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "dirty.h"
#include "hang.h"
#include "suite-iotlb.h"
#include "task.h"
#include "traffic.h"

FIXTURE(iotlb) {
	struct backend b;
	struct guest g;
	struct iommu m;
	struct rng rng;
};

FIXTURE_VARIANT(iotlb) {
	enum backend_kind kind;
	bool direct;
	bool v2;
};

FIXTURE_VARIANT_ADD(iotlb, bdev_v1) {
	.kind = BACKEND_BDEV, .direct = true, .v2 = false,
};

FIXTURE_VARIANT_ADD(iotlb, file_direct_v2) {
	.kind = BACKEND_FILE, .direct = true, .v2 = true,
};

FIXTURE_VARIANT_ADD(iotlb, file_buffered_v1) {
	.kind = BACKEND_FILE, .direct = false, .v2 = false,
};

FIXTURE_SETUP(iotlb)
{
	const char *why = set_up(&self->b, &self->g, &self->rng, variant->kind,
				 variant->direct);

	if (why)
		SKIP(return, "%s", why);
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

FIXTURE_TEARDOWN(iotlb)
{
	const char *why = tear_down(&self->b, &self->g, &self->m);

	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

/* Does the used index reach @idx? */
static bool comes_to(struct ring *r, uint16_t idx, int ms)
{
	for (; ms > 0 && ring_device_idx(r) != idx; ms -= 10) {
		iommu_serve(r->guest);
		usleep(10000);
	}
	return ring_device_idx(r) == idx;
}

static const char *rounds(struct guest *g, unsigned int n, struct rng *rng)
{
	struct mix_opts mix = mix_for(g);
	const char *why = NULL;

	while (!why && n--) {
		why = mix_round(g, &mix, rng);
		/* the next round must ask again */
		if (!why && iommu_invalidate(g, g->data_start, data_len(g)))
			why = "an invalidation was refused";
	}
	return why;
}

/* All addresses are known in advance: the device never asks. */
TEST_F_TIMEOUT(iotlb, preloaded, 60)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, true));
	for (i = 0; i < scaled(5, 2); i++)
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
	EXPECT_EQ(0, self->m.misses);
	EXPECT_FALSE(iommu_wait_miss(g, 0));
}

/*
 * Only the addresses of the rings are known: the device asks for all others,
 * page by page.
 */
TEST_F_TIMEOUT(iotlb, misses, 60)
{
	ATTACH(4096);
	ASSERT_WELL(iommu_boot(&self->g, false));
	ASSERT_WELL(rounds(&self->g, scaled(5, 2), &self->rng));
	EXPECT_LT(10, self->m.misses);
}

/* Many small mappings in one buffer, only some of which are known */
TEST_F_TIMEOUT(iotlb, small_pages, 60)
{
	struct guest *g = &self->g;
	unsigned int i;

	ATTACH(512);
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < scaled(5, 2); i++) {
		uint64_t off;

		self->m.chunk = 1 + rng_below(&self->rng, 8);
		for (off = g->data_start; off < g->region[0].len; off += 512)
			if (!rng_below(&self->rng, 3))
				ASSERT_EQ(0, iommu_update(g, off, 512));
		ASSERT_WELL(rounds(g, 1, &self->rng));
	}
	EXPECT_LT(10, self->m.misses);
}

/* Answers come late, and not in the order of the questions. */
TEST_F_TIMEOUT(iotlb, late_answers, 60)
{
	ATTACH(4096);
	self->m.late = 3;
	self->m.reverse = true;
	self->m.chunk = 4;
	ASSERT_WELL(iommu_boot(&self->g, false));
	ASSERT_WELL(rounds(&self->g, scaled(4, 2), &self->rng));
	EXPECT_LT(10, self->m.misses);
}

/* More mappings than the device keeps: it drops old ones, and asks again. */
TEST_F_TIMEOUT(iotlb, beyond_limit, 60)
{
	struct guest *g = &self->g;

	ATTACH(128);
	self->m.chunk = 64;
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, iommu_update(g, g->data_start, data_len(g)));
	ASSERT_LT(5000, self->m.updates);
	/* first a request at the start, whose mappings were dropped, then everywhere */
	ASSERT_WELL(rounds(g, scaled(4, 2), &self->rng));
	EXPECT_LT(0, self->m.misses);
}

/*
 * The request of each queue needs 1900 mappings, of 2048 that the vhost core
 * keeps by default.  If the device kept no more, it would drop mappings of one
 * request for those of the other, and ask for them forever.
 */
TEST_F_TIMEOUT(iotlb, large_requests, 60)
{
	struct guest *g = &self->g;
	struct request *q[2];
	unsigned int i;

	ATTACH(256);
	self->m.chunk = 16;
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < 2; i++) {
		q[i] = request_new_blocks(g, VIRTIO_BLK_T_IN, 1000 * i, 1900 * 256);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_arm(q[i], i);
	}
	guest_snapshot(g);
	for (i = 0; i < 2; i++)
		ring_add(&g->ring[i], q[i]);
	for (i = 0; i < 2; i++)
		ring_kick_now(&g->ring[i]);
	for (i = 0; i < 2; i++)
		ASSERT_WELL(ring_wait(&g->ring[i], 1, 30000));
	for (i = 0; i < 2; i++) {
		ASSERT_WELL(request_outcome(q[i], VIRTIO_BLK_S_OK));
		request_free(q[i]);
	}
	ASSERT_WELL(guest_compare(g));
	EXPECT_LT(3800, self->m.updates);
}

/* One page of a request is not permitted: its queue breaks, the other queue works. */
static const char *denied(struct guest *g, uint32_t type, unsigned int seg, uint8_t perm)
{
	struct iommu *m = g->iommu;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, type, 8, 4096);
	const char *why;
	uint32_t page;
	unsigned int i;

	request_cut_usual(q);
	for (i = 0; i < q->nout + q->nin; i++)
		q->seg[i].gpa = guest_alloc(g, q->seg[i].len, 4096);
	request_arm(q, 1);
	page = (q->seg[seg].gpa - m->base) / m->page_size;
	m->perm[page] = perm;
	if (iommu_invalidate(g, g->data_start, data_len(g)) ||
	    iommu_update(g, g->data_start, data_len(g)))
		return "an update was refused";
	guest_snapshot(g);
	ring_add(&g->ring[0], q);
	ring_kick_now(&g->ring[0]);
	why = check_broken(&g->ring[0]);
	if (!why)
		why = guest_compare(g);
	if (!why && iommu_wait_miss(g, 0))
		why = "a miss although the address is mapped";
	m->perm[page] = VHOST_ACCESS_RW;
	if (!why && iommu_invalidate(g, g->data_start, data_len(g)))
		why = "an invalidation was refused";
	if (!why)
		why = request_simple(&g->ring[1], VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK);
	request_free(q);
	guest_release(g, mark);
	return why ? why : check_repaired(g);
}

TEST_F_TIMEOUT(iotlb, permissions, 60)
{
	struct guest *g = &self->g;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	/* header, data, status */
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_IN, 0, VHOST_ACCESS_WO));
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_IN, 1, VHOST_ACCESS_RO));
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_OUT, 1, VHOST_ACCESS_WO));
	ASSERT_WELL(denied(g, VIRTIO_BLK_T_OUT, 2, VHOST_ACCESS_RO));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/*
 * An indirect table is only read, even if its descriptor has the flag F_WRITE
 * (2.7.5.3.2): the permission to write is not needed.
 */
static const char *read_only_table(struct guest *g, uint32_t type)
{
	struct request *q = request_new_blocks(g, type, 8, 4096);
	struct iommu *m = g->iommu;
	uint64_t mark = g->bump;
	const char *why = NULL;
	uint32_t page;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	/* in a page of its own */
	q->table = guest_alloc(g, 4096, 4096);
	q->table_cap = 4096 / sizeof(struct vring_desc);
	q->table_flags = VRING_DESC_F_WRITE;
	request_set_indirect(q, true);
	request_arm(q, 1);
	page = (q->table - m->base) / m->page_size;
	m->perm[page] = VHOST_ACCESS_RO;
	if (iommu_invalidate(g, g->data_start, data_len(g)))
		why = "an invalidation was refused";
	if (!why)
		why = request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK);
	m->perm[page] = VHOST_ACCESS_RW;
	request_free(q);
	guest_release(g, mark);
	return why;
}

TEST_F_TIMEOUT(iotlb, table_marked_writable, 60)
{
	struct guest *g = &self->g;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_WELL(read_only_table(g, VIRTIO_BLK_T_IN));
	ASSERT_WELL(read_only_table(g, VIRTIO_BLK_T_OUT));
	ASSERT_EQ(0, iommu_invalidate(g, g->data_start, data_len(g)));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

static void nothing(int sig)
{
	(void)sig;
}

/* read(), write() and poll() of the device without messages, and with invalid ones */
TEST_F_TIMEOUT(iotlb, messages, 60)
{
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	struct sigaction act = { .sa_handler = nothing };
	struct vhost_msg_v2 bad = { .type = 77 };
	struct guest *g = &self->g;
	struct vhost_iotlb_msg msg;
	char room[256];

	ATTACH(4096);
	ASSERT_WELL(guest_boot_to(g, STAGE_BACKEND));
	/* the IOTLB does not exist yet */
	EXPECT_EQ(-1, read(g->fd, room, sizeof(room)));
	EXPECT_EQ(EBADFD, errno);
	EXPECT_EQ(-EFAULT, iommu_update(g, 0, 4096));
	EXPECT_EQ(-EFAULT, iommu_invalidate(g, 0, 4096));
	ASSERT_WELL(guest_boot_to(g, STAGE_FEATURES));
	/* a read without a message waits until a signal arrives */
	ASSERT_EQ(0, sigaction(SIGALRM, &act, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-1, read(g->fd, room, sizeof(room)));
	EXPECT_EQ(EINTR, errno);
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_WELL(rounds(g, 1, &self->rng));
	EXPECT_EQ(-1, read(g->fd, room, sizeof(room)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, read(g->fd, room, 4));
	EXPECT_FALSE(iommu_wait_miss(g, 0));
	/* unknown types, truncated messages, unknown commands, empty ranges */
	EXPECT_EQ(-1, write(g->fd, &bad, sizeof(bad)));
	EXPECT_EQ(EINVAL, errno);
	bad.type = VHOST_IOTLB_MSG_V2;
	EXPECT_EQ(-1, write(g->fd, &bad, 2));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(g->fd, &bad, 20));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(g->fd, &bad, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EFAULT, iommu_message(g, 99, 0, 4096, room, VHOST_ACCESS_RW));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_MISS, 0, 4096, room, VHOST_ACCESS_RW));
	EXPECT_EQ(-EINVAL, iommu_message(g, VHOST_IOTLB_UPDATE, 0, 0, room, VHOST_ACCESS_RW));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_INVALIDATE, 0, 0, NULL, 0));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, 0, 4096,
					 (void *)0xffffffffff000000, VHOST_ACCESS_RW));
	EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, ~0ULL, 4096, room,
					 VHOST_ACCESS_RW));
	/* up to the end of the address space, and beyond it */
	EXPECT_EQ(0, iommu_message(g, VHOST_IOTLB_INVALIDATE, ~0ULL - 4095, 4096, NULL, 0));
	EXPECT_EQ(0, iommu_message(g, VHOST_IOTLB_INVALIDATE, ~0ULL, 4096, NULL, 0));
	/* a miss wakes a process that polls, once */
	EXPECT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
	ring_kick_now(&g->ring[0]);
	EXPECT_TRUE(iommu_wait_miss(g, 5000));
	EXPECT_TRUE(iommu_read(g, &msg));
	EXPECT_FALSE(iommu_wait_miss(g, 0));
	EXPECT_FALSE(iommu_read(g, &msg));
	EXPECT_EQ(0, iommu_update(g, 0, g->data_start));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* Return: which message a process that is not the owner can exchange; 0: none */
static int stranger(struct guest *g)
{
	char room[256];

	if (read(g->fd, room, sizeof(room)) != -1 || errno != EPERM)
		return 1;
	if (iommu_message(g, VHOST_IOTLB_UPDATE, g->iommu->base, 4096, g->region[0].hva,
			  VHOST_ACCESS_RW) != -EPERM)
		return 2;
	if (iommu_message(g, VHOST_IOTLB_INVALIDATE, g->iommu->base, 4096, NULL, 0) != -EPERM)
		return 3;
	return 0;
}

/*
 * A process that has the file, but not the owner's memory, gets no misses and
 * changes no mappings.
 */
TEST_F_TIMEOUT(iotlb, not_the_owner, 60)
{
	struct guest *g = &self->g;
	struct vhost_iotlb_msg msg;
	int status;
	pid_t pid;

	ATTACH(4096);
	ASSERT_WELL(guest_boot_to(g, STAGE_OPEN));
	EXPECT_EQ(0, stranger(g));
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
	ring_kick_now(&g->ring[0]);
	ASSERT_TRUE(iommu_wait_miss(g, 5000));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(stranger(g));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_TRUE(iommu_read(g, &msg));
	EXPECT_EQ(0, iommu_update(g, 0, g->data_start));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/*
 * One message for all addresses.  It cannot map them, because the process has
 * fewer.  It can invalidate them.
 */
TEST_F_TIMEOUT(iotlb, whole_space, 60)
{
	struct guest *g = &self->g;
	struct iommu *m = &self->m;
	uint8_t *mem = g->region[0].hva;
	uint64_t end = (uintptr_t)mem + g->region[0].len;
	unsigned int i;

	ATTACH(4096);
	/* an I/O address that is an address of this process */
	m->base = (uintptr_t)mem;
	for (i = 0; i < m->npages; i++)
		m->page[i] = i;
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, 0, ~0ULL, NULL,
						 VHOST_ACCESS_RW));
		EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, 0, ~0ULL, mem,
						 VHOST_ACCESS_RW));
		EXPECT_EQ(-EFAULT, iommu_message(g, VHOST_IOTLB_UPDATE, 1, ~0ULL, NULL,
						 VHOST_ACCESS_RW));
		/* and known addresses stay known */
		ASSERT_WELL(rounds(g, 1, &self->rng));
		/* from 0 to the end of the address space of the guest */
		ASSERT_EQ(0, iommu_message(g, VHOST_IOTLB_INVALIDATE, 0, ~0ULL, NULL, 0));
		ASSERT_EQ(0, iommu_message(g, VHOST_IOTLB_UPDATE, 0, end, NULL,
					   VHOST_ACCESS_RW));
		m->misses = 0;
		ASSERT_WELL(mix_round(g, &(struct mix_opts){ .max_sectors = 64 }, &self->rng));
		EXPECT_EQ(0, m->misses);
		EXPECT_FALSE(iommu_wait_miss(g, 0));
		/* nothing is known: the device asks for its rings as well */
		ASSERT_EQ(0, iommu_message(g, VHOST_IOTLB_INVALIDATE, i, ~0ULL, NULL, 0));
		memset(m->known, 0, m->npages * sizeof(*m->known));
		ASSERT_WELL(rounds(g, 1, &self->rng));
		EXPECT_LT(2, m->misses);
	}
}

/* The last page of the address space: no page follows it, and not page 0. */
TEST_F_TIMEOUT(iotlb, end_of_space, 60)
{
	const uint64_t page = ~0ULL - 4095;
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	uint8_t *mem = g->region[0].hva;
	uint64_t hdr;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	hdr = g->data_start;
	ASSERT_EQ(0, iommu_message(g, VHOST_IOTLB_UPDATE, self->m.base + hdr, 4096, mem + hdr,
				   VHOST_ACCESS_RW));
	ASSERT_EQ(0, iommu_message(g, VHOST_IOTLB_UPDATE, page, 4096, mem + hdr + 4096,
				   VHOST_ACCESS_RW));
	memset(mem + hdr, 0, sizeof(struct virtio_blk_outhdr));
	ring_put_desc(r, 0, self->m.base + hdr, sizeof(struct virtio_blk_outhdr),
		      VRING_DESC_F_NEXT, 1);
	ring_put_desc(r, 1, page, 4096, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring_put_desc(r, 2, self->m.base + hdr + 64, 1, VRING_DESC_F_WRITE, 0);
	ring_add_raw(r, 0);
	ring_kick_now(r);
	EXPECT_TRUE(comes_to(r, 1, 5000));
	EXPECT_EQ(VIRTIO_BLK_S_OK, mem[hdr + 64]);
	EXPECT_EQ(0, memcmp(mem + hdr + 4096, self->b.model, 4096));
	ASSERT_EQ(0, guest_set_running(g, 0));
}

/* A start writes the used ring. */
TEST_F(iotlb, start_without_ring)
{
	struct guest *g = &self->g;
	uint64_t off;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, guest_set_running(g, 0));
	off = ring_off(g, g->ring[0].used);
	ASSERT_EQ(0, iommu_invalidate(g, off, 4096));
	EXPECT_EQ(-EFAULT, guest_set_running(g, 1));
	EXPECT_TRUE(iommu_wait_miss(g, 1000));
	iommu_serve(g);
	/* the vhost core may have signalled this failure too */
	eventfd_drain(g->ring[0].err);
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* Return: a read that was added to the ring without a kick, or NULL */
static struct request *add_read(struct guest *g)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_IN, 8, 4096);

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_arm(q, 8);
	guest_snapshot(g);
	return ring_add(&g->ring[0], q) ? NULL : q;
}

/* The guest kicks again and again: the VMM gets one miss, not one for each kick. */
TEST_F_TIMEOUT(iotlb, kicked_again, 60)
{
	struct guest *g = &self->g;
	struct vhost_iotlb_msg msg;
	struct request *q;
	unsigned int i, n = 0;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	q = add_read(g);
	ASSERT_NE(NULL, q);
	for (i = 0; i < 500; i++) {
		ring_kick_now(&g->ring[0]);
		usleep(500);
	}
	while (iommu_read(g, &msg))
		n++;
	EXPECT_LE(1, n);
	/* the VMM may have read one miss while the queue tries again */
	EXPECT_GE(2, n);
	/* this was the miss of the last try */
	ASSERT_EQ(0, iommu_update(g, g->data_start, data_len(g)));
	ASSERT_WELL(ring_wait(&g->ring[0], 1, 20000));
	ASSERT_WELL(request_outcome(q, VIRTIO_BLK_S_OK));
	request_free(q);
}

/* A thread that reads a miss into memory that cannot be accessed for a while */
struct reader {
	pthread_t thread;
	int fd;
	void *page;
	pid_t tid;
	ssize_t ret;
};

static void *read_slowly(void *arg)
{
	struct reader *r = arg;

	__atomic_store_n(&r->tid, gettid(), __ATOMIC_RELEASE);
	r->ret = read(r->fd, r->page, 4096);
	return NULL;
}

/* Return: has the thread taken the miss, and waits for its memory? */
static bool reader_start(struct reader *r)
{
	if (pthread_create(&r->thread, NULL, read_slowly, r))
		return false;
	while (!__atomic_load_n(&r->tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	return task_sleeps(r->tid, 5000);
}

/*
 * A thread of the VMM has taken a miss, and waits for its own memory, while the
 * device is stopped.  The next driver's misses do not wait for that thread.
 */
TEST_F_TIMEOUT(iotlb, held_miss, 60)
{
	struct guest *g = &self->g;
	struct reader r = { .tid = 0 };
	const char *why;
	struct request *q;
	struct hang h;

	why = hang_open(&h, false);
	if (why)
		SKIP(return, "%s", why);
	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	q = add_read(g);
	ASSERT_NE(NULL, q);
	r.fd = g->fd;
	r.page = hang_map_page(&h, 0);
	ASSERT_NE(NULL, r.page);
	ASSERT_WELL(hang_on(&h));
	ring_kick_now(&g->ring[0]);
	ASSERT_TRUE(iommu_wait_miss(g, 5000));
	ASSERT_TRUE(reader_start(&r));
	ASSERT_EQ(0, guest_set_running(g, 0));
	g->stage = STAGE_BACKEND;
	ASSERT_WELL(iommu_boot(g, false));
	EXPECT_TRUE(iommu_wait_miss(g, 2000));
	/* otherwise the test has shown nothing */
	EXPECT_EQ(0, r.ret);
	ASSERT_EQ(0, iommu_update(g, g->data_start, data_len(g)));
	EXPECT_EQ(NULL, ring_wait(&g->ring[0], 1, 5000));
	ASSERT_WELL(hang_off(&h));
	pthread_join(r.thread, NULL);
	EXPECT_LT(0, r.ret);
	ASSERT_WELL(request_outcome(q, VIRTIO_BLK_S_OK));
	request_free(q);
	ASSERT_WELL(rounds(g, 1, &self->rng));
	munmap(r.page, 4096);
	hang_close(&h);
}

/* The next driver may work without an IOMMU, and a later one with it again. */
TEST_F_TIMEOUT(iotlb, switched_off, 60)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;

	ATTACH(4096);
	ASSERT_WELL(iommu_boot(g, false));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EBUSY, guest_set_features(g, g->features & ~PLATFORM));
		ASSERT_WELL(rounds(g, 1, &self->rng));
		/* an old miss without an answer */
		ASSERT_EQ(0, iommu_invalidate(g, 0, g->region[0].len));
		ring_kick_now(&g->ring[0]);
		ASSERT_EQ(0, guest_set_running(g, 0));
		g->iommu = NULL;
		g->opts.features_off = PLATFORM;
		g->stage = STAGE_BACKEND;
		ASSERT_WELL(guest_boot(g));
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
		ASSERT_EQ(0, guest_set_running(g, 0));
		g->opts.features_off = 0;
		g->iommu = &self->m;
		g->stage = STAGE_BACKEND;
		ASSERT_WELL(iommu_boot(g, false));
	}
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/* Writes are logged by guest-physical address. */
TEST_F_TIMEOUT(iotlb, logged, 60)
{
	struct guest *g = &self->g;
	struct mix_opts mix = mix_for(g);
	unsigned int i;
	struct dirty d;

	ATTACH(4096);
	dirty_attach(g, &d);
	g->opts.features_on |= BIT64(VHOST_F_LOG_ALL);
	ASSERT_WELL(guest_boot_to(g, STAGE_OWNED));
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_WELL(iommu_boot(g, true));
	self->m.chunk = 8;
	for (i = 0; i < scaled(6, 3); i++) {
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
		ASSERT_LT(1, d.changed);
		self->m.storm = i ? 20 : 0;
	}
	self->m.storm = 0;
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_free(g);
	ASSERT_WELL(rounds(g, 1, &self->rng));
}

/*
 * The vhost core logs a range of user-space addresses region by region, and
 * continues after the shortest region: if a region of one byte is at the end of
 * the data, that would mean byte by byte.
 */
TEST_F_TIMEOUT(iotlb, logged_by_bytes, 60)
{
	const uint32_t len = 512 << 10;
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct vhost_blk_vring_info info;
	uint64_t at, hdr;
	struct dirty d;

	ATTACH(4096);
	at = g->data_start + 4096;
	g->region[g->nregions++] = (struct region){
		.gpa = g->region[0].gpa + g->region[0].len, .len = 1,
		.hva = g->region[0].hva + at + len - 1,
	};
	dirty_attach(g, &d);
	g->opts.features_on |= BIT64(VHOST_F_LOG_ALL);
	ASSERT_WELL(guest_boot_to(g, STAGE_OWNED));
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_WELL(iommu_boot(g, false));
	ASSERT_EQ(0, iommu_message(g, VHOST_IOTLB_UPDATE, self->m.base + g->data_start,
				   data_len(g), g->region[0].hva + g->data_start,
				   VHOST_ACCESS_RW));
	hdr = g->data_start;
	memset(g->region[0].hva + hdr, 0, sizeof(struct virtio_blk_outhdr));
	ring_put_desc(r, 0, self->m.base + hdr, sizeof(struct virtio_blk_outhdr),
		      VRING_DESC_F_NEXT, 1);
	ring_put_desc(r, 1, self->m.base + at, len, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring_put_desc(r, 2, self->m.base + hdr + 64, 1, VRING_DESC_F_WRITE, 0);
	ring_add_raw(r, 0);
	ring_kick_now(r);
	EXPECT_TRUE(comes_to(r, 1, 5000));
	ring_info(r, &info);
	EXPECT_EQ(VHOST_BLK_BREAK_NONE, info.break_reason);
	EXPECT_EQ(VIRTIO_BLK_S_OK, ((uint8_t *)g->region[0].hva)[hdr + 64]);
	ASSERT_EQ(0, guest_set_running(g, 0));
	g->nregions--;
	dirty_free(g);
}

TEST_HARNESS_MAIN
