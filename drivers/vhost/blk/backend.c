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

	ret = pick_ops(disk);
	if (ret)
		goto put_file;
	return disk;

put_file:
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
	fput(disk->file);
	kfree(disk);
}

/**
 * vhost_blk_disk_limits - what requests are to be checked against
 * @disk: the backend
 * @limits: filled in, as of now: size and write protection may change
 */
void vhost_blk_disk_limits(const struct vhost_blk_disk *disk,
			   struct vhost_blk_limits *limits)
{
	limits->block_sectors = disk->block_size / SECTOR_SIZE;
	limits->capacity = round_down(disk->ops->capacity(disk),
				      limits->block_sectors);
	limits->ro = disk->ro || (disk->bdev && bdev_read_only(disk->bdev));
}
