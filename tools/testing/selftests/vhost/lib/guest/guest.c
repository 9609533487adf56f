// SPDX-License-Identifier: GPL-2.0
/* Bring a device up, stage by stage, in the order that vhost_blk.h gives. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"
#include "request.h"

const char *guest_say(struct guest *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(g->why, sizeof(g->why), fmt, ap);
	va_end(ap);
	return g->why;
}

const char *guest_device_path(void)
{
	const char *path = getenv("VHOST_TEST_DEV");

	return path ? path : "/dev/vhost-blk";
}

bool guest_has_device(void)
{
	struct stat st;

	return model_wanted() || !stat(guest_device_path(), &st);
}

/* Features that the tests can drive; others are not acknowledged */
uint64_t guest_known_features(void)
{
	return BIT64(VIRTIO_BLK_F_SIZE_MAX) | BIT64(VIRTIO_BLK_F_SEG_MAX) |
	       BIT64(VIRTIO_BLK_F_RO) | BIT64(VIRTIO_BLK_F_BLK_SIZE) |
	       BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_TOPOLOGY) |
	       BIT64(VIRTIO_BLK_F_MQ) | BIT64(VIRTIO_BLK_F_GEOMETRY) |
	       BIT64(VIRTIO_BLK_F_CONFIG_WCE) | BIT64(VIRTIO_BLK_F_DISCARD) |
	       BIT64(VIRTIO_BLK_F_WRITE_ZEROES) | BIT64(VIRTIO_BLK_F_SECURE_ERASE) |
	       BIT64(VIRTIO_BLK_F_ZONED) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) |
	       BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(VIRTIO_F_ANY_LAYOUT) |
	       BIT64(VIRTIO_F_VERSION_1);
}

void guest_init(struct guest *g, const struct guest_opts *opts)
{
	unsigned int i;

	memset(g, 0, sizeof(*g));
	g->fd = -1;
	g->opts = *opts;
	if (!g->opts.queues)
		g->opts.queues = 1;
	if (!g->opts.num)
		g->opts.num = 128;
	if (!g->opts.mem)
		g->opts.mem = 8 << 20;
	if (!guest_add_region(g, 0x100000, g->opts.mem)) {
		fprintf(stderr, "# no memory for the guest\n");
		abort();
	}
	g->nrings = g->opts.queues;
	g->ring = calloc(g->nrings, sizeof(*g->ring));
	for (i = 0; i < g->nrings; i++)
		ring_init(&g->ring[i], g, i);
	g->data_start = (g->bump + 4095) & ~4095ULL;
	g->bump = g->data_start;
}

long guest_ioctl(struct guest *g, unsigned long cmd, void *arg)
{
	if (g->model)
		return model_ioctl(g->model, cmd, arg);
	if (g->transport)
		return g->transport(g, cmd, arg);
	return ioctl(g->fd, cmd, arg) < 0 ? -errno : 0;
}

/* VHOST_TEST_BLOCK_SIZE: for all tests that do not choose another one */
static uint32_t guest_block_size(const struct guest *g)
{
	const char *env = getenv("VHOST_TEST_BLOCK_SIZE");

	return g->opts.block_size || !env ? g->opts.block_size : strtoul(env, NULL, 0);
}

long guest_set_backend(struct guest *g, int fd, uint32_t flags)
{
	const char *serial = g->opts.serial ? g->opts.serial : "vhost-blk-test";
	struct vhost_blk_backend b = {
		.fd = fd, .flags = flags, .block_size = guest_block_size(g),
	};

	memcpy(b.serial, serial, strnlen(serial, sizeof(b.serial)));
	return guest_ioctl(g, VHOST_BLK_SET_BACKEND, &b);
}

long guest_set_running(struct guest *g, int on)
{
	return guest_ioctl(g, VHOST_BLK_SET_RUNNING, &on);
}

long guest_set_mem_table(struct guest *g)
{
	struct {
		struct vhost_memory m;
		struct vhost_memory_region r[MAX_REGIONS];
	} table = { .m.nregions = g->nregions };
	unsigned int i;

	for (i = 0; i < g->nregions; i++) {
		table.r[i].guest_phys_addr = g->region[i].gpa;
		table.r[i].memory_size = g->region[i].len;
		table.r[i].userspace_addr = (uintptr_t)g->region[i].hva;
	}
	return guest_ioctl(g, VHOST_SET_MEM_TABLE, &table);
}

