// SPDX-License-Identifier: GPL-2.0
/* ZONED: states of zones, writes, and every zone status of 5.2.6 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dm.h"
#include "inject.h"
#include "klog.h"
#include "suite-zoned.h"

static const struct nullb_attr whole[] = {
	{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" }, { NULL, NULL },
};

static const struct nullb_attr part[] = {
	{ "zoned", "1" }, { "zone_size", "2" }, { "zone_capacity", "1" },
	{ "zone_nr_conv", "2" }, { NULL, NULL },
};

FIXTURE_VARIANT_ADD(zoned, whole) {
	.attr = whole, .mib = 6, .zone_mib = 1, .cap_mib = 1,
};

/* Zones whose capacity is less than their size */
FIXTURE_VARIANT_ADD(zoned, part) {
	.attr = part, .mib = 12, .zone_mib = 2, .cap_mib = 1,
};

TEST_F(zoned, offer)
{
	uint64_t f = guest_offered(&self->g);
	struct blk_config c;
	unsigned int i;

	EXPECT_NE(0, f & BIT64(VIRTIO_BLK_F_ZONED));
	EXPECT_EQ(0, f & BIT64(VIRTIO_BLK_F_DISCARD));
	EXPECT_EQ(0, f & BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	EXPECT_EQ(0, f & BIT64(VIRTIO_BLK_F_SECURE_ERASE));
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(1, c.zoned.model);
	EXPECT_EQ(self->size, le32toh(c.zoned.zone_sectors));
	EXPECT_EQ(backend_sysfs(&self->b, "queue/chunk_sectors"), le32toh(c.zoned.zone_sectors));
	EXPECT_EQ(backend_sysfs(&self->b, "queue/max_open_zones"),
		  le32toh(c.zoned.max_open_zones));
	EXPECT_EQ(backend_sysfs(&self->b, "queue/max_active_zones"),
		  le32toh(c.zoned.max_active_zones));
	EXPECT_EQ(backend_sysfs(&self->b, "queue/zone_write_granularity"),
		  le32toh(c.zoned.write_granularity));
	EXPECT_NE(0, c.zoned.max_append_sectors);
	EXPECT_GE(backend_sysfs(&self->b, "queue/zone_append_max_bytes"),
		  le32toh(c.zoned.max_append_sectors) * 512LL);
	EXPECT_EQ(0, le32toh(c.zoned.max_append_sectors) * 512LL %
		     le32toh(c.zoned.write_granularity));
	EXPECT_GE((uint64_t)le32toh(c.seg_max) * le32toh(c.size_max),
		  le32toh(c.zoned.max_append_sectors) * 512ULL);
	for (i = 0; i < sizeof(c.zoned.unused2); i++)
		EXPECT_EQ(0, c.zoned.unused2[i]);
}

/* Every transition from one state to another */
TEST_F(zoned, states)
{
	uint64_t z = ZONE(1);

	IS(z, ZS_EMPTY, 0);
	OP(T_CLOSE, z, S_INVALID);
	IS(z, ZS_EMPTY, 0);
	OP(T_OPEN, z, S_OK);
	IS(z, ZS_EOPEN, 0);
	OP(T_OPEN, z, S_OK);
	OP(T_CLOSE, z, S_OK);
	IS(z, ZS_EMPTY, 0);
	WRITE(z, 8, S_OK);
	IS(z, ZS_IOPEN, 8);
	OP(T_CLOSE, z, S_OK);
	IS(z, ZS_CLOSED, 8);
	OP(T_CLOSE, z, S_OK);
	OP(T_OPEN, z, S_OK);
	IS(z, ZS_EOPEN, 8);
	WRITE(z + 8, 3, S_OK);
	IS(z, ZS_EOPEN, 11);
	OP(T_FINISH, z, S_OK);
	ADOPT(z);
	IS(z, ZS_FULL, -1);
	OP(T_FINISH, z, S_OK);
	OP(T_OPEN, z, S_INVALID);
	OP(T_CLOSE, z, S_INVALID);
	OP(T_RESET, z, S_OK);
	ADOPT(z);
	IS(z, ZS_EMPTY, 0);
	OP(T_RESET, z, S_OK);
	OP(T_FINISH, z, S_OK);
	ADOPT(z);
	IS(z, ZS_FULL, -1);
	/* neighbouring zones have not changed */
	IS(ZONE(0), ZS_EMPTY, 0);
	IS(ZONE(2), ZS_EMPTY, 0);
}

/* A reset removes the data of its zone, and of no other one. */
TEST_F(zoned, reset)
{
	static const uint32_t type[] = { T_RESET, T_RESET_ALL };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(type); i++) {
		WRITE(0, 8, S_OK);
		for (k = 0; k < 3; k++)
			WRITE(ZONE(k), 16, S_OK);
		OP(type[i], type[i] == T_RESET ? ZONE(1) : 0, S_OK);
		for (k = 0; k < 3; k++) {
			if (type[i] == T_RESET && k != 1)
				continue;
			ADOPT(ZONE(k));
			/* null_blk reads an empty zone as these bytes */
			EXPECT_EQ(0xff, self->b.model[ZONE(k) * SECTOR]);
			IS(ZONE(k), ZS_EMPTY, 0);
		}
		if (type[i] == T_RESET)
			IS(ZONE(0), ZS_IOPEN, 16);
		ASSERT_WELL(backend_compare_all(&self->b));
		OP(T_RESET_ALL, ~0ULL, S_OK);
		for (k = 0; k < 3; k++)
			ADOPT(ZONE(k));
	}
}

