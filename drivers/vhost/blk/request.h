/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a descriptor chain to a checked command.  Nothing here sleeps, locks,
 * allocates or touches guest memory, so all of it also compiles in userspace
 * for fuzzing.
 */
#ifndef VHOST_BLK_REQUEST_H
#define VHOST_BLK_REQUEST_H

#include <linux/types.h>
#include <linux/uio.h>

/* Bytes of one request's data, at most: SIZE_MAX times SEG_MAX is less. */
#define VHOST_BLK_MAX_BYTES	(1024U * 1024 * 1024)

enum vhost_blk_op {
	VHOST_BLK_OP_READ,
	VHOST_BLK_OP_WRITE,
	VHOST_BLK_OP_FLUSH,
	VHOST_BLK_OP_GET_ID,
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
 * struct vhost_blk_limits - what the backend allows at this moment
 * @capacity: in sectors of 512 bytes
 * @block_sectors: sectors in a logical block, a power of two
 * @ro: nothing may be changed
 */
struct vhost_blk_limits {
	u64 capacity;
	u32 block_sectors;
	bool ro;
};

/**
 * struct vhost_blk_cmd - what to do for a chain
 * @op: the operation
 * @pos: offset in the backend, in bytes
 * @skip: bytes before the data: in the readable part for a write, in the
 *	writable part for everything else
 * @len: bytes of data
 */
struct vhost_blk_cmd {
	enum vhost_blk_op op;
	u64 pos;
	u32 skip;
	u32 len;
};

/* request.c APIs: */
u64 vhost_blk_iov_len(const struct iovec *iov, unsigned int nr);
u8 __user *vhost_blk_status_slot(const struct iovec *iov, unsigned int nr);
unsigned int vhost_blk_iov_trim(struct iovec **iov, unsigned int nr, u64 skip,
				u64 len);
u8 vhost_blk_parse(const struct vhost_blk_header *hdr, u64 readable,
		   u64 writable, const struct vhost_blk_limits *limits,
		   struct vhost_blk_cmd *cmd);

#endif
