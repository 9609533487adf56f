// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 4a, host-managed zoned block devices: reports, the state of zones, and
 * what was wrong with a request that the device refused.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/blkzoned.h>
#include <linux/log2.h>

#include "blk.h"

#ifdef CONFIG_BLK_DEV_ZONED

/**
 * vhost_blk_zone_open - is this a zoned device?
 * @disk: a block device that is being attached
 */
int vhost_blk_zone_open(struct vhost_blk_disk *disk)
{
	struct block_device *bdev = disk->bdev;
	unsigned int append;

	if (!bdev_is_zoned(bdev))
		return 0;
	/* md over zoned disks looks zoned, and can't report (Linux 6.1 to 7.3). */
	if (!bdev->bd_disk->fops->report_zones)
		return -EOPNOTSUPP;
	disk->zone_sectors = bdev_zone_sectors(bdev);
	disk->write_granularity = bdev_zone_write_granularity(bdev);
	if (!is_power_of_2(disk->zone_sectors) ||
	    !is_power_of_2(disk->write_granularity) ||
	    queue_max_bytes(bdev_get_queue(bdev)) < disk->write_granularity)
		return -EOPNOTSUPP;
	/* The block layer splits writes at multiples of it, as at blocks. */
	vhost_blk_disk_align(disk, bdev_dma_alignment(bdev),
			     disk->write_granularity);

	/*
	 * The block layer may split anything but an append: it has to fit, and
	 * does in whole pages.
	 */
	append = min_t(unsigned int, bdev_max_segments(bdev),
		       VHOST_BLK_BOUNCE_PAGES) * (PAGE_SIZE / SECTOR_SIZE);
	disk->append_sectors = min(append, bdev_max_zone_append_sectors(bdev));
	disk->features |= 1ULL << VIRTIO_BLK_F_ZONED;
	return 0;
}

/**
 * vhost_blk_zone_config - the field `zoned` of the configuration space (5.2.4)
 * @disk: a zoned device
 * @config: its zoned is filled in
 */
void vhost_blk_zone_config(const struct vhost_blk_disk *disk,
			   union vhost_blk_config *config)
{
	struct virtio_blk_zoned_characteristics *z = &config->zoned;
	struct block_device *bdev = disk->bdev;

	z->zone_sectors = __cpu_to_virtio32(true, disk->zone_sectors);
	z->max_open_zones =
		__cpu_to_virtio32(true, bdev_max_open_zones(bdev));
	z->max_active_zones =
		__cpu_to_virtio32(true, bdev_max_active_zones(bdev));
	z->max_append_sectors = __cpu_to_virtio32(true, disk->append_sectors);
	z->write_granularity =
		__cpu_to_virtio32(true, bdev_zone_write_granularity(bdev));
	z->model = VIRTIO_BLK_Z_HM;
}

/* Is a limit, 0 where there is none, at least what it was? */
static bool vblk_zone_limit_kept(unsigned int limit, unsigned int old)
{
	return !limit || (old && limit >= old);
}

/**
 * vhost_blk_zone_may_replace - is what the driver read of zones still true?
 * @disk: the backend that is to be attached
 * @old: the one that the guest has, zoned as well
 */
bool vhost_blk_zone_may_replace(const struct vhost_blk_disk *disk,
				const struct vhost_blk_disk *old)
{
	return disk->zone_sectors == old->zone_sectors &&
	       disk->append_sectors >= old->append_sectors &&
	       disk->write_granularity <= old->write_granularity &&
	       vblk_zone_limit_kept(bdev_max_open_zones(disk->bdev),
				    bdev_max_open_zones(old->bdev)) &&
	       vblk_zone_limit_kept(bdev_max_active_zones(disk->bdev),
				    bdev_max_active_zones(old->bdev));
}

static bool vblk_zone_crossed(const struct vhost_blk_req *req,
			      const struct vhost_blk_limits *limits)
{
	const struct vhost_blk_cmd *cmd = &req->cmd;
	u64 zone = (u64)limits->zone_sectors * SECTOR_SIZE;

	return cmd->len &&
	       ((cmd->pos ^ (cmd->pos + cmd->len - 1)) & ~(zone - 1));
}

