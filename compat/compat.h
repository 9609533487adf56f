/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All differences between the kernel that the sources are written for and the
 * oldest one they are built for, 6.1.  Included before everything else, and
 * only where the driver isn't part of a current kernel tree.
 */
#ifndef VHOST_BLK_COMPAT_H
#define VHOST_BLK_COMPAT_H

#include <linux/slab.h>
#include <linux/version.h>

#ifndef kzalloc_obj
#define kzalloc_obj(obj, gfp)	kzalloc(sizeof(obj), gfp)
#define kvzalloc_obj(obj, gfp)	kvzalloc(sizeof(obj), gfp)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/errno.h>

#include "vhost.h"

/* One worker a device, which lives as long as the owner is set. */
static inline bool vhost_blk_vq_work_queue(struct vhost_virtqueue *vq,
					   struct vhost_work *work)
{
	if (!vq->dev->worker)
		return false;
	vhost_work_queue(vq->dev, work);
	return true;
}

#define vhost_vq_work_queue vhost_blk_vq_work_queue

static inline long vhost_worker_ioctl(struct vhost_dev *dev, unsigned int ioctl,
				      void __user *argp)
{
	return -ENOIOCTLCMD;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#include <linux/eventfd.h>

static inline void vhost_blk_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}

/* vq_err() of an older vhost.h still says eventfd_signal(ctx, 1). */
#define eventfd_signal(ctx, ...) vhost_blk_eventfd_signal(ctx)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#include "vhost.h"

/* No VIRTIO_F_IN_ORDER: descriptors needn't be counted. */
#define vhost_add_used_n(vq, heads, nheads, count) \
	vhost_add_used_n(vq, heads, count)
#define vhost_discard_vq_desc(vq, nbufs, ndesc) \
	vhost_discard_vq_desc(vq, nbufs)
#endif

#endif
