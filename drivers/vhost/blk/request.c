// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 2: descriptors to a checked request.  See request.h for why nothing
 * else may be done here.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/minmax.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "request.h"

#define SECTOR_BYTES	512u
#define HEADER_BYTES	((u32)sizeof(struct virtio_blk_outhdr))

/**
 * vhost_blk_iov_len - bytes in an array of segments
 * @iov: segments, each at most 4 GiB since a descriptor's length is 32 bits
 * @nr: how many, so few that the sum can't wrap
 */
u64 vhost_blk_iov_len(const struct iovec *iov, unsigned int nr)
{
	u64 len = 0;

	while (nr--)
		len += iov[nr].iov_len;
	return len;
}

/**
 * vhost_blk_status_slot - address of the status byte
 * @iov: the writable segments of the chain
 * @nr: how many
 *
 * The status is the last writable byte, in whatever segment that lies
 * (5.2.6, 2.7.4).  Return: NULL where the chain has no writable byte.
 */
u8 __user *vhost_blk_status_slot(const struct iovec *iov, unsigned int nr)
{
	while (nr--)
		if (iov[nr].iov_len)
			return (u8 __user *)iov[nr].iov_base +
			       iov[nr].iov_len - 1;
	return NULL;
}

/**
 * vhost_blk_iov_trim - cut an array of segments to one range of its bytes
 * @iov: in: the segments; out: the first one of the range.  Segments at both
 *	ends of the range are changed.
 * @nr: how many
 * @skip: bytes to leave out at the front
 * @len: bytes to keep, @skip + @len being no more than there are
 *
 * Return: how many segments the range has, none of them empty but where @len
 * is 0.
 */
unsigned int vhost_blk_iov_trim(struct iovec **iov, unsigned int nr, u64 skip,
				u64 len)
{
	struct iovec *v = *iov;
	unsigned int i;

	while (nr && skip >= v->iov_len) {
		skip -= v->iov_len;
		v++;
		nr--;
	}
	*iov = v;
	if (!nr)
		return 0;
	v->iov_base += skip;
	v->iov_len -= skip;

	for (i = 0; i < nr && len; i++) {
		v[i].iov_len = min_t(u64, v[i].iov_len, len);
		len -= v[i].iov_len;
	}
	return i;
}

/* Whole blocks that lie in the backend; no sum here can wrap. */
static bool range_ok(u64 sector, u64 len, const struct vhost_blk_limits *limits)
{
	u64 nr = len / SECTOR_BYTES;

	if (len % SECTOR_BYTES || len > VHOST_BLK_MAX_BYTES)
		return false;
	if ((sector | nr) & (limits->block_sectors - 1))
		return false;
	return nr <= limits->capacity && sector <= limits->capacity - nr;
}

static u8 parse_rw(const struct vhost_blk_header *hdr, u64 len,
		   const struct vhost_blk_limits *limits,
		   struct vhost_blk_cmd *cmd)
{
	if (!range_ok(hdr->sector, len, limits))
		return VIRTIO_BLK_S_IOERR;
	cmd->pos = hdr->sector * SECTOR_BYTES;
	cmd->len = len;
	return VIRTIO_BLK_S_OK;
}

/**
 * vhost_blk_parse - check a request and say what is to be done
 * @hdr: its header, or NULL where the readable part is too short for one
 * @readable: bytes that the device may read, header included
 * @writable: bytes that the device may write, status included, at least 1
 * @limits: of the backend
 * @cmd: the command, valid where VIRTIO_BLK_S_OK is returned
 *
 * Bytes beyond what a type needs are ignored, as other devices do; a
 * readable part that is too short for a header is VIRTIO_BLK_S_IOERR.
 *
 * Return: VIRTIO_BLK_S_OK, or the status that the chain is to be given.
 */
u8 vhost_blk_parse(const struct vhost_blk_header *hdr, u64 readable,
		   u64 writable, const struct vhost_blk_limits *limits,
		   struct vhost_blk_cmd *cmd)
{
	*cmd = (struct vhost_blk_cmd){};
	if (!hdr || readable < HEADER_BYTES)
		return VIRTIO_BLK_S_IOERR;

	switch (hdr->type) {
	case VIRTIO_BLK_T_IN:
		cmd->op = VHOST_BLK_OP_READ;
		return parse_rw(hdr, writable - 1, limits, cmd);
	case VIRTIO_BLK_T_OUT:
		cmd->op = VHOST_BLK_OP_WRITE;
		cmd->skip = HEADER_BYTES;
		if (limits->ro)
			return VIRTIO_BLK_S_IOERR;
		return parse_rw(hdr, readable - HEADER_BYTES, limits, cmd);
	case VIRTIO_BLK_T_FLUSH:
		cmd->op = VHOST_BLK_OP_FLUSH;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		cmd->op = VHOST_BLK_OP_GET_ID;
		cmd->len = min_t(u64, writable - 1, VHOST_BLK_SERIAL_LEN);
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}
