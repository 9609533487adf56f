// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 4a: block devices, by one bio on the guest's own pages.  What moves no
 * data, but a flush, sleeps in the block layer and goes to the workqueue.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/math.h>

#include "blk.h"

/* What the device can do beyond reading, writing and flushing. */
static void vblk_bdev_features(struct vhost_blk_disk *disk)
{
	struct block_device *bdev = disk->bdev;
	u32 granularity = bdev_discard_granularity(bdev);
	u32 discard = bdev_max_discard_sectors(bdev);
	u32 zeroes = bdev_write_zeroes_sectors(bdev);
	u32 erase = 0;

	/*
	 * md and DRBD take over the limit of their members, and then treat an
	 * erase as a write: RAID 5 copies its data, which it does not have.
	 */
	if (queue_is_mq(bdev_get_queue(bdev)))
		erase = bdev_max_secure_erase_sectors(bdev);
	disk->range_align = max(granularity, disk->block_size) / SECTOR_SIZE;
	/* Granules begin where the whole disk does, as in blkdev_issue_discard(). */
	div_u64_rem(bdev->bd_start_sect, disk->range_align, &disk->range_offset);
	/* There, it is zones that are reset, and written one after the other. */
	if (bdev_is_zoned(bdev))
		return;

	disk->features = 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	disk->max_zeroes_sectors =
		vhost_blk_cap_range(disk, zeroes ?: VHOST_BLK_WRITTEN_SECTORS);
	disk->zeroes_unmap = discard || zeroes;
	if (discard && granularity) {
		disk->features |= 1ULL << VIRTIO_BLK_F_DISCARD;
		disk->max_discard_sectors = vhost_blk_cap_range(disk, discard);
	}
	if (erase) {
		disk->features |= 1ULL << VIRTIO_BLK_F_SECURE_ERASE;
		disk->max_erase_sectors = vhost_blk_cap_range(disk, erase);
	}
}

/*
 * The worker holds the mutex of the queue while it submits, so it must not wait
 * for a tag, or for a queue that is frozen.  What REQ_NOWAIT can't do is left to
 * the workqueue.  So is what would have to be split, which REQ_NOWAIT refuses, and
 * everything if the driver doesn't support REQ_NOWAIT: the limits are 0 then.
 * These limits are a guess to save a vain try: they may change, and others count.
 *
 * Writes to zones must not overtake each other, as one that is tried again would
 * be.
 */
static void vhost_blk_bdev_nowait(struct vhost_blk_disk *disk)
{
	struct block_device *bdev = disk->bdev;

	if (!bdev_nowait(bdev) || bdev_is_zoned(bdev))
		return;
	disk->nowait_len = queue_max_bytes(bdev_get_queue(bdev));
	disk->nowait_vecs = min_t(u32, bdev_max_segments(bdev), BIO_MAX_VECS);
}

static int bdev_open(struct vhost_blk_disk *disk)
{
	struct block_device *bdev = I_BDEV(disk->file->f_mapping->host);
	int ret;

	if (!disk_live(bdev->bd_disk))
		return -ENODEV;
	/*
	 * Bios go past the page cache of the device: what is dirty there must
	 * not overwrite the guest's data later.
	 */
	ret = sync_blockdev(bdev);
	if (ret)
		return ret;
	invalidate_bdev(bdev);

	disk->bdev = bdev;
	disk->mapping = disk->file->f_mapping;
	disk->ro |= bdev_read_only(bdev);
	disk->block_size = bdev_logical_block_size(bdev);
	vhost_blk_disk_align(disk, bdev_dma_alignment(bdev), disk->block_size);
	vblk_bdev_features(disk);
	vhost_blk_bdev_nowait(disk);
	return vhost_blk_zone_open(disk);
}

static int bdev_flush(const struct vhost_blk_disk *disk)
{
	return blkdev_issue_flush(disk->bdev);
}

static u64 bdev_capacity(const struct vhost_blk_disk *disk)
{
	return bdev_nr_sectors(disk->bdev);
}

/* Counted in logical blocks, little endian (5.2.4). */
static void fill_topology(const struct vhost_blk_disk *disk,
			  struct virtio_blk_config *config)
{
	struct block_device *bdev = disk->bdev;
	u32 block = disk->block_size;
	int misaligned = bdev_alignment_offset(bdev);

	/* The device's blocks may have changed since it was attached. */
	config->physical_block_exp =
		ilog2(max(bdev_physical_block_size(bdev), block) / block);
	config->alignment_offset =
		misaligned < 0 ? 0 : min(misaligned / block, 255u);
	config->min_io_size = vhost_blk_min_io(bdev_io_min(bdev) / block);
	config->opt_io_size = __cpu_to_virtio32(true, bdev_io_opt(bdev) / block);
}

