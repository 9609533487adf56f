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
