// SPDX-License-Identifier: GPL-2.0
/*
 * The effect of discard and zeroes on the backend: space is freed or kept as
 * the guest asked, and the limits in the configuration space are those of the
 * backend.
 */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "suite-ranges.h"

#define NO_CONFIG	"the model device has no config space"

/* Return: bytes allocated for the file of this backend; -1: there is no file */
static long long occupied(struct backend *b)
{
	int fd = b->kind == BACKEND_FILE ? b->check_fd : b->loop_file;
	struct stat st;

	if (b->kind != BACKEND_FILE && b->kind != BACKEND_LOOP)
		return -1;
	/* completes delayed allocation */
	fsync(fd);
	return fstat(fd, &st) ? -1 : st.st_blocks * 512LL;
}

TEST_F(ranges, discard_frees)
{
	long long before, after;

	if (model_wanted())
		SKIP(return, "the model device frees nothing");
	before = occupied(&self->b);
	if (before < 0)
		SKIP(return, "no file whose allocated space can be checked");
	BOOT();
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_DISCARD));
	RANGE(T_DISCARD, 512, 1024, 0, S_OK);
	after = occupied(&self->b);
	EXPECT_EQ(before - 1024 * SECTOR, after);
	/* a file system frees only the whole blocks of a range */
	RANGE(T_DISCARD, 1, 7, 0, S_OK);
	EXPECT_GE(after, occupied(&self->b));
	EXPECT_LE(after - 7 * SECTOR, occupied(&self->b));
	ASSERT_WELL(guest_prove(&self->g));
}

/* Without the flag unmap the space stays allocated. */
TEST_F(ranges, zeroes_keep)
{
	long long before = occupied(&self->b);

	if (before < 0)
		SKIP(return, "no file whose allocated space can be checked");
	BOOT();
	RANGE(T_ZEROES, 512, 1024, 0, S_OK);
	RANGE(T_ZEROES, 1, 3, 0, S_OK);
	EXPECT_LE(before, occupied(&self->b));
}

/* One place again and again: zeroed, written, freed, written */
TEST_F_TIMEOUT(ranges, again, 60)
{
	unsigned int i;

	BOOT();
	for (i = 0; i < scaled(8, 3); i++) {
		uint64_t sector = rng_below(&self->rng, 1700);
		uint32_t sectors = 1 + rng_below(&self->rng, 300);

		ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_OUT, sector,
					   sectors * SECTOR, S_OK));
		RANGE(T_ZEROES, sector, sectors, 0, S_OK);
		ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_IN, sector,
					   sectors * SECTOR, S_OK));
		RANGE(T_DISCARD, sector, sectors, 0, ranges_status(&self->g, T_DISCARD));
		RANGE(T_ZEROES, sector, sectors, RANGE_UNMAP, S_OK);
		ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_OUT, sector + 1,
					   sectors * SECTOR, S_OK));
		ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_IN, sector,
					   (sectors + 1) * SECTOR, S_OK));
	}
}

