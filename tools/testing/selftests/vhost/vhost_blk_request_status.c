// SPDX-License-Identifier: GPL-2.0
/*
 * Requests other than valid reads and writes: each gets its status and its used
 * length, and changes nothing that it must not change.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "suite-disk.h"

#define SIMPLE(type, sector, len, status)					\
	ASSERT_WELL(request_simple(&self->g.ring[0], type, sector, len, status))

#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR
#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT

TEST_F(disk, flush)
{
	unsigned int i;

	BOOT();
	for (i = 0; i < 10; i++) {
		SIMPLE(T_OUT, 8 * i, 4096, S_OK);
		SIMPLE(VIRTIO_BLK_T_FLUSH, 0, 0, S_OK);
	}
	/* the sector is ignored, and so is data */
	SIMPLE(VIRTIO_BLK_T_FLUSH, ~0ULL, 0, S_OK);
	SIMPLE(VIRTIO_BLK_T_FLUSH, 8, 512, S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F(disk, get_id)
{
	BOOT(.serial = "short");
	SIMPLE(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, S_OK);
	SIMPLE(VIRTIO_BLK_T_GET_ID, 12345, VIRTIO_BLK_ID_BYTES, S_OK);
}

/* all 20 characters are used, so there is no NUL */
TEST_F(disk, get_id_full)
{
	BOOT(.serial = "abcdefghijklmnopqrst");
	SIMPLE(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, S_OK);
}

/* A short buffer gets as much as fits; in a long one, bytes after the 20 do not change. */
TEST_F(disk, get_id_room)
{
	uint32_t len;

	BOOT(.serial = "abcdefghijklmnopqrst");
	for (len = 0; len <= 2 * VIRTIO_BLK_ID_BYTES; len++)
		SIMPLE(VIRTIO_BLK_T_GET_ID, 0, len, S_OK);
	SIMPLE(VIRTIO_BLK_T_GET_ID, 0, 4096, S_OK);
}

/* The 20 bytes in any descriptors, and the status after them in the last one */
TEST_F(disk, get_id_layout)
{
	struct guest *g = &self->g;
	uint32_t cut;

	BOOT(.serial = "abcdefghijklmnopqrst");
	for (cut = 0; cut <= VIRTIO_BLK_ID_BYTES; cut++) {
		struct request *q = request_new(g, VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES);

		request_cut(q, NULL, 0, &cut, !!cut);
		request_place(q, PLACE_SCATTER, &self->rng);
		request_arm(q, cut);
		ASSERT_WELL(request_verify(&g->ring[0], q, S_OK));
		request_free(q);
	}
}

TEST_F(disk, unknown_types)
{
	static const uint32_t type[] = {
		2, 3, 5, 6, 7, 9, 12, 99, 0x100, 0x7fffffff, 0x80000000, 0xfffffffe, ~0U,
		VIRTIO_BLK_T_OUT | 0x80000000 /* the old barrier flag, which is not offered */,
		17, 19, 21, 23, 25, 27 /* numbers between those of zone requests */,
	};
	unsigned int i;

	BOOT();
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		SIMPLE(type[i], 8, 0, VIRTIO_BLK_S_UNSUPP);
		SIMPLE(type[i], 8, SECTOR, VIRTIO_BLK_S_UNSUPP);
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/* Without its feature a type is unknown, even if the backend supports it. */
TEST_F(disk, unsupported_types)
{
	static const uint32_t type[] = {
		VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE,
		BLK_T_GET_LIFETIME, VIRTIO_BLK_T_ZONE_APPEND, VIRTIO_BLK_T_ZONE_OPEN,
		VIRTIO_BLK_T_ZONE_CLOSE, VIRTIO_BLK_T_ZONE_FINISH, VIRTIO_BLK_T_ZONE_RESET,
		VIRTIO_BLK_T_ZONE_RESET_ALL, VIRTIO_BLK_T_ZONE_REPORT,
	};
	unsigned int i;

	BOOT(.features_off = BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES) |
			     BIT64(VIRTIO_BLK_F_SECURE_ERASE) | BIT64(VIRTIO_BLK_F_ZONED));
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		SIMPLE(type[i], 0, 0, VIRTIO_BLK_S_UNSUPP);
		SIMPLE(type[i], 0, 16, VIRTIO_BLK_S_UNSUPP);
		SIMPLE(type[i], 0, 4096, VIRTIO_BLK_S_UNSUPP);
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/* The one type that no backend supports: it is neither offered nor executed. */
TEST_F(disk, lifetime)
{
	BOOT();
	EXPECT_EQ(0, guest_offered(&self->g) & BIT64(BLK_F_LIFETIME));
	SIMPLE(BLK_T_GET_LIFETIME, 0, 20, VIRTIO_BLK_S_UNSUPP);
}

TEST_F(disk, partial_sectors)
{
	static const uint32_t len[] = { 1, 2, 255, 511, 513, 1023, 1025, 4095, 4097, 65535 };
	unsigned int i;

	BOOT();
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		SIMPLE(T_OUT, 8, len[i], S_IOERR);
		SIMPLE(T_IN, 8, len[i], S_IOERR);
	}
	/* nor parts of a logical block, nor requests that are not aligned to a block */
	for (i = 1; i < self->b.block / SECTOR; i++) {
		SIMPLE(T_OUT, 64, i * SECTOR, S_IOERR);
		SIMPLE(T_IN, 64, i * SECTOR, S_IOERR);
		SIMPLE(T_OUT, 64 + i, self->b.block, S_IOERR);
		SIMPLE(T_IN, 64 + i, self->b.block, S_IOERR);
	}
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F(disk, past_the_end)
{
	uint64_t end = self->b.size / SECTOR;
	const uint64_t sector[] = {
		end, end + 1, end * 2, 1ULL << 32, 1ULL << 55, (1ULL << 55) - 1, 1ULL << 54,
		1ULL << 63, (1ULL << 63) - 1, ~0ULL, ~0ULL - 1, ~0ULL - 7, ~0ULL - 8,
	};
	unsigned int i;

	BOOT();
	for (i = 0; i < ARRAY_SIZE(sector); i++) {
		SIMPLE(T_OUT, sector[i], SECTOR, S_IOERR);
		SIMPLE(T_IN, sector[i], SECTOR, S_IOERR);
		SIMPLE(T_OUT, sector[i], 8 * SECTOR, S_IOERR);
		SIMPLE(T_IN, sector[i], 8 * SECTOR, S_IOERR);
	}
	/* starts inside: none of it is executed */
	for (i = 1; i < 16; i++) {
		SIMPLE(T_OUT, end - i, (i + 1) * SECTOR, S_IOERR);
		SIMPLE(T_IN, end - i, (i + 1) * SECTOR, S_IOERR);
	}
	SIMPLE(T_OUT, end - self->b.block / SECTOR, self->b.block, S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F(disk, read_only)
{
	struct guest_opts opts = {
		.backend = &self->b, .backend_flags = VHOST_BLK_BACKEND_F_RO,
	};

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_RO));
	SIMPLE(T_OUT, 0, SECTOR, S_IOERR);
	SIMPLE(T_OUT, 100, 65536, S_IOERR);
	SIMPLE(T_IN, 104, 65536, S_OK);
	SIMPLE(T_OUT, 100, 0, S_IOERR);
	ASSERT_WELL(guest_prove(&self->g));
}

/* A descriptor that is open for reading only has the effect of the flag. */
TEST_F(disk, read_only_fd)
{
	struct guest_opts opts = { .backend = &self->b };
	int rw = self->b.fd;

	self->b.fd = backend_reopen(&self->b, O_RDONLY | (variant->direct ? O_DIRECT : 0));
	ASSERT_LE(0, self->b.fd);
	close(rw);
	if (model_wanted())
		SKIP(return, "the model device knows only the flag");
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_BLK_F_RO));
	SIMPLE(T_OUT, 0, SECTOR, S_IOERR);
	SIMPLE(T_IN, 0, self->b.block, S_OK);
	ASSERT_WELL(guest_prove(&self->g));
}

