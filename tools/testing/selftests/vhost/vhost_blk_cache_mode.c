// SPDX-License-Identifier: GPL-2.0
/*
 * CONFIG_WCE (5.2.5, 5.2.6.2): the field `writeback` of the configuration space
 * and its rules.  The suite powerloss tests its effect on data.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "suite-disk.h"

#define WCE	BIT64(VIRTIO_BLK_F_CONFIG_WCE)
#define VERSION_1	BIT64(VIRTIO_F_VERSION_1)
#define FLUSH	BIT64(VIRTIO_BLK_F_FLUSH)

#define NO_CONFIG	"the model device has no config space"

/* Return: -1 if GET_CONFIG fails */
static int writeback(struct guest *g)
{
	struct blk_config c;

	return guest_get_config(g, &c) ? -1 : c.writeback;
}

TEST_F(disk, from_open_to_reset)
{
	struct guest_opts opts = { .backend = &self->b };
	struct guest *g = &self->g;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	guest_init(g, &opts);
	ASSERT_WELL(guest_boot_to(g, STAGE_OPEN));
	EXPECT_EQ(1, writeback(g));
	EXPECT_EQ(-EPERM, guest_set_writeback(g, 0));
	ASSERT_WELL(guest_boot_to(g, STAGE_OWNED));
	EXPECT_EQ(0, guest_set_writeback(g, 0));
	EXPECT_EQ(0, writeback(g));
	ASSERT_WELL(guest_boot_to(g, STAGE_BACKEND));
	EXPECT_EQ(0, writeback(g));
	ASSERT_WELL(guest_boot(g));
	EXPECT_EQ(0, writeback(g));
	EXPECT_EQ(0, guest_ioctl(g, VHOST_RESET_OWNER, NULL));
	EXPECT_EQ(1, writeback(g));
	g->stage = STAGE_OPEN;
	ASSERT_WELL(guest_boot_to(g, STAGE_OWNED));
	EXPECT_EQ(1, writeback(g));
	ring_reset(&g->ring[0], 0);
	ASSERT_WELL(guest_prove(g));
}

TEST_F(disk, values)
{
	static const uint8_t v[] = { 0, 2, 3, 128, 1, 2, 255, 0, 0, 1, 1, 0, 254 };
	unsigned int i;
	int now = 1;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		EXPECT_EQ(v[i] > 1 ? -EINVAL : 0, guest_set_writeback(&self->g, v[i]));
		now = v[i] > 1 ? now : v[i];
		EXPECT_EQ(now, writeback(&self->g));
	}
}

/* The field `writeback` is the only one that can be set, and only without others. */
TEST_F(disk, other_fields)
{
	struct blk_config before, after;
	unsigned int off, len;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	ASSERT_EQ(0, guest_get_config(&self->g, &before));
	for (off = 0; off < sizeof(before); off++) {
		for (len = 1; len <= sizeof(before) - off; len *= 2) {
			struct {
				struct vhost_vdpa_config c;
				uint8_t space[sizeof(before)];
			} arg = { .c = { .off = off, .len = len } };

			if (off == offsetof(struct blk_config, writeback) && len == 1)
				continue;
			ASSERT_EQ(-EINVAL, guest_ioctl(&self->g, VHOST_BLK_SET_CONFIG, &arg));
		}
	}
	ASSERT_EQ(0, guest_get_config(&self->g, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

/* 5.2.5.2: a driver that accepts CONFIG_WCE but not FLUSH must get a writethrough cache. */
TEST_F(disk, negotiation)
{
	static const struct {
		uint64_t off;
		int from, to;
	} t[] = {
		{ 0, 1, 1 }, { 0, 0, 0 }, { FLUSH, 1, 0 }, { FLUSH, 0, 0 },
		{ WCE, 1, 1 }, { WCE, 0, 0 }, { WCE | FLUSH, 1, 1 }, { WCE | FLUSH, 0, 0 },
		/* a legacy driver's mode doesn't change with features (5.2.5.3) */
		{ FLUSH | VERSION_1, 1, 1 }, { FLUSH | VERSION_1, 0, 0 },
	};
	struct guest_opts opts = { .backend = &self->b };
	struct guest *g = &self->g;
	unsigned int i;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	guest_init(g, &opts);
	ASSERT_WELL(guest_boot_to(g, STAGE_BACKEND));
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		EXPECT_EQ(0, guest_set_writeback(g, t[i].from));
		g->opts.features_off = t[i].off;
		ASSERT_WELL(guest_boot_to(g, STAGE_RUNNING));
		EXPECT_EQ(t[i].to, writeback(g))
			TH_LOG("entry %u", i);
		ASSERT_WELL(guest_prove(g));
		/* the mode can be changed without any feature */
		EXPECT_EQ(0, guest_set_writeback(g, !t[i].to));
		EXPECT_EQ(!t[i].to, writeback(g));
		ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, 8, 4096,
					   VIRTIO_BLK_S_OK));
		ASSERT_EQ(0, guest_set_running(g, 0));
		g->stage = STAGE_BACKEND;
	}
}