/* Ranges without allocated space: in a sparse file, and never written */
TEST_F(ranges, holes)
{
	if (self->b.kind != BACKEND_FILE)
		SKIP(return, "no file");
	BOOT();
	ASSERT_EQ(0, ftruncate(self->b.check_fd, 0));
	ASSERT_EQ(0, ftruncate(self->b.check_fd, self->b.size));
	memset(self->b.model, 0, self->b.size);
	RANGE(T_ZEROES, 100, 1000, 0, S_OK);
	RANGE(T_DISCARD, 100, 1000, 0, S_OK);
	RANGE(T_ZEROES, 3, 3, RANGE_UNMAP, S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

/* The value in the configuration space for a limit that sysfs gives in bytes */
static uint32_t capped(long long bytes)
{
	return bytes / SECTOR < RANGE_MAX_SECTORS ? bytes / SECTOR : RANGE_MAX_SECTORS;
}

#define EXPECT_LIMITS(sectors, segs, want_sectors, want_segs) do {	\
	EXPECT_EQ(want_sectors, le32toh(sectors));			\
	EXPECT_EQ(want_segs, le32toh(segs));				\
} while (0)

/* The features and limits of a block device must match its attributes in sysfs. */
static void check_bdev(struct __test_metadata *_metadata, struct backend *b, uint64_t f,
		       const struct blk_config *c)
{
	long long discard = backend_sysfs(b, "queue/discard_max_bytes");
	long long zeroes = backend_sysfs(b, "queue/write_zeroes_max_bytes");
	bool erase = b->kind == BACKEND_ERASE;

	EXPECT_EQ(discard > 0, !!(f & BIT64(VIRTIO_BLK_F_DISCARD)));
	EXPECT_EQ(erase, !!(f & BIT64(VIRTIO_BLK_F_SECURE_ERASE)));
	EXPECT_LIMITS(c->max_discard_sectors, c->max_discard_seg, capped(discard),
		      discard ? 256 : 0);
	EXPECT_EQ(discard ? backend_sysfs(b, "queue/discard_granularity") : 0,
		  le32toh(c->discard_sector_alignment) * 512LL);
	/* zeroes are written as data if the device does not support them */
	EXPECT_LIMITS(c->max_write_zeroes_sectors, c->max_write_zeroes_seg,
		      zeroes > 0 ? capped(zeroes) : RANGE_WRITTEN_SECTORS, 16);
	EXPECT_EQ(zeroes > 0, c->write_zeroes_may_unmap);
	/* sysfs has no such attribute; the test disk erases at most 64 KiB at a time */
	EXPECT_LIMITS(c->max_secure_erase_sectors, c->max_secure_erase_seg, erase ? 128 : 0,
		      erase ? 256 : 0);
	EXPECT_EQ(erase, le32toh(c->secure_erase_sector_alignment));
}

static void check_file(struct __test_metadata *_metadata, uint64_t f,
		       const struct blk_config *c)
{
	EXPECT_NE(0, f & BIT64(VIRTIO_BLK_F_DISCARD));
	EXPECT_EQ(0, f & BIT64(VIRTIO_BLK_F_SECURE_ERASE));
	EXPECT_LIMITS(c->max_discard_sectors, c->max_discard_seg, RANGE_MAX_SECTORS, 256);
	/* the file system may have to write zeroes, and does not say so in advance */
	EXPECT_LIMITS(c->max_write_zeroes_sectors, c->max_write_zeroes_seg,
		      RANGE_WRITTEN_SECTORS, 16);
	EXPECT_EQ(1, c->write_zeroes_may_unmap);
	/* whole blocks, at most as large as those of a file system */
	EXPECT_LE(1, le32toh(c->discard_sector_alignment));
	EXPECT_GE(128, le32toh(c->discard_sector_alignment));
	EXPECT_EQ(0, c->secure_erase_sector_alignment);
}

TEST_F(ranges, limits)
{
	struct blk_config c;
	uint64_t f;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	BOOT();
	f = guest_offered(&self->g);
	EXPECT_NE(0, f & BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	if (self->b.kind == BACKEND_FILE)
		check_file(_metadata, f, &c);
	else
		check_bdev(_metadata, &self->b, f, &c);
}

/* All backends look the same, also those that cannot discard. */
TEST_F(ranges, any_range)
{
	struct blk_config c;

	if (model_wanted())
		SKIP(return, NO_CONFIG);
	/* a discard may leave the data as it is */
	self->b.deterministic = false;
	BOOT(.backend_flags = VHOST_BLK_BACKEND_F_ANY_RANGE);
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_DISCARD));
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_WRITE_ZEROES));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_LIMITS(c.max_discard_sectors, c.max_discard_seg, RANGE_MAX_SECTORS, 256);
	EXPECT_LIMITS(c.max_write_zeroes_sectors, c.max_write_zeroes_seg, RANGE_MAX_SECTORS, 16);
	EXPECT_EQ(1, c.write_zeroes_may_unmap);
	RANGE(T_DISCARD, 512, 1024, 0, S_OK);
	RANGE(T_ZEROES, 0, self->b.size / SECTOR, 0, S_OK);
	RANGE(T_ZEROES, 512, 1024, RANGE_UNMAP, S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

/* Neither discards nor zeroes free space, whatever the guest asks for. */
TEST_F(ranges, no_unmap)
{
	long long before = occupied(&self->b);
	struct blk_config c;

	if (before < 0)
		SKIP(return, "no file whose allocated space can be checked");
	self->b.deterministic = false;
	BOOT(.backend_flags = VHOST_BLK_BACKEND_F_NO_UNMAP);
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_DISCARD));
	if (!model_wanted()) {
		ASSERT_EQ(0, guest_get_config(&self->g, &c));
		EXPECT_EQ(0, c.write_zeroes_may_unmap);
	}
	RANGE(T_DISCARD, 512, 1024, 0, S_OK);
	RANGE(T_ZEROES, 256, 1024, RANGE_UNMAP, S_OK);
	EXPECT_LE(before, occupied(&self->b));
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_HARNESS_MAIN