/*
 * No data at all: the specification does not cover this.  It must complete, and
 * change nothing.
 */
TEST_F(disk, no_data)
{
	struct guest *g = &self->g;
	unsigned int i;

	BOOT();
	for (i = 0; i < 4; i++) {
		struct request *q = request_new(g, i & 1 ? T_IN : T_OUT, i & 2 ? ~0ULL : 5, 0);
		uint8_t status;

		request_cut_usual(q);
		request_place(q, PLACE_PACKED, NULL);
		request_arm(q, i);
		guest_snapshot(g);
		ASSERT_WELL(request_run(&g->ring[0], q, 20000));
		status = request_status(q);
		EXPECT_TRUE(status == S_OK || status == S_IOERR);
		ASSERT_WELL(request_check(q, status));
		request_free(q);
	}
	ASSERT_WELL(guest_prove(&self->g));
}

/* Valid and invalid requests in one batch: each gets its own status. */
TEST_F_TIMEOUT(disk, mixed, 60)
{
	static const struct {
		uint32_t type, len;
		uint64_t sector;
		uint8_t status;
	} kind[] = {
		{ T_OUT, 4096, 0, S_OK }, { T_IN, 512, ~0ULL, S_IOERR },
		{ VIRTIO_BLK_T_FLUSH, 0, 0, S_OK }, { T_OUT, 100, 8, S_IOERR },
		{ 77, 512, 0, VIRTIO_BLK_S_UNSUPP }, { T_IN, 8192, 64, S_OK },
		{ VIRTIO_BLK_T_GET_ID, 20, 0, S_OK }, { T_OUT, 512, 1ULL << 40, S_IOERR },
	};
	struct guest *g = &self->g;
	struct request *q[32];
	unsigned int i, round;

	BOOT();
	for (round = 0; round < scaled(50, 5); round++) {
		uint64_t mark = g->bump;

		for (i = 0; i < ARRAY_SIZE(q); i++) {
			unsigned int k = rng_below(&self->rng, ARRAY_SIZE(kind));

			q[i] = request_new(g, kind[k].type, kind[k].sector, kind[k].len);
			if (kind[k].status == S_OK && kind[k].type <= T_OUT)
				q[i]->sector = 16 * (i + 1);
			q[i]->tag = kind[k].status;
			request_cut_usual(q[i]);
			request_place(q[i], PLACE_SCATTER, &self->rng);
			request_arm(q[i], rng_next(&self->rng));
		}
		guest_snapshot(g);
		for (i = 0; i < ARRAY_SIZE(q); i++) {
			ASSERT_EQ(0, ring_add(&g->ring[0], q[i]));
			ring_kick(&g->ring[0]);
		}
		ASSERT_WELL(ring_wait(&g->ring[0], ARRAY_SIZE(q), 20000));
		for (i = 0; i < ARRAY_SIZE(q); i++)
			ASSERT_WELL(request_outcome(q[i], q[i]->tag));
		ASSERT_WELL(guest_compare(g));
		for (i = 0; i < ARRAY_SIZE(q); i++)
			request_free(q[i]);
		guest_release(g, mark);
	}
}

TEST_HARNESS_MAIN