/* A zone is written from its start to its capacity, and read anywhere. */
TEST_F_TIMEOUT(zoned, fill, 60)
{
	uint64_t z = ZONE(0), at = 0, n;

	while (at < self->cap) {
		n = 1 + rng_below(&self->rng, 300);
		if (n > self->cap - at)
			n = self->cap - at;
		WRITE(z + at, n, S_OK);
		at += n;
	}
	IS(z, ZS_FULL, -1);
	WRITE(z + self->cap - 1, 1, S_INVALID);
	WRITE(z, 1, S_INVALID);
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, z, self->cap * SECTOR, S_OK));
	/* beyond the write pointer, too */
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, ZONE(1), 16 * SECTOR, S_OK));
}

TEST_F(zoned, write_pointer)
{
	uint64_t z = ZONE(2);

	WRITE(z + 1, 1, S_UNALIGNED);
	WRITE(z + 8, 8, S_UNALIGNED);
	IS(z, ZS_EMPTY, 0);
	WRITE(z, 8, S_OK);
	WRITE(z, 8, S_UNALIGNED);
	WRITE(z + 7, 1, S_UNALIGNED);
	WRITE(z + 9, 8, S_UNALIGNED);
	WRITE(z + 16, 8, S_UNALIGNED);
	IS(z, ZS_IOPEN, 8);
	/* refused writes do not prevent later ones */
	WRITE(z + 8, 8, S_OK);
	IS(z, ZS_IOPEN, 16);
}

/* Beyond the zone's capacity: none of the request is executed. */
TEST_F(zoned, past_capacity)
{
	uint64_t z = ZONE(0);

	WRITE(z, self->cap - 8, S_OK);
	WRITE(z + self->cap - 8, 9, S_INVALID);
	WRITE(z + self->cap - 8, 16, S_INVALID);
	IS(z, ZS_IOPEN, self->cap - 8);
	WRITE(z + self->cap - 8, 8, S_OK);
	IS(z, ZS_FULL, -1);
	IS(ZONE(1), ZS_EMPTY, 0);
}

/*
 * From one sequential zone into the next: reads fail too, and no part of a
 * write is executed.
 */
TEST_F(zoned, crossing)
{
	uint64_t z = ZONE(1);

	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, z - 8, 16 * SECTOR, S_INVALID));
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, z - 8, 8 * SECTOR, S_OK));
	WRITE(ZONE(0), self->cap, S_OK);
	WRITE(z - 8, 16, S_INVALID);
	WRITE(z, 8, S_OK);
	WRITE(z + 8, self->size, S_INVALID);
	IS(z, ZS_IOPEN, 8);
	IS(ZONE(2), ZS_EMPTY, 0);
}

TEST_F(zoned, conventional)
{
	static const uint32_t type[] = { T_OPEN, T_CLOSE, T_FINISH, T_RESET };
	uint64_t at;
	unsigned int i;

	WRITE(77, 5, S_OK);
	WRITE(8, 100, S_OK);
	/* from one conventional zone into the next */
	WRITE(self->size - 8, 16, S_OK);
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, self->size - 8, 16 * SECTOR, S_OK));
	for (i = 0; i < ARRAY_SIZE(type); i++)
		OP(type[i], self->size, S_INVALID);
	ASSERT_WELL(zone_append(self->r, 0, SECTOR, PLACE_ALIGNED, NULL, S_INVALID, &at));
	IS(0, ZS_NOT_WP, -1);
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, 0, 200 * SECTOR, S_OK));
}

