// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backend for block devices: submits bios on the guest's pages.  Flushes are
 * bios too.  Other requests without data sleep in the block layer, so the
 * workqueue executes them.
 *
 * Other processes of the host may read or write the device through its page
 * cache, which is usually empty.  It is kept coherent with the bios of the
 * guest in the way of direct I/O.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/major.h>
#include <linux/math.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "internal.h"

/* Set features and limits of discard, write zeroes and secure erase. */
static void vblk_bdev_features(struct vhost_blk_be *be)
{
	struct block_device *bdev = be->bdev;
	u32 granularity = bdev_discard_granularity(bdev);
	u32 discard = bdev_max_discard_sectors(bdev);
	u32 zeroes = bdev_write_zeroes_sectors(bdev);
	u32 erase = 0;

	/*
	 * md and DRBD inherit the limit of their members, and treat an erase as
	 * a write: RAID 5 copies its data, which it does not have.
	 */
	if (queue_is_mq(bdev_get_queue(bdev)))
		erase = bdev_max_secure_erase_sectors(bdev);
	be->range_align = max3(granularity, be->block_size,
			       be->guest_block_size) / SECTOR_SIZE;
	/*
	 * Granules are counted from the start of the whole disk, as in
	 * blkdev_issue_discard().
	 */
	div_u64_rem(bdev->bd_start_sect, be->range_align, &be->range_offset);
	/*
	 * A zoned device has none of these: its zones are reset, and written in
	 * sequence.
	 */
	if (bdev_is_zoned(bdev))
		return;

	be->features = 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	be->max_zeroes_sectors =
		vhost_blk_clamp_range(be, zeroes ?: VHOST_BLK_WRITTEN_SECTORS);
	be->zeroes_unmap = zeroes;
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
 * Check whether the driver waits when it gets a request, which no flag of a bio
 * prevents: nbd for its server to read from the connection, mmc for the card.
 * BLK_MQ_F_BLOCKING does not tell: drivers that only may sleep have it, too.
 */
static bool vblk_bdev_driver_waits(const struct gendisk *disk)
{
	return disk->major == NBD_MAJOR || disk->major == MMC_BLOCK_MAJOR;
}

/*
 * Set the limits of bios that the worker submits with REQ_NOWAIT.
 *
 * The worker holds the mutex of the queue while it submits, so it must not wait
 * for a tag or for a queue that is frozen.  A thread of the workqueue submits
 * bios that REQ_NOWAIT refuses, and without an attempt those that would have to
 * be split, which REQ_NOWAIT refuses too.  If the driver does not support
 * REQ_NOWAIT, the limits are 0 and the thread submits all bios.  The limits
 * only avoid useless attempts: they may change later, and the block layer has
 * others.  They are for bios with data, see vblk_bdev_submit_flush().
 *
 * They are also 0 if the driver waits, and for zoned devices: a write that is
 * refused and submitted again could be overtaken by a later write to its zone.
 */
static void vblk_bdev_nowait(struct vhost_blk_be *be)
{
	struct block_device *bdev = be->bdev;

	if (!bdev_nowait(bdev) || bdev_is_zoned(bdev))
		return;
	if (vblk_bdev_driver_waits(bdev->bd_disk))
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
	 * Bios bypass the page cache of the device: dirty pages must not
	 * overwrite the guest's data later.
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

/*
 * Fill in the topology: in logical blocks of the guest, little endian (5.2.4).
 */
static void vblk_bdev_topology(const struct vhost_blk_be *be,
			       struct virtio_blk_config *config)
{
	struct block_device *bdev = be->bdev;
	u32 block = be->guest_block_size;
	int misaligned = bdev_alignment_offset(bdev);

	/* The blocks of the device may have changed since the attach. */
	config->physical_block_exp =
		ilog2(max(bdev_physical_block_size(bdev), block) / block);
	config->alignment_offset =
		misaligned < 0 ? 0 : min(misaligned / block, 255u);
	config->min_io_size = vhost_blk_min_io(max_t(u32, bdev_io_min(bdev) / block, 1));
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

/* Check for pages that have not been written to the device yet. */
static bool vblk_cache_dirty(struct address_space *mapping)
{
	return mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

/*
 * Check whether the page cache, which is not empty, has pages that concern a
 * request.  For a read these are dirty pages only.
 *
 * Context: Any.
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
 * Drop stale pages after a change of @len bytes, which is not 0.  Pages that
 * are dirty or in use stay, as with direct I/O.  Sleeps.
 */
static void vblk_cache_invalidate(const struct vhost_blk_be *be, u64 pos, u64 len)
{
	if (READ_ONCE(be->mapping->nrpages))
		invalidate_inode_pages2_range(be->mapping, pos >> PAGE_SHIFT,
					      (pos + len - 1) >> PAGE_SHIFT);
}

/*
 * Prepare the page cache for bios on @len bytes, which is not 0: write dirty
 * pages, and unless @read drop all pages.  Sleeps.
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

/* Sectors that one erase may have now, 0 if the device cannot erase any more */
static u32 vblk_bdev_max_erase(const struct vhost_blk_be *be)
{
	u32 max = min(bdev_max_secure_erase_sectors(be->bdev),
		      VHOST_BLK_RANGE_STEP / SECTOR_SIZE);

	return round_down(max, be->block_size / SECTOR_SIZE);
}

/* Step in bytes for vhost_blk_do_ranges() */
static u64 vblk_bdev_step(const struct vhost_blk_be *be,
			  enum vhost_blk_op op)
{
	u64 granule = (u64)be->range_align * SECTOR_SIZE;
	u32 erase = vblk_bdev_max_erase(be);

	if (op == VHOST_BLK_OP_WRITE_ZEROES &&
	    vhost_blk_backend_writes_zeroes(be))
		return VHOST_BLK_WRITTEN_STEP;
	if (op == VHOST_BLK_OP_SECURE_ERASE && erase)
		return (u64)erase * SECTOR_SIZE;
	/*
	 * The device ignores a discard of part of a granule, which may have
	 * gigabytes.
	 */
	return granule * DIV64_U64_ROUND_UP((u64)VHOST_BLK_RANGE_STEP, granule);
}

/*
 * Erase one step of a range.  blkdev_issue_secure_erase() is not safe, see
 * vhost_blk_submit_unmerged().  Sleeps.  Return: 0 or a negative errno.
 */
static int vblk_bdev_erase(const struct vhost_blk_be *be, sector_t sector,
			   sector_t nr)
{
	/* The limit may have changed since the step was chosen. */
	if (nr > vblk_bdev_max_erase(be))
		return -EOPNOTSUPP;
	cond_resched();
	return vhost_blk_submit_unmerged(be->bdev, REQ_OP_SECURE_ERASE, sector,
					 nr << SECTOR_SHIFT);
}

/* Execute one step of a range.  Sleeps.  Return: 0 or a negative errno. */
static int vblk_bdev_issue(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	struct block_device *bdev = req->be->bdev;
	sector_t sector = range->pos >> SECTOR_SHIFT;
	sector_t nr = range->len >> SECTOR_SHIFT;
	int ret;

	/*
	 * Zones, if another table of device mapper has added them: steps and
	 * alignment are not checked for them.
	 */
	if (bdev_is_zoned(bdev) ||
	    vhost_blk_backend_refuses(req->be, req->io.op))
		return -EIO;
	switch (req->io.op) {
	case VHOST_BLK_OP_DISCARD:
		ret = blkdev_issue_discard(bdev, sector, nr, GFP_NOIO);
		/*
		 * A discard is a hint, and the device may not support it any
		 * more.
		 */
		return ret == -EOPNOTSUPP ? 0 : ret;
	case VHOST_BLK_OP_WRITE_ZEROES:
		return blkdev_issue_zeroout(bdev, sector, nr, GFP_NOIO,
					    range->unmap ?
					    0 : BLKDEV_ZERO_NOUNMAP);
	case VHOST_BLK_OP_SECURE_ERASE:
		return vblk_bdev_erase(req->be, sector, nr);
	default:
		return -EOPNOTSUPP;
	}
}

/* Execute one step of a range, and keep the page cache coherent. */
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

/*
 * Execute a request without data that is not a flush.  Runs in the workqueue.
 */
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
	req->error = ret;
	if (ret && vhost_blk_zone_must_report(req, ret))
		vhost_blk_zone_map_error(req);
	else
		vhost_blk_req_done(req, ret);
}

/* Finish a request.  After an error that concerns a zone, look at it first. */
static void vblk_bdev_finish(struct vhost_blk_req *req, int error)
{
	if (unlikely(error) && vhost_blk_zone_must_report(req, error)) {
		req->error = error;
		vhost_blk_punt(req, vhost_blk_zone_map_error);
		return;
	}
	vhost_blk_req_done(req, error);
}

/* Drop stale pages after a write, then finish it.  Runs in the workqueue. */
static void vblk_bdev_invalidate(struct vhost_blk_req *req)
{
	vblk_cache_invalidate(req->be, req->io.pos, req->io.len);
	vblk_bdev_finish(req, req->error);
}

/* Check whether the page cache has pages that concern the request; rare. */
static bool vblk_bdev_cached(const struct vhost_blk_req *req)
{
	return unlikely(READ_ONCE(req->be->mapping->nrpages)) &&
	       vblk_cache_overlaps(req);
}

/* The I/O of a request is done.  A failed write may have changed data too. */
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
 * Check whether REQ_NOWAIT is the reason of an error: the bio would have had to
 * wait, or a stacked device does not support REQ_NOWAIT any more.
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

/* One of several bios is done.  The request gets the first error. */
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
		/* REQ_IDLE: not throttled as writeback, which would sleep */
		return REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC | REQ_IDLE;
	}
}

/*
 * Initialize a bio.  BIO_CLONED: the request owns the vector, and the bio must
 * not release it.
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

/*
 * Number of bytes that one bio can take from @iter on.  All but the last bio
 * have whole units, so that each write starts where vblk_window_bytes() requires
 * it.
 */
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
	return round_down(len, req->be->len_mask + 1);
}

