// SPDX-License-Identifier: GPL-2.0
/* Feature bits and the configuration space: what a VMM shows its guest */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/fs.h>

#include "dm.h"
#include "suite-disk.h"

#define ALWAYS	(BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_BLK_SIZE) |		\
		 BIT64(VIRTIO_BLK_F_TOPOLOGY) | BIT64(VIRTIO_BLK_F_FLUSH) |		\
		 BIT64(VIRTIO_BLK_F_GEOMETRY) | BIT64(VIRTIO_BLK_F_CONFIG_WCE) |	\
		 BIT64(VIRTIO_BLK_F_MQ) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) |		\
		 BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(VIRTIO_F_VERSION_1) |		\
		 BIT64(VIRTIO_F_ANY_LAYOUT) | BIT64(VIRTIO_F_NOTIFY_ON_EMPTY))
/* Features that some backends have; without a backend, what the module offers */
#define SOME	(BIT64(VIRTIO_BLK_F_RO) | BIT64(VIRTIO_BLK_F_DISCARD) |			\
		 BIT64(VIRTIO_BLK_F_WRITE_ZEROES) | BIT64(VIRTIO_BLK_F_SECURE_ERASE) |	\
		 BIT64(VIRTIO_BLK_F_ZONED))
/* The module implements no other feature. */
#define KNOWN	(ALWAYS | SOME | BIT64(VIRTIO_BLK_F_SIZE_MAX) |				\
		 BIT64(VIRTIO_F_ACCESS_PLATFORM) | BIT64(VHOST_F_LOG_ALL))

#define NO_CONFIG	"the model device has no config space"

TEST_F(disk, before_backend)
{
	struct guest_opts opts = { .backend = &self->b };
	struct blk_config c;
	uint64_t f;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_OPEN));
	f = guest_offered(&self->g);
	EXPECT_EQ(ALWAYS, f & ALWAYS);
	EXPECT_EQ(0, f & ~KNOWN);
	EXPECT_EQ(SOME, f & SOME);
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(VHOST_BLK_MAX_QUEUES, le16toh(c.num_queues));
	EXPECT_EQ(1, c.writeback);
	c.num_queues = 0;
	c.writeback = 0;
	EXPECT_EQ(0, memcmp(&c, &(struct blk_config){ 0 }, sizeof(c)));
}

static void check_topology(struct __test_metadata *_metadata, struct backend *b,
			   const struct blk_config *c)
{
	unsigned int physical = 0, logical = 512;

	if (b->kind == BACKEND_FILE)
		return;
	ASSERT_EQ(0, ioctl(b->fd, BLKSSZGET, &logical));
	ASSERT_EQ(0, ioctl(b->fd, BLKPBSZGET, &physical));
	EXPECT_EQ(logical, le32toh(c->blk_size));
	EXPECT_EQ(physical, logical << c->physical_block_exp);
}

TEST_F(disk, space)
{
	struct blk_config c;
	uint64_t f;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	f = guest_offered(&self->g);
	EXPECT_EQ(ALWAYS, f & ALWAYS);
	EXPECT_EQ(0, f & ~KNOWN);
	EXPECT_EQ(0, f & BIT64(VIRTIO_BLK_F_RO));
	EXPECT_EQ(0, f & BIT64(VIRTIO_BLK_F_ZONED));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(self->b.size / SECTOR, le64toh(c.capacity));
	EXPECT_EQ(VHOST_BLK_MAX_QUEUES, le16toh(c.num_queues));
	/* a request must be possible: header, status and some data */
	EXPECT_LE(1, le32toh(c.seg_max));
	EXPECT_GE(VHOST_BLK_MAX_QUEUE_SIZE - 2, le32toh(c.seg_max));
	EXPECT_LE(512, le32toh(c.blk_size));
	EXPECT_EQ(0, le32toh(c.blk_size) & (le32toh(c.blk_size) - 1));
	if (f & BIT64(VIRTIO_BLK_F_SIZE_MAX))
		EXPECT_LE(4096, le32toh(c.size_max));
	EXPECT_EQ(0, c.zoned.model);
	EXPECT_EQ(0, c.zoned.zone_sectors);
	EXPECT_EQ(0, c.unused0);
	check_topology(_metadata, &self->b, &c);
}

