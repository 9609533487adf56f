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
static void vblk_requeue_capacity_poll(struct vhost_blk *blk)
{
	queue_delayed_work(vhost_blk_wq, &blk->capacity_poll,
			   round_jiffies_relative(HZ));
}

static void vblk_capacity_poll_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(to_delayed_work(work),
					     struct vhost_blk, capacity_poll);

	/* Whoever has the mutex may be waiting for this work to end. */
	if (!mutex_trylock(&blk->dev.mutex)) {
		vblk_requeue_capacity_poll(blk);
		return;
	}
	if (READ_ONCE(blk->capacity_polled)) {
		vhost_blk_capacity_check(blk);
		vblk_requeue_capacity_poll(blk);
	}
	mutex_unlock(&blk->dev.mutex);
}

void vhost_blk_capacity_init(struct vhost_blk *blk)
{
	INIT_DELAYED_WORK(&blk->capacity_poll, vblk_capacity_poll_work);
}

/**
 * vhost_blk_capacity_check - signal the eventfd if the capacity has changed
 * @blk: the device, its mutex held
 */
void vhost_blk_capacity_check(struct vhost_blk *blk)
{
	struct vhost_blk_limits limits = {};

	if (blk->be)
		vhost_blk_backend_limits(blk->be, &limits);
	if (limits.capacity == blk->capacity)
		return;
	blk->capacity = limits.capacity;
	if (blk->config_call)
		eventfd_signal(blk->config_call);
}

/**
 * vhost_blk_capacity_poll_start - look now, and again until the device is stopped
 * @blk: the device, started, maybe without a queue; its mutex held
 */
void vhost_blk_capacity_poll_start(struct vhost_blk *blk)
{
	vhost_blk_capacity_check(blk);
	WRITE_ONCE(blk->capacity_polled, true);
	vblk_requeue_capacity_poll(blk);
}

/**
 * vhost_blk_capacity_poll_end - look no more
 * @blk: the device, stopped; its mutex may be held
 */
void vhost_blk_capacity_poll_end(struct vhost_blk *blk)
{
	cancel_delayed_work_sync(&blk->capacity_poll);
}
