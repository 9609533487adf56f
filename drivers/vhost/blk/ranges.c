// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests whose data is a list of ranges.  Stage 3: it is read once, and all of
 * it is checked before anything is done.  Stage 4: one after the other.
 */
#include <linux/blkdev.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "blk.h"

/*
 * Zeroes that may have to be written count against the bytes that a queue may
 * have in flight, as if the guest had written them.  They are known only once
 * the list has been read, so the last request that was admitted may exceed
 * VHOST_BLK_MAX_INFLIGHT_BYTES.
 */
static void vblk_charge_zeroes(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	unsigned int i;

	if (io->op != VHOST_BLK_OP_WRITE_ZEROES ||
	    !vhost_blk_disk_writes_zeroes(req->disk))
		return;
	for (i = 0; i < io->nr_ranges; i++)
		req->zeroes += io->ranges[i].len;
	req->q->inflight_bytes += req->zeroes;
}

/**
 * vhost_blk_free_ranges - undo vhost_blk_read_ranges()
 * @req: the request, the mutex of its queue held
 */
void vhost_blk_free_ranges(struct vhost_blk_req *req)
{
	req->q->inflight_bytes -= req->zeroes;
	req->zeroes = 0;
	kfree(req->io.ranges);
	req->io.ranges = NULL;
}

/**
 * vhost_blk_read_ranges - from guest memory to req->io.ranges
 * @req: its cmd is set; req->status is changed where a range is refused
 * @limits: of the backend
 * @iov: the list, cmd.len bytes of it
 * @nr: segments in @iov
 *
 * Return: 0 or an error; vhost_blk_free_ranges() is owed in either case.
 */
int vhost_blk_read_ranges(struct vhost_blk_req *req,
			  const struct vhost_blk_limits *limits,
			  const struct iovec *iov, unsigned int nr)
{
	struct vhost_blk_limits range_limits = *limits;
	struct virtio_blk_discard_write_zeroes *raw;
	struct vhost_blk_io *io = &req->io;
	u32 len = req->cmd.len;
	struct iov_iter iter;
	int ret = -ENOMEM;

	req->zeroes = 0;
	io->nr_ranges = len / sizeof(*raw);
	io->ranges = kmalloc_array(io->nr_ranges, sizeof(*io->ranges),
				   GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	raw = kmalloc(len, GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!io->ranges || !raw)
		goto free_raw;

	ret = -EFAULT;
	iov_iter_init(&iter, ITER_SOURCE, iov, nr, len);
	if (!copy_from_iter_full(raw, len, &iter))
		goto free_raw;
	range_limits.range_sectors = vhost_blk_disk_max_range(req->disk, io->op);
	req->status = vhost_blk_parse_ranges(raw, io->nr_ranges, io->op,
					     &range_limits, io->ranges);
	if (req->status == VIRTIO_BLK_S_OK)
		vblk_charge_zeroes(req);
	ret = 0;
free_raw:
	kfree(raw);
	return ret;
}

/*
 * What is left of a discard is not missed, and how long a secure erase takes
 * isn't known.
 */
static u64 vblk_grace_cost(const struct vhost_blk_io *io)
{
	u64 cost = io->sync ? VHOST_BLK_GRACE_FLUSH : 0;
	unsigned int i;

	if (!vhost_blk_op_has_ranges(io->op))
		return 1;
	if (io->op != VHOST_BLK_OP_WRITE_ZEROES)
		return U64_MAX;
	for (i = 0; i < io->nr_ranges; i++)
		cost += DIV_ROUND_UP_ULL(io->ranges[i].len,
					 VHOST_BLK_GRACE_STEP);
	return cost;
}

static bool vblk_spare(const struct vhost_blk_req *req)
{
	return vhost_blk_take_grace(queue_to_blk(req->q),
				    vblk_grace_cost(&req->io));
}

/**
 * vhost_blk_gives_up - should a request without data give up what is left of it?
 * @req: the request; called by one thread at a time
 *
 * As vhost_blk_must_hurry(), but small requests are done to the end, as long as
 * they are few and their queue isn't dead.
 *
 * Context: any.
 */
bool vhost_blk_gives_up(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;

	if (!vhost_blk_must_hurry(q))
		return false;
	if (vhost_blk_dead(q))
		return true;
	if (!req->io.spared)
		req->io.spared = vblk_spare(req);
	return !req->io.spared;
}

/**
 * vhost_blk_submit_unmerged - have a request without data done by itself; sleeps
 * @bdev: a block device
 * @op: operation
 * @sector: first sector; the caller has checked it
 * @bytes: length of an erase, 0 for an operation on zones
 *
 * The block layer's own functions let it merge such requests with their
 * neighbours, in a plug, in a scheduler or while the device is busy.  It takes
 * two requests about one zone for neighbours, and ends in a BUG() when the device
 * has done the first of them (blk_mq_end_request()).  Two erases are counted as
 * two segments: virtio_blk then sends two ranges although it fills in only one,
 * if the device takes one range per request, and more than the device takes
 * otherwise.
 *
 * Return: 0 or an errno.
 */
int vhost_blk_submit_unmerged(struct block_device *bdev, enum req_op op,
			      sector_t sector, u32 bytes)
{
	struct bio bio;
	int ret;

	/* The block layer only warns; requests are checked long before. */
	if (bdev_read_only(bdev))
		return -EPERM;
	bio_init(&bio, bdev, NULL, 0, op | REQ_SYNC | REQ_NOMERGE);
	bio.bi_iter.bi_sector = sector;
	bio.bi_iter.bi_size = bytes;
	ret = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return ret;
}

/*
 * A step ends at a multiple of its size, counted from the start of the disk that
 * a partition is on, so that granules of the backend stay whole.  A discard is a
 * hint, and needn't be done to the end.
 */
static int vblk_do_range(struct vhost_blk_req *req,
			 const struct vhost_blk_range *range,
			 int (*do_range)(struct vhost_blk_req *req,
					 const struct vhost_blk_range *range),
			 u64 step)
{
	u64 before = (u64)req->disk->range_offset * SECTOR_SIZE;
	struct vhost_blk_range part = *range;
	u64 offset, left;
	int ret = 0;

	for (left = range->len; left && !ret; left -= part.len) {
		if (vhost_blk_gives_up(req))
			return req->io.op == VHOST_BLK_OP_DISCARD ?
			       0 : -ECANCELED;
		div64_u64_rem(part.pos + before, step, &offset);
		part.len = min(left, step - offset);
		ret = do_range(req, &part);
		part.pos += part.len;
	}
	return ret;
}

/**
 * vhost_blk_do_ranges - do what is to be done to ranges, one after the other
 * @req: the request; sleeps
 * @do_range: does it to a range, which isn't empty
 * @step: maximum bytes for @do_range; before each step it is checked whether
 *	anybody still waits for the request
 *
 * Return: 0, or the error that ended it; -ECANCELED if it was given up.
 */
int vhost_blk_do_ranges(struct vhost_blk_req *req,
			int (*do_range)(struct vhost_blk_req *req,
					const struct vhost_blk_range *range),
			u64 step)
{
	struct vhost_blk_io *io = &req->io;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < io->nr_ranges && !ret; i++)
		ret = vblk_do_range(req, &io->ranges[i], do_range, step);
	if (!ret && io->sync && io->op == VHOST_BLK_OP_WRITE_ZEROES)
		ret = vhost_blk_disk_flush(req->disk);
	return ret;
}
