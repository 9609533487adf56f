// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a chain from guest memory by the index of its head.
 *
 * The vhost core reads only the chain that is next in the available ring, and
 * only one that it can translate as a whole.  Two kinds of chains are read here
 * instead:
 *
 * - that of a parked request, whose entry in the available ring may have been
 *   used for another chain since;
 * - one that is partly outside the memory table: guests do I/O on memory that
 *   the VMM has not registered, for example of a pmem device.  If the status
 *   byte is in the memory table, the request gets an error and the queue keeps
 *   running.
 *
 * In both cases nothing that was read of the chain before is used, because the
 * guest may have changed it.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/limits.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vhost_iotlb.h>

#include "internal.h"

/**
 * struct vblk_walk - state of reading a chain
 * @q: the queue; the segments are stored in q->iov
 * @left: number of descriptors that may still follow, which bounds loops
 * @nr_iov: number of segments found
 * @nr_in: number of these that are writable
 * @nr_log: number of entries in q->track->log, if writes are recorded
 * @writable: sum of the lengths of the writable descriptors, in bytes
 * @last: address of the last writable byte
 * @wraps: the descriptor of that byte wraps around the end of the address space
 * @unmapped: 0, or why the segments cannot be used although the walk goes on:
 *	-EFAULT if some are outside the memory table, -ENOBUFS if there are too
 *	many
 */
struct vblk_walk {
	struct vhost_blk_queue *q;
	unsigned int left;
	unsigned int nr_iov;
	unsigned int nr_in;
	unsigned int nr_log;
	u64 writable;
	u64 last;
	bool wraps;
	int unmapped;
};

/*
 * Translate @addr by the IOTLB or the memory table.  *@len is reduced to the
 * bytes that are contiguous in the owner.
 *
 * Return: 0, then *@to is the address in the owner; -EAGAIN if the VMM has been
 * asked for a mapping; -EPERM if the mapping does not permit the access; or
 * -EFAULT.
 */
static int vblk_translate(struct vhost_blk_queue *q, u64 addr, u32 *len,
			  u8 access, void __user **to)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vhost_iotlb *table = vq->iotlb ? vq->iotlb : vq->umem;
	const struct vhost_iotlb_map *map;

	map = table ? vhost_iotlb_itree_first(table, addr, addr) : NULL;
	if (!map) {
		if (!vq->iotlb)
			return -EFAULT;
		vhost_blk_iotlb_miss(q, addr, access);
		return -EAGAIN;
	}
	if (!(map->perm & access))
		return -EPERM;
	/* Compare offsets: a region of all addresses has 2^64 bytes. */
	if (map->last - addr < *len - 1)
		*len = map->last - addr + 1;
	*to = (void __user *)(unsigned long)(map->addr + (addr - map->start));
	return 0;
}

/* Copy from guest memory.  Return: 0 or a negative errno. */
static int vblk_read_guest(struct vhost_blk_queue *q, void *to, u64 addr, u32 len)
{
	void __user *from;
	u32 part;
	int ret;

	if (addr + (len - 1) < addr)
		return -EFAULT;
	for (; len; len -= part, addr += part, to += part) {
		part = len;
		ret = vblk_translate(q, addr, &part, VHOST_ACCESS_RO, &from);
		if (ret)
			return ret;
		if (copy_from_user(to, from, part))
			return -EFAULT;
	}
	return 0;
}

/* Translate the range of a descriptor.  Return: 0 or a negative errno. */
static int vblk_add_segments(struct vblk_walk *w, u64 addr, u32 len, u8 access)
{
	struct vhost_blk_queue *q = w->q;
	void __user *base;
	u32 part;
	int ret;

	if (len && addr + (len - 1) < addr)
		return -EFAULT;
	if (len && access == VHOST_ACCESS_WO && q->tracking)
		q->track->log[w->nr_log++] = (struct vhost_log){
			.addr = addr, .len = len,
		};
	for (; len; len -= part, addr += part) {
		if (w->nr_iov == VHOST_BLK_MAX_IOV)
			return -ENOBUFS;
		part = len;
		ret = vblk_translate(q, addr, &part, access, &base);
		if (ret)
			return ret;
		q->iov[w->nr_iov++] = (struct iovec){
			.iov_base = base, .iov_len = part,
		};
		w->nr_in += access == VHOST_ACCESS_WO;
	}
	return 0;
}