/**
 * vhost_blk_zone_check - are length and place of a request right for its zone?
 * @req: its cmd is set
 * @limits: of the backend
 *
 * A driver that knows of zones may not go from a sequential one into the next
 * (5.2.6.2); the block layer would split it.  It can split a write only at a
 * multiple of the write granularity from where it starts: a write that starts
 * elsewhere and goes on behind the end of a zone, a conventional one too, is a
 * BUG() in Linux 6.1, and is not split in 6.12.
 *
 * What such a driver writes to a sequential zone ends at a multiple of the
 * granularity (5.2.6).  Not each device sees to that.
 *
 * Return: VIRTIO_BLK_S_OK, or the status of the request.
 */
u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
			const struct vhost_blk_limits *limits)
{
	const struct vhost_blk_cmd *cmd = &req->cmd;
	bool zoned = limits->ops & VHOST_BLK_ZONE_OPS;
	bool crossed, uneven;

	if (likely(!limits->zone_sectors) || !vhost_blk_op_moves_data(cmd->op))
		return VIRTIO_BLK_S_OK;
	crossed = vblk_zone_crossed(req, limits);
	uneven = cmd->op != VHOST_BLK_OP_READ &&
		 (cmd->pos + cmd->len) & (req->disk->write_granularity - 1);
	if (!crossed && !uneven)
		return VIRTIO_BLK_S_OK;
	if (zoned && bdev_zone_is_seq(req->disk->bdev, cmd->pos >> SECTOR_SHIFT))
		return crossed ? VIRTIO_BLK_S_ZONE_INVALID_CMD :
				 VIRTIO_BLK_S_ZONE_UNALIGNED_WP;
	if (crossed && cmd->op != VHOST_BLK_OP_READ &&
	    cmd->pos & (req->disk->write_granularity - 1))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 zone_state(const struct blk_zone *zone)
{
	switch (zone->cond) {
	case BLK_ZONE_COND_EMPTY:
		return VIRTIO_BLK_ZS_EMPTY;
	case BLK_ZONE_COND_IMP_OPEN:
		return VIRTIO_BLK_ZS_IOPEN;
	case BLK_ZONE_COND_EXP_OPEN:
		return VIRTIO_BLK_ZS_EOPEN;
	case BLK_ZONE_COND_CLOSED:
		return VIRTIO_BLK_ZS_CLOSED;
	case BLK_ZONE_COND_READONLY:
		return VIRTIO_BLK_ZS_RDONLY;
	case BLK_ZONE_COND_FULL:
		return VIRTIO_BLK_ZS_FULL;
	case BLK_ZONE_COND_OFFLINE:
		return VIRTIO_BLK_ZS_OFFLINE;
	default:
		return VIRTIO_BLK_ZS_NOT_WP;
	}
}

static u8 zone_type(const struct blk_zone *zone)
{
	switch (zone->type) {
	case BLK_ZONE_TYPE_SEQWRITE_REQ:
		return VIRTIO_BLK_ZT_SWR;
	case BLK_ZONE_TYPE_SEQWRITE_PREF:
		return VIRTIO_BLK_ZT_SWP;
	default:
		return VIRTIO_BLK_ZT_CONV;
	}
}

/* A device that reports more than it was asked for is not to be trusted. */
static int report_one(struct blk_zone *zone, unsigned int idx, void *data)
{
	struct vhost_blk_req *req = data;
	struct virtio_blk_zone_report *report = req->reply->buf;
	struct virtio_blk_zone_descriptor *desc = &report->zones[idx];

	if ((void *)(desc + 1) > req->reply->buf + req->cmd.reply)
		return -EIO;
	desc->z_cap = __cpu_to_virtio64(true, zone->capacity);
	desc->z_start = __cpu_to_virtio64(true, zone->start);
	desc->z_wp = __cpu_to_virtio64(true, zone->wp);
	desc->z_type = zone_type(zone);
	desc->z_state = zone_state(zone);
	return 0;
}

static int report(struct vhost_blk_req *req)
{
	struct virtio_blk_zone_report *report = req->reply->buf;
	unsigned int room;
	int nr;

	room = (req->cmd.reply - sizeof(*report)) / sizeof(report->zones[0]);
	nr = blkdev_report_zones(req->disk->bdev, req->io.pos >> SECTOR_SHIFT,
				 room, report_one, req);
	if (nr < 0)
		return nr;
	report->nr_zones = __cpu_to_virtio64(true, nr);
	req->reply->len = struct_size(report, zones, nr);
	return 0;
}

static int take_zone(struct blk_zone *zone, unsigned int idx, void *data)
{
	*(struct blk_zone *)data = *zone;
	return 0;
}

/* Why was a request for this zone refused?  The zone is as it was then. */
static u8 reason(const struct vhost_blk_io *io, const struct blk_zone *zone)
{
	bool write = io->op == VHOST_BLK_OP_WRITE;
	u64 sector = io->pos >> SECTOR_SHIFT;

	if (zone->cond == BLK_ZONE_COND_OFFLINE)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	if (io->op == VHOST_BLK_OP_READ)
		return VIRTIO_BLK_S_IOERR;
	if (zone->cond == BLK_ZONE_COND_READONLY)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	if (zone->type == BLK_ZONE_TYPE_CONVENTIONAL)
		return write ? VIRTIO_BLK_S_IOERR :
			       VIRTIO_BLK_S_ZONE_INVALID_CMD;
	/* What is not open can't be closed, and some devices say so. */
	if (zone->cond == BLK_ZONE_COND_FULL ||
	    (zone->cond == BLK_ZONE_COND_EMPTY &&
	     io->op == VHOST_BLK_OP_ZONE_CLOSE) ||
	    (io->len >> SECTOR_SHIFT) >
	    zone->start + zone->capacity - (write ? sector : zone->wp))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	if (write && sector != zone->wp)
		return VIRTIO_BLK_S_ZONE_UNALIGNED_WP;
	return VIRTIO_BLK_S_IOERR;
}

/**
 * vhost_blk_zone_explain - from the device's refusal to a status of 5.2.6
 * @req: failed; from the workqueue, since the zone has to be looked at
 */
void vhost_blk_zone_explain(struct vhost_blk_req *req)
{
	struct blk_zone zone = {};

	if (blkdev_report_zones(req->disk->bdev, req->io.pos >> SECTOR_SHIFT, 1,
				take_zone, &zone) == 1)
		req->status = reason(&req->io, &zone);
	else
		req->status = VIRTIO_BLK_S_IOERR;
	vhost_blk_req_done(req, 0);
}

/*
 * A change of one zone's state, or of all of them.  The block layer checks the
 * sectors of requests with data only.
 *
 * Return: 0 or an errno.
 */
static int vblk_zone_mgmt(struct block_device *bdev, enum req_op op,
			  sector_t sector)
{
	if (!bdev_is_zoned(bdev))
		return -EOPNOTSUPP;
	if (sector >= bdev_nr_sectors(bdev) ||
	    !IS_ALIGNED(sector, bdev_zone_sectors(bdev)))
		return -EINVAL;
	return vhost_blk_submit_unmerged(bdev, op, sector, 0);
}

/* Zones that are reported at a time, to be reset one after the other */
#define VBLK_ZONE_STEP	64

/* Note a zone that a reset of all zones has to reset. */
static int vblk_zone_needs_reset(struct blk_zone *zone, unsigned int idx,
				 void *data)
{
	switch (zone->cond) {
	case BLK_ZONE_COND_NOT_WP:
	case BLK_ZONE_COND_EMPTY:
	case BLK_ZONE_COND_READONLY:
	case BLK_ZONE_COND_OFFLINE:
		return 0;
	default:
		if (idx >= VBLK_ZONE_STEP)
			return -EIO;
		__set_bit(idx, data);
		return 0;
	}
}

/*
 * Device mapper reports nothing while it is suspended, and makes writes wait.
 *
 * Return: how many zones from @sector on were reported, or an errno.
 */
static int vblk_zone_look(struct vhost_blk_req *req, sector_t sector,
			  unsigned long *todo)
{
	int nr;

	for (;;) {
		bitmap_zero(todo, VBLK_ZONE_STEP);
		nr = blkdev_report_zones(req->disk->bdev, sector,
					 VBLK_ZONE_STEP, vblk_zone_needs_reset,
					 todo);
		if (nr != -EAGAIN)
			return nr ?: -EIO;
		if (vhost_blk_must_hurry(req->q))
			return -ECANCELED;
		schedule_timeout_idle(max(HZ / 50, 1));
	}
}

/*
 * The zones in @todo, from @sector on.  One that can't be reset keeps no other
 * from it; its error is returned at the end.
 */
static int vblk_zone_reset_some(struct vhost_blk_req *req, sector_t sector,
				const unsigned long *todo)
{
	struct block_device *bdev = req->disk->bdev;
	sector_t size = req->disk->zone_sectors;
	int ret, error = 0;
	unsigned int i;

	for_each_set_bit(i, todo, VBLK_ZONE_STEP) {
		if (vhost_blk_must_hurry(req->q))
			return -ECANCELED;
		ret = vblk_zone_mgmt(bdev, REQ_OP_ZONE_RESET,
				     sector + i * size);
		error = error ?: ret;
	}
	return error;
}

/*
 * Device mapper has only a part of a disk's zones, for example.  A reset of all
 * zones becomes one request per zone there, on Linux 6.1 in any case, and can't
 * be given up once it has begun.  So it is done zone by zone here, as it is for
 * disks that have no request for all of their zones (Linux 6.1).
 */
static int vblk_zone_reset_each(struct vhost_blk_req *req)
{
	sector_t end = bdev_nr_sectors(req->disk->bdev), sector = 0;
	DECLARE_BITMAP(todo, VBLK_ZONE_STEP);
	int nr, ret, error = 0;

	while (sector < end) {
		if (vhost_blk_must_hurry(req->q))
			return -ECANCELED;
		nr = vblk_zone_look(req, sector, todo);
		if (nr < 0)
			return nr;
		ret = vblk_zone_reset_some(req, sector, todo);
		if (ret == -ECANCELED)
			return ret;
		error = error ?: ret;
		sector += (sector_t)nr * req->disk->zone_sectors;
		cond_resched();
	}
	return error;
}

static int vblk_zone_reset_all(struct vhost_blk_req *req)
{
	struct block_device *bdev = req->disk->bdev;
	int ret = -EOPNOTSUPP;

	if (queue_is_mq(bdev_get_queue(bdev)))
		ret = vblk_zone_mgmt(bdev, REQ_OP_ZONE_RESET_ALL, 0);
	return ret == -EOPNOTSUPP ? vblk_zone_reset_each(req) : ret;
}

/**
 * vhost_blk_zone_control - report, or change the state of zones; sleeps
 * @req: the request
 *
 * Return: 0 or an errno.
 */
int vhost_blk_zone_control(struct vhost_blk_req *req)
{
	struct block_device *bdev = req->disk->bdev;
	sector_t sector = req->io.pos >> SECTOR_SHIFT;
	enum req_op op;
	int ret;

	switch (req->io.op) {
	case VHOST_BLK_OP_ZONE_REPORT:
		return report(req);
	case VHOST_BLK_OP_ZONE_OPEN:
		op = REQ_OP_ZONE_OPEN;
		break;
	case VHOST_BLK_OP_ZONE_CLOSE:
		op = REQ_OP_ZONE_CLOSE;
		break;
	case VHOST_BLK_OP_ZONE_FINISH:
		op = REQ_OP_ZONE_FINISH;
		break;
	case VHOST_BLK_OP_ZONE_RESET:
		op = REQ_OP_ZONE_RESET;
		break;
	case VHOST_BLK_OP_ZONE_RESET_ALL:
		ret = vblk_zone_reset_all(req);
		vhost_blk_cache_after(req->disk, 0,
				      bdev_nr_sectors(bdev) << SECTOR_SHIFT);
		return ret;
	default:
		return -EOPNOTSUPP;
	}
	if (vhost_blk_gives_up(req))
		return -ECANCELED;
	ret = vblk_zone_mgmt(bdev, op, sector);
	if (op == REQ_OP_ZONE_RESET)
		vhost_blk_cache_after(req->disk, req->io.pos,
				      (u64)req->disk->zone_sectors <<
				      SECTOR_SHIFT);
	return ret;
}

#else

int vhost_blk_zone_open(struct vhost_blk_disk *disk)
{
	return 0;
}

void vhost_blk_zone_config(const struct vhost_blk_disk *disk,
			   union vhost_blk_config *config)
{
}

bool vhost_blk_zone_may_replace(const struct vhost_blk_disk *disk,
				const struct vhost_blk_disk *old)
{
	return true;
}

u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
			const struct vhost_blk_limits *limits)
{
	return VIRTIO_BLK_S_OK;
}

void vhost_blk_zone_explain(struct vhost_blk_req *req)
{
	vhost_blk_req_done(req, -EIO);
}

int vhost_blk_zone_control(struct vhost_blk_req *req)
{
	return -EOPNOTSUPP;
}

#endif