/* The traditional geometry of disks; larger disks report the maximum. */
TEST_F(disk, geometry)
{
	struct blk_config c;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(16, c.geometry.heads);
	EXPECT_EQ(63, c.geometry.sectors);
	EXPECT_EQ(self->b.size / SECTOR / (16 * 63), le16toh(c.geometry.cylinders));
	if (self->b.kind != BACKEND_FILE)
		return;
	/* a sparse file of 20 GiB */
	ASSERT_EQ(0, ftruncate(self->b.check_fd, 20LL << 30));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(16383, le16toh(c.geometry.cylinders));
	ASSERT_EQ(0, ftruncate(self->b.check_fd, self->b.size));
}

/* Reads of single fields, single bytes and of the whole space give equal values. */
TEST_F(disk, windows)
{
	struct blk_config c;
	uint8_t *byte = (uint8_t *)&c;
	unsigned int off, len;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	for (off = 0; off < sizeof(c); off++) {
		for (len = 1; len <= sizeof(c) - off; len += len < 9 ? 1 : 17) {
			struct {
				struct vhost_vdpa_config c;
				uint8_t space[sizeof(c) + 1];
			} arg = { .c = { .off = off, .len = len } };

			memset(arg.space, 0x77, sizeof(arg.space));
			ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_GET_CONFIG, &arg));
			ASSERT_EQ(0, memcmp(arg.space, byte + off, len));
			ASSERT_EQ(0x77, arg.space[len]);
		}
	}
	for (off = 0; off <= sizeof(c) + 8; off++) {
		struct vhost_vdpa_config w = { .off = off, .len = sizeof(c) - off + 1 };

		ASSERT_EQ(-EINVAL, guest_ioctl(&self->g, VHOST_BLK_GET_CONFIG, &w));
	}
}

TEST_F(disk, read_only)
{
	struct guest_opts opts = {
		.backend = &self->b, .backend_flags = VHOST_BLK_BACKEND_F_RO,
	};

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_BACKEND));
	EXPECT_NE(0, guest_offered(&self->g) & BIT64(VIRTIO_BLK_F_RO));
	/* but not after a writable backend has been attached */
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, 0));
	EXPECT_EQ(0, guest_offered(&self->g) & BIT64(VIRTIO_BLK_F_RO));
	self->g.opts.backend_flags = 0;
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F(disk, detached)
{
	struct blk_config c;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, guest_set_backend(&self->g, -1, 0));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(0, c.capacity);
	EXPECT_EQ(SOME, guest_offered(&self->g) & SOME);
	ASSERT_EQ(0, guest_set_backend(&self->g, self->b.fd, 0));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(self->b.size / SECTOR, le64toh(c.capacity));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ASSERT_WELL(guest_prove(&self->g));
}

/*
 * If the size of a file is not a whole number of blocks or sectors, the rest
 * does not count.
 */
TEST(odd_sizes)
{
	static const unsigned int extra[] = { 0, 1, 511, 512, 513, 1536, 4095 };
	unsigned int i;

	if (!guest_has_device() || model_wanted())
		SKIP(return, NO_DEVICE);
	for (i = 0; i < ARRAY_SIZE(extra); i++) {
		uint64_t size = (2 << 20) + extra[i], sectors = size / SECTOR;
		struct backend b;
		struct guest_opts opts = { .backend = &b };
		struct blk_config c;
		struct guest g;

		ASSERT_WELL(backend_open_sized(&b, BACKEND_FILE, false, size));
		guest_init(&g, &opts);
		ASSERT_WELL(guest_boot(&g));
		ASSERT_EQ(0, guest_get_config(&g, &c));
		EXPECT_GE(sectors, le64toh(c.capacity));
		EXPECT_EQ(sectors & ~(le32toh(c.blk_size) / SECTOR - 1ULL), le64toh(c.capacity));
		sectors = le64toh(c.capacity);
		EXPECT_EQ(NULL, request_simple(&g.ring[0], VIRTIO_BLK_T_OUT, sectors - 8, 4096,
					       VIRTIO_BLK_S_OK));
		EXPECT_EQ(NULL, request_simple(&g.ring[0], VIRTIO_BLK_T_OUT, sectors, 512,
					       VIRTIO_BLK_S_IOERR));
		guest_destroy(&g);
		backend_close(&b);
	}
}

