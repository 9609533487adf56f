// SPDX-License-Identifier: GPL-2.0
/*
 * SCSI disks of scsi_debug with special parameters: integrity data that the
 * block layer generates (DIX) and the disk checks (DIF), and zones (ZBC).  And
 * RAID 5, whose parity the driver computes from the same pages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dm.h"
#include "flip.h"
#include "ranges.h"
#include "scsi.h"
#include "suite.h"
#include "trace.h"
#include "zones.h"

#define T_IN		VIRTIO_BLK_T_IN
#define T_OUT		VIRTIO_BLK_T_OUT
#define T_OPEN		VIRTIO_BLK_T_ZONE_OPEN
#define T_FINISH	VIRTIO_BLK_T_ZONE_FINISH
#define T_RESET		VIRTIO_BLK_T_ZONE_RESET
#define S_OK		VIRTIO_BLK_S_OK
#define S_INVALID	VIRTIO_BLK_S_ZONE_INVALID_CMD
#define S_UNALIGNED	VIRTIO_BLK_S_ZONE_UNALIGNED_WP

#define ENDS(type, sector, len, status)					\
	ASSERT_WELL(request_ends(self->r, type, sector, len, status))
#define SIMPLE(type, sector, len)					\
	ASSERT_WELL(request_simple(self->r, type, sector, len, S_OK))

FIXTURE(scsi) {
	struct scsi s;
	struct backend b;
	struct guest g;
	struct ring *r;
	struct rng rng;
	bool loaded;
	char part[72];		/* a partition to be used instead of the disk, or "" */
	bool stacked;		/* use the disk through device mapper */
	bool crypt;		/* with encryption in sectors of 4096 bytes */
	struct dm dm;
};

FIXTURE_SETUP(scsi)
{
	const char *why = no_kernel("the model device has no SCSI disks");

	if (why)
		SKIP(return, "%s", why);
	self->dm.control = -1;
	backend_none(&self->b);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

FIXTURE_TEARDOWN(scsi)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	if (!self->loaded)
		return;
	scsi_close(&self->s);
	EXPECT_EQ(NULL, scsi_load(""));
}

/* Put a device of device mapper on the disk. */
static const char *put_dm_on(struct dm *dm, const struct scsi *s, bool crypt)
{
	static const char cipher[] =
		"aes-xts-plain64 0123456789abcdef0123456789abcdef00112233445566778899aabbccddeeff";
	struct backend disk;
	struct backend_opts opts = {
		.kind = BACKEND_NAMED, .direct = true, .path = s->path, .blank = true,
	};
	const char *why = backend_open_as(&disk, &opts);
	char params[256];
	uint64_t sectors;

	if (why)
		return why;
	sectors = disk.size / SECTOR;
	backend_close(&disk);
	if (crypt)
		snprintf(params, sizeof(params), "%s 0 %s 0 1 sector_size:4096", cipher, s->path);
	else
		snprintf(params, sizeof(params), "%s 0", s->path);
	return dm_create(dm, sectors, crypt ? "crypt" : "linear", params);
}

/* Attach the disk of the loaded module to a guest. */
static const char *start(struct _test_data_scsi *self, bool blank)
{
	struct backend_opts disk = {
		.kind = BACKEND_NAMED, .direct = true, .path = self->s.path, .blank = blank,
	};
	struct guest_opts guest = { .backend = &self->b, .queues = 2, .num = 512 };
	const char *why = scsi_open(&self->s);

	if (why)
		return why;
	self->loaded = true;
	if (self->part[0]) {
		snprintf(self->part, sizeof(self->part), "%s1", self->s.path);
		disk.path = self->part;
	}
	if (self->stacked) {
		why = put_dm_on(&self->dm, &self->s, self->crypt);
		if (why)
			return why;
		disk.path = self->dm.path;
	}
	why = backend_open_as(&self->b, &disk);
	if (!why && blank)
		why = backend_adopt(&self->b, 0, self->b.size);
	if (why)
		return why;
	guest_init(&self->g, &guest);
	why = guest_boot(&self->g);
	self->r = &self->g.ring[0];
	return why;
}