/* From a conventional zone into a sequential one: a write must start that one. */
TEST_F(zoned, from_conventional)
{
	uint64_t z = ZONE(0);

	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, z - 8, 16 * SECTOR, S_OK));
	WRITE(z - 8, 16, S_OK);
	IS(z, ZS_IOPEN, 8);
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, z - 8, 16 * SECTOR, S_OK));
	ASSERT_WELL(request_ends(self->r, VIRTIO_BLK_T_OUT, z - 8, 16 * SECTOR, S_IOERR));
	/* the part in the conventional zone may have been written */
	ASSERT_WELL(backend_adopt(&self->b, (z - 8) * SECTOR, 8 * SECTOR));
	/* without a report by the guest before */
	WRITE(z + 8, 8, S_OK);
	IS(z, ZS_IOPEN, 16);
}

/* The last zone has half the size of the others. */
TEST_F(zoned, smaller_last_zone)
{
	static const struct nullb_attr attr[] = {
		{ "zoned", "1" }, { "zone_size", "2" }, { "zone_nr_conv", "1" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .size = 5 << 20,
		.blank = true,
	};
	const uint64_t size = 4096, last = 2 * size, end = last + size / 2;
	struct guest_opts guest = { .backend = &self->b };
	uint32_t type[] = { T_RESET, T_RESET_ALL };
	struct blk_config c;
	struct zones z;
	unsigned int i;

	guest_destroy(&self->g);
	backend_close(&self->b);
	ASSERT_WELL(backend_open_as(&self->b, &opts));
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
	self->r = &self->g.ring[0];
	self->size = size;
	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(end, le64toh(c.capacity));
	EXPECT_EQ(size, le32toh(c.zoned.zone_sectors));
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		ASSERT_WELL(zones_report(self->r, 0, 64 * 8, NULL, &z, S_OK));
		ASSERT_EQ(3, z.n);
		EXPECT_EQ(last, le64toh(z.zone[2].z_start));
		EXPECT_EQ(size / 2, le64toh(z.zone[2].z_cap));
		EXPECT_EQ(ZS_EMPTY, z.zone[2].z_state);
		WRITE(size, 8, S_OK);
		WRITE(last, 8, S_OK);
		WRITE(last + 8, size / 2, S_IOERR);
		WRITE(last + 8, size / 2 - 8, S_OK);
		IS(last, ZS_FULL, -1);
		ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, end - 8, 8 * SECTOR, S_OK));
		ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, end - 8, 16 * SECTOR,
					   S_IOERR));
		OP(type[i], type[i] == T_RESET ? last : 0, S_OK);
		ASSERT_WELL(backend_adopt(&self->b, size * SECTOR, (end - size) * SECTOR));
		IS(last, ZS_EMPTY, 0);
		IS(size, type[i] == T_RESET ? ZS_IOPEN : ZS_EMPTY, type[i] == T_RESET ? 8 : 0);
		if (type[i] == T_RESET)
			OP(T_RESET, size, S_OK);
		ASSERT_WELL(backend_adopt(&self->b, size * SECTOR, size * SECTOR));
	}
	OP(T_FINISH, last, S_OK);
	ASSERT_WELL(backend_adopt(&self->b, last * SECTOR, (end - last) * SECTOR));
	IS(last, ZS_FULL, -1);
}

/* A guest cannot fill the log of its host with requests that are never valid. */
TEST_F(zoned, conventional_quiet)
{
	static const uint32_t type[] = { T_OPEN, T_CLOSE, T_FINISH, T_RESET };
	int klog = klog_open();
	unsigned int i, k;
	const char *line;
	uint64_t at;

	if (klog < 0)
		SKIP(return, "no /dev/kmsg");
	for (i = 0; i < ARRAY_SIZE(type); i++)
		for (k = 0; k < scaled(1000, 50); k++)
			ASSERT_WELL(request_ends(self->r, type[i], self->size, 0, S_INVALID));
	for (k = 0; k < scaled(1000, 50); k++)
		ASSERT_WELL(zone_append(self->r, 0, SECTOR, PLACE_ALIGNED, NULL, S_INVALID, &at));
	line = klog_about(klog, &self->b);
	EXPECT_EQ(NULL, line)
		TH_LOG("logged: %s", line);
	close(klog);
}

/* A zoned disk with device mapper on it */
FIXTURE(stacked) {
	struct backend disk;
	struct dm dm;
	struct backend b;
	struct guest g;
	struct ring *r;
	uint64_t size;		/* sectors of a zone */
};

