// SPDX-License-Identifier: GPL-2.0
/*
 * Stop, then drain: each operation that stops the device's queues returns only
 * when nothing is in flight, and after a restart no request is lost or
 * repeated.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "suite-flight.h"

TEST_F_TIMEOUT(flight, stop, 60)
{
	struct guest *g = &self->g;
	unsigned int i;

	for (i = 0; i < scaled(8, 3); i++) {
		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		ASSERT_EQ(0, guest_set_running(g, 0));
		ASSERT_WELL(check_landed(&g->ring[0]));
		ASSERT_WELL(check_landed(&g->ring[1]));
		ASSERT_EQ(0, guest_set_running(g, 1));
		/* requests that were left in the ring, without another kick */
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
	}
}

/* A kick while the queue is stopped is not lost, nor is a request without a kick. */
TEST_F_TIMEOUT(flight, stopped, 60)
{
	struct guest *g = &self->g;

	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_WELL(take_off(g, &self->batch, &self->rng));
	ring_kick_now(&g->ring[0]);
	ASSERT_WELL(ring_idle(&g->ring[0], 50));
	ASSERT_WELL(ring_idle(&g->ring[1], 1));
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(batch_wait(&self->batch, 20000));
	ASSERT_WELL(batch_check(&self->batch));
}

TEST_F_TIMEOUT(flight, one_queue, 60)
{
	struct guest *g = &self->g;
	unsigned int i;

	for (i = 0; i < scaled(8, 3); i++) {
		struct ring *r = &g->ring[0];

		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		ASSERT_WELL(check_landed(r));
		/* the other queue works */
		ASSERT_WELL(ring_wait(&g->ring[1], ring_inflight(&g->ring[1]), 20000));
		ring_kick_now(r);
		ASSERT_EQ(0, ring_set_running(r, 1));
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
	}
}

/* Reading the base of a running queue does not stop it. */
TEST_F_TIMEOUT(flight, base_is_read, 60)
{
	struct guest *g = &self->g;
	unsigned int i, j;
	uint16_t base;

	for (i = 0; i < scaled(8, 3); i++) {
		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		for (j = 0; j < 100; j++)
			ASSERT_EQ(0, ring_get_base(&g->ring[j & 1], &base));
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
		ASSERT_EQ(0, ring_get_base(&g->ring[0], &base));
		EXPECT_EQ(base, ring_device_idx(&g->ring[0]));
	}
}

/* As in a migration: the next device gets nothing but the bases. */
TEST_F_TIMEOUT(flight, saved_base, 60)
{
	struct guest *g = &self->g;
	unsigned int i, round;
	uint16_t base[2];

	for (round = 0; round < scaled(6, 3); round++) {
		ASSERT_WELL(take_off(g, &self->batch, &self->rng));
		ASSERT_EQ(0, guest_set_running(g, 0));
		for (i = 0; i < 2; i++) {
			ASSERT_WELL(check_landed(&g->ring[i]));
			ASSERT_EQ(0, ring_get_base(&g->ring[i], &base[i]));
		}
		guest_close(g);
		ASSERT_WELL(guest_boot_to(g, STAGE_RINGS));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, ring_set_base(&g->ring[i], base[i]));
		ASSERT_WELL(guest_boot(g));
		ASSERT_WELL(batch_wait(&self->batch, 20000));
		ASSERT_WELL(batch_check(&self->batch));
		batch_free(&self->batch);
	}
}

/* Stop and start under a guest that never pauses: each request completes exactly once. */
TEST_F_TIMEOUT(flight, stop_under_load, 120)
{
	struct guest *g = &self->g;
	struct traffic t[2];
	pthread_t thread[2];
	unsigned int i, stops = 0;

	for (i = 0; i < 2; i++) {
		t[i] = (struct traffic) {
			.ring = &g->ring[i], .depth = 40,
			.total = variant->kind == BACKEND_SLOW ? scaled(500, 200) :
				 scaled(10000, 2000),
			.wait = i ? WAIT_CALL : WAIT_POLL,
		};
		traffic_prepare(&t[i]);
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, traffic_thread, &t[i]));
	while (t[0].done < t[0].total / 2 && !t[0].why && !t[1].why) {
		ASSERT_EQ(0, guest_set_running(g, 0));
		for (i = 0; i < 2; i++) {
			uint16_t idx = ring_device_idx(&g->ring[i]), base;

			ASSERT_EQ(0, ring_get_base(&g->ring[i], &base));
			ASSERT_EQ(base, idx);
			usleep(500);
			ASSERT_EQ(idx, ring_device_idx(&g->ring[i]));
		}
		ASSERT_EQ(0, guest_set_running(g, 1));
		usleep(rng_below(&self->rng, 3000));
		stops++;
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ASSERT_WELL(t[0].why);
	ASSERT_WELL(t[1].why);
	TH_LOG("%u stops", stops);
	ASSERT_WELL(guest_prove(g));
}