/* Data in segments of one sector, adjacent or not; the disk has blocks of eight sectors. */
static const char *in_sectors(struct ring *r, uint32_t type, uint32_t blocks, bool apart,
			      struct rng *rng)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump, at;
	struct request *q = request_new(g, type, 64, blocks * 4096);
	const char *why;
	unsigned int i;

	request_cut_every(q, SECTOR);
	request_place(q, PLACE_ALIGNED, rng);
	at = guest_alloc(g, blocks * 4096, 4096);
	for (i = 0; !apart && i < 8 * blocks; i++)
		q->seg[1 + i].gpa = at + i * SECTOR;
	request_set_indirect(q, true);
	request_arm(q, rng_next(rng));
	why = request_verify(r, q, S_OK);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/*
 * Up to Linux 6.12 the block layer writes a tuple of integrity data for each
 * vector smaller than a block, beyond the end of the buffer; then the block
 * cannot be read.
 */
TEST_F_TIMEOUT(scsi, integrity_blocks, 120)
{
	static const uint32_t blocks[] = { 1, 2, 15 };
	unsigned int i, k;
	const char *why;

	why = scsi_load("sector_size=4096 dif=1 dix=1");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, false));
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		for (k = 0; k < 2; k++) {
			ASSERT_WELL(in_sectors(self->r, T_OUT, blocks[i], k, &self->rng));
			ASSERT_WELL(in_sectors(self->r, T_IN, blocks[i], k, &self->rng));
		}
	}
	ASSERT_WELL(backend_compare_all(&self->b));
}

/*
 * A guest may change data while it is written: the disk has old or new data,
 * without an error.
 */
TEST_F_TIMEOUT(scsi, stable, 300)
{
	static const uint32_t len[] = { 4096, 65536, 512 << 10 };
	unsigned int i;
	const char *why;

	why = scsi_load("dif=1 dix=1");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, false));
	/* Since Linux 6.11 integrity data implies it, and the attribute does not say so. */
	EXPECT_TRUE(backend_sysfs(&self->b, "queue/stable_writes") == 1 ||
		    backend_sysfs(&self->b, "integrity/protection_interval_bytes") == 512);
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		ASSERT_WELL(flip_writes(self->r, 64, len[i], scaled(500, 100)));
		ASSERT_WELL(backend_adopt(&self->b, 64 * SECTOR, len[i]));
		ASSERT_WELL(request_simple(self->r, T_IN, 64, len[i], S_OK));
	}
	ASSERT_WELL(backend_compare_all(&self->b));
}

/*
 * Physical blocks of 16 KiB and more, up to the limit of scsi_debug, and the
 * offset of the first one: the driver passes on the disk's values.  The kernel
 * drops an optimal size that is not a multiple of them.
 */
TEST_F_TIMEOUT(scsi, physical_blocks, 120)
{
	static const struct {
		const char *params;
		unsigned int logical, exponent, offset, min_io, opt_io;
	} disks[] = {
		{ "physblk_exp=5 lowest_aligned=8", 512, 5, 8, 32, 1024 },
		{ "sector_size=4096 physblk_exp=4", 4096, 4, 0, 16, 1024 },
		{ "physblk_exp=15", 512, 15, 0, 32768, 0 },
	};
	struct blk_config c;
	unsigned int i;
	const char *why;

	for (i = 0; i < ARRAY_SIZE(disks); i++) {
		why = scsi_load(disks[i].params);
		if (why)
			SKIP(return, "%s", why);
		ASSERT_WELL(start(self, false));
		ASSERT_EQ(disks[i].logical << disks[i].exponent,
			  backend_sysfs(&self->b, "queue/physical_block_size"));
		ASSERT_EQ(0, guest_get_config(&self->g, &c));
		EXPECT_EQ(disks[i].logical, le32toh(c.blk_size));
		EXPECT_EQ(disks[i].exponent, c.physical_block_exp);
		EXPECT_EQ(disks[i].offset, c.alignment_offset);
		EXPECT_EQ(disks[i].min_io, le16toh(c.min_io_size));
		EXPECT_EQ(disks[i].opt_io, le32toh(c.opt_io_size));
		/* the physical block is only a hint: logical blocks can be written */
		ENDS(T_OUT, disks[i].logical / SECTOR, disks[i].logical, S_OK);
		ENDS(T_IN, disks[i].logical / SECTOR, disks[i].logical, S_OK);
		guest_destroy(&self->g);
		memset(&self->g, 0, sizeof(self->g));
		backend_close(&self->b);
		scsi_close(&self->s);
		self->loaded = false;
	}
	EXPECT_EQ(NULL, scsi_load(""));
}

