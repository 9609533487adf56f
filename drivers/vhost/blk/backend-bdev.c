// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block devices, by one bio on the guest's own pages.  Requests without data,
 * except for flushes, sleep in the block layer and go to the workqueue.
 *
 * The host's page cache of the device is kept coherent with what the guest reads
 * and writes by bios, as direct I/O on the device does: other processes of the
 * host may read or write the device through its cache.  Usually that is empty.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "internal.h"

/* What the device can do beyond reading, writing and flushing. */
static void vblk_bdev_features(struct vhost_blk_be *be)
{
	struct block_device *bdev = be->bdev;
	u32 granularity = bdev_discard_granularity(bdev);
	u32 discard = bdev_max_discard_sectors(bdev);
	u32 zeroes = bdev_write_zeroes_sectors(bdev);
	u32 erase = bdev_max_secure_erase_sectors(bdev);

	be->range_align = max(granularity, be->block_size) / SECTOR_SIZE;
	/* Granules begin where the whole disk does, as in blkdev_issue_discard(). */
	div_u64_rem(bdev->bd_start_sect, be->range_align, &be->range_offset);
	/* There, it is zones that are reset, and written one after the other. */
	if (bdev_is_zoned(bdev))
		return;

	be->features = 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	be->max_zeroes_sectors =
		vhost_blk_clamp_range(be, zeroes ?: VHOST_BLK_WRITTEN_SECTORS);
	be->zeroes_unmap = discard || zeroes;
	if (discard && granularity) {
		be->features |= 1ULL << VIRTIO_BLK_F_DISCARD;
		be->max_discard_sectors = vhost_blk_clamp_range(be, discard);
	}
	if (erase) {
		be->features |= 1ULL << VIRTIO_BLK_F_SECURE_ERASE;
		be->max_erase_sectors = vhost_blk_clamp_range(be, erase);
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
static void vblk_bdev_nowait(struct vhost_blk_be *be)
{
	struct block_device *bdev = be->bdev;

	if (!bdev_nowait(bdev) || bdev_is_zoned(bdev))
		return;
	be->nowait_len = queue_max_bytes(bdev_get_queue(bdev));
	be->nowait_vecs = min_t(u32, bdev_max_segments(bdev), BIO_MAX_VECS);
}

static int vblk_bdev_open(struct vhost_blk_be *be)
{
	struct block_device *bdev = I_BDEV(be->file->f_mapping->host);
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

	be->bdev = bdev;
	be->mapping = be->file->f_mapping;
	be->ro |= bdev_read_only(bdev);
	be->block_size = bdev_logical_block_size(bdev);
	vhost_blk_backend_set_align(be, bdev_dma_alignment(bdev), be->block_size);
	vblk_bdev_features(be);
	vblk_bdev_nowait(be);
	return vhost_blk_zone_open(be);
}

static int vblk_bdev_flush(const struct vhost_blk_be *be)
{
	return blkdev_issue_flush(be->bdev);
}

static u64 vblk_bdev_capacity(const struct vhost_blk_be *be)
{
	return bdev_nr_sectors(be->bdev);
}

/* Counted in logical blocks, little endian (5.2.4). */
static void vblk_bdev_topology(const struct vhost_blk_be *be,
			       struct virtio_blk_config *config)
{
	struct block_device *bdev = be->bdev;
	u32 block = be->block_size;
	int misaligned = bdev_alignment_offset(bdev);

	/* The device's blocks may have changed since it was attached. */
	config->physical_block_exp =
		ilog2(max(bdev_physical_block_size(bdev), block) / block);
	config->alignment_offset =
		misaligned < 0 ? 0 : min(misaligned / block, 255u);
	config->min_io_size = vhost_blk_min_io(bdev_io_min(bdev) / block);
	config->opt_io_size = __cpu_to_virtio32(true, bdev_io_opt(bdev) / block);
}

static void vblk_bdev_config(const struct vhost_blk_be *be,
			     union vhost_blk_config *config)
{
	vblk_bdev_topology(be, &config->v);
	vhost_blk_backend_range_config(be, &config->v);
	if (be->zone_sectors)
		vhost_blk_zone_config(be, config);
}

/* Are there pages that have not been written to the device yet? */
static bool vblk_cache_dirty(struct address_space *mapping)
{
	return mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

/*
 * Does the page cache, which isn't empty, have any of the data?  A read needs
 * only what is dirty.  Called in any context.
 */
static bool vblk_cache_overlaps(const struct vhost_blk_req *req)
{
	struct address_space *mapping = req->be->mapping;
	const struct vhost_blk_io *io = &req->io;

	if (!io->len)
		return false;
	if (io->op == VHOST_BLK_OP_READ && !vblk_cache_dirty(mapping))
		return false;
	return filemap_range_has_page(mapping, io->pos, io->pos + io->len - 1);
}

/*
 * Drop what is stale after a change of @len bytes, which is not 0; sleeps.  A
 * page that is dirty or in use stays.  Direct I/O can't do better.
 */
static void vblk_cache_invalidate(const struct vhost_blk_be *be, u64 pos, u64 len)
{
	if (READ_ONCE(be->mapping->nrpages))
		invalidate_inode_pages2_range(be->mapping, pos >> PAGE_SHIFT,
					      (pos + len - 1) >> PAGE_SHIFT);
}

/*
 * Prepare the page cache for I/O by bios on @len bytes, which is not 0; sleeps.
 * If @read nothing is going to be changed.
 *
 * Return: 0, or the error of writing dirty pages.
 */
static int vblk_cache_prepare(const struct vhost_blk_be *be, bool read, u64 pos,
			      u64 len)
{
	int ret;

	if (!READ_ONCE(be->mapping->nrpages))
		return 0;
	ret = filemap_write_and_wait_range(be->mapping, pos, pos + len - 1);
	if (!ret && !read)
		vblk_cache_invalidate(be, pos, len);
	return ret;
}

/* Bytes of a range to be done at a time, see vhost_blk_do_ranges() */
static u64 vblk_bdev_step(const struct vhost_blk_be *be,
			  enum vhost_blk_op op)
{
	u64 granule = (u64)be->range_align * SECTOR_SIZE;

	if (op == VHOST_BLK_OP_WRITE_ZEROES &&
	    vhost_blk_backend_writes_zeroes(be))
		return VHOST_BLK_WRITTEN_STEP;
	/* Part of a discard granule, which may have gigabytes, is not discarded. */
	return granule * DIV64_U64_ROUND_UP((u64)VHOST_BLK_RANGE_STEP, granule);
}

static int vblk_bdev_issue(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	struct block_device *bdev = req->be->bdev;
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
		return blkdev_issue_secure_erase(bdev, sector, nr, GFP_NOIO);
	default:
		return -EOPNOTSUPP;
	}
}

static int vblk_bdev_range(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	int ret = vblk_cache_prepare(req->be, false, range->pos,
					  range->len);

	if (ret)
		return ret;
	ret = vblk_bdev_issue(req, range);
	vblk_cache_invalidate(req->be, range->pos, range->len);
	return ret;
}

static void vblk_bdev_control(struct vhost_blk_req *req)
{
	sector_t reset = 0;
	int ret;

	if (vhost_blk_op_has_ranges(req->io.op))
		ret = vhost_blk_do_ranges(req, vblk_bdev_range,
					  vblk_bdev_step(req->be,
							 req->io.op));
	else
		ret = vhost_blk_zone_control(req, &reset);
	if (reset)
		vblk_cache_invalidate(req->be, req->io.pos,
				      reset << SECTOR_SHIFT);
	if (ret && vhost_blk_zone_has_status(req, ret))
		vhost_blk_zone_map_error(req);
	else
		vhost_blk_req_done(req, ret);
}

static void vblk_bdev_finish(struct vhost_blk_req *req, int error)
{
	if (unlikely(error) && vhost_blk_zone_has_status(req, error))
		vhost_blk_punt(req, vhost_blk_zone_map_error);
	else
		vhost_blk_req_done(req, error);
}

static void vblk_bdev_invalidate(struct vhost_blk_req *req)
{
	vblk_cache_invalidate(req->be, req->io.pos, req->io.len);
	vblk_bdev_finish(req, req->error);
}

/* Is anything in the page cache that this request has to do with?  Rarely. */
static bool vblk_bdev_cached(const struct vhost_blk_req *req)
{
	return unlikely(READ_ONCE(req->be->mapping->nrpages)) &&
	       vblk_cache_overlaps(req);
}

/* A write that failed may have changed something as well. */
static void vblk_bdev_done(struct vhost_blk_req *req, int error)
{
	if (req->io.op != VHOST_BLK_OP_READ && vblk_bdev_cached(req)) {
		req->error = error;
		vhost_blk_punt_always(req, vblk_bdev_invalidate);
		return;
	}
	vblk_bdev_finish(req, error);
}

static void vblk_bdev_resubmit(struct vhost_blk_req *req);

/*
 * Would the bio have had to wait?  A stacked device may have lost its REQ_NOWAIT
 * since it was attached.
 */
static bool vblk_bio_would_block(const struct bio *bio)
{
	return (bio->bi_opf & REQ_NOWAIT) &&
	       (bio->bi_status == BLK_STS_AGAIN ||
		bio->bi_status == BLK_STS_NOTSUPP);
}

static void vblk_bdev_end_io(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;
	int error = blk_status_to_errno(bio->bi_status);
	__le64 sector = cpu_to_le64(bio->bi_iter.bi_sector);
	bool again = unlikely(error) && vblk_bio_would_block(bio);

	bio_uninit(bio);
	if (again) {
		vhost_blk_punt_in_order(req, vblk_bdev_resubmit);
		return;
	}
	if (req->io.op == VHOST_BLK_OP_FLUSH)
		error = vhost_blk_backend_flushed(req->be, error);
	if (!error && req->io.op == VHOST_BLK_OP_ZONE_APPEND) {
		vhost_blk_response_set(req, &sector, sizeof(sector));
		req->io.pos = le64_to_cpu(sector) << SECTOR_SHIFT;
	}
	vblk_bdev_done(req, error);
}

/* One of several bios is done; the first error is the one of the request. */
static void vblk_bdev_bio_done(struct vhost_blk_req *req, int error)
{
	if (error)
		cmpxchg(&req->error, 0, error);
	if (atomic_dec_and_test(&req->bios))
		vblk_bdev_done(req, req->error);
}

static void vblk_bdev_end_one_bio(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;
	int error = blk_status_to_errno(bio->bi_status);

	bio_uninit(bio);
	vblk_bdev_bio_done(req, error);
}

static blk_opf_t vblk_bdev_opf(const struct vhost_blk_io *io)
{
	blk_opf_t write = REQ_SYNC | REQ_IDLE | (io->fua ? REQ_FUA : 0);

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
static void vblk_bdev_bio_init(struct bio *bio, struct vhost_blk_req *req,
			       bio_end_io_t *end_io)
{
	bio_init(bio, req->be->bdev, NULL, 0, vblk_bdev_opf(&req->io));
	bio->bi_private = req;
	bio->bi_end_io = end_io;
	if (req->io.nr_bvec) {
		bio->bi_io_vec = req->io.bvec;
		bio_set_flag(bio, BIO_CLONED);
	}
}

/* The bytes of whole logical blocks, from @iter on, that one bio can have. */
static u32 vblk_bdev_bio_bytes(const struct vhost_blk_req *req,
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
	return round_down(len, req->be->block_size);
}

/*
 * Submit a request that has more vectors than drivers expect in a bio.  The bios
 * are submitted in the order of their sectors, which zones need.  They were
 * allocated with the vector, so that submitting one never waits for another.
 */
static void vblk_bdev_submit_bios(struct vhost_blk_req *req)
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
		len = vblk_bdev_bio_bytes(req, iter);
		vblk_bdev_bio_init(bio, req, vblk_bdev_end_one_bio);
		bio->bi_iter = iter;
		bio->bi_iter.bi_size = len;
		bvec_iter_advance(io->bvec, &iter, len);
		iter.bi_sector += len >> SECTOR_SHIFT;
		atomic_inc(&req->bios);
		submit_bio(bio);
		bio = next++;
	}
	vblk_bdev_bio_done(req, 0);
}

static void vblk_bdev_submit_bio(struct vhost_blk_req *req, blk_opf_t flags,
				 unsigned short bio_flags)
{
	struct vhost_blk_io *io = &req->io;
	struct bio *bio = &req->bio;

	vblk_bdev_bio_init(bio, req, vblk_bdev_end_io);
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
static void vblk_bdev_submit_blocking(struct vhost_blk_req *req)
{
	if (req->io.nr_bvec && vhost_blk_backend_outgrown(req->be))
		vhost_blk_req_done(req, -EIO);
	else if (unlikely(req->io.nr_bvec > BIO_MAX_VECS))
		vblk_bdev_submit_bios(req);
	else
		vblk_bdev_submit_bio(req, 0, 0);
}

/*
 * After REQ_NOWAIT.  The bytes were charged against io.max, and counted in io.stat,
 * before it turned out that there is no tag.  So are those of a bio that was split,
 * which has the same flags.
 */
static void vblk_bdev_resubmit(struct vhost_blk_req *req)
{
	unsigned short counted = req->bio.bi_flags &
				 (1U << BIO_BPS_THROTTLED | 1U << BIO_CGROUP_ACCT);

	if (req->io.nr_bvec && vhost_blk_backend_outgrown(req->be))
		vhost_blk_req_done(req, -EIO);
	else
		vblk_bdev_submit_bio(req, 0, counted);
}

/* Requests with data, and flushes.  A driver without REQ_NOWAIT may block. */
static void vblk_bdev_submit_rw(struct vhost_blk_req *req)
{
	const struct vhost_blk_be *be = req->be;
	struct vhost_blk_io *io = &req->io;

	if (be->nowait_len && io->len <= be->nowait_len &&
	    io->nr_bvec <= be->nowait_vecs)
		vblk_bdev_submit_bio(req, REQ_NOWAIT, 0);
	else
		vhost_blk_punt_in_order(req, vblk_bdev_submit_blocking);
}

static void vblk_bdev_submit_cached(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	int ret = vblk_cache_prepare(req->be, io->op == VHOST_BLK_OP_READ,
					  io->pos, io->len);

	if (ret)
		vhost_blk_req_done(req, ret);
	else
		vhost_blk_punt_in_order(req, vblk_bdev_submit_blocking);
}

static void vblk_bdev_submit(struct vhost_blk_req *req)
{
	if (!req->io.nr_bvec && req->io.op != VHOST_BLK_OP_FLUSH)
		vhost_blk_punt(req, vblk_bdev_control);
	else if (vblk_bdev_cached(req))
		vhost_blk_punt(req, vblk_bdev_submit_cached);
	else
		vblk_bdev_submit_rw(req);
}

const struct vhost_blk_backend_ops vhost_blk_bdev_ops = {
	.open = vblk_bdev_open,
	.capacity = vblk_bdev_capacity,
	.flush = vblk_bdev_flush,
	.config = vblk_bdev_config,
	.submit = vblk_bdev_submit,
};
