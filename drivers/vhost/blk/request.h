/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a descriptor chain to a checked command.  Nothing here sleeps, locks,
 * allocates or touches guest memory, so all of it also compiles in userspace
 * for fuzzing.
 */
#ifndef VHOST_BLK_REQUEST_H
#define VHOST_BLK_REQUEST_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>

/* Bytes of one request's data, at most: SIZE_MAX times SEG_MAX is less. */
#define VHOST_BLK_MAX_BYTES	(1024U * 1024 * 1024)

/*
 * Ranges of one request, and sectors of one range, at most.  Zeroes may have
 * to be written one by one, so that there are fewer of them.
 */
#define VHOST_BLK_MAX_RANGES	256
#define VHOST_BLK_MAX_ZEROES	16
#define VHOST_BLK_MAX_RANGE_SECTORS	(8U * 1024 * 1024)

/* Descriptors of one zone report, at most. */
#define VHOST_BLK_MAX_REPORT	1024

/* The operations; a bit of a mask is BIT() of one. */
enum vhost_blk_op {
	VHOST_BLK_OP_READ = VIRTIO_BLK_T_IN,
	VHOST_BLK_OP_WRITE = VIRTIO_BLK_T_OUT,
	VHOST_BLK_OP_FLUSH = VIRTIO_BLK_T_FLUSH,
	VHOST_BLK_OP_GET_ID = VIRTIO_BLK_T_GET_ID,
	VHOST_BLK_OP_DISCARD = VIRTIO_BLK_T_DISCARD,
	VHOST_BLK_OP_WRITE_ZEROES = VIRTIO_BLK_T_WRITE_ZEROES,
	VHOST_BLK_OP_SECURE_ERASE = VIRTIO_BLK_T_SECURE_ERASE,
	VHOST_BLK_OP_ZONE_APPEND = VIRTIO_BLK_T_ZONE_APPEND,
	VHOST_BLK_OP_ZONE_REPORT = VIRTIO_BLK_T_ZONE_REPORT,
	VHOST_BLK_OP_ZONE_OPEN = VIRTIO_BLK_T_ZONE_OPEN,
	VHOST_BLK_OP_ZONE_CLOSE = VIRTIO_BLK_T_ZONE_CLOSE,
	VHOST_BLK_OP_ZONE_FINISH = VIRTIO_BLK_T_ZONE_FINISH,
	VHOST_BLK_OP_ZONE_RESET = VIRTIO_BLK_T_ZONE_RESET,
	VHOST_BLK_OP_ZONE_RESET_ALL = VIRTIO_BLK_T_ZONE_RESET_ALL,
	VHOST_BLK_NR_OPS,
};

/**
 * struct vhost_blk_header - the request header, read once, in host byte order
 * @type: VIRTIO_BLK_T_*
 * @sector: first sector, in units of 512 bytes
 */
struct vhost_blk_header {
	u32 type;
	u64 sector;
};

/**
 * struct vhost_blk_limits - what backend and driver allow at this moment
 * @capacity: in sectors of 512 bytes
 * @block_sectors: sectors in a logical block, a power of two
 * @zone_sectors: sectors in a zone, a power of two; of zoned devices alone
 * @append_sectors: sectors of one zone append, at most
 * @range_sectors: maximum number of sectors in one range, as advertised for the
 *	operation; used by vhost_blk_parse_ranges() only
 * @op_mask: the operations whose feature was negotiated, vhost_blk_op_mask()
 * @ro: nothing may be changed
 */
struct vhost_blk_limits {
	u64 capacity;
	u32 block_sectors;
	u32 zone_sectors;
	u32 append_sectors;
	u32 range_sectors;
	u32 op_mask;
	bool ro;
};

/**
 * struct vhost_blk_cmd - what to do for a chain
 * @pos: offset in the backend, in bytes
 * @op: the operation
 * @len: bytes of data, or of the array of ranges: at the start of the
 *	writable part for a read, behind the header for everything else
 * @response: bytes that the device answers with at most, status not counted, at
 *	the start of the writable part; data of a read isn't a reply
 * @room: writable bytes in front of the status, U32_MAX if there are more;
 *	valid whatever vhost_blk_parse() returns
 */
