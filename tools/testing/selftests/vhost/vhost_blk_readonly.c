// SPDX-License-Identifier: GPL-2.0
/*
 * A read-only backend, made so in each of three ways: the feature is offered,
 * and any request that would change the disk gets IOERR and changes nothing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/fs.h>

#include <stdlib.h>

#include "klog.h"
#include "suite-ranges.h"
#include "zones.h"

/* Every changing request that a driver may send, valid except for the read-only disk */
static const char *check_refused(struct guest *g)
{
	struct ring *r = &g->ring[0];
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < ARRAY_SIZE(range_type); i++) {
		uint32_t type = range_type[i];

		why = range_run(r, type, 8, 8, 0, either(g, type, S_IOERR));
		/* the read-only disk is reported before an error of the request */
		if (!why)
			why = range_run(r, type, ~0ULL, 8, 4, either(g, type, S_IOERR));
		if (!why)
			why = range_run(r, type, 8, 0, 0, either(g, type, S_IOERR));
	}
	if (!why)
		why = request_simple(r, VIRTIO_BLK_T_OUT, 8, SECTOR, S_IOERR);
	if (!why)
		why = request_simple(r, VIRTIO_BLK_T_OUT, 64, 65536, S_IOERR);
	if (!why)
		why = request_simple(r, VIRTIO_BLK_T_OUT, 64, 0, S_IOERR);
	if (!why)
		why = request_simple(r, VIRTIO_BLK_T_FLUSH, 0, 0, S_OK);
	if (!why)
		why = request_simple(r, VIRTIO_BLK_T_IN, 8, 65536, S_OK);
	return why ? why : backend_compare_all(g->opts.backend);
}

TEST_F(ranges, flag)
{
	BOOT(.backend_flags = VHOST_BLK_BACKEND_F_RO);
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_RO));
	ASSERT_WELL(check_refused(&self->g));
}

/* A driver that does not acknowledge the feature gets IOERR too. */
TEST_F(ranges, flag_not_negotiated)
{
	BOOT(.backend_flags = VHOST_BLK_BACKEND_F_RO, .features_off = BIT64(VIRTIO_BLK_F_RO));
	ASSERT_WELL(check_refused(&self->g));
}

TEST_F(ranges, mode_of_fd)
{
	int flags = O_RDONLY | (variant->opts.direct ? O_DIRECT : 0);

	if (model_wanted())
		SKIP(return, "the model device knows only the flag");
	close(self->b.fd);
	self->b.fd = backend_reopen(&self->b, flags);
	ASSERT_LE(0, self->b.fd);
	BOOT();
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_RO));
	ASSERT_WELL(check_refused(&self->g));
}

/*
 * The guest was told that the disk is read-only, and gets a writable one: its
 * features stay valid, for the dirty log of a migration, and for a start after
 * a stop or a reset.
 */
TEST_F(ranges, swap_to_writable)
{
	const uint64_t log_all = BIT64(VHOST_F_LOG_ALL);
	uint64_t f, base;
	void *bitmap;

	if (model_wanted())
		SKIP(return, "the model device has neither swaps nor a log");
	BOOT(.backend_flags = VHOST_BLK_BACKEND_F_RO);
	f = self->g.features;
	ASSERT_NE(0, f & BIT64(VIRTIO_BLK_F_RO));
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, 0));
	bitmap = calloc(1, 1 << 20);
	base = (uintptr_t)bitmap;
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_LOG_BASE, &base));
	EXPECT_EQ(0, guest_set_features(&self->g, f | log_all));
	EXPECT_EQ(0, guest_set_features(&self->g, f));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	/* firmware that does not know the feature, then a driver that does */
	EXPECT_EQ(0, guest_set_features(&self->g, f & ~BIT64(VIRTIO_BLK_F_RO)));
	EXPECT_EQ(0, guest_set_features(&self->g, f));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	EXPECT_EQ(NULL, request_simple(&self->g.ring[0], VIRTIO_BLK_T_OUT, 8, 4096, S_OK));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	free(bitmap);
}

/* blockdev --setro, before the disk is attached and while the device runs */
TEST_F(ranges, setro)
{
	int ro = 1;

	if (model_wanted())
		SKIP(return, "the model device knows only the flag");
	if (self->b.kind == BACKEND_FILE)
		SKIP(return, "not a block device");
	ASSERT_EQ(0, ioctl(self->b.check_fd, BLKROSET, &ro));
	BOOT();
	EXPECT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_RO));
	EXPECT_EQ(NULL, check_refused(&self->g));
	ro = 0;
	ASSERT_EQ(0, ioctl(self->b.check_fd, BLKROSET, &ro));
}

