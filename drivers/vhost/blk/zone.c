// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host-managed zoned block devices: reports, the state of zones, and
 * what was wrong with a request that the device refused.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/blkzoned.h>
#include <linux/log2.h>

#include "internal.h"

/**
 * vhost_blk_zone_open - is this a zoned device?
 * @be: a block device that is being attached
 */
int vhost_blk_zone_open(struct vhost_blk_be *be)
{
	struct block_device *bdev = be->bdev;
	unsigned int append;

	if (!bdev_is_zoned(bdev))
		return 0;
	be->zone_sectors = bdev_zone_sectors(bdev);
	be->write_granularity = bdev_zone_write_granularity(bdev);
	if (!is_power_of_2(be->zone_sectors) ||
	    !is_power_of_2(be->write_granularity) ||
	    queue_max_bytes(bdev_get_queue(bdev)) < be->write_granularity)
		return -EOPNOTSUPP;
	/* The block layer splits writes at multiples of it, as at blocks. */
	vhost_blk_backend_set_align(be, bdev_dma_alignment(bdev),
				    be->write_granularity);

	/*
	 * The block layer may split anything but an append: it has to fit, and
	 * does in whole pages.
	 */
	append = min_t(unsigned int, bdev_max_segments(bdev),
		       VHOST_BLK_BOUNCE_PAGES) * (PAGE_SIZE / SECTOR_SIZE);
	be->append_sectors = min(append, bdev_max_zone_append_sectors(bdev));
	be->features |= 1ULL << VIRTIO_BLK_F_ZONED;
	return 0;
}

/**
 * vhost_blk_zone_config - the field `zoned` of the configuration space (5.2.4)
 * @be: a zoned device
 * @config: its zoned is filled in
 */
void vhost_blk_zone_config(const struct vhost_blk_be *be,
			   union vhost_blk_config *config)
{
	struct virtio_blk_zoned_characteristics *z = &config->zoned;
	struct block_device *bdev = be->bdev;

