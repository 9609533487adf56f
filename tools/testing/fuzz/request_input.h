/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Format of a fuzzer's input: a chain, its header, the limits to check it
 * against, and the ranges in its data.  Any bytes are valid: missing ones are
 * zero, numbers that are too large are reduced.
 */
#ifndef FUZZ_REQUEST_INPUT_H
#define FUZZ_REQUEST_INPUT_H

#include "request.h"

#define INPUT_SEGS	8	/* segments of each direction */
#define INPUT_RANGES	300	/* more than a request may have */

#define INPUT_F_NO_HEADER	1	/* the header cannot be read */
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
	u8 range_op;		/* operation to which the ranges belong */
} __packed;

#endif
