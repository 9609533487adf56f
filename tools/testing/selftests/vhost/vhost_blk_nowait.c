// SPDX-License-Identifier: GPL-2.0
/*
 * A disk with fewer tags than the guest has requests: the worker must not hold
 * the mutex of the queue while it waits for a tag, whether or not the disk's
 * driver can report that it would have to wait (REQ_NOWAIT).
 */
#define _GNU_SOURCE
#include <time.h>

#include "dm.h"
#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK

/* More than the disk's tag and the requests that an I/O scheduler holds */
#define REQUESTS	6
#define NSEC		1000000000

FIXTURE(nowait) {
	struct backend disk;
	struct dm dm;
	struct backend b;
	struct guest g;
	struct request *q[REQUESTS];
};

FIXTURE_VARIANT(nowait) {
	bool zoned;
	bool dm;
};

FIXTURE_VARIANT_ADD(nowait, disk) {
	.zoned = false,
};

/* Without REQ_NOWAIT: writes to zones must stay in order. */
FIXTURE_VARIANT_ADD(nowait, zoned) {
	.zoned = true,
};

/* Without REQ_NOWAIT before Linux 6.16 */
FIXTURE_VARIANT_ADD(nowait, dm) {
	.dm = true,
};

/* The tests use only conventional zones. */
static const struct nullb_attr one_tag[] = {
	{ "hw_queue_depth", "1" }, { "irqmode", "2" }, { "completion_nsec", "1000000000" },
	{ NULL, NULL },
};

static const struct nullb_attr one_tag_zoned[] = {
	{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" },
	{ "hw_queue_depth", "1" }, { "irqmode", "2" }, { "completion_nsec", "1000000000" },
	{ NULL, NULL },
};

/* Put a device mapper device on the disk. */
static const char *put_dm_between(struct dm *dm, struct backend *disk, struct backend *b)
{
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	char params[256];
	const char *why;

	snprintf(params, sizeof(params), "%s 0", disk->path);
	why = dm_create(dm, disk->size / SECTOR, "linear", params);
	opts.path = dm->path;
	return why ? why : backend_open_as(b, &opts);
}

FIXTURE_SETUP(nowait)
{
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .size = 4 << 20, .blank = true,
		.nullb = variant->zoned ? one_tag_zoned : one_tag,
	};
	const char *why = no_kernel("the model device never has requests in flight");

	self->dm.control = -1;
	self->disk.fd = -1;
	self->disk.check_fd = -1;
	self->disk.loop = -1;
	self->disk.loop_file = -1;
	if (!why)
		why = backend_open_as(variant->dm ? &self->disk : &self->b, &opts);
	if (!why && variant->dm)
		why = put_dm_between(&self->dm, &self->disk, &self->b);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
}

FIXTURE_TEARDOWN(nowait)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->disk);
}

static const char *submit(struct request **q, struct ring *r, bool large)
{
	uint32_t len = large ? 64 << 10 : 4096;
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		/* far apart, so that they are not merged */
		q[i] = request_new(r->guest, i & 1 ? T_IN : T_OUT, i * 300, len);
		request_cut_usual(q[i]);
		request_place(q[i], PLACE_ALIGNED, NULL);
		request_arm(q[i], i);
		if (ring_add(r, q[i]))
			return "the ring is full";
	}
	ring_kick(r);
	return NULL;
}

static const char *finish(struct request **q, struct ring *r)
{
	const char *why = ring_wait(r, REQUESTS, 60000);
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		if (!why && request_status(q[i]) != S_OK)
			why = guest_say(r->guest, "request %u: status %u", i,
					request_status(q[i]));
		request_free(q[i]);
	}
	return why;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* An ioctl that takes the mutex of the queue is faster than one request to the disk. */
TEST_F_TIMEOUT(nowait, ioctl, 60)
{
	struct ring *r = &self->g.ring[0];
	struct vhost_vring_file f = { .index = 0, .fd = r->call };
	unsigned int i;
	uint64_t start;

	for (i = 0; i < 2; i++) {
		ASSERT_WELL(submit(self->q, r, i));
		/* the worker has started */
		usleep(NSEC / 1000 / 4);
		start = now();
		ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_VRING_CALL, &f));
		EXPECT_GT(NSEC, now() - start);
		ASSERT_WELL(finish(self->q, r));
	}
}

/* Another queue of the same worker works: its request needs no tag. */
TEST_F_TIMEOUT(nowait, other_queue, 60)
{
	struct ring *r = &self->g.ring[0];
	uint64_t start;

	ASSERT_WELL(submit(self->q, r, false));
	usleep(NSEC / 1000 / 4);
	start = now();
	ASSERT_WELL(request_ends(&self->g.ring[1], VIRTIO_BLK_T_GET_ID, 0, 20, S_OK));
	EXPECT_GT(NSEC, now() - start);
	ASSERT_WELL(finish(self->q, r));
}

/* A stop waits for the requests in the workqueue, and they complete. */
TEST_F_TIMEOUT(nowait, stop, 60)
{
	struct ring *r = &self->g.ring[0];

	ASSERT_WELL(submit(self->q, r, false));
	usleep(NSEC / 1000 / 4);
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_WELL(finish(self->q, r));
	EXPECT_EQ(0, ring_inflight(r));
}

TEST_HARNESS_MAIN
