// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host-managed zoned block devices: checks of requests, zone reports, zone
 * management, and the status of requests that the device has refused.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/blkzoned.h>
#include <linux/log2.h>

#include "internal.h"

/* Bytes that fit into a request to the device, if each page is one segment */
static u64 vblk_zone_segment_bytes(struct block_device *bdev)
{
	return (u64)bdev_max_segments(bdev) * PAGE_SIZE;
}

/* Bytes that a write can have without being divided, wherever its pages are */
static u64 vblk_zone_write_bytes(struct block_device *bdev)
{
	return min_t(u64, queue_max_bytes(bdev_get_queue(bdev)),
		     vblk_zone_segment_bytes(bdev));
}

/**
 * vhost_blk_zone_open - set the zone fields of a backend
 * @be: a block device that is being attached
 *
 * Does nothing if the device has no zones.
 *
 * Return: 0, or -EOPNOTSUPP if the size of the zones or the write granularity
 * is not a power of two, or if the granularity exceeds the maximum size of an
 * I/O or the bounce pages that a request has at least.
 */
int vhost_blk_zone_open(struct vhost_blk_be *be)
{
	struct block_device *bdev = be->bdev;
	unsigned int append;

	if (!bdev_is_zoned(bdev))
		return 0;
	/*
	 * md over zoned devices presents itself as zoned, but cannot report
	 * zones (Linux 6.1 to 7.3).
	 */
	if (!bdev->bd_disk->fops->report_zones)
		return -EOPNOTSUPP;
	be->zone_sectors = bdev_zone_sectors(bdev);
	/*
	 * On Linux 6.1 dm-crypt with large sectors has the granularity of the
	 * disk below it.
	 */
	be->write_granularity = max(bdev_zone_write_granularity(bdev),
				    be->block_size);
	if (!is_power_of_2(be->zone_sectors) ||
	    !is_power_of_2(be->write_granularity) ||
	    be->write_granularity > VHOST_BLK_WINDOW_MIN * PAGE_SIZE ||
	    be->write_granularity > vblk_zone_write_bytes(bdev))
		return -EOPNOTSUPP;
	/* The block layer splits writes at multiples of the granularity. */
	vhost_blk_backend_set_align(be, bdev_dma_alignment(bdev),
				    be->write_granularity);

	/*
	 * The block layer cannot split an append.  So limit it to the number of
	 * segments of the device, in whole pages.
	 */
	append = min_t(unsigned int, bdev_max_segments(bdev),
		       VHOST_BLK_BOUNCE_PAGES) * (PAGE_SIZE / SECTOR_SIZE);
	be->append_sectors = min(append, bdev_max_zone_append_sectors(bdev));
	be->features |= 1ULL << VIRTIO_BLK_F_ZONED;
	return 0;
}

/**
 * vhost_blk_zone_config - fill in the zoned field of the configuration space
 * @be: a zoned device
 * @config: the configuration space; .zoned is filled in (5.2.4)
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
	z->write_granularity = __cpu_to_virtio32(true, be->write_granularity);
	z->model = VIRTIO_BLK_Z_HM;
}

/**
 * vhost_blk_zone_outgrown - check whether limits are too low for a write now
 * @req: a request with data, about to be submitted
 *
 * The limits of the device may change while it is attached: by max_sectors_kb
 * in sysfs, or by another table of device mapper, which may even add zones.  The
 * block layer cannot divide an append, and no write into parts that are smaller
 * than the write granularity, see vblk_window_bytes().
 *
 * There may still be a BUG() if a limit changes between this check and that of
 * the block layer, or for a disk below device mapper, which reads the limits of
 * its disks only when a table is loaded.  A write with a granularity of at most
 * a page is safe, because max_sectors_kb cannot be less than a page.
 *
 * Context: Any.
 *
 * Return: true if the request must fail.
 */
bool vhost_blk_zone_outgrown(const struct vhost_blk_req *req)
{
	struct block_device *bdev = req->be->bdev;
	u32 granularity = bdev_zone_write_granularity(bdev);

	if (req->io.op == VHOST_BLK_OP_READ || !granularity)
		return false;
	if (req->io.op == VHOST_BLK_OP_ZONE_APPEND)
		return req->io.len > vblk_zone_segment_bytes(bdev) ||
		       req->io.len >> SECTOR_SHIFT >
		       bdev_max_zone_append_sectors(bdev);
	return granularity > vblk_zone_write_bytes(bdev) ||
	       granularity > req->be->len_mask + 1;
}