/*
 * Add a descriptor to the walk.  Without an IOMMU the walk continues if it
 * cannot be translated.
 *
 * Return: 0; -EINVAL or -E2BIG if the chain is malformed: a readable descriptor
 * behind a writable one, or too many; or the error of the translation.
 */
static int vblk_walk_desc(struct vblk_walk *w, const struct vring_desc *desc)
{
	struct vhost_virtqueue *vq = &w->q->vq;
	u64 addr = vhost64_to_cpu(vq, desc->addr);
	u32 len = vhost32_to_cpu(vq, desc->len);
	bool write = desc->flags & cpu_to_vhost16(vq, VRING_DESC_F_WRITE);
	int ret;

	if (!w->left--)
		return -E2BIG;
	if (!write && w->writable)
		return -EINVAL;
	if (write && len) {
		w->writable += len;
		w->last = addr + (len - 1);
		w->wraps = w->last < addr;
	}
	if (w->unmapped)
		return 0;
	ret = vblk_add_segments(w, addr, len,
				write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO);
	if (vq->iotlb || (ret != -EFAULT && ret != -ENOBUFS))
		return ret;
	w->unmapped = ret;
	return 0;
}

/*
 * Walk an indirect table in the order of its entries, as the vhost core does.
 * Return: 0, -EINVAL if it is malformed, or another negative errno.
 */
static int vblk_walk_table(struct vblk_walk *w, const struct vring_desc *table)
{
	struct vhost_virtqueue *vq = &w->q->vq;
	u64 addr = vhost64_to_cpu(vq, table->addr);
	u32 len = vhost32_to_cpu(vq, table->len);
	struct vring_desc desc;
	int ret;

	if (len % sizeof(desc) || len / sizeof(desc) > USHRT_MAX + 1)
		return -EINVAL;
	do {
		if (!len)
			return -EINVAL;
		ret = vblk_read_guest(w->q, &desc, addr, sizeof(desc));
		if (ret)
			return ret;
		if (desc.flags & cpu_to_vhost16(vq, VRING_DESC_F_INDIRECT))
			return -EINVAL;
		ret = vblk_walk_desc(w, &desc);
		if (ret)
			return ret;
		addr += sizeof(desc);
		len -= sizeof(desc);
	} while (desc.flags & cpu_to_vhost16(vq, VRING_DESC_F_NEXT));
	return 0;
}

/* Read a descriptor of the ring.  Return: 0 or a negative errno. */
static int vblk_read_desc(struct vhost_blk_queue *q, struct vring_desc *desc,
			  unsigned int i)
{
	struct vring_desc __user *from = q->vq.desc + i;

	/* With an IOMMU the address of the ring is one of the guest, too. */
	if (q->vq.iotlb)
		return vblk_read_guest(q, desc, (u64)(unsigned long)from,
				       sizeof(*desc));
	return copy_from_user(desc, from, sizeof(*desc)) ? -EFAULT : 0;
}

/*
 * Walk the chain with head @i.  Return: 0, -EINVAL if it is malformed, or
 * another negative errno.
 */
static int vblk_walk_chain(struct vblk_walk *w, unsigned int i)
{
	struct vhost_virtqueue *vq = &w->q->vq;
	struct vring_desc desc;
	int ret;

	do {
		if (i >= vq->num)
			return -EINVAL;
		i = array_index_nospec(i, vq->num);
		ret = vblk_read_desc(w->q, &desc, i);
		if (ret)
			return ret;
		if (desc.flags & cpu_to_vhost16(vq, VRING_DESC_F_INDIRECT))
			ret = vblk_walk_table(w, &desc);
		else
			ret = vblk_walk_desc(w, &desc);
		if (ret)
			return ret;
		i = vhost16_to_cpu(vq, desc.next);
	} while (desc.flags & cpu_to_vhost16(vq, VRING_DESC_F_NEXT));
	return 0;
}