static void bdev_config(const struct vhost_blk_disk *disk,
			union vhost_blk_config *config)
{
	fill_topology(disk, &config->v);
	vhost_blk_disk_range_config(disk, &config->v);
	if (disk->zone_sectors)
		vhost_blk_zone_config(disk, config);
}

/* Sectors that one erase may have now; 0 if the device can't do it any more */
static u32 vblk_bdev_max_erase(const struct vhost_blk_disk *disk)
{
	u32 max = min(bdev_max_secure_erase_sectors(disk->bdev),
		      VHOST_BLK_RANGE_STEP / SECTOR_SIZE);

	return round_down(max, disk->block_size / SECTOR_SIZE);
}

/* Bytes of a range to be done at a time, see vhost_blk_do_ranges() */
static u64 vblk_bdev_step(const struct vhost_blk_disk *disk,
			  enum vhost_blk_op op)
{
	u64 granule = (u64)disk->range_align * SECTOR_SIZE;
	u32 erase = vblk_bdev_max_erase(disk);

	if (op == VHOST_BLK_OP_WRITE_ZEROES &&
	    vhost_blk_disk_writes_zeroes(disk))
		return VHOST_BLK_WRITTEN_STEP;
	if (op == VHOST_BLK_OP_SECURE_ERASE && erase)
		return (u64)erase * SECTOR_SIZE;
	/* Part of a discard granule, which may have gigabytes, is not discarded. */
	return granule * DIV64_U64_ROUND_UP((u64)VHOST_BLK_RANGE_STEP, granule);
}

/* Not blkdev_issue_secure_erase(): see vhost_blk_submit_unmerged() */
static int vblk_bdev_erase(const struct vhost_blk_disk *disk, sector_t sector,
			   sector_t nr)
{
	/* The limit may have changed since the step was chosen. */
	if (nr > vblk_bdev_max_erase(disk))
		return -EOPNOTSUPP;
	cond_resched();
	return vhost_blk_submit_unmerged(disk->bdev, REQ_OP_SECURE_ERASE,
					 sector, nr << SECTOR_SHIFT);
}

static int vblk_bdev_issue(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	struct block_device *bdev = req->disk->bdev;
	sector_t sector = range->pos >> SECTOR_SHIFT;
	sector_t nr = range->len >> SECTOR_SHIFT;
	int ret;

	switch (req->io.op) {
	case VHOST_BLK_OP_DISCARD:
		ret = blkdev_issue_discard(bdev, sector, nr, GFP_NOIO);
		/* A hint; the device may have lost the ability since. */
		return ret == -EOPNOTSUPP ? 0 : ret;
	case VHOST_BLK_OP_WRITE_ZEROES:
		return blkdev_issue_zeroout(bdev, sector, nr, GFP_NOIO,
					    range->unmap ?
					    0 : BLKDEV_ZERO_NOUNMAP);
	case VHOST_BLK_OP_SECURE_ERASE:
		return vblk_bdev_erase(req->disk, sector, nr);
	default:
		return -EOPNOTSUPP;
	}
}

static int vblk_bdev_range(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	int ret = vhost_blk_cache_before(req->disk, false, range->pos,
					 range->len);

	if (ret)
		return ret;
	ret = vblk_bdev_issue(req, range);
	vhost_blk_cache_after(req->disk, range->pos, range->len);
	return ret;
}

/*
 * Must the zone be looked at, for the status of a request that it refused?  The
 * error doesn't tell: null_blk says EIO, a SCSI disk EREMOTEIO.  Three errors
 * have a status of their own.  Requests that aren't about one zone, or were given
 * up, end in IOERR, and so do all those of a driver that doesn't know of zones (5.2.6).
 */
static bool needs_reason(const struct vhost_blk_req *req, int error)
{
	if (likely(!error) || !(req->q->ops & VHOST_BLK_ZONE_OPS) ||
	    error == -ETOOMANYREFS || error == -EOVERFLOW ||
	    error == -EOPNOTSUPP || error == -ECANCELED)
		return false;
	return req->io.op != VHOST_BLK_OP_FLUSH &&
	       req->io.op != VHOST_BLK_OP_ZONE_REPORT &&
	       req->io.op != VHOST_BLK_OP_ZONE_RESET_ALL;
}

static void bdev_control(struct vhost_blk_req *req)
{
	int ret;

	if (vhost_blk_op_has_ranges(req->io.op))
		ret = vhost_blk_do_ranges(req, vblk_bdev_range,
					  vblk_bdev_step(req->disk,
							 req->io.op));
	else
		ret = vhost_blk_zone_control(req);
	if (needs_reason(req, ret))
		vhost_blk_zone_explain(req);
	else
		vhost_blk_req_done(req, ret);
}