TEST_F(ranges, setro_later)
{
	int ro = 1;

	if (model_wanted())
		SKIP(return, "the model device knows only the flag");
	if (self->b.kind == BACKEND_FILE)
		SKIP(return, "not a block device");
	BOOT();
	EXPECT_FALSE(guest_has(&self->g, VIRTIO_BLK_F_RO));
	ASSERT_WELL(guest_prove(&self->g));
	ASSERT_EQ(0, ioctl(self->b.check_fd, BLKROSET, &ro));
	EXPECT_EQ(NULL, check_refused(&self->g));
	ro = 0;
	ASSERT_EQ(0, ioctl(self->b.check_fd, BLKROSET, &ro));
	ASSERT_WELL(guest_prove(&self->g));
}

/*
 * A write from an odd address is done in several windows, and the disk becomes
 * read-only after some of them.  The others must not be submitted, because the
 * kernel would only log a warning, and write them.
 */
TEST(setro_between_windows)
{
	static const struct nullb_attr slow[] = {
		{ "irqmode", "2" }, { "completion_nsec", "100000000" }, { NULL, NULL },
	};
	struct backend_opts disk = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = slow, .size = 2 << 20,
		.blank = true,
	};
	struct guest_opts opts = { .backend = NULL };
	const uint32_t bytes = 2 << 20, last = bytes - (256 << 10);
	struct backend b;
	struct rng rng = { .state = 1 };
	struct guest g;
	struct request *q;
	const char *why = no_kernel("the model device knows only the flag");
	int ro = 1, klog;

	if (!why)
		why = backend_open_as(&b, &disk);
	if (why)
		SKIP(return, "%s", why);
	klog = klog_open();
	if (klog < 0)
		SKIP(return, "no /dev/kmsg");
	opts.backend = &b;
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	q = request_new(&g, VIRTIO_BLK_T_OUT, 0, bytes);
	request_cut_usual(q);
	request_place(q, PLACE_SCATTER, &rng);
	q->seg[1].gpa |= 1;
	request_arm(q, 1);
	ASSERT_LE(0, ring_add(&g.ring[0], q));
	ring_kick(&g.ring[0]);
	usleep(250000);
	EXPECT_EQ(0, ring_device_idx(&g.ring[0]));
	ASSERT_EQ(0, ioctl(b.check_fd, BLKROSET, &ro));
	ASSERT_WELL(ring_wait(&g.ring[0], 1, 10000));
	EXPECT_EQ(S_IOERR, request_status(q));
	why = klog_about(klog, &b);
	EXPECT_EQ(NULL, why)
		TH_LOG("logged: %s", why);
	/* the windows before */
	ASSERT_WELL(backend_adopt(&b, 0, last));
	EXPECT_EQ(0, memcmp(b.model, q->data, SECTOR));
	EXPECT_EQ(NULL, backend_compare(&b, last, bytes - last));
	request_free(q);
	guest_destroy(&g);
	ro = 0;
	ASSERT_EQ(0, ioctl(b.check_fd, BLKROSET, &ro));
	backend_close(&b);
	close(klog);
}

/* Zones can be reported, but not changed. */
TEST(zones)
{
	static const struct nullb_attr attr[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "1" }, { NULL, NULL },
	};
	static const uint32_t type[] = {
		VIRTIO_BLK_T_ZONE_OPEN, VIRTIO_BLK_T_ZONE_CLOSE, VIRTIO_BLK_T_ZONE_FINISH,
		VIRTIO_BLK_T_ZONE_RESET, VIRTIO_BLK_T_ZONE_RESET_ALL,
	};
	struct backend_opts how = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .blank = true,
	};
	struct backend b;
	struct guest_opts opts = { .backend = &b, .backend_flags = VHOST_BLK_BACKEND_F_RO };
	const char *why = NULL;
	struct guest g;
	unsigned int i;
	uint64_t at;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device has no zones");
	why = backend_open_as(&b, &how);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(backend_adopt(&b, 0, b.size));
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	EXPECT_TRUE(guest_has(&g, VIRTIO_BLK_F_RO));
	for (i = 0; !why && i < ARRAY_SIZE(type); i++)
		why = request_simple(&g.ring[0], type[i], 2048, 0, S_IOERR);
	if (!why)
		why = zone_append(&g.ring[0], 2048, 4096, PLACE_ALIGNED, NULL, S_IOERR, &at);
	if (!why)
		why = request_simple(&g.ring[0], VIRTIO_BLK_T_OUT, 2048, 4096, S_IOERR);
	if (!why)
		why = zone_is(&g.ring[0], 2048, ZS_EMPTY, 0);
	if (!why)
		why = backend_compare_all(&b);
	EXPECT_EQ(NULL, why)
		TH_LOG("%s", why);
	guest_destroy(&g);
	backend_close(&b);
}

TEST_HARNESS_MAIN