static void close_disks(struct _test_data_stacked *self)
{
	backend_close(&self->b);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->disk);
}

FIXTURE_SETUP(stacked)
{
	struct backend_opts disk = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = whole, .size = 6 << 20,
		.blank = true,
	};
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	struct guest_opts guest = { .backend = &self->b, .queues = 4 };
	const char *why = no_kernel(NO_ZONES);
	char params[256];

	self->dm.control = -1;
	backend_none(&self->disk);
	self->b = self->disk;
	if (!why)
		why = backend_open_as(&self->disk, &disk);
	snprintf(params, sizeof(params), "%s 0", self->disk.path);
	if (!why)
		why = dm_create(&self->dm, self->disk.size / SECTOR, "linear", params);
	opts.path = self->dm.path;
	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why) {
		/* the harness does not call the teardown */
		close_disks(self);
		SKIP(return, "%s", why);
	}
	self->size = 2048;
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
	self->r = &self->g.ring[0];
}

FIXTURE_TEARDOWN(stacked)
{
	const char *why;

	if (self->dm.control >= 0)
		dm_resume(&self->dm);
	why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	close_disks(self);
	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

TEST_F(stacked, conventional)
{
	static const uint32_t type[] = { T_OPEN, T_CLOSE, T_FINISH, T_RESET };
	uint64_t at;
	unsigned int i;

	WRITE(77, 5, S_OK);
	/* from one conventional zone into the next */
	WRITE(self->size - 8, 16, S_OK);
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, self->size - 8, 16 * SECTOR, S_OK));
	for (i = 0; i < ARRAY_SIZE(type); i++)
		OP(type[i], self->size, S_INVALID);
	ASSERT_WELL(zone_append(self->r, 0, SECTOR, PLACE_ALIGNED, NULL, S_INVALID, &at));
	IS(0, ZS_NOT_WP, -1);
	/* sequential zones work as usual */
	WRITE(ZONE(0) + 8, 8, S_UNALIGNED);
	WRITE(ZONE(0), 8, S_OK);
	ASSERT_WELL(zone_append(self->r, ZONE(0), 4096, PLACE_ALIGNED, NULL, S_OK, &at));
	EXPECT_EQ(ZONE(0) + 8, at);
	ASSERT_WELL(backend_adopt(&self->b, at * SECTOR, 4096));
	IS(ZONE(0), ZS_IOPEN, 16);
	OP(T_RESET, ZONE(0), S_OK);
	IS(ZONE(0), ZS_EMPTY, 0);
	ADOPT(ZONE(0));
}

/* Start a write to a suspended device that fails before it waits. */
static const char *write_suspended(struct dm *dm, struct backend *b, struct ring *r,
				   struct request *q)
{
	const char *why = faults_open();

	if (why)
		return why;
	why = dm_suspend(dm);
	if (!why && fault_disk(b->path, true))
		why = "no make-it-fail";
	fault_often(FAULT_REQUEST, 100, false);
	if (!why && ring_add(r, q) < 0)
		why = "the ring is full";
	if (!why)
		ring_kick(r);
	usleep(500000);
	faults_close();
	fault_disk(b->path, false);
	return why;
}

/* The driver looks for the reason of a failure while no zones can be reported. */
TEST_F_TIMEOUT(stacked, reason_suspended, 60)
{
	struct ring *r = self->r;
	struct request *q;
	const char *why;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		q = request_new(&self->g, VIRTIO_BLK_T_OUT, ZONE(0) + 8, 8 * SECTOR);
		request_cut_usual(q);
		request_place(q, PLACE_ALIGNED, NULL);
		request_arm(q, 1);
		why = write_suspended(&self->dm, &self->b, r, q);
		if (why)
			SKIP(return, "%s", why);
		ASSERT_EQ(NULL, ring_take(r));
		/* it gives up if the device is stopped */
		ASSERT_EQ(0, i ? guest_set_running(&self->g, 0) : !!dm_resume(&self->dm));
		ASSERT_WELL(ring_wait(r, 1, 10000));
		EXPECT_EQ(i ? S_IOERR : S_UNALIGNED, request_status(q));
		request_free(q);
	}
}