#define STRIPE	(32 << 20)

/* min_io_size has 16 bits: a larger value becomes a power of two that fits. */
TEST(large_stripes)
{
	struct backend_opts below_opts = {
		.kind = BACKEND_NULLB, .direct = true, .size = STRIPE, .blank = true,
	};
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	struct backend below, b;
	struct guest_opts guest = { .backend = &b };
	struct blk_config c;
	char params[256];
	const char *why;
	struct guest g;
	struct dm dm;

	if (!guest_has_device() || model_wanted())
		SKIP(return, NO_DEVICE);
	why = backend_open_as(&below, &below_opts);
	if (why)
		SKIP(return, "%s", why);
	snprintf(params, sizeof(params), "1 %u %s 0", STRIPE / SECTOR, below.path);
	why = dm_create(&dm, STRIPE / SECTOR, "striped", params);
	if (why) {
		backend_close(&below);
		SKIP(return, "%s", why);
	}
	opts.path = dm.path;
	ASSERT_WELL(backend_open_as(&b, &opts));
	EXPECT_EQ(STRIPE, backend_sysfs(&b, "queue/minimum_io_size"));
	guest_init(&g, &guest);
	ASSERT_WELL(guest_boot(&g));
	ASSERT_EQ(0, guest_get_config(&g, &c));
	EXPECT_EQ(32768, le16toh(c.min_io_size));
	EXPECT_EQ(STRIPE / SECTOR, le32toh(c.opt_io_size));
	guest_destroy(&g);
	backend_close(&b);
	dm_remove(&dm);
	backend_close(&below);
}

/* Open a file with huge pages of that size for reading. Return: -1 if there are none. */
static int huge_file(unsigned int shift)
{
	int ro = -1, fd = memfd_create("vhost-test", MFD_CLOEXEC | MFD_HUGETLB |
				       shift << MAP_HUGE_SHIFT);
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!ftruncate(fd, 1 << shift))
		ro = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return ro;
}

/* hugetlbfs has the largest blocks of all file systems; the test needs no memory for it. */
TEST(huge_blocks)
{
	static const unsigned int shift[] = { 21, 30 };
	unsigned int i, n = 0;

	if (!guest_has_device() || model_wanted())
		SKIP(return, NO_DEVICE);
	for (i = 0; i < ARRAY_SIZE(shift); i++) {
		struct backend b = { .kind = BACKEND_FILE, .fd = huge_file(shift[i]) };
		struct guest_opts opts = {
			.backend = &b, .backend_flags = VHOST_BLK_BACKEND_F_RO,
		};
		unsigned int blocks = 1 << (shift[i] - 9);
		struct blk_config c;
		struct guest g;

		if (b.fd < 0)
			continue;
		n++;
		guest_init(&g, &opts);
		ASSERT_WELL(guest_boot(&g));
		ASSERT_EQ(0, guest_get_config(&g, &c));
		EXPECT_EQ(512, le32toh(c.blk_size));
		EXPECT_EQ(shift[i] - 9, c.physical_block_exp);
		/* the largest power of two that fits into the field */
		EXPECT_EQ(blocks < 32768 ? blocks : 32768, le16toh(c.min_io_size));
		EXPECT_EQ(0, le32toh(c.opt_io_size));
		EXPECT_EQ(NULL, request_ends(&g.ring[0], VIRTIO_BLK_T_IN, 8, 4096,
					     VIRTIO_BLK_S_OK));
		guest_destroy(&g);
		close(b.fd);
	}
	if (!n)
		SKIP(return, "no huge pages here");
}

TEST_HARNESS_MAIN