/*
 * Submit a request that has more vectors than drivers expect in a bio.  The
 * bios are submitted in the order of their sectors, which zones require.  They
 * were allocated with the vector, so that submitting one never waits for
 * another.
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
	/*
	 * One reference of the submitter, so that the request is not done
	 * before the loop ends.
	 */
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

/* Submit a request as one bio.  @flags and @bio_flags are added to its own. */
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

/*
 * Check again whether the device takes the data of a request, which may have been
 * checked long ago.
 */
static bool vblk_bdev_refuses(const struct vhost_blk_req *req)
{
	return req->io.nr_bvec &&
	       (vhost_blk_backend_refuses(req->be, req->io.op) ||
		vhost_blk_zone_outgrown(req));
}

/* Submit in the thread of the queue, which may wait. */
static void vblk_bdev_submit_blocking(struct vhost_blk_req *req)
{
	if (vblk_bdev_refuses(req))
		vhost_blk_req_done(req, -EIO);
	else if (unlikely(req->io.nr_bvec > BIO_MAX_VECS))
		vblk_bdev_submit_bios(req);
	else
		vblk_bdev_submit_bio(req, 0, 0);
}

/*
 * Submit a bio again that REQ_NOWAIT has refused.  Its bytes were charged to
 * io.max and counted in io.stat before the block layer found no tag, also if it
 * was split.  So keep the flags that say so.
 */