/* The request completes, with any status. */
static const char *range_ends(struct ring *r, uint32_t type, uint32_t sectors)
{
	struct range range = { .sectors = sectors };
	uint64_t mark = r->guest->bump;
	struct request *q = ranges_new(r->guest, type, sizeof(range));
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	ranges_arm(q, &range);
	guest_snapshot(r->guest);
	why = request_run(r, q, 10000);
	if (!why)
		why = request_outcome(q, S_OK);
	request_free(q);
	guest_release(r->guest, mark);
	return why;
}

/*
 * The largest possible discard granularity: its size in bytes has 32 bits.  A
 * discard is done in steps of whole granules.
 */
TEST_F_TIMEOUT(scsi, discard_granule, 60)
{
	const char *why;

	why = scsi_load("lbpu=1 unmap_granularity=8388607");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(8388607LL * SECTOR, backend_sysfs(&self->b, "queue/discard_granularity"));
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_DISCARD));
	ASSERT_WELL(range_ends(self->r, VIRTIO_BLK_T_DISCARD, 8));
	ASSERT_WELL(range_ends(self->r, VIRTIO_BLK_T_DISCARD, self->b.size / SECTOR));
	ASSERT_WELL(request_ends(self->r, T_IN, 8, 4096, S_OK));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/*
 * The granules of the disk do not start at the start of a partition.  All
 * granules inside the range are freed, although a discard is done in several
 * steps.
 */
TEST_F_TIMEOUT(scsi, discard_partition, 120)
{
	const uint64_t granule = 8 << 20;
	uint64_t start_at, at;
	const char *why;
	unsigned int n = 0;

	why = scsi_load("lbpu=1 unmap_granularity=16384 dev_size_mb=48 num_parts=1");
	if (why)
		SKIP(return, "%s", why);
	self->part[0] = '?';
	ASSERT_WELL(start(self, false));
	ASSERT_EQ(granule, backend_sysfs(&self->b, "../queue/discard_granularity"));
	start_at = backend_sysfs(&self->b, "start") * SECTOR;
	ASSERT_NE(0, start_at % granule);
	ASSERT_WELL(range_ends(self->r, VIRTIO_BLK_T_DISCARD, self->b.size / SECTOR));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	for (at = granule - start_at; at + granule <= self->b.size; at += granule) {
		EXPECT_TRUE(all_zero(self->b.model + at, granule))
			TH_LOG("the granule at %llu is not freed", (unsigned long long)at);
		n++;
	}
	EXPECT_LT(3, n);
}

#define CONV_ZONES	2
#define ZONE_SECTORS	2048
/* The start of sequential zone number @i */
#define ZONE(i)		((CONV_ZONES + (uint64_t)(i)) * ZONE_SECTORS)
#define IS(start, state, written)					\
	ASSERT_WELL(zone_is(self->r, start, state, written))

