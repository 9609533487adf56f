/* SPDX-License-Identifier: GPL-2.0-only */
/* What must come of a request, said a second time and in another way */
#ifndef FUZZ_REQUEST_ORACLE_H
#define FUZZ_REQUEST_ORACLE_H

#include "request.h"

struct virtio_blk_discard_write_zeroes;

/* NULL: right.  Otherwise what isn't. */
const char *oracle_parse(const struct vhost_blk_header *hdr, u64 readable, u64 writable,
			 const struct vhost_blk_limits *limits, u8 status,
			 const struct vhost_blk_cmd *cmd);
const char *oracle_ranges(const struct virtio_blk_discard_write_zeroes *raw, unsigned int nr,
			  enum vhost_blk_op op, const struct vhost_blk_limits *limits,
			  u8 status, const struct vhost_blk_range *ranges);
/*
 * @cut is the bytes [@skip, @skip + @len) of @whole, in order, and no segment of
 * it is empty that wasn't.
 */
const char *oracle_cut(const struct iovec *whole, unsigned int nr_whole, u64 skip, u64 len,
		       const struct iovec *cut, unsigned int nr_cut);
/* @slot is the byte of @iov that is last of all, or NULL. */
const char *oracle_slot(const struct iovec *iov, unsigned int nr, const u8 *slot);

#endif
