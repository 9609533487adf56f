// SPDX-License-Identifier: GPL-2.0
/*
 * Live resize: the backend grows and shrinks under a running device, which
 * notifies the guest, and refuses requests past the new end at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <linux/loop.h>

#include "dm.h"
#include "suite.h"

#define SMALL	(2U << 20)
#define LARGE	(4U << 20)
#define LOOK_MS	4000	/* the device polls the size once a second */

enum resizer { BY_TRUNCATE, BY_LOOP, BY_DM };

FIXTURE(resize) {
	struct backend under;
	struct backend b;
	struct guest g;
	struct dm dm;
	int call;
};

FIXTURE_VARIANT(resize) {
	enum resizer how;
	bool direct;
};

FIXTURE_VARIANT_ADD(resize, file_direct) {
	.how = BY_TRUNCATE, .direct = true,
};

FIXTURE_VARIANT_ADD(resize, file_buffered) {
	.how = BY_TRUNCATE, .direct = false,
};

FIXTURE_VARIANT_ADD(resize, loop) {
	.how = BY_LOOP, .direct = true,
};

FIXTURE_VARIANT_ADD(resize, dm) {
	.how = BY_DM, .direct = true,
};

static const char *open_dm(struct backend *under, struct backend *b, struct dm *dm)
{
	struct backend_opts below = { .kind = BACKEND_NULLB, .direct = true, .size = LARGE };
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true, .path = dm->path };
	const char *why = backend_open_as(under, &below);
	char params[256];

	if (why)
		return why;
	snprintf(params, sizeof(params), "%s 0", under->path);
	why = dm_create(dm, SMALL / SECTOR, "linear", params);
	return why ? why : backend_open_as(b, &opts);
}

FIXTURE_SETUP(resize)
{
	struct backend_opts opts = {
		.kind = variant->how == BY_LOOP ? BACKEND_LOOP : BACKEND_FILE,
		.direct = variant->direct, .size = SMALL,
	};
	struct guest_opts guest = { .backend = &self->b };
	const char *why;

	self->dm.control = -1;
	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device does not poll its size");
	if (variant->how == BY_DM)
		why = open_dm(&self->under, &self->b, &self->dm);
	else
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
	self->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_BACKEND));
	ASSERT_EQ(0, guest_config_call(&self->g, self->call));
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(resize)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->dm.control >= 0)
		EXPECT_EQ(NULL, dm_remove(&self->dm));
	if (self->under.model)
		backend_close(&self->under);
	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

/* Resize the backend, as an administrator does; the device is not told. */
static const char *resize_to(struct backend *b, struct backend *under, struct dm *dm,
			     uint64_t size)
{
	const char *why = NULL;
	char params[256];

	if (b->kind == BACKEND_FILE) {
		if (ftruncate(b->check_fd, size))
			return "ftruncate fails";
	} else if (b->kind == BACKEND_LOOP) {
		if (ftruncate(b->loop_file, size) || ioctl(b->loop, LOOP_SET_CAPACITY))
			return "LOOP_SET_CAPACITY fails";
	} else {
		snprintf(params, sizeof(params), "%s 0", under->path);
		why = dm_replace(dm, size / SECTOR, "linear", params);
	}
	return why ? why : backend_resized(b);
}

#define RESIZE(size) ASSERT_WELL(resize_to(&self->b, &self->under, &self->dm, size))
#define SIMPLE(type, sector, len, status)					\
	ASSERT_WELL(request_simple(&self->g.ring[0], type, sector, len, status))

static uint64_t capacity(struct guest *g)
{
	struct blk_config c;

	return guest_get_config(g, &c) ? 0 : le64toh(c.capacity);
}