/* Switching the dirty log of a migration does not change the mode. */
TEST_F(disk, log_switched)
{
	const uint64_t log_all = BIT64(VHOST_F_LOG_ALL);
	struct guest *g = &self->g;
	static uint8_t bits[4096];
	uint64_t base = (uintptr_t)bits;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT(.features_off = FLUSH);
	EXPECT_EQ(0, writeback(g));
	EXPECT_EQ(0, guest_set_writeback(g, 1));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_LOG_BASE, &base));
	ASSERT_EQ(0, guest_set_features(g, g->features | log_all));
	EXPECT_EQ(1, writeback(g));
	ASSERT_EQ(0, guest_set_features(g, g->features & ~log_all));
	EXPECT_EQ(1, writeback(g));
	ASSERT_WELL(guest_prove(g));
}

/* A stop, a start or another backend does not change the mode. */
TEST_F(disk, stays)
{
	struct guest *g = &self->g;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	EXPECT_EQ(0, guest_set_writeback(g, 0));
	ASSERT_EQ(0, guest_set_running(g, 0));
	EXPECT_EQ(0, writeback(g));
	ASSERT_EQ(0, guest_set_running(g, 1));
	EXPECT_EQ(0, writeback(g));
	ASSERT_EQ(0, guest_set_backend(g, self->b.fd, 0));
	EXPECT_EQ(0, writeback(g));
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(0, guest_set_backend(g, -1, 0));
	EXPECT_EQ(0, writeback(g));
	ASSERT_EQ(0, guest_set_writeback(g, 1));
	ASSERT_EQ(0, guest_set_backend(g, self->b.fd, 0));
	EXPECT_EQ(1, writeback(g));
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(guest_prove(g));
}

struct toggler {
	pthread_t thread;
	struct guest *guest;
	bool stop;
	unsigned int turns;
	long error;
};

static void *toggle(void *arg)
{
	struct toggler *t = arg;

	while (!t->error && !__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		t->error = guest_set_writeback(t->guest, t->turns & 1);
		if (!t->error && writeback(t->guest) != (int)(t->turns & 1))
			t->error = 1;
		t->turns++;
		usleep(500);
	}
	return NULL;
}

/* The mode can be switched at any time under load, without an effect on requests. */
TEST_F_TIMEOUT(disk, under_load, 120)
{
	struct batch_opts round = { .max_sectors = 16, .max_segs = 4, .ranges = true };
	struct toggler t = { .guest = &self->g };
	const char *why = NULL;
	unsigned int i;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT(.queues = 2, .num = 64);
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, toggle, &t));
	for (i = 0; !why && (i < scaled(8, 3) || t.turns < 10); i++)
		why = batch_round(&self->g, &round, &self->rng);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	pthread_join(t.thread, NULL);
	ASSERT_WELL(why);
	EXPECT_EQ(0, t.error);
	TH_LOG("%u switches", t.turns);
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_HARNESS_MAIN