/* If a SCSI disk refuses a request for its zone, it reports an error of its own. */
TEST_F_TIMEOUT(scsi, zones, 120)
{
	const char *why;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ENDS(T_OUT, 0, 4096, S_OK);
	ENDS(T_OUT, ZONE(0), 4096, S_OK);
	IS(ZONE(0), ZS_IOPEN, 8);
	ENDS(T_OUT, ZONE(0), 4096, S_UNALIGNED);
	ENDS(T_OUT, ZONE(0) + 16, 4096, S_UNALIGNED);
	ENDS(T_OPEN, 0, 0, S_INVALID);
	ENDS(T_RESET, 0, 0, S_INVALID);
	ENDS(T_OPEN, ZONE(1), 0, S_OK);
	IS(ZONE(1), ZS_EOPEN, 0);
	ENDS(T_FINISH, ZONE(1), 0, S_OK);
	IS(ZONE(1), ZS_FULL, -1);
	ENDS(T_OUT, ZONE(1), 4096, S_INVALID);
	ENDS(T_OUT, ZONE(0) + 8, 4096, S_OK);
	ENDS(T_RESET, ZONE(0), 0, S_OK);
	IS(ZONE(0), ZS_EMPTY, 0);
}

/*
 * Zones that must be written in blocks of 4096 bytes, with logical blocks of
 * 512: the block layer cannot split a write that is not aligned to 4096 at the
 * end of a zone.  In Linux 6.1 that is a BUG().
 */
TEST_F_TIMEOUT(scsi, zone_border, 120)
{
	const uint64_t border = 2048;	/* between two conventional zones */
	const char *why;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=3 physblk_exp=3");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	SIMPLE(T_OUT, border - 1, 1024);
	SIMPLE(T_OUT, border - 9, 8192);
	SIMPLE(T_OUT, border - 1, 512);
	SIMPLE(T_OUT, border, 512);
	SIMPLE(T_OUT, border - 8, 8192);
	SIMPLE(T_OUT, border - 9, 512 << 10);
	SIMPLE(T_IN, border - 1, 1024);
	/* a driver without ZONED may do the same */
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, guest_set_features(&self->g, self->g.features &
					~BIT64(VIRTIO_BLK_F_ZONED)));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	SIMPLE(T_OUT, border - 1, 1024);
	SIMPLE(T_OUT, border - 8, 8192);
}

/* A request whose data is at an odd address, so that it is bounced */
static struct request *at_odd(struct guest *g, uint32_t type, uint64_t sector, uint32_t len,
			      struct rng *rng)
{
	struct request *q = request_new(g, type, sector, len);

	request_cut_usual(q);
	request_place(q, PLACE_SCATTER, rng);
	q->seg[1].gpa |= 1;
	request_arm(q, rng_next(rng));
	return q;
}

/* All windows of this data start and end at multiples of @unit. */
static const char *windows_aligned(struct guest *g, FILE *f, uint64_t start, uint32_t bytes,
				   uint32_t unit)
{
	unsigned int n = 0;
	struct trace_event e;
	uint64_t pos, len;

	while (trace_next(f, &e)) {
		pos = trace_field(&e, "pos");
		len = trace_field(&e, "len");
		if (pos < start || pos >= start + bytes)
			continue;
		n++;
		if (pos % unit || len % unit)
			return guest_say(g, "a window of %llu bytes at %llu",
					 (unsigned long long)len, (unsigned long long)pos);
	}
	return n > 1 ? NULL : "the request had one window";
}

/*
 * Writes are in blocks of 16 KiB, larger than a page.  Other requests have some
 * of the bounce pages, so that a write gets a number of pages that is not a
 * multiple of this.  Nevertheless all of its windows can be split at the end of
 * a zone.
 */