/* Check that a limit is not lower than the old one; 0 means no limit. */
static bool vblk_zone_limit_kept(unsigned int limit, unsigned int old)
{
	return !limit || (old && limit >= old);
}

/**
 * vhost_blk_zone_may_replace - check whether zones allow a swap
 * @be: the new backend, zoned
 * @old: the old backend, zoned
 *
 * Return: true if the zone fields that the driver has read remain valid: zones
 * of the same size, no lower limits, and no larger write granularity.
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

/* The data of the request is in more than one zone. */
static bool vblk_crosses_zone(const struct vhost_blk_req *req,
			      const struct vhost_blk_limits *limits)
{
	const struct vhost_blk_cmd *cmd = &req->cmd;
	u64 zone = (u64)limits->zone_sectors * SECTOR_SIZE;

	return cmd->len &&
	       ((cmd->pos ^ (cmd->pos + cmd->len - 1)) & ~(zone - 1));
}

/*
 * Return: true if a zone is conventional.  Older kernels do not know the types
 * of the zones of each bio-based device.  Then this and the next function return
 * false.
 */
#ifndef vhost_blk_zone_is_conv
static bool vhost_blk_zone_is_conv(struct block_device *bdev, sector_t sector)
{
	return !bdev_zone_is_seq(bdev, sector);
}
#endif

/* Return: true if a zone is sequential */
#ifndef vhost_blk_zone_is_seq
static bool vhost_blk_zone_is_seq(struct block_device *bdev, sector_t sector)
{
	return bdev_zone_is_seq(bdev, sector);
}
#endif

/**
 * vhost_blk_zone_check - check a request against its zone
 * @req: the request; its cmd is set
 * @limits: current limits of the backend
 *
 * Open, close, finish, reset and append are for sequential zones only (5.2.6.2).
 * The device would refuse others too, but then the block layer writes to the
 * kernel log.
 *
 * A request of a driver with VIRTIO_BLK_F_ZONED must not cross the end of a
 * sequential zone (5.2.6.2); the block layer would split it.  Other requests may
 * cross the end of a zone.
 *
 * A write of such a driver to a sequential zone must end at a multiple of the
 * granularity (5.2.6).  Some devices do not check that.
 *
 * If the kernel does not know the type of the zone, only the device checks
 * these rules.
 *
 * Return: VIRTIO_BLK_S_OK, or the status of the request.
 */
u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
			const struct vhost_blk_limits *limits)
{
	const struct vhost_blk_cmd *cmd = &req->cmd;
	bool crossed, uneven;

	if (likely(!limits->zone_sectors) ||
	    !(vhost_blk_op_defs[cmd->op].flags & VHOST_BLK_OP_F_ZONE) ||
	    !vhost_blk_knows_zones(limits->op_mask))
		return VIRTIO_BLK_S_OK;
	if (cmd->op != VHOST_BLK_OP_READ && cmd->op != VHOST_BLK_OP_WRITE &&
	    vhost_blk_zone_is_conv(req->be->bdev, cmd->pos >> SECTOR_SHIFT))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	if (!vhost_blk_op_moves_data(cmd->op))
		return VIRTIO_BLK_S_OK;
	crossed = vblk_crosses_zone(req, limits);
	uneven = cmd->op != VHOST_BLK_OP_READ &&
		 (cmd->pos + cmd->len) & (req->be->write_granularity - 1);
	if ((!crossed && !uneven) ||
	    !vhost_blk_zone_is_seq(req->be->bdev, cmd->pos >> SECTOR_SHIFT))
		return VIRTIO_BLK_S_OK;
	return crossed ? VIRTIO_BLK_S_ZONE_INVALID_CMD :
			 VIRTIO_BLK_S_ZONE_UNALIGNED_WP;
}

/* Return: VIRTIO_BLK_ZS_*, the state of a zone (5.2.6.2) */
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

/* Return: VIRTIO_BLK_ZT_*, the type of a zone (5.2.6.2) */
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

