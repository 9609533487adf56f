// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the mappings of an IOMMU.
 *
 * With an IOMMU (VIRTIO_F_ACCESS_PLATFORM) the rings contain I/O virtual
 * addresses of the guest.  The VMM translates them: it reads misses from the
 * file, and writes updates and invalidations to it.  A write of an invalidation
 * returns only when no request in flight can write to the range any more.
 */
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vhost_iotlb.h>
#include <linux/wait.h>

#include "internal.h"

/* Maximum factor for the parameter max_iotlb_entries of vhost */
#define VBLK_IOTLB_MAX_FACTOR	8U

/*
 * Remove the IOTLB.  This function, vblk_change_iotlb() and vblk_wake_misses()
 * replace functions of the vhost core that hold the mutexes of all queues at a
 * time, which are more than lockdep supports.
 */
static void vblk_clear_iotlb(struct vhost_dev *dev)
{
	struct vhost_iotlb *iotlb = dev->iotlb;
	unsigned int i;

	dev->iotlb = NULL;
	for (i = 0; i < dev->nvqs; i++) {
		struct vhost_virtqueue *vq = dev->vqs[i];

		mutex_lock(&vq->mutex);
		vq->iotlb = NULL;
		memset(vq->meta_iotlb, 0, sizeof(vq->meta_iotlb));
		/* These were I/O virtual addresses. */
		vq->desc = NULL;
		vq->avail = NULL;
		vq->used = NULL;
		mutex_unlock(&vq->mutex);
	}
	vhost_iotlb_free(iotlb);
}

/*
 * Drop the misses of the previous driver.  Its addresses are not valid for the
 * next one, and from Linux 7.3 on a queue with a pending miss sends no other.
 * A miss that a thread is reading is in no list, and need not be answered.
 */
static void vblk_clear_misses(struct vhost_dev *dev)
{
	unsigned int i;

	vhost_clear_msg(dev);
	spin_lock(&dev->iotlb_lock);
	for (i = 0; i < dev->nvqs; i++)
		vhost_blk_clear_miss(dev->vqs[i]);
	spin_unlock(&dev->iotlb_lock);
	wake_up_interruptible_poll(&dev->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * vhost_blk_iotlb_set - create or remove the IOTLB
 * @blk: the device, not running, its mutex held
 * @features: features that will be acknowledged
 *
 * Mappings of a previous driver are dropped in either case.
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_iotlb_set(struct vhost_blk *blk, u64 features)
{
	int ret;

	vblk_clear_misses(&blk->dev);
	if (features & (1ULL << VIRTIO_F_ACCESS_PLATFORM)) {
		ret = vhost_init_device_iotlb(&blk->dev);
		if (!ret)
			blk->iotlb_entries = blk->dev.iotlb->limit;
		return ret;
	}
	if (blk->dev.iotlb)
		vblk_clear_iotlb(&blk->dev);
	return 0;
}

/*
 * Check whether the caller has the owner's memory.  Does not take dev.mutex,
 * which a thread may hold while it waits for requests.
 */
static bool vblk_has_owner_memory(const struct vhost_blk *blk)
{
	return READ_ONCE(blk->dev.mm) == current->mm;
}

/**
 * vhost_blk_fop_read_iter - read a miss from the file
 * @iocb: the read
 * @to: destination
 *
 * A miss that another process than the owner has read would get no answer.
 *
 * Return: the number of bytes, or a negative errno; -EPERM if the caller does
 * not have the owner's memory.
 */
ssize_t vhost_blk_fop_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct vhost_blk *blk = iocb->ki_filp->private_data;
	bool nonblock = (iocb->ki_filp->f_flags & O_NONBLOCK) ||
			(iocb->ki_flags & IOCB_NOWAIT);

	if (!vblk_has_owner_memory(blk))
		return -EPERM;
	return vhost_chr_read_iter(&blk->dev, to, nonblock);
}

/**
 * vhost_blk_fop_poll - poll the file for misses
 * @file: file of the device
 * @wait: the poll table
 *
 * Return: EPOLLIN if there is a miss to read, among other bits.
 */
__poll_t vhost_blk_fop_poll(struct file *file, poll_table *wait)
{
	struct vhost_blk *blk = file->private_data;

	return vhost_chr_poll(file, &blk->dev, wait);
}

/*
 * Return: 1 if a request in flight may write to the range, 0 if none may, or
 * -EINTR if the caller is being killed.
 */
static int vblk_writes_overlap(struct vhost_blk_queue *q, u64 first, u64 last)
{
	int ret;

	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	ret = vhost_blk_writes_overlap(q, first, last);
	mutex_unlock(&q->vq.mutex);
	return ret;
}

/*
 * Wait until no request of a queue may write to the range.  Return: 0, or
 * -EINTR if the caller is being killed.
 */
static int vblk_wait_for_writers(struct vhost_blk_queue *q, u64 first, u64 last)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int ret;

	if (vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_STOPPED)
		return 0;
	/*
	 * Not wait_event(), because the condition sleeps.  A request that ends
	 * wakes us.
	 */
	add_wait_queue(&q->idle, &wait);
	while ((ret = vblk_writes_overlap(q, first, last)) > 0) {
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		wait_woken(&wait, TASK_KILLABLE, MAX_SCHEDULE_TIMEOUT);
	}
	remove_wait_queue(&q->idle, &wait);
	return ret;
}

