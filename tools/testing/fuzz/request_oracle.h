/* SPDX-License-Identifier: GPL-2.0-only */
/* The expected result of a request, by an independent implementation of the rules */
#ifndef FUZZ_REQUEST_ORACLE_H
#define FUZZ_REQUEST_ORACLE_H

#include "request.h"

struct virtio_blk_discard_write_zeroes;

/* Return: NULL if the result is right, otherwise what is wrong */
const char *oracle_parse(const struct vhost_blk_header *hdr, u64 readable, u64 writable,
			 const struct vhost_blk_limits *limits, u8 status,
			 const struct vhost_blk_cmd *cmd);
const char *oracle_ranges(const struct virtio_blk_discard_write_zeroes *raw, unsigned int nr,
			  enum vhost_blk_op op, const struct vhost_blk_limits *limits,
			  u8 status, const struct vhost_blk_range *ranges);
/*
 * @cut must be the bytes [@skip, @skip + @len) of @whole, in order, without an
 * empty segment that @whole does not have.
 */
const char *oracle_cut(const struct iovec *whole, unsigned int nr_whole, u64 skip, u64 len,
		       const struct iovec *cut, unsigned int nr_cut);
/* @slot must be the last byte of @iov, or NULL. */
const char *oracle_slot(const struct iovec *iov, unsigned int nr, const u8 *slot);

#endif