struct vhost_blk_cmd {
	u64 pos;
	enum vhost_blk_op op;
	u32 len;
	u32 response;
	u32 room;
};

/**
 * struct vhost_blk_range - part of the backend that a request is about
 * @pos: offset in bytes
 * @len: in bytes, may be 0
 * @unmap: it need not stay allocated
 */
struct vhost_blk_range {
	u64 pos;
	u64 len;
	bool unmap;
};

/**
 * struct vhost_blk_chain - a descriptor chain
 * @out: readable segments: header and data or ranges, once cut without header
 * @nr_out: how many
 * @in: writable segments: data of a read or the reply, and the status, which
 *	is cut off too
 * @nr_in: how many
 * @unmapped: writable bytes in front of @in that can't be reached; then there
 *	is no header either
 */
struct vhost_blk_chain {
	struct iovec *out;
	unsigned int nr_out;
	struct iovec *in;
	unsigned int nr_in;
	u64 unmapped;
};

/* The operation changes the backend. */
#define VHOST_BLK_OP_F_WRITE	BIT(0)
/* Its data is moved between the guest's pages and the backend. */
#define VHOST_BLK_OP_F_DATA	BIT(1)
/* Its readable data is a list of struct virtio_blk_discard_write_zeroes. */
#define VHOST_BLK_OP_F_RANGES	BIT(2)
/* It is about one zone, whose state may be the reason for an error. */
#define VHOST_BLK_OP_F_ZONE	BIT(3)

/**
 * struct vhost_blk_op_def - an operation, see vhost_blk_op_defs
 * @feature: VIRTIO_BLK_F_* that the driver must have acknowledged, 0 for none
 * @flags: VHOST_BLK_OP_F_*
 * @max_ranges: maximum number of ranges in a request
 * @response: maximum bytes of the response, status and data not counted
 * @parse: check a request, whose operation and room are in @cmd, and fill in
 *	the rest of @cmd; @data is the number of readable bytes behind the header.
 *	Return: VIRTIO_BLK_S_OK or the status of the request.
 */
struct vhost_blk_op_def {
	u8 feature;
	u8 flags;
	u16 max_ranges;
	u32 response;
	u8 (*parse)(const struct vhost_blk_header *hdr, u64 data,
		    const struct vhost_blk_limits *limits,
		    struct vhost_blk_cmd *cmd);
};

/* By request type.  Types that have no operation have no @parse. */
extern const struct vhost_blk_op_def vhost_blk_op_defs[VHOST_BLK_NR_OPS];

static inline bool vhost_blk_op_has_ranges(enum vhost_blk_op op)
{
	return vhost_blk_op_defs[op].flags & VHOST_BLK_OP_F_RANGES;
}

static inline bool vhost_blk_op_moves_data(enum vhost_blk_op op)
{
	return vhost_blk_op_defs[op].flags & VHOST_BLK_OP_F_DATA;
}

/* The driver has acknowledged VIRTIO_BLK_F_ZONED. */
static inline bool vhost_blk_knows_zones(u32 op_mask)
{
	return op_mask & BIT(VHOST_BLK_OP_ZONE_REPORT);
}

/* request.c APIs: */
u64 vhost_blk_iov_len(const struct iovec *iov, unsigned int nr);
u8 __user *vhost_blk_status_slot(const struct iovec *iov, unsigned int nr);
unsigned int vhost_blk_trim_iov(struct iovec **iov, unsigned int nr, u64 skip,
				u64 len);
u32 vhost_blk_op_mask(u64 features);
u8 vhost_blk_parse(const struct vhost_blk_header *hdr, u64 readable,
		   u64 writable, const struct vhost_blk_limits *limits,
		   struct vhost_blk_cmd *cmd);
void vhost_blk_trim_chain(struct vhost_blk_chain *chain,
			  const struct vhost_blk_cmd *cmd);
u8 vhost_blk_parse_ranges(const struct virtio_blk_discard_write_zeroes *raw,
			  unsigned int nr, enum vhost_blk_op op,
			  const struct vhost_blk_limits *limits,
			  struct vhost_blk_range *ranges);

#endif