/* After close(), reads that were in flight do not write into the guest's memory. */
static const char *reads_then(struct guest *g, struct batch *b, struct rng *rng,
			      void (*end)(struct guest *g))
{
	struct batch_opts opts = { .per_queue = 64, .max_sectors = 16, .reads_only = true };
	const char *why;

	batch_build(b, g, &opts, rng);
	why = batch_submit(b);
	usleep(rng_below(rng, 3000));
	end(g);
	guest_snapshot(g);
	usleep(3 * SLOW_NSEC / 1000);
	return why ? why : guest_compare(g);
}

TEST_F_TIMEOUT(flight, close, 60)
{
	struct guest *g = &self->g;
	unsigned int i;

	for (i = 0; i < scaled(8, 3); i++) {
		struct batch b;

		ASSERT_WELL(reads_then(g, &b, &self->rng, guest_close));
		batch_free(&b);
		ring_reset(&g->ring[0], 0);
		ring_reset(&g->ring[1], 0);
		ASSERT_WELL(guest_prove(g));
	}
}

static void reset_owner(struct guest *g)
{
	if (guest_ioctl(g, VHOST_RESET_OWNER, NULL))
		abort();
	g->stage = STAGE_OPEN;
}

TEST_F_TIMEOUT(flight, reset_owner, 60)
{
	struct guest *g = &self->g;
	unsigned int i;

	for (i = 0; i < scaled(8, 3); i++) {
		struct batch b;

		ASSERT_WELL(reads_then(g, &b, &self->rng, reset_owner));
		batch_free(&b);
		ring_reset(&g->ring[0], 0);
		ring_reset(&g->ring[1], 0);
		ASSERT_WELL(guest_prove(g));
	}
}

/* Boot a device and keep requests in flight. Does not return. */
static void victim(struct backend *b, struct rng *rng, int told)
{
	struct guest_opts opts = { .backend = b, .queues = 4 };
	struct batch_opts fill = { .per_queue = 100 };
	struct batch batch;
	struct guest g;

	guest_init(&g, &opts);
	if (guest_boot(&g))
		_exit(1);
	for (;;) {
		batch_build(&batch, &g, &fill, rng);
		if (batch_submit(&batch) || write(told, "", 1) != 1 ||
		    batch_wait(&batch, 20000))
			_exit(1);
		batch_free(&batch);
	}
}

/* SIGKILL of the VMM at any time: the backend is free and the device works afterwards. */
TEST_F_TIMEOUT(flight, kill, 120)
{
	unsigned int i;
	int status, told[2];
	char byte;

	guest_close(&self->g);
	for (i = 0; i < scaled(8, 3); i++) {
		pid_t pid;

		ASSERT_EQ(0, pipe(told));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			victim(&self->b, &self->rng, told[1]);
		close(told[1]);
		ASSERT_EQ(1, read(told[0], &byte, 1));
		usleep(rng_below(&self->rng, 10000));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		close(told[0]);
		rng_next(&self->rng);
	}
	ring_reset(&self->g.ring[0], 0);
	ring_reset(&self->g.ring[1], 0);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK));
	guest_close(&self->g);
	if (variant->kind != BACKEND_FILE) {
		int fd;

		close(self->b.fd);
		close(self->b.check_fd);
		fd = backend_reopen(&self->b, O_RDWR | O_EXCL);
		EXPECT_LE(0, fd)
			TH_LOG("the block device is still in use: %s", strerror(-fd));
		close(fd);
		self->b.fd = -1;
		self->b.check_fd = -1;
	}
}

static void *kick_forever(void *arg)
{
	struct guest *g = arg;
	uint64_t one = 1;

	while (!g->opts.serial)
		if (write(g->ring[0].kick, &one, sizeof(one)) < 0)
			usleep(10);
	return NULL;
}

/* If one queue cannot be started, none is, even if the guest kicks all the time. */
TEST_F_TIMEOUT(flight, failed_start, 60)
{
	struct vhost_vring_state num = { .index = 1, .num = 32768 };
	struct guest *g = &self->g;
	pthread_t thread;
	unsigned int i;
	uint16_t base;

	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_VRING_NUM, &num));
	ASSERT_WELL(take_off(g, &self->batch, &self->rng));
	ASSERT_EQ(0, pthread_create(&thread, NULL, kick_forever, g));
	for (i = 0; i < scaled(200, 50) && !ring_device_idx(&g->ring[0]); i++) {
		ASSERT_EQ(-EINVAL, guest_set_running(g, 1));
		/* requests that were started must have completed before the call failed */
		ASSERT_EQ(0, ring_get_base(&g->ring[0], &base));
		ASSERT_EQ(base, ring_device_idx(&g->ring[0]));
	}
	g->opts.serial = "";
	pthread_join(thread, NULL);
	num.num = g->ring[1].num;
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_VRING_NUM, &num));
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(batch_wait(&self->batch, 20000));
	ASSERT_WELL(batch_check(&self->batch));
}

TEST_HARNESS_MAIN
