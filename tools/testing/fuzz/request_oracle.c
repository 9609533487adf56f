// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of Documentation/virt/vhost-blk/uapi.rst again, as a table and in
 * numbers of 128 bits, which do not wrap.  A mistake goes unnoticed only if it
 * is made twice, in two different ways.
 */
#include <linux/limits.h>
#include <linux/types.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "request_entry.h"
#include "request_oracle.h"

#define HEADER		16
#define SECTOR		512
#define RANGE		16
#define GIB		0x40000000ULL
#define ZONE_HEAD	64
#define ZONE_DESC	64

#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define S_UNSUPP	VIRTIO_BLK_S_UNSUPP
#define S_INVALID	VIRTIO_BLK_S_ZONE_INVALID_CMD

enum kind { READ, WRITE, RANGES, ID, APPEND, REPORT, ZONE, PLAIN };

struct rule {
	u32 type;
	enum vhost_blk_op op;
	enum kind kind;
	bool changes;
	u32 max;		/* maximum number of ranges */
};

static const struct rule rules[] = {
	{ VIRTIO_BLK_T_IN, VHOST_BLK_OP_READ, READ, false, 0 },
	{ VIRTIO_BLK_T_OUT, VHOST_BLK_OP_WRITE, WRITE, true, 0 },
	{ VIRTIO_BLK_T_FLUSH, VHOST_BLK_OP_FLUSH, PLAIN, false, 0 },
	{ VIRTIO_BLK_T_GET_ID, VHOST_BLK_OP_GET_ID, ID, false, 0 },
	{ VIRTIO_BLK_T_DISCARD, VHOST_BLK_OP_DISCARD, RANGES, true, 256 },
	{ VIRTIO_BLK_T_WRITE_ZEROES, VHOST_BLK_OP_WRITE_ZEROES, RANGES, true, 16 },
	{ VIRTIO_BLK_T_SECURE_ERASE, VHOST_BLK_OP_SECURE_ERASE, RANGES, true, 256 },
	{ VIRTIO_BLK_T_ZONE_APPEND, VHOST_BLK_OP_ZONE_APPEND, APPEND, true, 0 },
	{ VIRTIO_BLK_T_ZONE_REPORT, VHOST_BLK_OP_ZONE_REPORT, REPORT, false, 0 },
	{ VIRTIO_BLK_T_ZONE_OPEN, VHOST_BLK_OP_ZONE_OPEN, ZONE, true, 0 },
	{ VIRTIO_BLK_T_ZONE_CLOSE, VHOST_BLK_OP_ZONE_CLOSE, ZONE, true, 0 },
	{ VIRTIO_BLK_T_ZONE_FINISH, VHOST_BLK_OP_ZONE_FINISH, ZONE, true, 0 },
	{ VIRTIO_BLK_T_ZONE_RESET, VHOST_BLK_OP_ZONE_RESET, ZONE, true, 0 },
	{ VIRTIO_BLK_T_ZONE_RESET_ALL, VHOST_BLK_OP_ZONE_RESET_ALL, PLAIN, true, 0 },
};