	z->zone_sectors = __cpu_to_virtio32(true, be->zone_sectors);
	z->max_open_zones =
		__cpu_to_virtio32(true, bdev_max_open_zones(bdev));
	z->max_active_zones =
		__cpu_to_virtio32(true, bdev_max_active_zones(bdev));
	z->max_append_sectors = __cpu_to_virtio32(true, be->append_sectors);
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
 * @be: the backend that is to be attached
 * @old: the one that the guest has, zoned as well
 */
bool vhost_blk_zone_may_replace(const struct vhost_blk_be *be,
				const struct vhost_blk_be *old)
{
	return be->zone_sectors == old->zone_sectors &&
	       be->append_sectors >= old->append_sectors &&
	       be->write_granularity <= old->write_granularity &&
	       vblk_zone_limit_kept(bdev_max_open_zones(be->bdev),
				    bdev_max_open_zones(old->bdev)) &&
	       vblk_zone_limit_kept(bdev_max_active_zones(be->bdev),
				    bdev_max_active_zones(old->bdev));
}

static bool vblk_crosses_zone(const struct vhost_blk_req *req,
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
	bool zoned = vhost_blk_knows_zones(limits->op_mask);
	bool crossed, uneven;

	if (likely(!limits->zone_sectors) || !vhost_blk_op_moves_data(cmd->op))
		return VIRTIO_BLK_S_OK;
	crossed = vblk_crosses_zone(req, limits);
	uneven = cmd->op != VHOST_BLK_OP_READ &&
		 (cmd->pos + cmd->len) & (req->be->write_granularity - 1);
	if (!crossed && !uneven)
		return VIRTIO_BLK_S_OK;
	if (zoned && bdev_zone_is_seq(req->be->bdev, cmd->pos >> SECTOR_SHIFT))
		return crossed ? VIRTIO_BLK_S_ZONE_INVALID_CMD :
				 VIRTIO_BLK_S_ZONE_UNALIGNED_WP;
	if (crossed && cmd->op != VHOST_BLK_OP_READ &&
	    cmd->pos & (req->be->write_granularity - 1))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 vblk_zone_state(const struct blk_zone *zone)
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

static u8 vblk_zone_type(const struct blk_zone *zone)
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
static int vblk_report_zone(struct blk_zone *zone, unsigned int idx, void *data)
{
	struct vhost_blk_req *req = data;
	struct virtio_blk_zone_report *report = req->response->buf;
	struct virtio_blk_zone_descriptor *desc = &report->zones[idx];

	if ((void *)(desc + 1) > req->response->buf + req->cmd.response)
		return -EIO;
	desc->z_cap = __cpu_to_virtio64(true, zone->capacity);
	desc->z_start = __cpu_to_virtio64(true, zone->start);
	desc->z_wp = __cpu_to_virtio64(true, zone->wp);
	desc->z_type = vblk_zone_type(zone);
	desc->z_state = vblk_zone_state(zone);
	return 0;
}

static int vblk_report_zones(struct vhost_blk_req *req)
{
	struct virtio_blk_zone_report *report = req->response->buf;
	unsigned int room;
	int nr;

	room = (req->cmd.response - sizeof(*report)) / sizeof(report->zones[0]);
	nr = blkdev_report_zones(req->be->bdev, req->io.pos >> SECTOR_SHIFT,
				 room, vblk_report_zone, req);
	if (nr < 0)
		return nr;
	report->nr_zones = __cpu_to_virtio64(true, nr);
	req->response->len = struct_size(report, zones, nr);
	return 0;
}

/**
 * vhost_blk_zone_has_status - does the zone have to be looked at?
 * @req: a request that the device refused
 * @error: the errno of it
 *
 * The error doesn't tell which status the request gets: null_blk says EIO, a
 * SCSI disk EREMOTEIO.  Three errors have a status of their own.  Requests that
 * aren't about one zone, or were given up, end in IOERR, and so do all those of
 * a driver that doesn't know of zones (5.2.6).
 *
 * Return: true if vhost_blk_zone_map_error() finds out.
 */
bool vhost_blk_zone_has_status(const struct vhost_blk_req *req, int error)
{
	if (!vhost_blk_knows_zones(req->q->op_mask) ||
	    error == -ETOOMANYREFS || error == -EOVERFLOW ||
	    error == -EOPNOTSUPP || error == -ECANCELED)
		return false;
	return vhost_blk_op_defs[req->io.op].flags & VHOST_BLK_OP_F_ZONE;
}

static int vblk_copy_zone(struct blk_zone *zone, unsigned int idx, void *data)
{
	*(struct blk_zone *)data = *zone;
	return 0;
}

/* Why was a request for this zone refused?  The zone is as it was then. */
static u8 vblk_zone_error_status(const struct vhost_blk_io *io,
				 const struct blk_zone *zone)
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
 * vhost_blk_zone_map_error - from the device's refusal to a status of 5.2.6
 * @req: failed; from the workqueue, since the zone has to be looked at
 */
void vhost_blk_zone_map_error(struct vhost_blk_req *req)
{
	struct blk_zone zone = {};

	if (blkdev_report_zones(req->be->bdev, req->io.pos >> SECTOR_SHIFT, 1,
				vblk_copy_zone, &zone) == 1)
		req->status = vblk_zone_error_status(&req->io, &zone);
	else
		req->status = VIRTIO_BLK_S_IOERR;
	vhost_blk_req_done(req, 0);
}

/*
 * A change of one zone's state, or of all of them.  Not blkdev_zone_mgmt(): the
 * block layer takes two bios without data for neighbours if they start at the
 * same sector, merges them where they wait for a tag or in a scheduler, and ends
 * in a BUG() when the device has done the first.
 *
 * Return: 0 or an errno.
 */
static int vblk_zone_mgmt(struct block_device *bdev, enum req_op op,
			  sector_t sector)
{
	struct bio bio;
	int ret;

	if (bdev_read_only(bdev))
		return -EPERM;
	/* The block layer looks at the sectors of requests with data only. */
	if (!bdev_is_zoned(bdev) || sector >= bdev_nr_sectors(bdev) ||
	    !IS_ALIGNED(sector, bdev_zone_sectors(bdev)))
		return -EINVAL;
	bio_init(&bio, bdev, NULL, 0, op | REQ_SYNC | REQ_NOMERGE);
	bio.bi_iter.bi_sector = sector;
	ret = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return ret;
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
		nr = blkdev_report_zones(req->be->bdev, sector,
					 VBLK_ZONE_STEP, vblk_zone_needs_reset,
					 todo);
		if (nr != -EAGAIN)
			return nr ?: -EIO;
		if (vhost_blk_should_abort(req->q))
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
	struct block_device *bdev = req->be->bdev;
	sector_t size = req->be->zone_sectors;
	int ret, error = 0;
	unsigned int i;

	for_each_set_bit(i, todo, VBLK_ZONE_STEP) {
		if (vhost_blk_should_abort(req->q))
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
	sector_t end = bdev_nr_sectors(req->be->bdev), sector = 0;
	DECLARE_BITMAP(todo, VBLK_ZONE_STEP);
	int nr, ret, error = 0;

	while (sector < end) {
		if (vhost_blk_should_abort(req->q))
			return -ECANCELED;
		nr = vblk_zone_look(req, sector, todo);
		if (nr < 0)
			return nr;
		ret = vblk_zone_reset_some(req, sector, todo);
		if (ret == -ECANCELED)
			return ret;
		error = error ?: ret;
		sector += (sector_t)nr * req->be->zone_sectors;
		cond_resched();
	}
	return error;
}

static int vblk_zone_reset_all(struct vhost_blk_req *req)
{
	struct block_device *bdev = req->be->bdev;
	int ret = -EOPNOTSUPP;

	if (queue_is_mq(bdev_get_queue(bdev)))
		ret = vblk_zone_mgmt(bdev, REQ_OP_ZONE_RESET_ALL, 0);
	return ret == -EOPNOTSUPP ? vblk_zone_reset_each(req) : ret;
}

/**
 * vhost_blk_zone_control - report, or change the state of zones; sleeps
 * @req: the request
 * @reset: set to the number of sectors whose data a reset has dropped, or may
 *	have dropped if it failed; not changed by another operation
 *
 * Return: 0 or an errno.
 */
int vhost_blk_zone_control(struct vhost_blk_req *req, sector_t *reset)
{
	struct block_device *bdev = req->be->bdev;
	sector_t sector = req->io.pos >> SECTOR_SHIFT;
	enum req_op op;
	int ret;

	switch (req->io.op) {
	case VHOST_BLK_OP_ZONE_REPORT:
		return vblk_report_zones(req);
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
		*reset = bdev_nr_sectors(bdev);
		return vblk_zone_reset_all(req);
	default:
		return -EOPNOTSUPP;
	}
	if (vhost_blk_should_abort_step(req))
		return -ECANCELED;
	ret = vblk_zone_mgmt(bdev, op, sector);
	if (op == REQ_OP_ZONE_RESET)
		*reset = req->be->zone_sectors;
	return ret;
}