TEST_F_TIMEOUT(scsi, zone_windows, 120)
{
	const uint64_t border = 2048;
	const uint32_t unit = 16384;
	struct request *q[3];
	const char *why, *untraced;
	unsigned int i;
	FILE *f;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=3 physblk_exp=5");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(unit, backend_sysfs(&self->b, "queue/zone_write_granularity"));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	untraced = trace_begin("submit");
	q[0] = at_odd(&self->g, T_IN, 1024, 4096, &self->rng);
	q[1] = at_odd(&self->g, T_OUT, 0, 256 << 10, &self->rng);
	q[2] = at_odd(&self->g, T_OUT, border - 256, 144 << 10, &self->rng);
	guest_snapshot(&self->g);
	for (i = 0; i < ARRAY_SIZE(q); i++)
		ASSERT_LE(0, ring_add(self->r, q[i]));
	ring_kick(self->r);
	ASSERT_WELL(ring_wait(self->r, ARRAY_SIZE(q), 30000));
	for (i = 0; i < ARRAY_SIZE(q); i++)
		ASSERT_WELL(request_outcome(q[i], S_OK));
	ASSERT_WELL(guest_compare(&self->g));
	ASSERT_WELL(backend_compare_all(&self->b));
	if (untraced) {
		TH_LOG("%s", untraced);
	} else {
		f = trace_end();
		ASSERT_NE(NULL, f);
		why = windows_aligned(&self->g, f, (border - 256) * SECTOR, 144 << 10, unit);
		fclose(f);
		ASSERT_EQ(NULL, why)
			TH_LOG("%s", why);
	}
	for (i = 0; i < ARRAY_SIZE(q); i++)
		request_free(q[i]);
}

#define HUGE_PAGE	(2U << 20)
#define HUGE_GPA	BIT64(40)

/* Back new guest memory by three huge pages. Return: NULL, or why this is not possible */
static const char *add_huge_pages(struct guest *g)
{
	int fd = memfd_create("vhost-test", MFD_CLOEXEC | MFD_HUGETLB);
	const char *why = "no huge pages here";
	struct region *r;

	if (fd < 0)
		return why;
	r = guest_add_region(g, HUGE_GPA, 3 * HUGE_PAGE);
	if (r && !ftruncate(fd, r->len) && region_back(r, fd))
		why = guest_set_mem_table(g) ? "the memory table is refused" : NULL;
	close(fd);
	return why;
}

/*
 * Writes are in blocks of 16 KiB, and a request has two bios, because it has more
 * than 256 vectors.  A segment in one huge page is one vector.  The 256th vector
 * is the first page of a segment whose other pages are in the next huge page, so
 * the first bio could end there.  Nevertheless the second one can be split at
 * the end of a zone.
 */
TEST_F_TIMEOUT(scsi, zone_bios, 120)
{
	const uint32_t unit = 16384, segs = 257;
	struct request *q;
	const char *why;
	unsigned int i;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=6 physblk_exp=5");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	why = add_huge_pages(&self->g);
	if (why)
		SKIP(return, "%s", why);
	q = request_new(&self->g, T_OUT, 0, segs * unit);
	request_cut_every(q, unit);
	request_place(q, PLACE_ALIGNED, NULL);
	/* each segment before the one that precedes it, so that they are not merged */
	for (i = 0; i < 255; i++)
		q->seg[1 + i].gpa = HUGE_GPA + HUGE_PAGE + (255 - i) * unit;
	q->seg[1 + 255].gpa = HUGE_GPA + HUGE_PAGE - 4096;
	q->seg[1 + 256].gpa = HUGE_GPA;
	request_set_indirect(q, true);
	request_arm(q, 1);
	ASSERT_WELL(request_verify(self->r, q, S_OK));
	request_free(q);
	ASSERT_WELL(backend_compare(&self->b, 0, segs * unit));
}

static int max_sectors_kb(struct scsi *s, const char *kb)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(s->path, '/') + 1);
	return put_attr(dir, "max_sectors_kb", kb);
}

/*
 * The administrator has limited the size of requests to one block of 4096
 * bytes.  A write of 4096 bytes that is not aligned is two requests.  If the
 * block layer had to split it, it would be a BUG() in Linux 6.1.
 */