/*
 * Set the deadlines of all queues that may write to the range.  This is done
 * before the first wait, because the queues are waited for one after the other.
 */
static int vblk_set_writer_deadlines(struct vhost_blk *blk, u64 first, u64 last)
{
	struct vhost_blk_queue *q;
	unsigned int i;
	int ret;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		if (vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_STOPPED)
			continue;
		ret = vblk_writes_overlap(q, first, last);
		if (ret < 0)
			return ret;
		if (ret)
			vhost_blk_set_deadline(q, VHOST_BLK_PAUSE_TIMEOUT);
	}
	return 0;
}

/*
 * Wait for the requests that may write to an invalidated range, and for no
 * others.  The range is not in the IOTLB any more, so no further request can
 * get it.
 */
static int vblk_finish_invalidation(struct vhost_blk *blk,
				    const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;
	unsigned int i;
	int ret;

	if (last < msg->iova)
		last = U64_MAX;
	ret = vblk_set_writer_deadlines(blk, msg->iova, last);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES && !ret; i++)
		ret = vblk_wait_for_writers(&blk->queues[i], msg->iova, last);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		vhost_blk_set_deadline(&blk->queues[i], 0);
	return ret;
}

/* Check that an address range from the VMM is a range of user addresses. */
static bool vblk_uaddr_ok(u64 addr, u64 size)
{
	return addr == (unsigned long)addr && size == (unsigned long)size &&
	       access_ok((void __user *)(unsigned long)addr, size);
}

/*
 * Make room for the chains of all queues.  When the IOTLB is full, an update
 * drops the oldest mapping.  A chain starts again after each miss, so if others
 * need its first mapping dropped before it has the last, none ever succeeds.
 */
static void vblk_grow_iotlb(struct vhost_blk *blk)
{
	struct vhost_iotlb *iotlb = blk->dev.iotlb;
	unsigned int i, factor = 1;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		if (vhost_blk_queue_state(&blk->queues[i]) !=
		    VHOST_BLK_QUEUE_STOPPED)
			factor++;
	factor = min(factor, VBLK_IOTLB_MAX_FACTOR);
	iotlb->limit = max(iotlb->limit, factor * blk->iotlb_entries);
}

/*
 * Update or invalidate mappings.  iotlb_sem is held for writing, so no other
 * thread translates addresses.
 */