static void vhost_blk_bdev_finish(struct vhost_blk_req *req, int error)
{
	if (needs_reason(req, error))
		vhost_blk_punt(req, vhost_blk_zone_explain);
	else
		vhost_blk_req_done(req, error);
}

static void vhost_blk_bdev_uncache(struct vhost_blk_req *req)
{
	vhost_blk_cache_after(req->disk, req->io.pos, req->io.len);
	vhost_blk_bdev_finish(req, req->error);
}

/* Is anything in the page cache that this request has to do with?  Rarely. */
static bool vhost_blk_bdev_cached(const struct vhost_blk_req *req)
{
	return unlikely(READ_ONCE(req->disk->mapping->nrpages)) &&
	       vhost_blk_cache_concerned(req);
}

/* A write that failed may have changed something as well. */
static void vhost_blk_bdev_done(struct vhost_blk_req *req, int error)
{
	if (req->io.op != VHOST_BLK_OP_READ && vhost_blk_bdev_cached(req)) {
		req->error = error;
		vhost_blk_punt_last(req, vhost_blk_bdev_uncache);
		return;
	}
	vhost_blk_bdev_finish(req, error);
}

static void vhost_blk_submit_again(struct vhost_blk_req *req);

/*
 * Would the bio have had to wait?  A stacked device may have lost its REQ_NOWAIT
 * since it was attached.
 */
static bool vhost_blk_would_block(const struct bio *bio)
{
	return (bio->bi_opf & REQ_NOWAIT) &&
	       (bio->bi_status == BLK_STS_AGAIN ||
		bio->bi_status == BLK_STS_NOTSUPP);
}

static void bdev_end_io(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;
	int error = blk_status_to_errno(bio->bi_status);
	__le64 sector = cpu_to_le64(bio->bi_iter.bi_sector);
	bool again = unlikely(error) && vhost_blk_would_block(bio);

	bio_uninit(bio);
	if (again) {
		vhost_blk_punt_in_order(req, vhost_blk_submit_again);
		return;
	}
	if (req->io.op == VHOST_BLK_OP_FLUSH)
		error = vhost_blk_disk_flushed(req->disk, error);
	if (!error && req->io.op == VHOST_BLK_OP_ZONE_APPEND) {
		vhost_blk_reply_set(req, &sector, sizeof(sector));
		req->io.pos = le64_to_cpu(sector) << SECTOR_SHIFT;
	}
	vhost_blk_bdev_done(req, error);
}

/* One of several bios is done; the first error is the one of the request. */
static void vhost_blk_one_bio_done(struct vhost_blk_req *req, int error)
{
	if (error)
		cmpxchg(&req->error, 0, error);
	if (atomic_dec_and_test(&req->bios))
		vhost_blk_bdev_done(req, req->error);
}

static void vhost_blk_end_one_bio(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;
	int error = blk_status_to_errno(bio->bi_status);

	bio_uninit(bio);
	vhost_blk_one_bio_done(req, error);
}

static blk_opf_t bdev_opf(const struct vhost_blk_io *io)
{
	blk_opf_t write = REQ_SYNC | REQ_IDLE | (io->sync ? REQ_FUA : 0);

	switch (io->op) {
	case VHOST_BLK_OP_READ:
		return REQ_OP_READ;
	case VHOST_BLK_OP_WRITE:
		return REQ_OP_WRITE | write;
	case VHOST_BLK_OP_ZONE_APPEND:
		return REQ_OP_ZONE_APPEND | write;
	default:
		/* REQ_IDLE: not throttled as writeback, for which it would sleep. */
		return REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC | REQ_IDLE;
	}
}

/*
 * The vectors stay the request's, as those of a cloned bio do: they are not the
 * bio's to release.
 */
static void vhost_blk_bio_init(struct bio *bio, struct vhost_blk_req *req,
			       bio_end_io_t *end_io)
{
	bio_init(bio, req->disk->bdev, NULL, 0, bdev_opf(&req->io));
	bio->bi_private = req;
	bio->bi_end_io = end_io;
	if (req->io.nr_bvec) {
		bio->bi_io_vec = req->io.bvec;
		bio_set_flag(bio, BIO_CLONED);
	}
}

/* The bytes of whole logical blocks, from @iter on, that one bio can have. */
static u32 vhost_blk_bio_bytes(const struct vhost_blk_req *req,
			       struct bvec_iter iter)
{
	const struct vhost_blk_io *io = &req->io;
	unsigned int end = min(io->nr_bvec, iter.bi_idx + BIO_MAX_VECS);
	u32 len = mp_bvec_iter_len(io->bvec, iter);
	unsigned int i;