TEST_F_TIMEOUT(scsi, zone_small_requests, 120)
{
	const uint64_t border = 2048;
	const char *why;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=3 physblk_exp=3");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(0, max_sectors_kb(&self->s, "4"));
	SIMPLE(T_OUT, 1, 4096);
	SIMPLE(T_OUT, 7, 4096 + 512);
	SIMPLE(T_OUT, 3, 512 << 10);
	SIMPLE(T_OUT, border - 3, 64 << 10);
	SIMPLE(T_OUT, 8, 64 << 10);
	SIMPLE(T_IN, 1, 64 << 10);
	SIMPLE(T_OUT, ZONE(1), 64 << 10);
}

/*
 * The administrator has limited the size of requests to less than the write
 * granularity: writes fail until the limit is raised.
 */
TEST_F_TIMEOUT(scsi, zone_too_small_requests, 120)
{
	const char *why;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=3 physblk_exp=5");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(0, max_sectors_kb(&self->s, "4"));
	ENDS(T_OUT, 0, 16384, VIRTIO_BLK_S_IOERR);
	ENDS(T_OUT, 1, 16384, VIRTIO_BLK_S_IOERR);
	ENDS(T_OUT, ZONE(1), 32768, VIRTIO_BLK_S_IOERR);
	SIMPLE(T_IN, 1, 32768);
	ASSERT_EQ(0, max_sectors_kb(&self->s, "16"));
	SIMPLE(T_OUT, 0, 16384);
	SIMPLE(T_OUT, 1, 32768);
	SIMPLE(T_OUT, ZONE(1), 32768);
}

/*
 * An append cannot be split.  In Linux 6.1 a lower limit on the size of requests
 * also limits appends.
 */
TEST_F_TIMEOUT(scsi, zone_small_append, 120)
{
	struct request *q;
	const char *why;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2 physblk_exp=3");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(0, max_sectors_kb(&self->s, "4"));
	q = request_new(&self->g, VIRTIO_BLK_T_ZONE_APPEND, ZONE(0), 16384);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	ASSERT_WELL(request_run(self->r, q, 10000));
	TH_LOG("status %u", request_status(q));
	if (request_status(q) != S_OK)
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, request_status(q));
	IS(ZONE(0), request_status(q) == S_OK ? ZS_IOPEN : ZS_EMPTY,
	   request_status(q) == S_OK ? 32 : 0);
	request_free(q);
}

/* The guest is gone; another one attaches the disk with its present limits. */
static const char *start_again(struct _test_data_scsi *self)
{
	struct guest_opts guest = { .backend = &self->b, .queues = 2, .num = 512 };

	guest_destroy(&self->g);
	guest_init(&self->g, &guest);
	self->r = &self->g.ring[0];
	return guest_boot(&self->g);
}

/*
 * The administrator has limited the size of requests to one and a half blocks of
 * 4096 bytes.  In Linux 6.1 this limits appends too, and they must be whole
 * blocks.
 */
TEST_F_TIMEOUT(scsi, zone_append_blocks, 120)
{
	struct blk_config c;
	const char *why;
	uint32_t max;
	uint64_t at;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2 physblk_exp=3");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(0, max_sectors_kb(&self->s, "6"));
	ASSERT_WELL(start_again(self));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	max = le32toh(c.zoned.max_append_sectors);
	TH_LOG("appends of %u sectors", max);
	EXPECT_LE(8, max);
	ASSERT_EQ(0, max % 8);
	ASSERT_WELL(zone_append(self->r, ZONE(0), max * SECTOR, PLACE_SCATTER, &self->rng, S_OK,
				&at));
	EXPECT_EQ(ZONE(0), at);
	IS(ZONE(0), max == ZONE_SECTORS ? ZS_FULL : ZS_IOPEN, -1);
	SIMPLE(T_IN, ZONE(0), max * SECTOR);
}

