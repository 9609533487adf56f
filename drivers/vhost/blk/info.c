// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMM can ask of its device: what is attached, and how each queue is.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/uaccess.h>

#include "blk.h"

static void vblk_backend_info(const struct vhost_blk_be *be,
			      struct vhost_blk_info *info)
{
	struct vhost_blk_limits limits = {};

	vhost_blk_backend_limits(be, &limits);
	info->flags = VHOST_BLK_INFO_F_BACKEND;
	if (limits.ro)
		info->flags |= VHOST_BLK_INFO_F_RO;
	if (be->bdev)
		info->flags |= VHOST_BLK_INFO_F_BLOCK_DEVICE;
	if (be->bdev || (be->iocb_flags & IOCB_DIRECT))
		info->flags |= VHOST_BLK_INFO_F_DIRECT;
	info->dev_major = MAJOR(be->dev);
	info->dev_minor = MINOR(be->dev);
	info->ino = be->ino;
	info->capacity = limits.capacity;
	info->block_size = be->block_size;
	info->flush_error = READ_ONCE(be->flush_error);
}

/**
 * vhost_blk_get_info - VHOST_BLK_GET_INFO
 * @blk: the device
 * @argp: the ioctl's argument
 *
 * Without dev.mutex, like what follows: the VMM asks because an ioctl of
 * another thread, which has it, does not return.
 */
long vhost_blk_get_info(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_info info = {
		.running = vhost_blk_running(blk),
		.features = READ_ONCE(blk->features),
		.trace_dev = blk->id,
	};

	mutex_lock(&blk->backend_mutex);
	if (blk->be)
		vblk_backend_info(blk->be, &info);
	mutex_unlock(&blk->backend_mutex);
	return copy_to_user(argp, &info, sizeof(info)) ? -EFAULT : 0;
}

/**
 * vhost_blk_get_vring_info - VHOST_BLK_GET_VRING_INFO
 * @blk: the device
 * @argp: the ioctl's argument
 */
long vhost_blk_get_vring_info(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_vring_info info;
	struct vhost_blk_queue *q;
	u32 index;

	if (get_user(index, (u32 __user *)argp))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, index);
	if (!q)
		return -ENOBUFS;
	info = (struct vhost_blk_vring_info){
		.index = index,
		.state = vhost_blk_queue_state(q),
		.break_reason = READ_ONCE(q->break_reason),
		.break_error = READ_ONCE(q->break_error),
		.inflight = READ_ONCE(q->inflight),
	};
	return copy_to_user(argp, &info, sizeof(info)) ? -EFAULT : 0;
}