TEST_F(stacked, conventional_quiet)
{
	static const uint32_t type[] = { T_OPEN, T_CLOSE, T_FINISH, T_RESET };
	int klog = klog_open();
	unsigned int i, k;
	const char *line;

	if (kernel_before(7, 3))
		SKIP(return, "this kernel does not know the types of the zones");
	if (klog < 0)
		SKIP(return, "no /dev/kmsg");
	for (i = 0; i < ARRAY_SIZE(type); i++)
		for (k = 0; k < scaled(100, 20); k++)
			ASSERT_WELL(request_ends(self->r, type[i], self->size, 0, S_INVALID));
	line = klog_about(klog, &self->disk);
	EXPECT_EQ(NULL, line)
		TH_LOG("logged: %s", line);
	close(klog);
}

/* A sector that is not the start of a zone, or outside the disk */
TEST_F(zoned, wrong_sector)
{
	static const uint32_t type[] = { T_OPEN, T_CLOSE, T_FINISH, T_RESET };
	uint64_t end = self->b.size / SECTOR, at;
	const uint64_t sector[] = {
		ZONE(0) + 1, ZONE(1) - 1, ZONE(1) + self->size / 2, end, end + self->size,
		end + 1, 1ULL << 55, 1ULL << 63, ~0ULL, ~0ULL - self->size + 1,
	};
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(sector); k++) {
		for (i = 0; i < ARRAY_SIZE(type); i++)
			OP(type[i], sector[k], S_INVALID);
		ASSERT_WELL(zone_append(self->r, sector[k], SECTOR, PLACE_ALIGNED, NULL,
					S_INVALID, &at));
	}
	for (i = 0; i < self->zones - CONV_ZONES; i++)
		IS(ZONE(i), ZS_EMPTY, 0);
}

/* Zones that have failed, which null_blk simulates from Linux 6.1 on */
TEST_F(zoned, failed)
{
	static const uint32_t type[] = { T_OPEN, T_CLOSE, T_FINISH, T_RESET };
	const struct {
		const char *attr;
		uint8_t state;
		uint64_t start;
	} z[] = {
		{ "zone_readonly", ZS_RDONLY, ZONE(0) }, { "zone_offline", ZS_OFFLINE, ZONE(1) },
	};
	unsigned int i, k;
	uint64_t at;
	char text[24];

	for (k = 0; k < ARRAY_SIZE(z); k++) {
		WRITE(z[k].start, 8, S_OK);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)z[k].start);
		if (nullb_put(&self->b, z[k].attr, text))
			SKIP(return, "this null_blk has no %s", z[k].attr);
		IS(z[k].start, z[k].state, -1);
		for (i = 0; i < ARRAY_SIZE(type); i++)
			OP(type[i], z[k].start, S_INVALID);
		/* the test cannot read an offline zone either */
		if (z[k].state == ZS_RDONLY) {
			ADOPT(z[k].start);
			WRITE(z[k].start + 8, 1, S_INVALID);
		}
		ASSERT_WELL(zone_append(self->r, z[k].start, SECTOR, PLACE_ALIGNED, NULL,
					S_INVALID, &at));
		IS(z[k].start, z[k].state, -1);
	}
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, ZONE(0), 8 * SECTOR, S_OK));
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, ZONE(1), SECTOR, S_INVALID));
	/* a reset of all zones skips those that cannot be reset */
	OP(T_RESET_ALL, 0, S_OK);
	IS(ZONE(0), ZS_RDONLY, -1);
	IS(ZONE(1), ZS_OFFLINE, -1);
	/* restore the zones, so that they can be read for the comparison */
	for (k = 0; k < ARRAY_SIZE(z); k++) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)z[k].start);
		ASSERT_EQ(0, nullb_put(&self->b, z[k].attr, text));
		ADOPT(z[k].start);
	}
}

/*
 * The medium fails, although the zone has room and the sector is right: IOERR,
 * no zone status
 */
TEST_F(zoned, no_reason)
{
	char bad[48];
	uint64_t at;

	WRITE(ZONE(0), 8, S_OK);
	snprintf(bad, sizeof(bad), "+%llu-%llu", (unsigned long long)ZONE(0) + 8,
		 (unsigned long long)ZONE(0) + 15);
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", bad));
	/* not WRITE(), which reads the disk afterwards */
	ASSERT_WELL(request_ends(self->r, VIRTIO_BLK_T_OUT, ZONE(0) + 8, 8 * SECTOR, S_IOERR));
	ASSERT_WELL(zone_append(self->r, ZONE(0), 8 * SECTOR, PLACE_ALIGNED, NULL, S_IOERR, &at));
	IS(ZONE(0), ZS_IOPEN, 8);
	/* a write that is not at the write pointer gets its zone status nevertheless */
	ASSERT_WELL(request_ends(self->r, VIRTIO_BLK_T_OUT, ZONE(0) + 16, 8 * SECTOR,
				 S_UNALIGNED));
	bad[0] = '-';
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", bad));
	WRITE(ZONE(0) + 8, 8, S_OK);
}