/*
 * Device mapper does not notice that the disk's limit is lower.  Before Linux
 * 6.12 an append that exceeds it would be a BUG().
 */
TEST_F_TIMEOUT(scsi, zone_small_append_below, 120)
{
	struct request *q;
	const char *why;
	uint64_t at;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2 physblk_exp=3");
	if (why)
		SKIP(return, "%s", why);
	self->stacked = true;
	ASSERT_WELL(start(self, true));
	ASSERT_EQ(0, max_sectors_kb(&self->s, "4"));
	q = request_new(&self->g, VIRTIO_BLK_T_ZONE_APPEND, ZONE(0), 16384);
	request_cut_usual(q);
	request_place(q, PLACE_SCATTER, &self->rng);
	request_arm(q, 1);
	ASSERT_WELL(request_run(self->r, q, 10000));
	TH_LOG("status %u", request_status(q));
	EXPECT_NE(S_UNALIGNED, request_status(q));
	request_free(q);
	ASSERT_WELL(zone_append(self->r, ZONE(1), 4096, PLACE_ALIGNED, NULL, S_OK, &at));
	EXPECT_EQ(ZONE(1), at);
}

/* A write granularity that is larger than the bounce pages of a request is refused. */
TEST_F_TIMEOUT(scsi, zone_large_granularity, 120)
{
	struct guest_opts guest = { .backend = &self->b };
	struct backend_opts disk = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	const char *why;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2 physblk_exp=8");
	if (why)
		SKIP(return, "%s", why);
	why = scsi_open(&self->s);
	if (why)
		SKIP(return, "%s", why);
	self->loaded = true;
	disk.path = self->s.path;
	ASSERT_WELL(backend_open_as(&self->b, &disk));
	ASSERT_EQ(131072, backend_sysfs(&self->b, "queue/zone_write_granularity"));
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_OWNED));
	EXPECT_EQ(-EOPNOTSUPP, guest_set_backend(&self->g, self->b.fd, 0));
}

/*
 * Encryption in sectors of 4096 bytes, on a disk with blocks of 512 bytes.  On
 * Linux 6.1 the device has blocks of 4096 bytes, but the granularity of the disk.
 */
TEST_F_TIMEOUT(scsi, zone_crypt, 120)
{
	struct blk_config c;
	struct request *q;
	const char *why;
	unsigned int i;
	uint64_t at;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2");
	if (why)
		SKIP(return, "%s", why);
	self->stacked = true;
	self->crypt = true;
	why = start(self, true);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(4096, le32toh(c.blk_size));
	EXPECT_EQ(4096, le32toh(c.zoned.write_granularity));
	/* segments of a sector, each at the start of a page */
	q = request_new(&self->g, T_OUT, 64, 4096);
	request_cut_every(q, SECTOR);
	request_place(q, PLACE_ALIGNED, NULL);
	at = guest_alloc(&self->g, 8 * 4096, 4096);
	for (i = 0; i < 8; i++)
		q->seg[1 + i].gpa = at + i * 4096;
	request_arm(q, 1);
	ASSERT_WELL(request_verify(self->r, q, S_OK));
	request_free(q);
	ENDS(T_OUT, ZONE(0), 4096, S_OK);
}

/* Writes must end at a multiple of the granularity (5.2.6); scsi_debug accepts all. */
TEST_F_TIMEOUT(scsi, zone_granularity, 120)
{
	const char *why;
	uint64_t at;

	why = scsi_load("zbc=managed zone_size_mb=1 zone_nr_conv=2 physblk_exp=3");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(start(self, true));
	ENDS(T_OUT, ZONE(0), 512, S_UNALIGNED);
	ASSERT_WELL(zone_append(self->r, ZONE(0), 512, PLACE_ALIGNED, NULL, S_UNALIGNED, &at));
	IS(ZONE(0), ZS_EMPTY, 0);
	ENDS(T_OUT, ZONE(0), 4096, S_OK);
	ENDS(T_OUT, ZONE(0) + 8, 4096 + 512, S_UNALIGNED);
	ENDS(T_IN, ZONE(0), 512, S_OK);
	ASSERT_WELL(backend_adopt(&self->b, ZONE(0) * SECTOR, 4096));
	ASSERT_WELL(zone_append(self->r, ZONE(0), 4096, PLACE_ALIGNED, NULL, S_OK, &at));
	EXPECT_EQ(ZONE(0) + 8, at);
	IS(ZONE(0), ZS_IOPEN, 16);
	/* conventional zones have no such rule */
	ENDS(T_OUT, 8, 512, S_OK);
}

