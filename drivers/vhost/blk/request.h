/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns a descriptor chain into a checked command.
 *
 * The functions of request.c do not sleep, take no locks, allocate nothing and
 * do not touch guest memory, so the file also compiles in userspace for
 * fuzzing.
 */
#ifndef VHOST_BLK_REQUEST_H
#define VHOST_BLK_REQUEST_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>

/* Maximum bytes of data of one request; more than size_max times seg_max */
#define VHOST_BLK_MAX_BYTES	(1024U * 1024 * 1024)

/*
 * Maximum number of ranges of one request, and of sectors of one range.  Write
 * zeroes has fewer ranges, because zeroes may have to be written.
 */
#define VHOST_BLK_MAX_RANGES	256
#define VHOST_BLK_MAX_ZEROES	16
#define VHOST_BLK_MAX_RANGE_SECTORS	(8U * 1024 * 1024)

/* Maximum number of zone descriptors in one report */
#define VHOST_BLK_MAX_REPORT	1024

/* Operations.  Masks of operations have BIT() of them. */
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
 * struct vhost_blk_header - header of a request, in host byte order
 * @type: VIRTIO_BLK_T_*
 * @sector: first sector, in units of 512 bytes
 */
struct vhost_blk_header {
	u32 type;
	u64 sector;
};

/**
 * struct vhost_blk_limits - limits that requests are checked against
 * @capacity: current capacity in sectors of 512 bytes
 * @block_sectors: sectors of a logical block, a power of two
 * @zone_sectors: sectors of a zone, a power of two; 0 if there are no zones
 * @append_sectors: maximum sectors of one zone append
 * @range_sectors: maximum sectors of one range, as advertised for the
 *	operation; used by vhost_blk_parse_ranges() only
 * @op_mask: operations whose feature was negotiated, see vhost_blk_op_mask()
 * @ro: the backend is read-only at present
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
 * struct vhost_blk_cmd - checked command of a chain
 * @pos: offset in the backend, in bytes
 * @op: the operation; VHOST_BLK_NR_OPS if the type of a failed request is not
 *	known
 * @len: bytes of data, or of the array of ranges.  They are at the start of the
 *	writable part for a read, and follow the header for any other operation.
 * @response: maximum bytes of the response, which is at the start of the
 *	writable part.  Status and the data of a read are not part of it.
 * @room: writable bytes before the status byte, U32_MAX if there are more
 *
 * If vhost_blk_parse() fails, only @op and @room are valid.
 */
struct vhost_blk_cmd {
	u64 pos;
	enum vhost_blk_op op;
	u32 len;
	u32 response;
	u32 room;
};

/**
 * struct vhost_blk_range - range of a discard, write zeroes or secure erase
 * @pos: offset in the backend, in bytes
 * @len: length in bytes, may be 0
 * @unmap: zeroes may be deallocated (VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
 */
struct vhost_blk_range {
	u64 pos;
	u64 len;
	bool unmap;
};

/**
 * struct vhost_blk_chain - a descriptor chain
 * @out: readable segments: the header, and data or ranges.
 *	vhost_blk_trim_chain() removes the header.
 * @nr_out: number of segments in @out
 * @in: writable segments: the data of a read or the response, and the status
 *	byte.  vhost_blk_trim_chain() removes the status byte.
 * @nr_in: number of segments in @in
 * @unmapped: writable bytes before @in that are not in guest memory; if not 0,
 *	the chain has no header either
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
/* The operation moves data between the guest's pages and the backend. */
#define VHOST_BLK_OP_F_DATA	BIT(1)
/* The readable part is an array of struct virtio_blk_discard_write_zeroes. */
#define VHOST_BLK_OP_F_RANGES	BIT(2)
/*
 * The operation concerns one zone, whose state may be the reason of an error.
 */
#define VHOST_BLK_OP_F_ZONE	BIT(3)

/**
 * struct vhost_blk_op_def - properties of an operation, see vhost_blk_op_defs
 * @feature: number of the feature that the driver must have acknowledged
 *	(VIRTIO_BLK_F_*), 0 for none
 * @flags: VHOST_BLK_OP_F_*
 * @max_ranges: maximum number of ranges of a request
 * @response: maximum bytes of the response, without status and data
 * @parse: check a request.  @cmd has the operation and room; the function fills
 *	in the rest.  The argument data is the number of readable bytes behind
 *	the header.  Return: VIRTIO_BLK_S_OK or the status of the request.
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

/* The index is the request type.  Types without an operation have no parse. */
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
