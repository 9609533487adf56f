// SPDX-License-Identifier: GPL-2.0-only
/*
 * Live resize: the guest is told, by way of the VMM, when the capacity of the
 * backend changes.
 *
 * The kernel has no notice for that which serves both files and block devices,
 * so a running device looks once a second.  Requests are checked against the
 * size of the moment, whatever the guest has been told.
 */
#include <linux/eventfd.h>
#include <linux/timer.h>

#include "blk.h"

/* Rounded, so that all devices of a host wake it up together. */
static void look_again(struct vhost_blk *blk)
{
	queue_delayed_work(vhost_blk_wq, &blk->resize,
			   round_jiffies_relative(HZ));
}

static void resize_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(to_delayed_work(work),
					     struct vhost_blk, resize);

	/* Whoever has the mutex may be waiting for this work to end. */
	if (!mutex_trylock(&blk->dev.mutex)) {
		look_again(blk);
		return;
	}
	if (READ_ONCE(blk->watched)) {
		vhost_blk_resize_look(blk);
		look_again(blk);
	}
	mutex_unlock(&blk->dev.mutex);
}

void vhost_blk_resize_init(struct vhost_blk *blk)
{
	INIT_DELAYED_WORK(&blk->resize, resize_work);
}

/**
 * vhost_blk_resize_look - signal the eventfd if the capacity has changed
 * @blk: the device, its mutex held
 */
void vhost_blk_resize_look(struct vhost_blk *blk)
{
	struct vhost_blk_limits limits = {};

	if (blk->disk)
		vhost_blk_disk_limits(blk->disk, &limits);
	if (limits.capacity == blk->capacity)
		return;
	blk->capacity = limits.capacity;
	if (blk->config_call)
		eventfd_signal(blk->config_call);
}

/**
 * vhost_blk_resize_watch - look now, and again until the device is stopped
 * @blk: the device, started, maybe without a queue; its mutex held
 */
void vhost_blk_resize_watch(struct vhost_blk *blk)
{
	vhost_blk_resize_look(blk);
	WRITE_ONCE(blk->watched, true);
	look_again(blk);
}

/**
 * vhost_blk_resize_end - look no more
 * @blk: the device, stopped; its mutex may be held
 */
void vhost_blk_resize_end(struct vhost_blk *blk)
{
	cancel_delayed_work_sync(&blk->resize);
}
