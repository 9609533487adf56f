// SPDX-License-Identifier: GPL-2.0-only
/*
 * Usage: request_seeds DIR
 *
 * Writes the seed corpus of request_fuzz: meaningful requests, one of each
 * kind, and one for each reason to refuse a request.
 */
#include <stdio.h>
#include <string.h>

#include <linux/types.h>
#include <linux/virtio_blk.h>

#include "request_entry.h"
#include "request_input.h"

#define ALL	0xffffffff

/* A disk of 1000 sectors; OUT and IN add a type, a sector and the length of the data. */
#define DISK	.capacity = 1000, .ops = ALL, .nr_out = 1, .nr_in = 1, .in = { 1 }
#define ZONES	.capacity = 1024, .ops = ALL, .append_sectors = 64, .zone_shift = 7, \
		.flags = INPUT_F_ZONED
#define OUT(t, s, n)	.type = VIRTIO_BLK_T_##t, .sector = s, .out = { 16 + (n) }
#define IN(t, s, n)	.type = VIRTIO_BLK_T_##t, .sector = s, .out = { 16 }, .in = { 1 + (n) }
#define ONE	.nr_out = 1, .nr_in = 1
/* In several segments, some of them empty */
#define PIECES_OUT(t, s)	.type = VIRTIO_BLK_T_##t, .sector = s, .nr_out = 5, \
		.nr_in = 2, .out = { 7, 9, 0, 500, 12 }, .in = { 1, 0 }
#define PIECES_IN(t, s)		.type = VIRTIO_BLK_T_##t, .sector = s, .nr_out = 3, \
		.nr_in = 4, .out = { 15, 0, 1 }, .in = { 0, 100, 412, 1 }

static const struct request_input seed[] = {
	{ DISK, OUT(OUT, 8, 4096) },
	{ .capacity = 1000, .ops = ALL, ONE, IN(IN, 999, 512) },
	{ .capacity = 1000, .ops = ALL, PIECES_OUT(OUT, 0) },
	{ .capacity = 1000, .ops = ALL, PIECES_IN(IN, 3) },
	{ .capacity = 1000, .ops = ALL, .block_shift = 3, ONE, IN(IN, 8, 4096) },
	{ .capacity = 1000, .ops = ALL, .block_shift = 3, ONE, IN(IN, 4, 4096) },
	{ .capacity = ~0ULL, .ops = ALL, ONE, IN(IN, 1ULL << 54, 1 << 30) },
	{ .capacity = ~0ULL, .ops = ALL, ONE, IN(IN, 0, (1 << 30) + 512) },
	{ .capacity = 1000, .ops = ALL, ONE, IN(IN, ~0ULL, 512) },
	{ DISK, OUT(OUT, 1ULL << 55, 512) },
	{ DISK, OUT(OUT, 0, 511) },
	{ DISK, OUT(OUT, 0, 512), .flags = INPUT_F_RO },
	{ DISK, OUT(OUT, 0, 512), .flags = INPUT_F_NO_HEADER },
	{ DISK, OUT(FLUSH, 0, 0) },
	{ DISK, OUT(FLUSH, 0, -1) },
	{ .capacity = 1000, .ops = ALL, ONE, IN(GET_ID, 0, 20) },
	{ DISK, OUT(DISCARD, 0, 16) },
	{ DISK, OUT(DISCARD, 0, 256 * 16), .nr_ranges = 255 },
	{ DISK, OUT(DISCARD, 0, 257 * 16), .nr_ranges = 256 },
	{ DISK, OUT(WRITE_ZEROES, 0, 16 * 16), .nr_ranges = 15, .range_op = 1 },
	{ DISK, OUT(WRITE_ZEROES, 0, 17 * 16), .nr_ranges = 16, .range_op = 1 },
	{ DISK, OUT(SECURE_ERASE, 0, 257 * 16), .nr_ranges = 256, .range_op = 2 },
	{ DISK, OUT(SECURE_ERASE, 0, 17), .range_op = 2 },
	{ DISK, .type = 10, .out = { 16 } },
	{ .capacity = 1000, .ops = 1, ONE, IN(GET_ID, 0, 20) },
	{ ZONES, ONE, OUT(ZONE_APPEND, 128, 512), .in = { 9 } },
	{ ZONES, ONE, OUT(ZONE_APPEND, 64, 512), .in = { 8 } },
	{ ZONES, ONE, OUT(ZONE_APPEND, 0, 64 * 512), .in = { 9 } },
	{ ZONES, ONE, OUT(ZONE_APPEND, 0, 65 * 512), .in = { 9 } },
	{ ZONES, ONE, IN(ZONE_REPORT, 0, 64 + 8 * 64) },
	{ ZONES, ONE, IN(ZONE_REPORT, 0, 64) },
	{ ZONES, ONE, IN(ZONE_REPORT, 1023, 64 + 1025 * 64) },
	{ ZONES, ONE, IN(ZONE_OPEN, 128, 0) },
	{ ZONES, ONE, IN(ZONE_CLOSE, 129, 0) },
	{ ZONES, ONE, IN(ZONE_FINISH, 1024, 0) },
	{ ZONES, ONE, IN(ZONE_RESET, 0, 0) },
	{ ZONES, ONE, IN(ZONE_RESET_ALL, ~0ULL, 0) },
};

static const struct virtio_blk_discard_write_zeroes ranges[] = {
	{ .sector = 8, .num_sectors = 8 },
	{ .sector = 992, .num_sectors = 8, .flags = 1 },
};

int main(int argc, char **argv)
{
	unsigned int i;
	char path[512];

	if (argc != 2 || !strcmp(argv[1], "--help")) {
		fprintf(stderr, "Usage: request_seeds DIR\n");
		return 2;
	}
	for (i = 0; i < ARRAY_SIZE(seed); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%02u", argv[1], i);
		f = fopen(path, "w");
		if (!f || fwrite(&seed[i], sizeof(seed[i]), 1, f) != 1 ||
		    fwrite(ranges, sizeof(ranges), 1, f) != 1 || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
