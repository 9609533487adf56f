// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 1, for a chain with a descriptor outside the memory table.
 *
 * Guests do I/O on memory that the VMM has not registered, a pmem device's for
 * example, and the vhost core has no way to translate part of a chain.  If the
 * status byte can be reached, the request gets an error and the queue goes on.
 *
 * Everything is read from the guest again here, once, and nothing that the
 * vhost core has read of the chain is used.
 */
#include <linux/limits.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <linux/vhost_iotlb.h>

#include "blk.h"

/**
 * struct vblk_walk - a chain as far as it has been read
 * @vq: the virtqueue
 * @left: descriptors that may still follow; bounds loops
 * @writable: bytes of the writable descriptors
 * @last: address of the last writable byte
 * @wraps: the descriptor of that byte wraps around the address space
 */
struct vblk_walk {
	struct vhost_virtqueue *vq;
	unsigned int left;
	u64 writable;
	u64 last;
	bool wraps;
};

/* Translate @addr; *@len is cut to what is contiguous in the owner. */
static void __user *vblk_translate(struct vhost_virtqueue *vq, u64 addr,
				   u32 *len)
{
	struct vhost_iotlb_map *map;

	if (!vq->umem)
		return NULL;
	map = vhost_iotlb_itree_first(vq->umem, addr, addr);
	if (!map)
		return NULL;
	/* Not their sum: a region of all addresses has 2^64 bytes. */
	if (map->last - addr < *len - 1)
		*len = map->last - addr + 1;
	return (void __user *)(unsigned long)(map->addr + (addr - map->start));
}

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

/* Return: false if the chain may not go on like this. */
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

/* In order of the table, as the vhost core reads it. */
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

/* As if the status were all that the guest has sent. */
static void vblk_leave_status(struct vhost_blk_queue *q,
			      struct vhost_blk_chain *chain, void __user *slot,
			      const struct vblk_walk *w)
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
 * vhost_blk_unmapped_chain - take a chain that the vhost core can't translate
 * @q: the queue, its mutex held; vhost_get_vq_desc() has just failed
 * @chain: only the status is left of it, so the request will fail
 *
 * With an IOMMU every address is the business of the VMM, which is asked for
 * those that are missing; one without the permission breaks the queue.
 *
 * Return: the head, or -EINVAL if the chain is malformed (2.7.5) or its status
 * can't be reached.
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
	/* Not all releases of the core look at an index before they take it. */
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
	vblk_leave_status(q, chain, slot, &w);
	/* VIRTIO_F_IN_ORDER isn't offered: next_avail_head means nothing. */
	vq->last_avail_idx++;
	return head;
}