static int vblk_change_iotlb(struct vhost_dev *dev,
			     const struct vhost_iotlb_msg *msg)
{
	u64 last = msg->iova + msg->size - 1;
	unsigned int i;

	if (!dev->iotlb || !msg->size)
		return -EFAULT;
	/* Cached pointers to mappings, which may be freed below */
	for (i = 0; i < dev->nvqs; i++)
		memset(dev->vqs[i]->meta_iotlb, 0,
		       sizeof(dev->vqs[i]->meta_iotlb));
	switch (msg->type) {
	case VHOST_IOTLB_UPDATE:
		if (!vblk_uaddr_ok(msg->uaddr, msg->size))
			return -EFAULT;
		vblk_grow_iotlb(container_of(dev, struct vhost_blk, dev));
		return vhost_iotlb_add_range(dev->iotlb, msg->iova, last,
					     msg->uaddr, msg->perm);
	case VHOST_IOTLB_INVALIDATE:
		vhost_iotlb_del_range(dev->iotlb, msg->iova, last);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Queue poll.work of the queues that wait for this mapping. */
static void vblk_wake_misses(struct vhost_dev *dev,
			     const struct vhost_iotlb_msg *msg)
{
	struct vhost_msg_node *node, *next;

	spin_lock(&dev->iotlb_lock);
	list_for_each_entry_safe(node, next, &dev->pending_list, node) {
		u64 iova = node->msg.iotlb.iova;

		if (iova < msg->iova || iova - msg->iova >= msg->size)
			continue;
		vhost_poll_queue(&node->vq->poll);
		list_del(&node->node);
		vhost_blk_clear_miss(node->vq);
		kfree(node);
	}
	spin_unlock(&dev->iotlb_lock);
}

/* Drop the misses of one queue from a list.  dev->iotlb_lock is held. */
static void vblk_drop_misses(struct list_head *list,
			     const struct vhost_virtqueue *vq)
{
	struct vhost_msg_node *node, *next;

	list_for_each_entry_safe(node, next, list, node) {
		if (node->vq != vq)
			continue;
		list_del(&node->node);
		kfree(node);
	}
}

/**
 * vhost_blk_iotlb_drop_misses - drop the misses of a queue
 * @q: the queue, which is about to try again; it has an IOTLB, and its mutex is
 *	held
 *
 * Up to Linux 7.2 the vhost core sends a miss at each attempt.  Without this, a
 * guest could fill the host's memory by kicks for an address that the VMM
 * cannot translate.  From Linux 7.3 on it sends none while an earlier one is
 * pending, also if a thread is just reading that one, so that it is in no list.
 */
void vhost_blk_iotlb_drop_misses(struct vhost_blk_queue *q)
{
	struct vhost_dev *dev = q->vq.dev;

	spin_lock(&dev->iotlb_lock);
	vblk_drop_misses(&dev->read_list, &q->vq);
	vblk_drop_misses(&dev->pending_list, &q->vq);
	vhost_blk_clear_miss(&q->vq);
	spin_unlock(&dev->iotlb_lock);
}

/**
 * vhost_blk_iotlb_miss - ask the VMM for a mapping
 * @q: the queue that needs it, its mutex held
 * @iova: first address that is not mapped
 * @access: VHOST_ACCESS_RO or VHOST_ACCESS_WO
 *
 * As vhost_get_vq_desc() does.  The update queues poll.work.
 */
void vhost_blk_iotlb_miss(struct vhost_blk_queue *q, u64 iova, u8 access)
{
	bool v2 = vhost_backend_has_feature(&q->vq, VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct vhost_dev *dev = q->vq.dev;
	struct vhost_msg_node *node;
	struct vhost_iotlb_msg *msg;
	bool pending;

	node = vhost_new_msg(&q->vq, v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG);
	if (!node)
		return;
	msg = v2 ? &node->msg_v2.iotlb : &node->msg.iotlb;
	msg->type = VHOST_IOTLB_MISS;
	msg->iova = iova;
	msg->perm = access;
	spin_lock(&dev->iotlb_lock);
	pending = !vhost_blk_record_miss(&q->vq, node);
	spin_unlock(&dev->iotlb_lock);
	if (pending)
		kfree(node);
	else
		vhost_enqueue_msg(dev, &dev->read_list, node);
}

/* Handle a message of the owner.  dev.mutex is held. */
static int vblk_handle_msg(struct vhost_blk *blk, const struct vhost_iotlb_msg *msg)
{
	int ret;

	if (down_write_killable(&blk->iotlb_sem))
		return -EINTR;
	ret = vblk_change_iotlb(&blk->dev, msg);
	up_write(&blk->iotlb_sem);
	if (ret)
		return ret;
	if (msg->type != VHOST_IOTLB_UPDATE)
		return vblk_finish_invalidation(blk, msg);
	vblk_wake_misses(&blk->dev, msg);
	return 0;
}

/**
 * vhost_blk_iotlb_msg - handle a message that the VMM wrote to the file
 * @dev: the device
 * @asid: address space, which must be 0
 * @msg: an update or an invalidation
 *
 * Waits for the requests that may write to an invalidated range.  Takes the
 * mutex of the device and iotlb_sem.
 *
 * Return: 0 or a negative errno; the vhost core turns any errno into -EFAULT.
 */
int vhost_blk_iotlb_msg(struct vhost_dev *dev, u32 asid,
			struct vhost_iotlb_msg *msg)
{
	struct vhost_blk *blk = container_of(dev, struct vhost_blk, dev);
	int ret;

	if (asid)
		return -EINVAL;
	if (mutex_lock_killable(&dev->mutex))
		return -EINTR;
	/* The owner may have changed since vhost_blk_fop_write_iter(). */
	ret = vhost_dev_check_owner(dev);
	if (!ret)
		ret = vblk_handle_msg(blk, msg);
	mutex_unlock(&dev->mutex);
	return ret;
}

/**
 * vhost_blk_fop_write_iter - write an update or an invalidation to the file
 * @iocb: the write
 * @from: the message
 *
 * An update lets the guest access any memory of the owner.
 *
 * Return: the number of bytes, or a negative errno; -EPERM if the caller does
 * not have the owner's memory.
 */
ssize_t vhost_blk_fop_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct vhost_blk *blk = iocb->ki_filp->private_data;

	if (!vblk_has_owner_memory(blk))
		return -EPERM;
	return vhost_chr_write_iter(&blk->dev, from);
}
