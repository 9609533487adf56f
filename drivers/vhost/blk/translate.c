// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translates guest addresses that the vhost core cannot translate.
 *
 * With an IOMMU (VIRTIO_F_ACCESS_PLATFORM) the rings contain I/O virtual
 * addresses of the guest.  The VMM translates them: it reads misses from the
 * file, and writes updates and invalidations to it.  A write of an invalidation
 * returns only when no request in flight can write to the range any more.
 *
 * Without an IOMMU a chain may be partly outside the memory table: guests do
 * I/O on memory that the VMM has not registered, for example of a pmem device.
 * The vhost core cannot translate part of a chain.  If the status byte is in
 * the memory table, the request gets an error and the queue keeps running.  To
 * find the status byte the chain is read from guest memory again, once; nothing
 * that the vhost core has read of it is used.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
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

/**
 * struct vblk_walk - state of reading a chain
 * @vq: the virtqueue
 * @left: number of descriptors that may still follow, which bounds loops
 * @writable: sum of the lengths of the writable descriptors, in bytes
 * @last: address of the last writable byte
 * @wraps: the descriptor of that byte wraps around the end of the address space
 */
struct vblk_walk {
	struct vhost_virtqueue *vq;
	unsigned int left;
	u64 writable;
	u64 last;
	bool wraps;
};

/*
 * Translate @addr by the memory table.  *@len is reduced to the bytes that are
 * contiguous in the owner.  Return: the address in the owner, or NULL.
 */
static void __user *vblk_translate(struct vhost_virtqueue *vq, u64 addr,
				   u32 *len)
{
	struct vhost_iotlb_map *map;

	if (!vq->umem)
		return NULL;
	map = vhost_iotlb_itree_first(vq->umem, addr, addr);
	if (!map)
		return NULL;
	/* Compare offsets: a region of all addresses has 2^64 bytes. */
	if (map->last - addr < *len - 1)
		*len = map->last - addr + 1;
	return (void __user *)(unsigned long)(map->addr + (addr - map->start));
}

/* Copy from guest memory.  Return: false if part of it is not accessible. */
static bool vblk_read_guest(struct vhost_virtqueue *vq, void *to, u64 addr,
			    u32 len)
{
	const void __user *from;
	u32 part;

	if (addr + (len - 1) < addr)
		return false;
	for (; len; len -= part, addr += part, to += part) {
		part = len;
		from = vblk_translate(vq, addr, &part);
		if (!from || copy_from_user(to, from, part))
			return false;
	}
	return true;
}

/*
 * Add a descriptor to the walk.  Return: false if the chain is malformed: too
 * long, or a readable descriptor behind a writable one.
 */
static bool vblk_walk_desc(struct vblk_walk *w, const struct vring_desc *desc)
{
	u64 addr = vhost64_to_cpu(w->vq, desc->addr);
	u32 len = vhost32_to_cpu(w->vq, desc->len);

	if (!w->left--)
		return false;
	if (!(desc->flags & cpu_to_vhost16(w->vq, VRING_DESC_F_WRITE)))
		return !w->writable;
	if (len) {
		w->writable += len;
		w->last = addr + (len - 1);
		w->wraps = w->last < addr;
	}
	return true;
}

/*
 * Walk an indirect table in the order of its entries, as the vhost core does.
 * Return: false if it is malformed or not accessible.
 */
static bool vblk_walk_table(struct vblk_walk *w, const struct vring_desc *table)
{
	u64 addr = vhost64_to_cpu(w->vq, table->addr);
	u32 len = vhost32_to_cpu(w->vq, table->len);
	struct vring_desc desc;

	if (len % sizeof(desc) || len / sizeof(desc) > USHRT_MAX + 1)
		return false;
	do {
		if (!len || !vblk_read_guest(w->vq, &desc, addr, sizeof(desc)))
			return false;
		if (desc.flags & cpu_to_vhost16(w->vq, VRING_DESC_F_INDIRECT))
			return false;
		if (!vblk_walk_desc(w, &desc))
			return false;
		addr += sizeof(desc);
		len -= sizeof(desc);
	} while (desc.flags & cpu_to_vhost16(w->vq, VRING_DESC_F_NEXT));
	return true;
}

/*
 * Walk the chain with head @i.  Return: false if it is malformed or not
 * accessible.
 */
static bool vblk_walk_chain(struct vblk_walk *w, unsigned int i)
{
	struct vhost_virtqueue *vq = w->vq;
	struct vring_desc desc;

	do {
		if (i >= vq->num)
			return false;
		i = array_index_nospec(i, vq->num);
		if (copy_from_user(&desc, vq->desc + i, sizeof(desc)))
			return false;
		if (desc.flags & cpu_to_vhost16(vq, VRING_DESC_F_INDIRECT)) {
			if (!vblk_walk_table(w, &desc))
				return false;
		} else if (!vblk_walk_desc(w, &desc)) {
			return false;
		}
		i = vhost16_to_cpu(vq, desc.next);
	} while (desc.flags & cpu_to_vhost16(vq, VRING_DESC_F_NEXT));
	return true;
}

/* Make the status byte at @slot the only segment of the chain. */
static void vblk_keep_only_status(struct vhost_blk_queue *q,
				  struct vhost_blk_chain *chain,
				  void __user *slot, const struct vblk_walk *w)
{
	q->iov[0] = (struct iovec){ .iov_base = slot, .iov_len = 1 };
	if (q->tracking)
		q->track->log[0] = (struct vhost_log){
			.addr = w->last,
			.len = 1,
		};
	chain->nr_out = 0;
	chain->nr_in = 1;
	chain->unmapped = w->writable - 1;
}

/**
 * vhost_blk_unmapped_chain - take a chain that is partly outside guest memory
 * @q: the queue, its mutex held; vhost_get_vq_desc() has just failed
 * @chain: set to a chain of the status byte only, so that the request will fail
 *
 * Always fails with an IOMMU: for a missing mapping the vhost core has returned
 * -EAGAIN, and a mapping without the required permission breaks the queue.
 *
 * Return: the head; or -EINVAL if the chain is malformed (2.7.5) or its status
 * byte is not in guest memory.
 */
int vhost_blk_unmapped_chain(struct vhost_blk_queue *q,
			     struct vhost_blk_chain *chain)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vblk_walk w = { .vq = vq, .left = VHOST_BLK_MAX_IOV };
	void __user *slot;
	__virtio16 raw;
	u32 one = 1;
	u16 head;

	if (vq->iotlb || vq->avail_idx == vq->last_avail_idx)
		return -EINVAL;
	/*
	 * Some releases of the core do not check the index before they store
	 * it.
	 */
	if ((u16)(vq->avail_idx - vq->last_avail_idx) > vq->num)
		return -EINVAL;
	if (get_user(raw, &vq->avail->ring[vq->last_avail_idx & (vq->num - 1)]))
		return -EINVAL;
	head = vhost16_to_cpu(vq, raw);
	if (!vblk_walk_chain(&w, head) || !w.writable || w.wraps)
		return -EINVAL;
	slot = vblk_translate(vq, w.last, &one);
	if (!slot)
		return -EINVAL;
	vblk_keep_only_status(q, chain, slot, &w);
	/* VIRTIO_F_IN_ORDER is not offered, so next_avail_head is not used. */
	vq->last_avail_idx++;
	return head;
}
