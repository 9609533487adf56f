// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 0: looking at a ring before the guest's kick.
 *
 * With VHOST_SET_VRING_BUSYLOOP_TIMEOUT a worker whose ring is empty doesn't
 * turn notifications on and sleep at once, but looks at the ring for a while:
 * the guest saves a kick, the worker a wake-up.  For how long is learnt from
 * how long guests have taken: a queue whose next chain comes later than the
 * timeout isn't looked at, one whose chains come soon is, twice as long as the
 * last took.
 *
 * The CPU is nobody else's meanwhile: whatever else wants it, gets it, and so
 * does other work of the same worker, completions for one.  The queue's mutex
 * is let go of after a slice, since a stop may be waiting for it.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>

#include "blk.h"

#define VBLK_POLL_SLICE_NS	(50 * NSEC_PER_USEC)
#define VBLK_POLL_MIN_NS	(4 * NSEC_PER_USEC)

static u64 vblk_poll_timeout_ns(const struct vhost_blk_queue *q)
{
	return (u64)READ_ONCE(q->vq.busyloop_timeout) * NSEC_PER_USEC;
}

/**
 * vhost_blk_poll_hit - the guest has made a chain available
 * @q: the queue, its mutex held, @idle_since not 0
 */
void vhost_blk_poll_hit(struct vhost_blk_queue *q)
{
	u64 took, timeout;

	timeout = vblk_poll_timeout_ns(q);
	took = ktime_get_ns() - q->idle_since;
	q->idle_since = 0;
	if (took > timeout)
		q->poll_ns = 0;
	else
		q->poll_ns = clamp(2 * took, min(VBLK_POLL_MIN_NS, timeout),
				   timeout);
}

/**
 * vhost_blk_poll_restart - it is the guest's turn
 * @q: the queue, its mutex held, some of its requests just answered
 *
 * What the guest makes of the answer may come soon.
 */
void vhost_blk_poll_restart(struct vhost_blk_queue *q)
{
	if (!vblk_poll_timeout_ns(q))
		return;
	q->idle_since = ktime_get_ns();
	if (q->poll_ns && !q->batching &&
	    vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING)
		vhost_poll_queue(&q->vq.poll);
}

/**
 * vhost_blk_poll_ring - look at an empty ring for a while
 * @q: the queue, its mutex held, notifications off, nothing plugged
 *
 * Return: 1 where there is something on it or to be answered, 0 where it is time
 * to be kicked again, -EAGAIN where other work goes first and the worker will
 * come again.
 */
int vhost_blk_poll_ring(struct vhost_blk_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	u64 now, slice_end, end, window = min(q->poll_ns, vblk_poll_timeout_ns(q));

	if (!window)
		return 0;
	now = ktime_get_ns();
	if (!q->idle_since)
		q->idle_since = now;
	end = q->idle_since + window;
	slice_end = min(end, now + VBLK_POLL_SLICE_NS);
	for (; now < slice_end; now = ktime_get_ns()) {
		if (!llist_empty(&q->done) ||
		    !vhost_vq_avail_empty(vq->dev, vq))
			return 1;
		if (vhost_vq_has_work(vq))
			break;
		if (!single_task_running() || need_resched())
			return 0;
		cpu_relax();
	}
	if (now >= end)
		return 0;
	vhost_poll_queue(&vq->poll);
	return -EAGAIN;
}
