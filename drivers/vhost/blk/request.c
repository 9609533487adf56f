// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks descriptors and header of a request and turns them into a command.
 * See request.h for what this file must not do.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "request.h"

#define SECTOR_BYTES	512u
#define HEADER_BYTES	((u32)sizeof(struct virtio_blk_outhdr))

/**
 * vhost_blk_iov_len - get the number of bytes in an array of segments
 * @iov: segments; each has at most 4 GiB, because the length of a descriptor
 *	has 32 bits
 * @nr: number of segments, few enough that the sum cannot wrap
 *
 * Return: the sum of the lengths in bytes.
 */
u64 vhost_blk_iov_len(const struct iovec *iov, unsigned int nr)
{
	u64 len = 0;

	while (nr--)
		len += iov[nr].iov_len;
	return len;
}

/**
 * vhost_blk_status_slot - get the address of the status byte
 * @iov: writable segments of the chain
 * @nr: number of segments
 *
 * The status is the last writable byte, in any segment (5.2.6, 2.7.4).
 *
 * Return: the address, or NULL if the chain has no writable byte.
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
 * vhost_blk_trim_iov - reduce an array of segments to a range of its bytes
 * @iov: in: the segments; out: the first segment of the range.  The first and
 *	last segment of the range may be shortened.
 * @nr: number of segments
 * @skip: bytes to remove at the start
 * @len: bytes to keep; @skip + @len must not exceed the total
 *
 * The first segment of the range is not empty.  Later ones are left in place
 * even if they are empty; the vhost core creates no empty segments.
 *
 * Return: the number of segments of the range, 0 if @len is 0.
 */
