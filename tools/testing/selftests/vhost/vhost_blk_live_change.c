// SPDX-License-Identifier: GPL-2.0
/*
 * Changes that are allowed while requests are in flight: backend, memory table,
 * eventfds, workers
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/eventfd.h>

#include "suite-flight.h"

/* Requests in flight complete on the old backend, later ones go to the new one. */
TEST_F_TIMEOUT(flight, swap, 120)
{
	struct guest *g = &self->g;
	struct backend other, *now = &self->b, *next = &other;
	unsigned int i;
	const char *why = backend_open(&other, BACKEND_FILE, false);

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < scaled(8, 3); i++) {
		struct backend *was = now;

		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		ASSERT_EQ(0, guest_set_backend(g, next->fd, 0));
		/*
		 * the whole batch was available; the new backend gets the
		 * requests that the device had not taken
		 */
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		g->opts.backend = next;
		ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_FLUSH, 0, 0,
					   VIRTIO_BLK_S_OK));
		batch_free(&self->batch);
		now = next;
		next = was;
		/* behind the sectors of the batch, where both backends are unchanged */
		ASSERT_WELL(request_simple(&g->ring[1], VIRTIO_BLK_T_OUT, 8000 + i, 4096,
					   VIRTIO_BLK_S_OK));
		ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_IN, 8000 + i, 4096,
					   VIRTIO_BLK_S_OK));
		ASSERT_WELL(backend_compare(next, 8000 * SECTOR, 65536));
	}
	guest_close(g);
	backend_close(&other);
}

/*
 * Each request of a batch is on one of the two backends as a whole, and not on
 * the other.
 */
TEST_F_TIMEOUT(flight, swap_each_once, 60)
{
	struct guest *g = &self->g;
	struct backend other;
	unsigned int i, here = 0, there = 0;
	const char *why = backend_open(&other, BACKEND_FILE, false);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(take_off(g, &self->batch, &self->rng));
	ASSERT_EQ(0, guest_set_backend(g, other.fd, 0));
	ASSERT_WELL(batch_wait(&self->batch, 20000));
	ASSERT_EQ(0, guest_set_running(g, 0));
	for (i = 0; i < self->batch.n; i++) {
		struct request *q = self->batch.q[i];
		struct backend *b;

		ASSERT_EQ(1, q->done);
		ASSERT_EQ(VIRTIO_BLK_S_OK, request_status(q));
		ASSERT_EQ(SECTOR, pread(other.check_fd, other.scratch, SECTOR,
					q->sector * SECTOR));
		b = memcmp(other.scratch, q->data, SECTOR) ? &self->b : &other;
		backend_model_write(b, q->sector * SECTOR, q->data, q->len);
		*(b == &other ? &there : &here) += 1;
	}
	TH_LOG("%u requests on the old backend, %u on the new one", here, there);
	ASSERT_WELL(backend_compare_all(&self->b));
	ASSERT_WELL(backend_compare_all(&other));
	backend_close(&other);
}

TEST_F(flight, swap_refused)
{
	struct vhost_blk_backend bad = { .fd = self->b.fd, .flags = 1U << 31 };
	struct guest *g = &self->g;
	int dir = open("/", O_RDONLY | O_DIRECTORY);

	/* after a swap that fails, the old backend is still attached and works */
	ASSERT_WELL(take_off(g, &self->batch, &self->rng));
	ASSERT_EQ(-EINVAL, guest_set_backend(g, dir, 0));
	ASSERT_EQ(-EBADF, guest_set_backend(g, 1000, 0));
	ASSERT_EQ(-EINVAL, guest_ioctl(g, VHOST_BLK_SET_BACKEND, &bad));
	ASSERT_EQ(-EBUSY, guest_set_backend(g, -1, 0));
	ASSERT_EQ(-EOPNOTSUPP, guest_set_backend(g, self->b.fd, VHOST_BLK_BACKEND_F_RO));
	ASSERT_WELL(batch_wait(&self->batch, 20000));
	ASSERT_WELL(batch_check(&self->batch));
	ASSERT_WELL(guest_prove(g));
	close(dir);
}

/*
 * Swap to a backend of another size: config eventfd, configuration space and
 * range checks follow.
 */
TEST_F_TIMEOUT(flight, resize, 60)
{
	struct guest *g = &self->g;
	struct backend small;
	int call = eventfd(0, EFD_NONBLOCK);
	const char *why = backend_open_sized(&small, BACKEND_FILE, false, 2 << 20);
	uint64_t end = (2 << 20) / SECTOR;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_SET_CONFIG_CALL, &call));
	ASSERT_EQ(0, guest_set_backend(g, self->b.fd, 0));
	EXPECT_EQ(0, eventfd_drain(call));
	ASSERT_EQ(0, guest_set_backend(g, small.fd, 0));
	EXPECT_EQ(1, eventfd_drain(call));
	g->opts.backend = &small;
	ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, end - 1, 512, VIRTIO_BLK_S_OK));
	ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_IN, end, 512, VIRTIO_BLK_S_IOERR));
	call = -1;
	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_SET_CONFIG_CALL, &call));
	ASSERT_EQ(0, guest_set_backend(g, self->b.fd, 0));
	g->opts.backend = &self->b;
	ASSERT_WELL(guest_prove(g));
	guest_close(g);
	backend_close(&small);
}

