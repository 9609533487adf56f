// SPDX-License-Identifier: GPL-2.0-only
/*
 * The entry of libFuzzer for request.c: processes an input as kick.c processes
 * a chain, and checks each result with request_oracle.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "request_entry.h"
#include "request_input.h"
#include "request_oracle.h"

#define MAX_CAPACITY	(INT64_MAX / 512)

static void must(const char *why)
{
	if (!why)
		return;
	fprintf(stderr, "request_fuzz: %s\n", why);
	abort();
}

/* Allocate memory of exactly this size, so that the sanitizer detects any overrun. */
static void *exactly(size_t len)
{
	void *p = malloc(len ? len : 1);

	if (!p)
		abort();
	return p;
}

static void get_limits(const struct request_input *in, struct vhost_blk_limits *l)
{
	*l = (struct vhost_blk_limits){
		.capacity = in->capacity & MAX_CAPACITY,
		.block_sectors = 1U << in->block_shift % 8,
		.append_sectors = in->append_sectors,
		.range_sectors = in->append_sectors ?: VHOST_BLK_MAX_RANGE_SECTORS,
		.op_mask = in->ops,
		.ro = in->flags & INPUT_F_RO,
	};
	if (in->flags & INPUT_F_ZONED)
		l->zone_sectors = 1U << in->zone_shift % 32;
	else
		l->op_mask &= ~vhost_blk_op_mask(1ULL << VIRTIO_BLK_F_ZONED) |
			      vhost_blk_op_mask(0);
}

/* Segments at addresses that are not accessed, far from each other */
static unsigned int get_segs(struct iovec *iov, const u32 *len, unsigned int nr, u64 base)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		iov[i].iov_base = (void *)(uintptr_t)(base + ((u64)i << 33));
		iov[i].iov_len = len[i];
	}
	return nr;
}

static void check_chain(const struct request_input *in, const struct vhost_blk_limits *limits)
{
	unsigned int out = in->nr_out % (INPUT_SEGS + 1), inn = in->nr_in % (INPUT_SEGS + 1);
	struct vhost_blk_header hdr = { .type = in->type, .sector = in->sector };
	size_t bytes = (out + inn) * sizeof(struct iovec);
	struct iovec *iov = exactly(bytes), *whole = exactly(bytes);
	struct vhost_blk_chain chain = { iov, out, iov + out, inn, 0 };
	u32 out_len[INPUT_SEGS], in_len[INPUT_SEGS];
	const struct vhost_blk_header *h = in->flags & INPUT_F_NO_HEADER ? NULL : &hdr;
	struct vhost_blk_cmd cmd;
	u64 readable, writable, want_in;
	u8 status;

	memcpy(out_len, in->out, sizeof(out_len));
	memcpy(in_len, in->in, sizeof(in_len));
	get_segs(iov, out_len, out, 1ULL << 40);
	get_segs(iov + out, in_len, inn, 1ULL << 44);
	memcpy(whole, iov, bytes);

	must(oracle_slot(iov + out, inn, vhost_blk_status_slot(iov + out, inn)));
	readable = vhost_blk_iov_len(iov, out);
	writable = vhost_blk_iov_len(iov + out, inn);
	if (!writable)
		goto out_free;
	status = vhost_blk_parse(h, readable, writable, limits, &cmd);
	must(oracle_parse(h, readable, writable, limits, status, &cmd));
	if (status)
		goto out_free;

	vhost_blk_trim_chain(&chain, &cmd);
	want_in = cmd.op == VHOST_BLK_OP_READ ? cmd.len : cmd.response;
	must(oracle_cut(whole, out, sizeof(struct virtio_blk_outhdr),
			cmd.op == VHOST_BLK_OP_READ ? 0 : cmd.len, chain.out, chain.nr_out));
	must(oracle_cut(whole + out, inn, 0, want_in, chain.in, chain.nr_in));
	/* The status byte comes after everything else that may be written. */
	if (want_in >= writable)
		must("what the device writes reaches the status");
out_free:
	free(iov);
	free(whole);
}

static enum vhost_blk_op range_op(u8 byte)
{
	static const enum vhost_blk_op op[] = {
		VHOST_BLK_OP_DISCARD, VHOST_BLK_OP_WRITE_ZEROES, VHOST_BLK_OP_SECURE_ERASE,
	};

	return op[byte % 3];
}

static void check_ranges(const struct request_input *in, const struct vhost_blk_limits *limits,
			 const u8 *data, size_t size)
{
	unsigned int nr = 1 + in->nr_ranges % INPUT_RANGES;
	struct virtio_blk_discard_write_zeroes *raw = exactly(nr * sizeof(*raw));
	struct vhost_blk_range *ranges = exactly(nr * sizeof(*ranges));
	enum vhost_blk_op op = range_op(in->range_op);
	u8 status;

	memset(raw, 0, nr * sizeof(*raw));
	memcpy(raw, data, size < nr * sizeof(*raw) ? size : nr * sizeof(*raw));
	status = vhost_blk_parse_ranges(raw, nr, op, limits, ranges);
	must(oracle_ranges(raw, nr, op, limits, status, ranges));
	free(raw);
	free(ranges);
}

int fuzz_one(const u8 *data, size_t size)
{
	struct request_input in = {};
	struct vhost_blk_limits limits;
	size_t head = size < sizeof(in) ? size : sizeof(in);

	memcpy(&in, data, head);
	get_limits(&in, &limits);
	check_chain(&in, &limits);
	check_ranges(&in, &limits, data + head, size - head);
	return 0;
}