unsigned int vhost_blk_trim_iov(struct iovec **iov, unsigned int nr, u64 skip,
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

/*
 * Check that sectors are whole logical blocks inside the backend.  No sum
 * wraps.
 */
static bool vblk_sectors_ok(u64 sector, u64 nr,
			    const struct vhost_blk_limits *limits)
{
	if ((sector | nr) & (limits->block_sectors - 1))
		return false;
	return nr <= limits->capacity && sector <= limits->capacity - nr;
}

/* Check position and length, in bytes, of the data of a request. */
static bool vblk_data_ok(u64 sector, u64 len,
			 const struct vhost_blk_limits *limits)
{
	if (len % SECTOR_BYTES || len > VHOST_BLK_MAX_BYTES)
		return false;
	return vblk_sectors_ok(sector, len / SECTOR_BYTES, limits);
}

static u8 vblk_parse_data(const struct vhost_blk_header *hdr, u64 len,
			  const struct vhost_blk_limits *limits,
			  struct vhost_blk_cmd *cmd)
{
	if (!vblk_data_ok(hdr->sector, len, limits))
		return VIRTIO_BLK_S_IOERR;
	cmd->pos = hdr->sector * SECTOR_BYTES;
	cmd->len = len;
	return VIRTIO_BLK_S_OK;
}

static u8 vblk_parse_read(const struct vhost_blk_header *hdr, u64 data,
			  const struct vhost_blk_limits *limits,
			  struct vhost_blk_cmd *cmd)
{
	return vblk_parse_data(hdr, cmd->room, limits, cmd);
}

static u8 vblk_parse_write(const struct vhost_blk_header *hdr, u64 data,
			   const struct vhost_blk_limits *limits,
			   struct vhost_blk_cmd *cmd)
{
	return vblk_parse_data(hdr, data, limits, cmd);
}

/* Requests without parameters: flush, and reset of all zones */
static u8 vblk_parse_plain(const struct vhost_blk_header *hdr, u64 data,
			   const struct vhost_blk_limits *limits,
			   struct vhost_blk_cmd *cmd)
{
	return VIRTIO_BLK_S_OK;
}

/* The guest gets as many bytes of the ID as it has room for. */
static u8 vblk_parse_get_id(const struct vhost_blk_header *hdr, u64 data,
			    const struct vhost_blk_limits *limits,
			    struct vhost_blk_cmd *cmd)
{
	cmd->response = min_t(u32, cmd->room,
			      vhost_blk_op_defs[cmd->op].response);
	return VIRTIO_BLK_S_OK;
}

/* Requests with an array of ranges, which vhost_blk_parse_ranges() checks */
static u8 vblk_parse_list(const struct vhost_blk_header *hdr, u64 data,
			  const struct vhost_blk_limits *limits,
			  struct vhost_blk_cmd *cmd)
{
	const u32 one = sizeof(struct virtio_blk_discard_write_zeroes);

	if (!data || data % one ||
	    data / one > vhost_blk_op_defs[cmd->op].max_ranges)
		return VIRTIO_BLK_S_IOERR;
	cmd->len = data;
	return VIRTIO_BLK_S_OK;
}

static bool vblk_starts_zone(u64 sector, const struct vhost_blk_limits *limits)
{
	return sector < limits->capacity &&
	       !(sector & (limits->zone_sectors - 1));
}

/*
 * Zone append: the response is the sector at which the data was written
 * (5.2.6.2).
 */
static u8 vblk_parse_append(const struct vhost_blk_header *hdr, u64 data,
			    const struct vhost_blk_limits *limits,
			    struct vhost_blk_cmd *cmd)
{
	const u32 response = vhost_blk_op_defs[cmd->op].response;

	if (!limits->append_sectors)
		return VIRTIO_BLK_S_UNSUPP;
	if (cmd->room < response)
		return VIRTIO_BLK_S_IOERR;
	if (!vblk_starts_zone(hdr->sector, limits) || !data ||
	    data > (u64)limits->append_sectors * SECTOR_BYTES ||
	    data > (u64)limits->zone_sectors * SECTOR_BYTES)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	cmd->response = response;
	return vblk_parse_data(hdr, data, limits, cmd);
}

/* Zone report: as many descriptors as fit, at least one (5.2.6.2) */
static u8 vblk_parse_report(const struct vhost_blk_header *hdr, u64 data,
			    const struct vhost_blk_limits *limits,
			    struct vhost_blk_cmd *cmd)
{
	const u32 head = sizeof(struct virtio_blk_zone_report);
	const u32 one = sizeof(struct virtio_blk_zone_descriptor);
	u32 room;

	if (hdr->sector >= limits->capacity || cmd->room < head + one)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	room = min_t(u32, cmd->room, vhost_blk_op_defs[cmd->op].response);
	cmd->pos = hdr->sector * SECTOR_BYTES;
	cmd->response = room - (room - head) % one;
	return VIRTIO_BLK_S_OK;
}

/* Open, close, finish and reset of one zone */
static u8 vblk_parse_zone(const struct vhost_blk_header *hdr, u64 data,
			  const struct vhost_blk_limits *limits,
			  struct vhost_blk_cmd *cmd)
{
	if (!vblk_starts_zone(hdr->sector, limits))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	cmd->pos = hdr->sector * SECTOR_BYTES;
	return VIRTIO_BLK_S_OK;
}

/*
 * Properties of all operations.  How an operation is executed is in the
 * backends, and in zone.c for zone management.
 */
const struct vhost_blk_op_def vhost_blk_op_defs[VHOST_BLK_NR_OPS] = {
	[VHOST_BLK_OP_READ] = {
		.flags = VHOST_BLK_OP_F_DATA | VHOST_BLK_OP_F_ZONE,
		.parse = vblk_parse_read,
	},
	[VHOST_BLK_OP_WRITE] = {
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_DATA |
			 VHOST_BLK_OP_F_ZONE,
		.parse = vblk_parse_write,
	},
	[VHOST_BLK_OP_FLUSH] = {
		.parse = vblk_parse_plain,
	},
	[VHOST_BLK_OP_GET_ID] = {
		.response = VHOST_BLK_SERIAL_LEN,
		.parse = vblk_parse_get_id,
	},
	[VHOST_BLK_OP_DISCARD] = {
		.feature = VIRTIO_BLK_F_DISCARD,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_RANGES,
		.max_ranges = VHOST_BLK_MAX_RANGES,
		.parse = vblk_parse_list,
	},
	[VHOST_BLK_OP_WRITE_ZEROES] = {
		.feature = VIRTIO_BLK_F_WRITE_ZEROES,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_RANGES,
		.max_ranges = VHOST_BLK_MAX_ZEROES,
		.parse = vblk_parse_list,
	},
	[VHOST_BLK_OP_SECURE_ERASE] = {
		.feature = VIRTIO_BLK_F_SECURE_ERASE,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_RANGES,
		.max_ranges = VHOST_BLK_MAX_RANGES,
		.parse = vblk_parse_list,
	},
	[VHOST_BLK_OP_ZONE_APPEND] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_DATA |
			 VHOST_BLK_OP_F_ZONE,
		.response = sizeof(__le64),
		.parse = vblk_parse_append,
	},
	[VHOST_BLK_OP_ZONE_REPORT] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.response = sizeof(struct virtio_blk_zone_report) +
			    VHOST_BLK_MAX_REPORT *
			    sizeof(struct virtio_blk_zone_descriptor),
		.parse = vblk_parse_report,
	},
	[VHOST_BLK_OP_ZONE_OPEN] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_ZONE,
		.parse = vblk_parse_zone,
	},
	[VHOST_BLK_OP_ZONE_CLOSE] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_ZONE,
		.parse = vblk_parse_zone,
	},
	[VHOST_BLK_OP_ZONE_FINISH] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_ZONE,
		.parse = vblk_parse_zone,
	},
	[VHOST_BLK_OP_ZONE_RESET] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.flags = VHOST_BLK_OP_F_WRITE | VHOST_BLK_OP_F_ZONE,
		.parse = vblk_parse_zone,
	},
	[VHOST_BLK_OP_ZONE_RESET_ALL] = {
		.feature = VIRTIO_BLK_F_ZONED,
		.flags = VHOST_BLK_OP_F_WRITE,
		.parse = vblk_parse_plain,
	},
};