/*
 * The disk fails a reset and a finish of a full zone, which are valid: IOERR.  To
 * open it is not.
 */
TEST_F(zoned, no_reason_full)
{
	const char *why = faults_open();

	if (why)
		SKIP(return, "%s", why);
	OP(T_FINISH, ZONE(0), S_OK);
	ADOPT(ZONE(0));
	ASSERT_EQ(0, fault_disk(self->b.path, true));
	fault_often(FAULT_REQUEST, 100, false);
	why = request_ends(self->r, T_RESET, ZONE(0), 0, S_IOERR);
	if (!why)
		why = request_ends(self->r, T_FINISH, ZONE(0), 0, S_IOERR);
	if (!why)
		why = request_ends(self->r, T_OPEN, ZONE(0), 0, S_INVALID);
	faults_close();
	EXPECT_EQ(0, fault_disk(self->b.path, false));
	ASSERT_EQ(NULL, why)
		TH_LOG("%s", why);
	OP(T_RESET, ZONE(0), S_OK);
	ADOPT(ZONE(0));
}

/* Write 512 KiB from an odd address, which needs several windows of the bounce pages. */
static const char *write_windows(struct ring *r, uint64_t sector, struct rng *rng, uint8_t status)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, sector, 512 << 10);
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_SCATTER, rng);
	q->seg[1].gpa |= 1;
	request_arm(q, sector);
	why = request_run(r, q, 60000);
	if (!why && request_status(q) != status)
		why = guest_say(g, "status %u, must be %u", request_status(q), status);
	request_free(q);
	guest_release(g, mark);
	return why;
}

/*
 * After a window that failed no other one is written, and its status is that of
 * the request.
 */
TEST_F(zoned, window_fails)
{
	const uint64_t start[] = { 0, ZONE(0) };
	char bad[48];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(start); i++) {
		snprintf(bad, sizeof(bad), "+%llu-%llu", (unsigned long long)start[i] + 8,
			 (unsigned long long)start[i] + 15);
		ASSERT_EQ(0, nullb_put(&self->b, "badblocks", bad));
		ASSERT_WELL(write_windows(self->r, start[i], &self->rng, S_IOERR));
		bad[0] = '-';
		ASSERT_EQ(0, nullb_put(&self->b, "badblocks", bad));
		/* any part of the first window may have been written */
		ASSERT_WELL(backend_adopt(&self->b, start[i] * SECTOR, 256 << 10));
		ASSERT_WELL(backend_compare_all(&self->b));
	}
}

/* A guest without ZONED: reads, and writes at the write pointer */
TEST_F(zoned, not_negotiated)
{
	static const uint32_t type[] = {
		T_OPEN, T_CLOSE, T_FINISH, T_RESET, T_RESET_ALL, VIRTIO_BLK_T_ZONE_REPORT,
	};
	struct guest *g = &self->g;
	uint64_t at;
	unsigned int i;

	ASSERT_EQ(0, guest_set_running(g, 0));
	g->stage = STAGE_BACKEND;
	g->opts.features_off = BIT64(VIRTIO_BLK_F_ZONED);
	ASSERT_WELL(guest_boot(g));
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		OP(type[i], ZONE(0), S_UNSUPP);
		ASSERT_WELL(request_simple(self->r, type[i], ZONE(0), 4096, S_UNSUPP));
	}
	ASSERT_WELL(zone_append(self->r, ZONE(0), SECTOR, PLACE_ALIGNED, NULL, S_UNSUPP, &at));
	WRITE(0, 8, S_OK);
	WRITE(ZONE(0), 8, S_OK);
	ASSERT_WELL(request_simple(self->r, VIRTIO_BLK_T_IN, ZONE(0), 4096, S_OK));
	/* a guest without ZONED gets no zone status */
	WRITE(ZONE(0) + 16, 8, S_IOERR);
	WRITE(ZONE(1) + 8, 8, S_IOERR);
	/* refused writes do not prevent later ones */
	WRITE(ZONE(0) + 8, 8, S_OK);
	WRITE(ZONE(1), 8, S_OK);
}

