/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bytes of a fuzzer's input mean: a chain, the header in it, the limits
 * it is held against, and the ranges that its data are.  Any bytes are an input:
 * what is missing reads as zero, what is too large is reduced.
 */
#ifndef FUZZ_REQUEST_INPUT_H
#define FUZZ_REQUEST_INPUT_H

#include "request.h"

#define INPUT_SEGS	8	/* of each direction */
#define INPUT_RANGES	300	/* more than any request may have */

#define INPUT_F_NO_HEADER	1	/* it can't be read */
#define INPUT_F_RO		2
#define INPUT_F_ZONED		4

/* Host byte order: inputs are not moved between machines. */
struct request_input {
	u64 capacity;		/* reduced to what fits in a loff_t */
	u64 sector;
	u32 type;
	u32 ops;
	u32 append_sectors;
	u32 out[INPUT_SEGS];
	u32 in[INPUT_SEGS];
	u16 nr_ranges;
	u8 block_shift;		/* log2 of block_sectors */
	u8 zone_shift;
	u8 flags;
	u8 nr_out;
	u8 nr_in;
	u8 range_op;		/* what the ranges behind are for */
} __packed;

#endif