/* Hotplug under load of memory that no request uses */
TEST_F_TIMEOUT(flight, mem_table_under_load, 120)
{
	struct guest *g = &self->g;
	struct traffic t = {
		.ring = &g->ring[0], .depth = 32, .wait = WAIT_CALL,
		.total = variant->kind == BACKEND_SLOW ? scaled(500, 200) : scaled(10000, 2000),
	};
	pthread_t thread;
	unsigned int tables = 0;

	ASSERT_NE(NULL, guest_add_region(g, 1ULL << 40, 1 << 20));
	traffic_prepare(&t);
	ASSERT_EQ(0, pthread_create(&thread, NULL, traffic_thread, &t));
	while (t.done < t.total / 2 && !t.why) {
		struct {
			struct vhost_memory m;
			struct vhost_memory_region r;
		} one = { .m.nregions = 1 };

		one.r.guest_phys_addr = g->region[0].gpa;
		one.r.memory_size = g->region[0].len;
		one.r.userspace_addr = (uintptr_t)g->region[0].hva;
		ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_MEM_TABLE, &one));
		ASSERT_EQ(0, guest_set_mem_table(g));
		tables += 2;
		usleep(rng_below(&self->rng, 2000));
	}
	pthread_join(thread, NULL);
	ASSERT_WELL(t.why);
	TH_LOG("%u tables", tables);
	ASSERT_WELL(guest_prove(g));
}

/* Memory moves to another guest address, which is valid as soon as the ioctl returns. */
TEST_F_TIMEOUT(flight, mem_table_moves, 60)
{
	struct guest *g = &self->g;
	struct region *r = guest_add_region(g, 1ULL << 40, 1 << 20);
	unsigned int i;

	ASSERT_NE(NULL, r);
	for (i = 0; i < scaled(8, 3); i++) {
		struct request *q = request_new(g, VIRTIO_BLK_T_OUT, 8 * i, 4096);

		r->gpa += 1 << 20;
		ASSERT_EQ(0, guest_set_mem_table(g));
		request_cut_usual(q);
		request_place_at(q, r->gpa + 100, r->gpa + 65536);
		request_arm(q, i);
		ASSERT_WELL(request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK));
		request_free(q);
	}
	/* the old address is unknown, so the request cannot be completed */
	{
		struct request *q = request_new(g, VIRTIO_BLK_T_IN, 0, 512);

		request_cut_usual(q);
		request_place_at(q, r->gpa, r->gpa + 65536);
		request_arm(q, 0);
		r->gpa += 1 << 20;
		ASSERT_EQ(0, guest_set_mem_table(g));
		ASSERT_EQ(0, ring_add(&g->ring[0], q));
		ring_kick_now(&g->ring[0]);
		ASSERT_WELL(check_broken(&g->ring[0]));
		request_free(q);
	}
	ASSERT_WELL(check_repaired(g));
}

/* Replace the kick eventfd: the new one works at once, even if it was signalled before. */
TEST_F_TIMEOUT(flight, kick_change, 60)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	unsigned int i;

	for (i = 0; i < scaled(12, 4); i++) {
		struct vhost_vring_file f = { .index = 0 };
		int old = r->kick;

		f.fd = eventfd(i & 1, EFD_NONBLOCK);
		r->kick = f.fd;
		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_VRING_KICK, &f));
		/* a kick of the new eventfd counts, even from before the device had it */
		close(old);
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
	}
	ASSERT_WELL(check_kick_spurious(r, 10));
}

TEST_F_TIMEOUT(flight, call_change, 60)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	unsigned int i;

	for (i = 0; i < scaled(12, 4); i++) {
		struct vhost_vring_file f = { .index = 0 };
		int old = r->call;

		f.fd = eventfd(0, EFD_NONBLOCK);
		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_VRING_CALL, &f));
		r->call = f.fd;
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
		eventfd_drain(old);
		ASSERT_WELL(check_call_each(r, 1));
		ASSERT_EQ(0, eventfd_drain(old));
		close(old);
	}
}

/* One of two queues breaks: the other one works. */
TEST_F_TIMEOUT(flight, one_broken, 60)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	unsigned int taken;

	ASSERT_WELL(take_off(g, &self->batch, &self->rng));
	ring_add_raw(r, r->num);
	ring_kick_now(r);
	ASSERT_WELL(ring_wait(&g->ring[1], ring_inflight(&g->ring[1]), 20000));
	ASSERT_TRUE(eventfd_wait(r->err, 10000));
	eventfd_drain(r->err);
	/* requests before the invalid one complete */
	for (taken = 0; taken < 2000 && ring_inflight(r) > 1; taken++) {
		if (!ring_take(r))
			usleep(1000);
	}
	ASSERT_EQ(1, ring_inflight(r));
	ASSERT_WELL(request_simple(&g->ring[1], VIRTIO_BLK_T_IN, 8000, 512, VIRTIO_BLK_S_OK));
	EXPECT_EQ(0, eventfd_drain(g->ring[1].err));
	ASSERT_WELL(ring_idle(r, 20));
	ASSERT_WELL(batch_check(&self->batch));
	batch_free(&self->batch);
	ASSERT_WELL(check_repaired(g));
}

TEST_HARNESS_MAIN