/* The host made the disk read-only after the guest was told that it is not (see giveup, too). */
TEST_F(zoned, became_read_only)
{
	int ro = 1;

	ASSERT_EQ(0, ioctl(self->b.check_fd, BLKROSET, &ro));
	OP(T_OPEN, ZONE(0), S_IOERR);
	OP(T_RESET, ZONE(0), S_IOERR);
	IS(ZONE(0), ZS_EMPTY, 0);
	ro = 0;
	ASSERT_EQ(0, ioctl(self->b.check_fd, BLKROSET, &ro));
	OP(T_OPEN, ZONE(0), S_OK);
}

FIXTURE(limited) {
	struct backend b;
	struct guest g;
	struct ring *r;
	uint64_t size;
};

/* At most three open and five active zones */
FIXTURE_SETUP(limited)
{
	static const struct nullb_attr attr[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" },
		{ "zone_max_open", "3" }, { "zone_max_active", "5" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .size = 12 << 20,
		.blank = true,
	};
	struct guest_opts guest = { .backend = &self->b };
	const char *why = no_kernel(NO_ZONES);

	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
	self->size = 2048;
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
	self->r = &self->g.ring[0];
}

FIXTURE_TEARDOWN(limited)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

TEST_F(limited, config)
{
	struct blk_config c;

	ASSERT_EQ(0, guest_get_config(&self->g, &c));
	EXPECT_EQ(3, le32toh(c.zoned.max_open_zones));
	EXPECT_EQ(5, le32toh(c.zoned.max_active_zones));
}

TEST_F(limited, open)
{
	uint64_t at;
	unsigned int i;

	for (i = 0; i < 3; i++)
		OP(T_OPEN, ZONE(i), S_OK);
	OP(T_OPEN, ZONE(3), S_OPEN);
	WRITE(ZONE(3), 8, S_OPEN);
	ASSERT_WELL(zone_append(self->r, ZONE(3), 4096, PLACE_ALIGNED, NULL, S_OPEN, &at));
	IS(ZONE(3), ZS_EMPTY, 0);
	/* one is closed, so there is room again */
	OP(T_CLOSE, ZONE(1), S_OK);
	OP(T_OPEN, ZONE(3), S_OK);
	OP(T_OPEN, ZONE(1), S_OPEN);
	OP(T_RESET_ALL, 0, S_OK);
	OP(T_OPEN, ZONE(1), S_OK);
}

TEST_F(limited, active)
{
	uint64_t at;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		WRITE(ZONE(i), 8, S_OK);
		OP(T_CLOSE, ZONE(i), S_OK);
	}
	OP(T_OPEN, ZONE(5), S_ACTIVE);
	WRITE(ZONE(5), 8, S_ACTIVE);
	ASSERT_WELL(zone_append(self->r, ZONE(5), 4096, PLACE_ALIGNED, NULL, S_ACTIVE, &at));
	IS(ZONE(5), ZS_EMPTY, 0);
	/* active zones can be written */
	WRITE(ZONE(2) + 8, 8, S_OK);
	OP(T_FINISH, ZONE(4), S_OK);
	ADOPT(ZONE(4));
	WRITE(ZONE(5), 8, S_OK);
	OP(T_OPEN, ZONE(6), S_ACTIVE);
	OP(T_RESET, ZONE(0), S_OK);
	OP(T_OPEN, ZONE(6), S_OK);
}

/*
 * A zone whose write was refused can be written as soon as another one is closed
 * or finished, without a report.
 */
TEST_F(limited, try_again)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		OP(T_OPEN, ZONE(i), S_OK);
	WRITE(ZONE(3), 8, S_OPEN);
	OP(T_CLOSE, ZONE(1), S_OK);
	WRITE(ZONE(3), 8, S_OK);
	OP(T_CLOSE, ZONE(3), S_OK);
	for (i = 4; i < 6; i++) {
		WRITE(ZONE(i), 8, S_OK);
		OP(T_CLOSE, ZONE(i), S_OK);
	}
	WRITE(ZONE(6), 8, S_ACTIVE);
	OP(T_FINISH, ZONE(4), S_OK);
	ADOPT(ZONE(4));
	WRITE(ZONE(6), 8, S_OK);
}

/* If both limits are reached, the status is that of the second one (5.2.6). */
TEST_F(limited, both)
{
	uint64_t at;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		WRITE(ZONE(i), 8, S_OK);
		if (i < 2)
			OP(T_CLOSE, ZONE(i), S_OK);
	}
	OP(T_OPEN, ZONE(5), S_ACTIVE);
	WRITE(ZONE(5), 8, S_ACTIVE);
	ASSERT_WELL(zone_append(self->r, ZONE(5), 4096, PLACE_ALIGNED, NULL, S_ACTIVE, &at));
	OP(T_OPEN, ZONE(0), S_OPEN);
}

