// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 4: from a file descriptor to a backend.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "blk.h"

static int pick_ops(struct vhost_blk_disk *disk)
{
	umode_t mode = file_inode(disk->file)->i_mode;

	if (S_ISBLK(mode))
		disk->ops = &vhost_blk_bdev_ops;
	else if (S_ISREG(mode))
		disk->ops = &vhost_blk_file_ops;
	else
		return -EINVAL;
	if (!(disk->file->f_mode & FMODE_READ))
		return -EACCES;
	return disk->ops->open(disk);
}

/**
 * vhost_blk_disk_open - attach what VHOST_BLK_SET_BACKEND names
 * @arg: its argument, flags and reserve already checked
 *
 * Return: the backend, or an ERR_PTR with an errno of the uapi.
 */
struct vhost_blk_disk *vhost_blk_disk_open(const struct vhost_blk_backend *arg)
{
	struct vhost_blk_disk *disk;
	int ret;

	disk = kzalloc_obj(*disk, GFP_KERNEL_ACCOUNT);
	if (!disk)
		return ERR_PTR(-ENOMEM);

	disk->file = fget(arg->fd);
	if (!disk->file) {
		ret = -EBADF;
		goto free_disk;
	}
	disk->ro = (arg->flags & VHOST_BLK_BACKEND_F_RO) ||
		   !(disk->file->f_mode & FMODE_WRITE);
	memcpy(disk->serial, arg->serial, sizeof(disk->serial));
	vhost_blk_owner_get(&disk->owner);

	ret = pick_ops(disk);
	if (ret)
		goto put_file;
	return disk;

put_file:
	vhost_blk_owner_put(&disk->owner);
	fput(disk->file);
free_disk:
	kfree(disk);
	return ERR_PTR(ret);
}

/**
 * vhost_blk_disk_close - detach a backend that nothing uses any more
 * @disk: may be NULL
 */
void vhost_blk_disk_close(struct vhost_blk_disk *disk)
{
	if (!disk)
		return;
	vhost_blk_owner_put(&disk->owner);
	fput(disk->file);
	kfree(disk);
}

/**
 * vhost_blk_disk_flushed - the outcome of a flush
 * @disk: the backend
 * @error: what the flush ended in, 0 or a negative errno
 *
 * An error of a flush stays.  The kernel reports a failed writeback once and
 * then takes the pages for clean, and a disk may treat its cache alike: a later
 * flush that succeeds doesn't mean that the data is stable.  Whoever met the
 * error may not have been the guest either (a swap, VHOST_BLK_SET_CONFIG).  An
 * interrupted flush lost nothing: it is not an error of the backend.
 *
 * Context: any.
 * Return: 0, or the errno of the first flush that failed since the backend was
 * attached.
 */
int vhost_blk_disk_flushed(struct vhost_blk_disk *disk, int error)
{
	int before = READ_ONCE(disk->flush_error);

	if (likely(!error) || before)
		return before;
	if (error != -EINTR && error != -ERESTARTSYS)
		cmpxchg(&disk->flush_error, 0, error);
	return error;
}

/**
 * vhost_blk_disk_flush - make stable what has been written to a backend
 * @disk: the backend
 *
 * Sleeps.  Nothing has been written to a read-only backend, and not every file
 * system has an fsync() for one.
 *
 * Return: as vhost_blk_disk_flushed().
 */
int vhost_blk_disk_flush(struct vhost_blk_disk *disk)
{
	if (disk->ro)
		return 0;
	return vhost_blk_disk_flushed(disk, disk->ops->flush(disk));
}

/* Zeroes that have to be written, at a time. */
#define UNAIDED_SECTORS	(32U * 1024 * 1024 / SECTOR_SIZE)

/**
 * vhost_blk_cap_range - sectors of a range, for the configuration space
 * @sectors: what the device can do at a time
 */
u32 vhost_blk_cap_range(u32 sectors)
{
	return min(sectors, VHOST_BLK_MAX_RANGE_SECTORS);
}

/**
 * vhost_blk_cap_zeroes - the same for zeroes, which every device can write
 * @sectors: what the device can do at a time, 0 where it is of no help
 */
u32 vhost_blk_cap_zeroes(u32 sectors)
{
	return vhost_blk_cap_range(sectors ?: UNAIDED_SECTORS);
}

/**
 * vhost_blk_disk_align - set the alignment of segments for direct I/O
 * @disk: the backend; its block_size is set
 * @dma_mask: bits that must be 0 in an address, as the device asks for it
 *
 * The block layer, integrity code, dm targets and drivers expect each vector of
 * a bio to be a whole number of logical blocks.  Linux 6.1 has a BUG() if it
 * can't split a bio at a block, and writes one integrity tuple too many for
 * each vector that is less than a block.  So the length of a segment has to be
 * a multiple of the block.
 *
 * The address has to be aligned to the block as well, even if the device can
 * do DMA to any address: a segment is split into vectors at the end of
 * a page whose successor is somewhere else in memory.  A block of 4096 bytes at offset 512
 * of a page would become a vector of 3584 and one of 512 bytes.  A block of
 * more than a page is cut at the ends of pages in any case; the kernels that
 * support such blocks can handle that.
 */
void vhost_blk_disk_align(struct vhost_blk_disk *disk, u32 dma_mask)
{
	disk->len_mask = disk->block_size - 1;
	disk->addr_mask = dma_mask | (disk->len_mask & ~PAGE_MASK);
}

/**
 * vhost_blk_disk_limits - what requests are to be checked against
 * @disk: the backend
 * @limits: filled in, but for its ops, as of now: size and write protection
 *	may change
 */
void vhost_blk_disk_limits(const struct vhost_blk_disk *disk,
			   struct vhost_blk_limits *limits)
{
	limits->block_sectors = disk->block_size / SECTOR_SIZE;
	limits->capacity = round_down(disk->ops->capacity(disk),
				      limits->block_sectors);
	limits->zone_sectors = disk->zone_sectors;
	limits->append_sectors = disk->append_sectors;
	limits->ro = disk->ro || (disk->bdev && bdev_read_only(disk->bdev));
}
