// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 4a: block devices, by one bio on the guest's own pages.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/log2.h>

#include "blk.h"

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
	disk->ro |= bdev_read_only(bdev);
	disk->block_size = bdev_logical_block_size(bdev);
	disk->mem_mask = bdev_dma_alignment(bdev) | (SECTOR_SIZE - 1);
	return 0;
}

static u64 bdev_capacity(const struct vhost_blk_disk *disk)
{
	return bdev_nr_sectors(disk->bdev);
}

/* Counted in logical blocks, little endian (5.2.4). */
static void bdev_topology(const struct vhost_blk_disk *disk,
			  struct virtio_blk_config *config)
{
	struct block_device *bdev = disk->bdev;
	u32 block = disk->block_size;
	int misaligned = bdev_alignment_offset(bdev);
	u32 min_io = min_t(u32, bdev_io_min(bdev) / block, U16_MAX);

	config->physical_block_exp =
		ilog2(bdev_physical_block_size(bdev) / block);
	config->alignment_offset =
		misaligned < 0 ? 0 : min(misaligned / block, 255u);
	config->min_io_size = __cpu_to_virtio16(true, min_io);
	config->opt_io_size = __cpu_to_virtio32(true, bdev_io_opt(bdev) / block);
}

static void bdev_end_io(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;
	int error = blk_status_to_errno(bio->bi_status);

	bio_uninit(bio);
	vhost_blk_req_done(req, error);
}

static blk_opf_t bdev_opf(const struct vhost_blk_io *io)
{
	switch (io->op) {
	case VHOST_BLK_OP_READ:
		return REQ_OP_READ;
	case VHOST_BLK_OP_WRITE:
		return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
		       (io->sync ? REQ_FUA : 0);
	default:
		return REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;
	}
}

static void bdev_submit(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	struct bio *bio = &req->bio;

	bio_init(bio, req->disk->bdev, NULL, 0, bdev_opf(io));
	bio->bi_private = req;
	bio->bi_end_io = bdev_end_io;
	if (io->nr_bvec) {
		/*
		 * The vector stays the request's, as of a cloned bio: it is
		 * not the bio's to release, and may be longer than a bio's
		 * own could be.  The block layer splits where it has to.
		 */
		bio->bi_io_vec = io->bvec;
		bio->bi_iter.bi_size = io->len;
		bio->bi_iter.bi_sector = io->pos >> SECTOR_SHIFT;
		bio_set_flag(bio, BIO_CLONED);
	}
	submit_bio(bio);
}

const struct vhost_blk_ops vhost_blk_bdev_ops = {
	.open = bdev_open,
	.capacity = bdev_capacity,
	.topology = bdev_topology,
	.submit = bdev_submit,
};