static long stage_open(struct guest *g)
{
	if (model_wanted()) {
		g->model = model_new();
		return 0;
	}
	g->fd = open(guest_device_path(), O_RDWR | O_CLOEXEC);
	return g->fd < 0 ? -errno : 0;
}

long guest_set_features(struct guest *g, uint64_t features)
{
	long ret = guest_ioctl(g, VHOST_SET_FEATURES, &features);

	if (!ret)
		g->features = features;
	return ret;
}

static long stage_features(struct guest *g)
{
	long ret = guest_ioctl(g, VHOST_GET_FEATURES, &g->offered);
	uint64_t features;

	if (ret)
		return ret;
	features = g->offered & (guest_known_features() | g->opts.features_on);
	return guest_set_features(g, features & ~g->opts.features_off);
}

/* Attach the backend and read the size of its logical blocks. */
static long stage_backend(struct guest *g)
{
	struct backend *b = g->opts.backend;
	struct blk_config config;
	long ret = guest_set_backend(g, b->fd, g->opts.backend_flags);
	uint32_t block;

	/*
	 * the model device, and others outside of the kernel, have no
	 * configuration space
	 */
	if (ret || g->model || g->transport || guest_get_config(g, &config))
		return ret;
	block = le32toh(config.blk_size);
	if (b->kind != BACKEND_FILE && block != b->block && block != guest_block_size(g))
		return -EPROTO;
	b->block = block;
	return 0;
}

static long stage_rings(struct guest *g)
{
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && i < g->nrings; i++)
		ret = ring_setup(&g->ring[i]);
	return ret;
}

/* Enter one stage from the previous one. */
long guest_enter(struct guest *g, enum stage stage)
{
	switch (stage) {
	case STAGE_OPEN:
		return stage_open(g);
	case STAGE_OWNED:
		return guest_ioctl(g, VHOST_SET_OWNER, NULL);
	case STAGE_BACKEND:
		return stage_backend(g);
	case STAGE_FEATURES:
		return stage_features(g);
	case STAGE_MEMORY:
		return guest_set_mem_table(g);
	case STAGE_RINGS:
		return stage_rings(g);
	case STAGE_RUNNING:
		return guest_set_running(g, 1);
	default:
		return -EINVAL;
	}
}

/* Boot from the present stage on; a test may have set g->stage back. */
const char *guest_boot_to(struct guest *g, enum stage stage)
{
	static const char * const name[] = {
		"", "open", "SET_OWNER", "SET_BACKEND", "SET_FEATURES",
		"SET_MEM_TABLE", "SET_VRING_*", "SET_RUNNING 1",
	};
	long ret;

	while (g->stage < stage) {
		ret = guest_enter(g, g->stage + 1);
		if (ret)
			return guest_say(g, "%s: %s", name[g->stage + 1], strerror(-ret));
		g->stage++;
	}
	return NULL;
}

const char *guest_boot(struct guest *g)
{
	return guest_boot_to(g, STAGE_RUNNING);
}

/* Close the device, as the exit of a VMM does; the guest's memory stays. */
void guest_close(struct guest *g)
{
	if (g->model)
		model_free(g->model);
	else if (g->fd >= 0)
		close(g->fd);
	g->model = NULL;
	g->fd = -1;
	g->stage = STAGE_NONE;
}

void guest_destroy(struct guest *g)
{
	unsigned int i;

	guest_close(g);
	for (i = 0; i < g->nrings; i++)
		ring_free(&g->ring[i]);
	free(g->ring);
	guest_free_memory(g);
}

/* Check that the device works: boot it, and let every queue write and read. */
const char *guest_prove(struct guest *g)
{
	const char *why = guest_boot(g);
	unsigned int i;

	for (i = 0; !why && i < g->nrings; i++) {
		uint64_t sector = 64 + 16 * i;

		if (!guest_has(g, VIRTIO_BLK_F_RO))
			why = request_simple(&g->ring[i], VIRTIO_BLK_T_OUT, sector,
					     8 * SECTOR, VIRTIO_BLK_S_OK);
		if (!why)
			why = request_simple(&g->ring[i], VIRTIO_BLK_T_IN, sector,
					     8 * SECTOR, VIRTIO_BLK_S_OK);
	}
	return why;
}
