// SPDX-License-Identifier: GPL-2.0-only
/*
 * Behind an IOMMU (VIRTIO_F_ACCESS_PLATFORM) the addresses in the rings are
 * the guest's I/O virtual ones.  The VMM translates them: it reads misses from
 * the file, and writes updates and invalidations to it, all of which the vhost
 * core does.
 *
 * What is left to do is to see to it that an invalidation which has been
 * acknowledged holds for the requests in flight too.
 */
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/uio.h>

#include "blk.h"

/**
 * vhost_blk_iotlb_set - translate addresses, or don't
 * @blk: the device, not running, its mutex held
 * @features: that are to be acknowledged
 *
 * What the IOTLB knew of an earlier driver is forgotten in either case.
 * Return: 0 or an error.
 */
int vhost_blk_iotlb_set(struct vhost_blk *blk, u64 features)
{
	if (features & (1ULL << VIRTIO_F_ACCESS_PLATFORM))
		return vhost_init_device_iotlb(&blk->dev);
	if (blk->dev.iotlb)
		vhost_clear_device_iotlb(&blk->dev);
	return 0;
}

ssize_t vhost_blk_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct vhost_blk *blk = iocb->ki_filp->private_data;
	bool nonblock = (iocb->ki_filp->f_flags & O_NONBLOCK) ||
			(iocb->ki_flags & IOCB_NOWAIT);

	return vhost_chr_read_iter(&blk->dev, to, nonblock);
}

__poll_t vhost_blk_poll(struct file *file, poll_table *wait)
{
	struct vhost_blk *blk = file->private_data;

	return vhost_chr_poll(file, &blk->dev, wait);
}

/* The message that the core is about to read; false for no invalidation. */
static bool peek_invalidation(struct iov_iter from, struct vhost_iotlb_msg *msg)
{
	size_t offset = offsetof(struct vhost_msg, iotlb);
	int type;

	if (!copy_from_iter_full(&type, sizeof(type), &from))
		return false;
	if (type == VHOST_IOTLB_MSG_V2)
		offset = offsetof(struct vhost_msg_v2, iotlb);
	iov_iter_advance(&from, offset - sizeof(type));
	return copy_from_iter_full(msg, sizeof(*msg), &from) &&
	       msg->type == VHOST_IOTLB_INVALIDATE && msg->size;
}

static bool may_write(struct vhost_blk *blk, const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;
	bool found = false;
	unsigned int i;

	if (last < msg->iova)
		last = U64_MAX;
	for (i = 0; i < VHOST_BLK_MAX_QUEUES && !found; i++) {
		struct vhost_blk_queue *q = &blk->queues[i];

		mutex_lock(&q->vq.mutex);
		found = vhost_blk_may_write(q, msg->iova, last);
		mutex_unlock(&q->vq.mutex);
	}
	return found;
}

/*
 * The range is gone from the IOTLB: no request gets hold of it any more.  Those
 * that had hold of it before are waited for.
 */
static int finish_invalidation(struct vhost_blk *blk,
			       const struct vhost_iotlb_msg *msg)
{
	int ret = 0;

	mutex_lock(&blk->dev.mutex);
	if (may_write(blk, msg)) {
		ret = vhost_blk_pause(blk);
		if (!ret)
			vhost_blk_resume(blk);
	}
	mutex_unlock(&blk->dev.mutex);
	return ret;
}

ssize_t vhost_blk_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct vhost_blk *blk = iocb->ki_filp->private_data;
	struct vhost_iotlb_msg msg;
	bool invalidation = peek_invalidation(*from, &msg);
	ssize_t ret;
	int error;

	ret = vhost_chr_write_iter(&blk->dev, from);
	if (ret < 0 || !invalidation)
		return ret;
	error = finish_invalidation(blk, &msg);
	return error ? error : ret;
}