/*
 * Callback: add a zone to the report.  Return: 0, or -EIO if the device reports
 * more zones than were requested.
 */
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

/*
 * Check whether a zone report must be repeated.  Device mapper reports no zones
 * (-EAGAIN) while it is suspended, and makes reads and writes wait; so wait for
 * a moment.  @nr: result of the report; set to -ECANCELED if the request must
 * give up.  Sleeps.
 */
static bool vblk_report_again(struct vhost_blk_req *req, int *nr)
{
	if (*nr != -EAGAIN)
		return false;
	if (vhost_blk_should_abort(req->q)) {
		*nr = -ECANCELED;
		return false;
	}
	schedule_timeout_idle(max(HZ / 50, 1));
	return true;
}

/*
 * Make the response of a zone report.  Sleeps.  Return: 0 or a negative errno.
 */
static int vblk_report_zones(struct vhost_blk_req *req)
{
	struct virtio_blk_zone_report *report = req->response->buf;
	unsigned int room;
	int nr;

	room = (req->cmd.response - sizeof(*report)) / sizeof(report->zones[0]);
	do {
		nr = blkdev_report_zones(req->be->bdev,
					 req->io.pos >> SECTOR_SHIFT, room,
					 vblk_report_zone, req);
	} while (vblk_report_again(req, &nr));
	if (nr < 0)
		return nr;
	report->nr_zones = __cpu_to_virtio64(true, nr);
	req->response->len = struct_size(report, zones, nr);
	return 0;
}

/**
 * vhost_blk_zone_must_report - check whether an error needs a report of the zone
 * @req: a request that the device has refused
 * @error: its negative errno
 *
 * The errno does not determine the status: null_blk returns EIO, a SCSI disk
 * EREMOTEIO.  Requests that do not concern one zone, requests that gave up and
 * those to a device that is read-only (EPERM, see vhost_blk_submit_unmerged())
 * end in VIRTIO_BLK_S_IOERR, and so do reads of a driver without
 * VIRTIO_BLK_F_ZONED.
 *
 * Context: Any.
 *
 * Return: true if vhost_blk_zone_map_error() must end the request.
 */
bool vhost_blk_zone_must_report(const struct vhost_blk_req *req, int error)
{
	if (!req->be->zone_sectors || error == -ECANCELED || error == -EPERM)
		return false;
	if (req->io.op == VHOST_BLK_OP_READ &&
	    !vhost_blk_knows_zones(req->q->op_mask))
		return false;
	return vhost_blk_op_defs[req->io.op].flags & VHOST_BLK_OP_F_ZONE;
}

/* Callback: copy the first zone to @data. */
static int vblk_copy_zone(struct blk_zone *zone, unsigned int idx, void *data)
{
	if (!idx)
		*(struct blk_zone *)data = *zone;
	return 0;
}

/* Return: the number of zones that have data of a request, at least 1 */
static unsigned int vblk_nr_zones(const struct vhost_blk_req *req)
{
	u64 zone = (u64)req->be->zone_sectors * SECTOR_SIZE;
	u64 last = (req->io.pos & (zone - 1)) + req->io.len - !!req->io.len;

	return (last >> ilog2(zone)) + 1;
}

/*
 * Get the status of a request that was refused for the zone, by the state that
 * the zone has now.  If other writes to it are in flight, that may not be the
 * state at the time of the refusal.
 */