/*
 * Make the status byte the only segment of a chain that is partly outside the
 * memory table.
 *
 * Return: 0, or why the chain is unmapped if the status byte is, too.
 */
static int vblk_keep_only_status(const struct vblk_walk *w,
				 struct vhost_blk_chain *chain)
{
	struct vhost_blk_queue *q = w->q;
	void __user *slot;
	u32 one = 1;

	if (!w->writable || w->wraps ||
	    vblk_translate(q, w->last, &one, VHOST_ACCESS_WO, &slot))
		return w->unmapped;
	q->iov[0] = (struct iovec){ .iov_base = slot, .iov_len = 1 };
	if (q->tracking)
		q->track->log[0] = (struct vhost_log){
			.addr = w->last,
			.len = 1,
		};
	chain->nr_out = 0;
	chain->nr_in = 1;
	chain->unmapped = w->writable - 1;
	return 0;
}

/* Read the chain with head @head.  Return: 0 or a negative errno. */
static int vblk_read_chain(struct vblk_walk *w, unsigned int head,
			   struct vhost_blk_chain *chain)
{
	struct iovec *iov = w->q->iov;
	int ret = vblk_walk_chain(w, head);

	chain->unmapped = 0;
	chain->nr_in = w->nr_in;
	chain->nr_out = w->nr_iov - w->nr_in;
	if (!ret && w->unmapped)
		ret = vblk_keep_only_status(w, chain);
	chain->out = iov;
	chain->in = iov + chain->nr_out;
	return ret;
}

/**
 * vhost_blk_read_chain - read a chain by its head
 * @q: the queue, its mutex and, with an IOMMU, iotlb_sem held
 * @head: index of the head
 * @chain: the chain.  If it is partly outside the memory table, only the status
 *	byte is left of it, so that the request will fail.
 *
 * The limits are those of the vhost core, except that zero-length descriptors
 * count as segments.
 *
 * Return: 0; -EAGAIN if the VMM has been asked for a mapping (IOTLB miss), then
 * poll.work will be queued; or another negative errno if the chain is malformed
 * (2.7.5), its status byte is not in guest memory, or a mapping lacks the
 * required permission.
 */
int vhost_blk_read_chain(struct vhost_blk_queue *q, unsigned int head,
			 struct vhost_blk_chain *chain)
{
	struct vblk_walk w = { .q = q, .left = VHOST_BLK_MAX_IOV };

	return vblk_read_chain(&w, head, chain);
}

/**
 * vhost_blk_unmapped_chain - take a chain that is partly outside guest memory
 * @q: the queue, its mutex held; vhost_get_vq_desc() has just failed
 * @chain: set to a chain of the status byte only, so that the request will fail
 *
 * Always fails with an IOMMU: for a missing mapping the vhost core has returned
 * -EAGAIN, and a mapping without the required permission breaks the queue.
 *
 * Return: the head or a negative errno.
 */
int vhost_blk_unmapped_chain(struct vhost_blk_queue *q,
			     struct vhost_blk_chain *chain)
{
	struct vblk_walk w = {
		.q = q, .left = VHOST_BLK_MAX_IOV, .unmapped = -EFAULT,
	};
	struct vhost_virtqueue *vq = &q->vq;
	__virtio16 raw;
	u16 head;
	int ret;

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
	ret = vblk_read_chain(&w, head, chain);
	if (ret)
		return ret;
	/* VIRTIO_F_IN_ORDER is not offered, so next_avail_head is not used. */
	vq->last_avail_idx++;
	return head;
}