#define MD	"/dev/md77"

/* A RAID that says it is zoned, but has no zones to report (`raid0` in Linux 6.1 to 7.3) */
TEST_F_TIMEOUT(limited, raid, 60)
{
	struct guest_opts opts = { .backend = &self->b };
	char command[400], model[32] = "";
	FILE *f;
	int fd;

	guest_destroy(&self->g);
	snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin; mdadm --quiet --build " MD
		 " --force --level=0 --chunk=64 --raid-devices=1 %s >/dev/null 2>&1", self->b.path);
	if (system(command))
		SKIP(return, "no mdadm, or no raid0 in this kernel");
	f = fopen("/sys/block/md77/queue/zoned", "r");
	EXPECT_TRUE(f && fgets(model, sizeof(model), f));
	if (f)
		fclose(f);
	fd = open(MD, O_RDWR | O_DIRECT | O_CLOEXEC);
	EXPECT_LE(0, fd);
	TH_LOG("its model: %s", model);
	guest_init(&self->g, &opts);
	EXPECT_EQ(NULL, guest_boot_to(&self->g, STAGE_OWNED));
	EXPECT_EQ(!strncmp(model, "host-managed", 12) ? -EOPNOTSUPP : 0,
		  guest_set_backend(&self->g, fd, 0));
	guest_destroy(&self->g);
	guest_init(&self->g, &opts);
	close(fd);
	EXPECT_EQ(0, system("PATH=$PATH:/sbin:/usr/sbin; mdadm --quiet --stop " MD));
}

FIXTURE(same_zone) {
	struct backend b;
	struct guest g;
	uint64_t size;
};

FIXTURE_VARIANT(same_zone) {
	uint32_t type;
};

FIXTURE_VARIANT_ADD(same_zone, open) {
	.type = T_OPEN,
};

FIXTURE_VARIANT_ADD(same_zone, close) {
	.type = T_CLOSE,
};

FIXTURE_VARIANT_ADD(same_zone, finish) {
	.type = T_FINISH,
};

FIXTURE_VARIANT_ADD(same_zone, reset) {
	.type = T_RESET,
};

FIXTURE_VARIANT_ADD(same_zone, reset_all) {
	.type = T_RESET_ALL,
};

/*
 * The disk has one tag, and takes 10 ms for each request, so that the others
 * wait where the block layer could merge them.
 */
FIXTURE_SETUP(same_zone)
{
	static const struct nullb_attr attr[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "2" },
		{ "irqmode", "2" }, { "completion_nsec", "10000000" },
		{ "hw_queue_depth", "1" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .size = 12 << 20,
		.blank = true,
	};
	struct guest_opts guest = { .backend = &self->b };
	const char *why = no_kernel(NO_ZONES);
	char dir[96];

	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(self->b.path, '/') + 1);
	if (put_attr(dir, "scheduler", "mq-deadline")) {
		backend_close(&self->b);
		SKIP(return, "this kernel has no mq-deadline");
	}
	self->size = 2048;
	guest_init(&self->g, &guest);
	ASSERT_WELL(guest_boot(&self->g));
}

FIXTURE_TEARDOWN(same_zone)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/*
 * The block layer considers two requests without data that start at one sector
 * as adjacent.  If it merged them, their completion would be a BUG().
 */
TEST_F_TIMEOUT(same_zone, not_merged, 120)
{
	struct ring *r = &self->g.ring[0];
	struct request *q[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(q); i++) {
		q[i] = zone_request(&self->g, variant->type, ZONE(0));
		ASSERT_LE(0, ring_add(r, q[i]));
	}
	ring_kick(r);
	ASSERT_WELL(ring_wait(r, ARRAY_SIZE(q), 20000));
	for (i = 0; i < ARRAY_SIZE(q); i++) {
		/* what is empty can't be closed */
		EXPECT_EQ(variant->type == T_CLOSE ? S_INVALID : S_OK, request_status(q[i]));
		request_free(q[i]);
	}
	ASSERT_WELL(request_ends(r, T_RESET, ZONE(0), 0, S_OK));
	ASSERT_WELL(zone_is(r, ZONE(0), ZS_EMPTY, 0));
}

TEST_HARNESS_MAIN