	if (end == io->nr_bvec)
		return iter.bi_size;
	for (i = iter.bi_idx + 1; i < end; i++)
		len += io->bvec[i].bv_len;
	return round_down(len, req->disk->block_size);
}

/*
 * Submit a request that has more vectors than drivers expect in a bio.  The bios
 * are submitted in the order of their sectors, which zones need.  They were
 * allocated with the vector, so that submitting one never waits for another.
 */
static void vhost_blk_submit_bios(struct vhost_blk_req *req)
{
	struct bio *bio = &req->bio, *next = req->more_bios;
	struct vhost_blk_io *io = &req->io;
	struct bvec_iter iter = {
		.bi_sector = io->pos >> SECTOR_SHIFT,
		.bi_size = io->len,
	};
	u32 len;

	req->error = 0;
	/* The submitter's own, so that the request stays until the end of it. */
	atomic_set(&req->bios, 1);
	while (iter.bi_size) {
		if (vhost_blk_dead(req->q)) {
			cmpxchg(&req->error, 0, -ECANCELED);
			break;
		}
		len = vhost_blk_bio_bytes(req, iter);
		vhost_blk_bio_init(bio, req, vhost_blk_end_one_bio);
		bio->bi_iter = iter;
		bio->bi_iter.bi_size = len;
		bvec_iter_advance(io->bvec, &iter, len);
		iter.bi_sector += len >> SECTOR_SHIFT;
		atomic_inc(&req->bios);
		submit_bio(bio);
		bio = next++;
	}
	vhost_blk_one_bio_done(req, 0);
}

static void vhost_blk_submit_bio(struct vhost_blk_req *req, blk_opf_t flags,
				 unsigned short bio_flags)
{
	struct vhost_blk_io *io = &req->io;
	struct bio *bio = &req->bio;

	vhost_blk_bio_init(bio, req, bdev_end_io);
	bio->bi_opf |= flags;
	bio->bi_flags |= bio_flags;
	if (io->nr_bvec) {
		bio->bi_vcnt = io->nr_bvec;
		bio->bi_iter.bi_size = io->len;
		bio->bi_iter.bi_sector = io->pos >> SECTOR_SHIFT;
	}
	submit_bio(bio);
}

/* The request may have been checked long ago. */
static void vhost_blk_submit_blocking(struct vhost_blk_req *req)
{
	if (req->io.nr_bvec && vhost_blk_disk_outgrown(req->disk))
		vhost_blk_req_done(req, -EIO);
	else if (unlikely(req->io.nr_bvec > BIO_MAX_VECS))
		vhost_blk_submit_bios(req);
	else
		vhost_blk_submit_bio(req, 0, 0);
}

/*
 * After REQ_NOWAIT.  The bytes were charged against io.max, and counted in io.stat,
 * before it turned out that there is no tag.  So are those of a bio that was split,
 * which has the same flags.
 */
static void vhost_blk_submit_again(struct vhost_blk_req *req)
{
	unsigned short counted = req->bio.bi_flags &
				 (1U << BIO_BPS_THROTTLED | 1U << BIO_CGROUP_ACCT);

	if (req->io.nr_bvec && vhost_blk_disk_outgrown(req->disk))
		vhost_blk_req_done(req, -EIO);
	else
		vhost_blk_submit_bio(req, 0, counted);
}

/* Requests with data, and flushes.  A driver without REQ_NOWAIT may block. */
static void vhost_blk_submit_rw(struct vhost_blk_req *req)
{
	const struct vhost_blk_disk *disk = req->disk;
	struct vhost_blk_io *io = &req->io;

	if (disk->nowait_len && io->len <= disk->nowait_len &&
	    io->nr_bvec <= disk->nowait_vecs)
		vhost_blk_submit_bio(req, REQ_NOWAIT, 0);
	else
		vhost_blk_punt_in_order(req, vhost_blk_submit_blocking);
}

static void vhost_blk_submit_cached(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	int ret = vhost_blk_cache_before(req->disk, io->op == VHOST_BLK_OP_READ,
					 io->pos, io->len);

	if (ret)
		vhost_blk_req_done(req, ret);
	else
		vhost_blk_punt_in_order(req, vhost_blk_submit_blocking);
}

static void bdev_submit(struct vhost_blk_req *req)
{
	if (!req->io.nr_bvec && req->io.op != VHOST_BLK_OP_FLUSH)
		vhost_blk_punt(req, bdev_control);
	else if (vhost_blk_bdev_cached(req))
		vhost_blk_punt(req, vhost_blk_submit_cached);
	else
		vhost_blk_submit_rw(req);
}

const struct vhost_blk_ops vhost_blk_bdev_ops = {
	.open = bdev_open,
	.capacity = bdev_capacity,
	.flush = bdev_flush,
	.config = bdev_config,
	.submit = bdev_submit,
};