static u8 vblk_zone_error_status(const struct vhost_blk_io *io,
				 const struct blk_zone *zone)
{
	bool write = io->op == VHOST_BLK_OP_WRITE;
	/* valid in every state that is left: a failure has another reason */
	bool always_valid = io->op == VHOST_BLK_OP_ZONE_RESET ||
			    io->op == VHOST_BLK_OP_ZONE_FINISH;
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
	if (always_valid)
		return VIRTIO_BLK_S_IOERR;
	/* Some devices refuse to close a zone that is not open. */
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
 * vhost_blk_zone_map_error - set the status of a request from its zone (5.2.6)
 * @req: a request that the device has refused; req->error is set
 *
 * Ends the request by vhost_blk_req_done(), with -ECANCELED if it gave up.
 *
 * The status does not depend on the zone if too many zones are open or active,
 * if the device does not support the operation, nor for a driver without
 * VIRTIO_BLK_F_ZONED, which gets VIRTIO_BLK_S_IOERR.  There is a report
 * nevertheless, because from Linux 6.12 on the block layer refuses writes to a
 * zone after any error until the zone is reported.  A write from a conventional
 * zone may extend to other zones.
 *
 * Context: Workqueue; sleeps, because it gets a report of the zone.
 */
void vhost_blk_zone_map_error(struct vhost_blk_req *req)
{
	bool known = req->error == -ETOOMANYREFS || req->error == -EOVERFLOW ||
		     req->error == -EOPNOTSUPP ||
		     !vhost_blk_knows_zones(req->q->op_mask);
	struct blk_zone zone = {};
	int nr;

	do {
		nr = blkdev_report_zones(req->be->bdev,
					 req->io.pos >> SECTOR_SHIFT,
					 vblk_nr_zones(req), vblk_copy_zone,
					 &zone);
	} while (vblk_report_again(req, &nr));
	if (nr == -ECANCELED || known) {
		vhost_blk_req_done(req, nr == -ECANCELED ? nr : req->error);
		return;
	}
	req->status = nr > 0 ? vblk_zone_error_status(&req->io, &zone) :
				VIRTIO_BLK_S_IOERR;
	/* With its errno an error of the device is subject to the error policy. */
	vhost_blk_req_done(req, req->status == VIRTIO_BLK_S_IOERR ? req->error : 0);
}

/*
 * Change the state of one zone, or of all zones.  The block layer checks the
 * sectors of requests with data only.
 *
 * Return: 0 or a negative errno.
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

/* Number of zones in one report, for a reset of all zones one by one */
#define VBLK_ZONE_STEP	64

/* Callback: set the bit of a zone that has to be reset. */
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
 * Find the zones that have to be reset in one report from @sector on, and set
 * their bits in @todo.  Sleeps.
 *
 * Return: the number of zones that were reported, or a negative errno.
 */
static int vblk_zones_to_reset(struct vhost_blk_req *req, sector_t sector,
			       unsigned long *todo)
{
	int nr;

	do {
		bitmap_zero(todo, VBLK_ZONE_STEP);
		nr = blkdev_report_zones(req->be->bdev, sector,
					 VBLK_ZONE_STEP, vblk_zone_needs_reset,
					 todo);
	} while (vblk_report_again(req, &nr));
	return nr ?: -EIO;
}

/*
 * Reset the zones in @todo, which begin at @sector.  A zone that cannot be
 * reset does not prevent the reset of others.
 *
 * Return: 0, -ECANCELED if the request gave up, or the first error.
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
 * Reset all zones one by one.  A bio-based device may have only some zones of a
 * disk, for example with device mapper.  There the block layer turns a reset of
 * all zones into one request per zone, at least in Linux 6.1, and cannot give
 * up once it has begun.  In Linux 6.1 there are also disks that have no request
 * for all of their zones.
 */
static int vblk_zone_reset_each(struct vhost_blk_req *req)
{
	sector_t end = bdev_nr_sectors(req->be->bdev), sector = 0;
	DECLARE_BITMAP(todo, VBLK_ZONE_STEP);
	int nr, ret, error = 0;

	while (sector < end) {
		if (vhost_blk_should_abort(req->q))
			return -ECANCELED;
		nr = vblk_zones_to_reset(req, sector, todo);
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

/* Reset all zones.  Return: 0 or a negative errno. */
static int vblk_zone_reset_all(struct vhost_blk_req *req)
{
	struct block_device *bdev = req->be->bdev;
	int ret = -EOPNOTSUPP;

	if (queue_is_mq(bdev_get_queue(bdev)))
		ret = vblk_zone_mgmt(bdev, REQ_OP_ZONE_RESET_ALL, 0);
	return ret == -EOPNOTSUPP ? vblk_zone_reset_each(req) : ret;
}

/**
 * vhost_blk_zone_control - report zones, or change the state of zones
 * @req: the request
 * @reset: set to the number of sectors whose data a reset has dropped, or may
 *	have dropped if it failed; unchanged by other operations
 *
 * Context: Workqueue; sleeps.
 *
 * Return: 0, -ECANCELED if the request gave up, or another negative errno.
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