#define MD		"/dev/md78"
#define MD_ATTR		"/sys/block/md78/md/"
#define MD_LAYOUT	"--level=5 --raid-devices=3 --chunk=64 --bitmap=none"
#define MD_OPTIONS	"--run --force --metadata=1.2 --assume-clean " MD_LAYOUT
#define WITH_MDADM	"PATH=$PATH:/sbin:/usr/sbin; "

FIXTURE(raid5) {
	struct backend member[3], b;
	struct guest g;
	bool created;
};

FIXTURE_SETUP(raid5)
{
	struct backend_opts loop = { .kind = BACKEND_LOOP, .direct = true, .blank = true };
	struct backend_opts raid = {
		.kind = BACKEND_NAMED, .direct = true, .path = MD, .blank = true,
	};
	struct guest_opts guest = { .backend = &self->b, .num = 512 };
	const char *why = no_kernel("the model device has no RAID");
	char command[1024];
	unsigned int i;

	backend_none(&self->b);
	for (i = 0; i < ARRAY_SIZE(self->member); i++)
		backend_none(&self->member[i]);
	for (i = 0; !why && i < ARRAY_SIZE(self->member); i++)
		why = backend_open_as(&self->member[i], &loop);
	if (why)
		SKIP(return, "%s", why);
	/*
	 * With skip_copy the parity is of the guest's pages and not of copies.  The
	 * members are all zeroes, so it is right at the start.
	 */
	snprintf(command, sizeof(command), WITH_MDADM "mdadm --quiet --create " MD " " MD_OPTIONS
		 " %s %s %s >/dev/null 2>&1 && echo 1 >" MD_ATTR "skip_copy",
		 self->member[0].path, self->member[1].path, self->member[2].path);
	if (system(command))
		SKIP(return, "no mdadm, or no raid456 in this kernel");
	self->created = true;
	ASSERT_WELL(backend_open_as(&self->b, &raid));
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(raid5)
{
	unsigned int i;

	guest_destroy(&self->g);
	backend_close(&self->b);
	if (self->created)
		EXPECT_EQ(0, system(WITH_MDADM "mdadm --quiet --stop " MD));
	for (i = 0; i < ARRAY_SIZE(self->member); i++)
		backend_close(&self->member[i]);
}

/* A guest may change data while it is written: data and parity must not differ. */
TEST_F_TIMEOUT(raid5, stable, 300)
{
	static const uint32_t len[] = { 4096, 65536, 512 << 10 };
	unsigned int i;

	EXPECT_EQ(1, backend_sysfs(&self->b, "queue/stable_writes"));
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		uint64_t sector = i * 4096;

		ASSERT_WELL(flip_writes(&self->g.ring[0], sector, len[i], scaled(500, 100)));
		ASSERT_WELL(backend_adopt(&self->b, sector * SECTOR, len[i]));
		ASSERT_WELL(request_simple(&self->g.ring[0], T_IN, sector, len[i], S_OK));
	}
	ASSERT_WELL(backend_compare_all(&self->b));
	EXPECT_EQ(0, system("echo check >" MD_ATTR "sync_action; "
			    "until grep -q idle " MD_ATTR "sync_action; do sleep 0.1; done; "
			    "grep -qx 0 " MD_ATTR "mismatch_cnt"));
}

TEST_HARNESS_MAIN