/* Grow and shrink: an interrupt each time, and the space is usable at once, or refused. */
TEST_F_TIMEOUT(resize, running, 60)
{
	uint64_t small = SMALL / SECTOR, large = LARGE / SECTOR;

	SIMPLE(VIRTIO_BLK_T_OUT, small - 8, 4096, VIRTIO_BLK_S_OK);
	SIMPLE(VIRTIO_BLK_T_OUT, small, 4096, VIRTIO_BLK_S_IOERR);
	RESIZE(LARGE);
	EXPECT_EQ(large, capacity(&self->g));
	SIMPLE(VIRTIO_BLK_T_OUT, large - 8, 4096, VIRTIO_BLK_S_OK);
	SIMPLE(VIRTIO_BLK_T_OUT, small - 8, 8192, VIRTIO_BLK_S_OK);
	SIMPLE(VIRTIO_BLK_T_OUT, large, 4096, VIRTIO_BLK_S_IOERR);
	EXPECT_TRUE(eventfd_wait(self->call, LOOK_MS));
	EXPECT_EQ(1, eventfd_drain(self->call));
	RESIZE(SMALL);
	EXPECT_EQ(small, capacity(&self->g));
	SIMPLE(VIRTIO_BLK_T_OUT, small, 4096, VIRTIO_BLK_S_IOERR);
	SIMPLE(VIRTIO_BLK_T_IN, small, 4096, VIRTIO_BLK_S_IOERR);
	SIMPLE(VIRTIO_BLK_T_OUT, small - 4, 4096, VIRTIO_BLK_S_IOERR);
	SIMPLE(VIRTIO_BLK_T_IN, small - 4, 4096, VIRTIO_BLK_S_IOERR);
	SIMPLE(VIRTIO_BLK_T_OUT, large - 8, 4096, VIRTIO_BLK_S_IOERR);
	SIMPLE(VIRTIO_BLK_T_IN, small - 8, 4096, VIRTIO_BLK_S_OK);
	/* a write past the end would have made the file longer */
	EXPECT_EQ(small, capacity(&self->g));
	EXPECT_TRUE(eventfd_wait(self->call, LOOK_MS));
	EXPECT_EQ(1, eventfd_drain(self->call));
	ASSERT_WELL(guest_prove(&self->g));
}

/* A change while the device is stopped is reported at the start, once. */
TEST_F_TIMEOUT(resize, stopped, 60)
{
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	RESIZE(LARGE);
	EXPECT_FALSE(eventfd_wait(self->call, 1200));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	EXPECT_TRUE(eventfd_wait(self->call, LOOK_MS));
	EXPECT_EQ(1, eventfd_drain(self->call));
	EXPECT_FALSE(eventfd_wait(self->call, 1200));
	SIMPLE(VIRTIO_BLK_T_OUT, LARGE / SECTOR - 8, 4096, VIRTIO_BLK_S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

/* A driver may read the size before it sets up a queue, and gets the new one. */
TEST_F_TIMEOUT(resize, no_queue, 60)
{
	struct vhost_vring_addr none = { 0 };
	unsigned int i;

	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	for (i = 0; i < self->g.nrings; i++) {
		none.index = i;
		ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_VRING_ADDR, &none));
	}
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	RESIZE(LARGE);
	EXPECT_TRUE(eventfd_wait(self->call, LOOK_MS));
	EXPECT_EQ(LARGE / SECTOR, capacity(&self->g));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	eventfd_drain(self->call);
	RESIZE(SMALL);
	EXPECT_FALSE(eventfd_wait(self->call, 1200));
}

/* If the size is the old one again, no interrupt is sent; no request fails. */
TEST_F_TIMEOUT(resize, under_load, 60)
{
	struct batch_opts round = { .max_sectors = 8, .max_segs = 4 };
	struct rng rng = { rng_seed_from_env() };
	unsigned int i;

	/* the batches stay below the smaller size */
	for (i = 0; i < scaled(12, 4); i++) {
		struct batch batch;

		self->b.size = SMALL;
		batch_build(&batch, &self->g, &round, &rng);
		ASSERT_WELL(batch_submit(&batch));
		RESIZE(i & 1 ? SMALL : LARGE);
		ASSERT_WELL(batch_wait(&batch, 20000));
		ASSERT_WELL(batch_check(&batch));
		batch_free(&batch);
	}
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_HARNESS_MAIN