static const struct rule *rule_of(u32 type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

/* Is [sector, sector + bytes) a range of whole blocks on the disk? */
static bool on_disk(u64 sector, unsigned __int128 bytes, const struct vhost_blk_limits *l)
{
	unsigned __int128 block = (unsigned __int128)l->block_sectors * SECTOR;
	unsigned __int128 start = (unsigned __int128)sector * SECTOR;

	return !(start % block) && !(bytes % block) &&
	       start + bytes <= (unsigned __int128)l->capacity * SECTOR;
}

static u8 data_status(u64 sector, u64 bytes, const struct vhost_blk_limits *l)
{
	return bytes <= GIB && on_disk(sector, bytes, l) ? S_OK : S_IOERR;
}

static bool zone_start(u64 sector, const struct vhost_blk_limits *l)
{
	return sector < l->capacity && !(sector % l->zone_sectors);
}

static u8 append_status(u64 sector, u64 data, u64 room, const struct vhost_blk_limits *l)
{
	if (!l->append_sectors)
		return S_UNSUPP;
	if (room < 8)
		return S_IOERR;
	if (!zone_start(sector, l) || !data || data > (u64)l->append_sectors * SECTOR ||
	    data > (u64)l->zone_sectors * SECTOR)
		return S_INVALID;
	return data_status(sector, data, l);
}

static u8 status_of(const struct rule *rule, u64 sector, u64 data, u64 room,
		    const struct vhost_blk_limits *l)
{
	switch (rule->kind) {
	case READ:
		return data_status(sector, room, l);
	case WRITE:
		return data_status(sector, data, l);
	case RANGES:
		return data && !(data % RANGE) && data / RANGE <= rule->max ? S_OK : S_IOERR;
	case APPEND:
		return append_status(sector, data, room, l);
	case REPORT:
		return sector < l->capacity && room >= ZONE_HEAD + ZONE_DESC ? S_OK : S_INVALID;
	case ZONE:
		return zone_start(sector, l) ? S_OK : S_INVALID;
	default:
		return S_OK;
	}
}

static u64 reply_of(const struct rule *rule, u64 room)
{
	u64 zones;

	switch (rule->kind) {
	case ID:
		return room < 20 ? room : 20;
	case APPEND:
		return 8;
	case REPORT:
		zones = (room - ZONE_HEAD) / ZONE_DESC;
		return ZONE_HEAD + (zones < 1024 ? zones : 1024) * ZONE_DESC;
	default:
		return 0;
	}
}

static const char *check_cmd(const struct rule *rule, u64 sector, u64 data, u64 room,
			     const struct vhost_blk_cmd *cmd)
{
	u64 len = 0, pos = sector * SECTOR;

	if (rule->kind == READ)
		len = room;
	else if (rule->kind == WRITE || rule->kind == RANGES || rule->kind == APPEND)
		len = data;
	if (rule->kind == RANGES || rule->kind == ID || rule->kind == PLAIN)
		pos = 0;

	if (cmd->op != rule->op)
		return "another operation";
	if (cmd->len != len)
		return "another length";
	if (cmd->pos != pos)
		return "another position";
	if (cmd->response != reply_of(rule, room))
		return "another length of the response";
	if (cmd->response > room)
		return "the response reaches into the status";
	return NULL;
}

const char *oracle_parse(const struct vhost_blk_header *hdr, u64 readable, u64 writable,
			 const struct vhost_blk_limits *limits, u8 status,
			 const struct vhost_blk_cmd *cmd)
{
	const struct rule *rule;
	u64 data, room = writable - 1;
	u8 want;

	if (cmd->room != (room < U32_MAX ? room : U32_MAX))
		return "another number of writable bytes";
	if (!hdr || readable < HEADER)
		return status == S_IOERR ? NULL : "no header, but not IOERR";
	data = readable - HEADER;
	rule = rule_of(hdr->type);
	if (!rule || !(limits->op_mask >> rule->op & 1))
		return status == S_UNSUPP ? NULL : "not negotiated, but not UNSUPP";
	if (limits->ro && rule->changes)
		return status == S_IOERR ? NULL : "read-only, but not IOERR";
	want = status_of(rule, hdr->sector, data, room, limits);
	if (status != want)
		return status == S_OK ? "accepted what is to be refused" : "another status";
	return status == S_OK ? check_cmd(rule, hdr->sector, data, room, cmd) : NULL;
}

static u8 ranges_status(const struct virtio_blk_discard_write_zeroes *raw, unsigned int nr,
			enum vhost_blk_op op, const struct vhost_blk_limits *limits)
{
	u32 known = op == VHOST_BLK_OP_WRITE_ZEROES ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (le32_to_cpu(raw[i].flags) & ~known)
			return S_UNSUPP;
	for (i = 0; i < nr; i++) {
		u64 bytes = (u64)le32_to_cpu(raw[i].num_sectors) * SECTOR;

		if (bytes > (u64)limits->range_sectors * SECTOR ||
		    !on_disk(le64_to_cpu(raw[i].sector), bytes, limits))
			return S_IOERR;
	}
	return S_OK;
}

const char *oracle_ranges(const struct virtio_blk_discard_write_zeroes *raw, unsigned int nr,
			  enum vhost_blk_op op, const struct vhost_blk_limits *limits,
			  u8 status, const struct vhost_blk_range *ranges)
{
	unsigned int i;

	if (status != ranges_status(raw, nr, op, limits))
		return "another status of the ranges";
	for (i = 0; status == S_OK && i < nr; i++)
		if (ranges[i].pos != le64_to_cpu(raw[i].sector) * SECTOR ||
		    ranges[i].len != (u64)le32_to_cpu(raw[i].num_sectors) * SECTOR ||
		    ranges[i].unmap != !!raw[i].flags)
			return "another range";
	return NULL;
}

static bool was_empty(const struct iovec *iov, unsigned int nr, const void *base)
{
	while (nr--)
		if (iov[nr].iov_base == base)
			return !iov[nr].iov_len;
	return false;
}

const char *oracle_cut(const struct iovec *whole, unsigned int nr_whole, u64 skip, u64 len,
		       const struct iovec *cut, unsigned int nr_cut)
{
	unsigned int i, w = 0;
	u64 at = skip;

	for (i = 0; i < nr_cut; i++) {
		while (w < nr_whole && at >= whole[w].iov_len)
			at -= whole[w++].iov_len;
		if (!cut[i].iov_len) {
			if (!was_empty(whole, nr_whole, cut[i].iov_base))
				return "an empty segment";
			continue;
		}
		if (w == nr_whole || cut[i].iov_base != (char *)whole[w].iov_base + at ||
		    cut[i].iov_len > whole[w].iov_len - at)
			return "a segment that isn't the guest's, or out of order";
		if (cut[i].iov_len > len)
			return "more bytes than asked for";
		at += cut[i].iov_len;
		len -= cut[i].iov_len;
	}
	return len ? "fewer bytes than asked for" : NULL;
}

const char *oracle_slot(const struct iovec *iov, unsigned int nr, const u8 *slot)
{
	const u8 *last = NULL;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (iov[i].iov_len)
			last = (const u8 *)iov[i].iov_base + (iov[i].iov_len - 1);
	return slot == last ? NULL : "the status isn't the last byte";
}