static void vblk_bdev_resubmit(struct vhost_blk_req *req)
{
	unsigned short counted = req->bio.bi_flags &
				 (1U << BIO_BPS_THROTTLED | 1U << BIO_CGROUP_ACCT);

	if (vblk_bdev_refuses(req))
		vhost_blk_req_done(req, -EIO);
	else
		vblk_bdev_submit_bio(req, 0, counted);
}

/*
 * Submit a request with data.  Another table of device mapper may have added
 * zones; then writes stay in order, and their size is checked.
 */
static void vblk_bdev_submit_rw(struct vhost_blk_req *req)
{
	const struct vhost_blk_be *be = req->be;
	struct vhost_blk_io *io = &req->io;

	if (be->nowait_len && io->len <= be->nowait_len &&
	    io->nr_bvec <= be->nowait_vecs &&
	    (io->op == VHOST_BLK_OP_READ || !bdev_is_zoned(be->bdev)))
		vblk_bdev_submit_bio(req, REQ_NOWAIT, 0);
	else
		vhost_blk_punt_in_order(req, vblk_bdev_submit_blocking);
}

/* Prepare the page cache, then submit the request.  Runs in the workqueue. */
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

/*
 * Submit a flush.  A device without request queues of its own (md) sends flushes
 * to its members without REQ_NOWAIT, or refuses a flush with it (dm).
 */
static void vblk_bdev_submit_flush(struct vhost_blk_req *req)
{
	const struct vhost_blk_be *be = req->be;

	if (be->nowait_len && queue_is_mq(bdev_get_queue(be->bdev)))
		vblk_bdev_submit_bio(req, REQ_NOWAIT, 0);
	else
		vhost_blk_punt_in_order(req, vblk_bdev_submit_blocking);
}

static void vblk_bdev_submit(struct vhost_blk_req *req)
{
	if (req->io.op == VHOST_BLK_OP_FLUSH)
		vblk_bdev_submit_flush(req);
	else if (!req->io.nr_bvec)
		vhost_blk_punt(req, vblk_bdev_control);
	else if (vblk_bdev_cached(req))
		vhost_blk_punt(req, vblk_bdev_submit_cached);
	else
		vblk_bdev_submit_rw(req);
}

/*
 * Read or write blocks, and keep the page cache coherent.  Sleeps.  Return: 0 or
 * a negative errno.
 */
static int vblk_bdev_rw(struct vhost_blk_req *req, enum vhost_blk_op op, u64 pos,
			struct bio_vec *bvec, unsigned int nr, u32 len)
{
	struct vhost_blk_io io = { .op = op, .fua = req->io.fua };
	struct vhost_blk_be *be = req->be;
	bool read = op == VHOST_BLK_OP_READ;
	struct bio bio;
	int ret;

	if (bdev_is_zoned(be->bdev) || vhost_blk_backend_refuses(be, op))
		return -EIO;
	ret = vblk_cache_prepare(be, read, pos, len);
	if (ret)
		return ret;
	bio_init(&bio, be->bdev, bvec, nr, vblk_bdev_opf(&io));
	bio.bi_vcnt = nr;
	bio.bi_iter.bi_sector = pos >> SECTOR_SHIFT;
	bio.bi_iter.bi_size = len;
	ret = submit_bio_wait(&bio);
	bio_uninit(&bio);
	if (!read)
		vblk_cache_invalidate(be, pos, len);
	return ret;
}

const struct vhost_blk_backend_ops vhost_blk_bdev_ops = {
	.open = vblk_bdev_open,
	.capacity = vblk_bdev_capacity,
	.flush = vblk_bdev_flush,
	.config = vblk_bdev_config,
	.submit = vblk_bdev_submit,
	.rw = vblk_bdev_rw,
};