/**
 * vhost_blk_op_mask - get the operations that a driver may use
 * @features: features that the driver has acknowledged
 *
 * Return: a mask of BIT(VHOST_BLK_OP_*).
 */
u32 vhost_blk_op_mask(u64 features)
{
	const struct vhost_blk_op_def *def;
	unsigned int op;
	u32 mask = 0;

	for (op = 0; op < VHOST_BLK_NR_OPS; op++) {
		def = &vhost_blk_op_defs[op];
		if (def->parse &&
		    (!def->feature || (features >> def->feature & 1)))
			mask |= BIT(op);
	}
	return mask;
}

/**
 * vhost_blk_parse - check a request and turn it into a command
 * @hdr: header, or NULL if it could not be read
 * @readable: readable bytes of the chain, header included
 * @writable: writable bytes of the chain, status included, at least 1
 * @limits: current limits of the backend
 * @cmd: set to the command.  If the request fails, only @cmd->room and @cmd->op
 *	are valid; the latter is VHOST_BLK_NR_OPS if the type is not known.
 *
 * Bytes beyond those that the type needs are ignored, as other devices do.
 *
 * Return: VIRTIO_BLK_S_OK, or the status to return to the guest.  A request
 * without a complete header is VIRTIO_BLK_S_IOERR.
 */
u8 vhost_blk_parse(const struct vhost_blk_header *hdr, u64 readable,
		   u64 writable, const struct vhost_blk_limits *limits,
		   struct vhost_blk_cmd *cmd)
{
	const struct vhost_blk_op_def *def;
	u32 op;

	*cmd = (struct vhost_blk_cmd){
		.op = VHOST_BLK_NR_OPS,
		.room = min_t(u64, writable - 1, U32_MAX),
	};
	if (!hdr || readable < HEADER_BYTES)
		return VIRTIO_BLK_S_IOERR;

	if (hdr->type >= VHOST_BLK_NR_OPS)
		return VIRTIO_BLK_S_UNSUPP;
	op = array_index_nospec(hdr->type, VHOST_BLK_NR_OPS);
	def = &vhost_blk_op_defs[op];
	if (!def->parse)
		return VIRTIO_BLK_S_UNSUPP;
	cmd->op = op;
	if (!(limits->op_mask & BIT(op)))
		return VIRTIO_BLK_S_UNSUPP;
	if (limits->ro && (def->flags & VHOST_BLK_OP_F_WRITE))
		return VIRTIO_BLK_S_IOERR;
	return def->parse(hdr, readable - HEADER_BYTES, limits, cmd);
}

/**
 * vhost_blk_trim_chain - reduce a chain to the data, ranges or response
 * @chain: the complete chain; its segments are changed
 * @cmd: the command from vhost_blk_parse()
 */
void vhost_blk_trim_chain(struct vhost_blk_chain *chain,
			  const struct vhost_blk_cmd *cmd)
{
	u32 in = cmd->response, out = 0;

	if (cmd->op == VHOST_BLK_OP_READ)
		in = cmd->len;
	else
		out = cmd->len;
	chain->nr_out = vhost_blk_trim_iov(&chain->out, chain->nr_out,
					   HEADER_BYTES, out);
	chain->nr_in = vhost_blk_trim_iov(&chain->in, chain->nr_in, 0, in);
}

/* Check the flags of a range (5.2.6.2): only zeroes may have one, for unmap. */
static bool vblk_range_flags_ok(enum vhost_blk_op op, u32 flags)
{
	if (op == VHOST_BLK_OP_WRITE_ZEROES)
		flags &= ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	return !flags;
}

/**
 * vhost_blk_parse_ranges - check all ranges of a request
 * @raw: ranges as the guest wrote them, little endian, read once
 * @nr: number of ranges, at least 1
 * @op: discard, write zeroes or secure erase
 * @limits: current limits of the backend
 * @ranges: filled in; must not overlap with @raw
 *
 * Return: VIRTIO_BLK_S_OK, or the status to return to the guest.
 */
u8 vhost_blk_parse_ranges(const struct virtio_blk_discard_write_zeroes *raw,
			  unsigned int nr, enum vhost_blk_op op,
			  const struct vhost_blk_limits *limits,
			  struct vhost_blk_range *ranges)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!vblk_range_flags_ok(op, le32_to_cpu(raw[i].flags)))
			return VIRTIO_BLK_S_UNSUPP;

	for (i = 0; i < nr; i++) {
		u64 sector = le64_to_cpu(raw[i].sector);
		u32 sectors = le32_to_cpu(raw[i].num_sectors);

		if (sectors > limits->range_sectors ||
		    !vblk_sectors_ok(sector, sectors, limits))
			return VIRTIO_BLK_S_IOERR;
		ranges[i] = (struct vhost_blk_range){
			.pos = sector * SECTOR_BYTES,
			.len = (u64)sectors * SECTOR_BYTES,
			.unmap = raw[i].flags != 0,
		};
	}
	return VIRTIO_BLK_S_OK;
}
