// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of the queues: start, pause and resume, stop, drain.
 *
 * Everything that takes something away from a running queue (stop, release,
 * reset, swap of the backend, a new memory table) first keeps it from taking
 * chains, by stop or pause, then drains it.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "blk.h"

/**
 * vhost_blk_queue_init - prepare a queue before vhost_dev_init()
 * @q: the queue, zeroed
 */
void vhost_blk_queue_init(struct vhost_blk_queue *q)
{
	q->vq.handle_kick = vhost_blk_handle_kick;
	init_llist_head(&q->done);
	vhost_work_init(&q->done_work, vhost_blk_done_work);
	INIT_WORK(&q->orphan_work, vhost_blk_orphan_work);
	init_waitqueue_head(&q->idle);
}

/**
 * vhost_blk_queue_free - free what a drained queue has
 * @q: the queue
 */
void vhost_blk_queue_free(struct vhost_blk_queue *q)
{
	kvfree(q->reqs);
	q->reqs = NULL;
	q->nr_reqs = 0;
	kvfree(q->iov);
	q->iov = NULL;
	vhost_blk_bounce_free(q->bounce);
	q->bounce = NULL;
	vhost_blk_track_free(q);
}

/* Have a request for each descriptor head.  The mutex of the queue is held. */
static int alloc_requests(struct vhost_blk_queue *q)
{
	unsigned int i, num = q->vq.num;

	if (q->nr_reqs == num)
		return 0;
	if (!q->iov)
		q->iov = kvmalloc_array(VHOST_BLK_MAX_IOV, sizeof(*q->iov),
					VHOST_BLK_GFP);
	if (!q->bounce)
		q->bounce = vhost_blk_bounce_alloc();
	if (!q->iov || !q->bounce)
		return -ENOMEM;

	kvfree(q->reqs);
	q->nr_reqs = 0;
	q->reqs = kvcalloc(num, sizeof(*q->reqs), VHOST_BLK_GFP);
	if (!q->reqs)
		return -ENOMEM;
	q->nr_reqs = num;
	for (i = 0; i < num; i++) {
		q->reqs[i].q = q;
		q->reqs[i].head = i;
		q->reqs[i].io.bvec = q->reqs[i].inline_bvec;
	}
	return 0;
}

/* What a stop could not put into the used ring is lost with that ring. */
static void forget_unpublished(struct vhost_blk_queue *q)
{
	unsigned int i;

	for (i = 0; q->nr_used && i < q->nr_reqs; i++)
		q->reqs[i].busy = false;
	q->nr_used = 0;
}

/* Behind an IOMMU any address is as good as another, 0 included. */
static bool has_addresses(const struct vhost_virtqueue *vq)
{
	if (vq->iotlb)
		return vq->desc || vq->avail || vq->used;
	return vq->desc && vq->avail && vq->used;
}

/* Return: 1 where the queue was started, 0 where there was nothing to do. */
static int start_queue(struct vhost_blk *blk, struct vhost_blk_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	int ret;

	if (vhost_vq_get_backend(vq) || !has_addresses(vq))
		return 0;
	/* A stop that was interrupted: its requests are still in use. */
	if (q->inflight)
		return -EBUSY;
	if (vq->num > VHOST_BLK_MAX_QUEUE_SIZE)
		return -EINVAL;
	if (!vhost_vq_access_ok(vq))
		return -EFAULT;
	forget_unpublished(q);
	ret = alloc_requests(q);
	if (!ret)
		ret = vhost_blk_track_set(q, blk->features);
	if (ret)
		return ret;

	vhost_vq_set_backend(vq, blk->disk);
	ret = vhost_vq_init_access(vq);
	if (ret) {
		vhost_vq_set_backend(vq, NULL);
		return ret;
	}
	q->paused = false;
	q->broken = false;
	q->starved = false;
	q->idle_since = 0;
	q->poll_ns = 0;
	q->sync = vhost_blk_must_sync(blk);
	q->ops = vhost_blk_ops_of(blk->features);
	return 1;
}

/*
 * What is done may wait for the used ring, behind an IOMMU; the VMM may have
 * mapped it just now, and the worker need not have heard of that.
 */
static void publish_rest(struct vhost_blk_queue *q)
{
	/* A close may come from a process whose memory is another one. */
	if (!q->nr_used || vhost_dev_check_owner(q->vq.dev))
		return;
	vhost_blk_iotlb_lock(q);
	vhost_blk_publish(q);
	vhost_blk_iotlb_unlock(q);
}

static void stop_taking(struct vhost_blk_queue *q)
{
	mutex_lock(&q->vq.mutex);
	/* Once stopped, the memory is not the device's any more. */
	if (vhost_vq_get_backend(&q->vq))
		publish_rest(q);
	vhost_vq_set_backend(&q->vq, NULL);
	mutex_unlock(&q->vq.mutex);
}

/* Without the mutex: the used ring may not be written yet, see settle(). */
static bool is_idle(struct vhost_blk_queue *q)
{
	return !READ_ONCE(q->inflight);
}

/* Let the worker finish what it was doing when the last request ended. */
static void settle(struct vhost_blk_queue *q)
{
	mutex_lock(&q->vq.mutex);
	mutex_unlock(&q->vq.mutex);
}

static int wait_until_idle(struct vhost_blk_queue *q)
{
	if (wait_event_killable(q->idle, is_idle(q)))
		return -EINTR;
	settle(q);
	return 0;
}

/**
 * vhost_blk_start - start every queue that has addresses and isn't running
 * @blk: the device, with a backend, its mutex held
 *
 * Return: 0, or an error with no queue started that wasn't before.
 */
int vhost_blk_start(struct vhost_blk *blk)
{
	DECLARE_BITMAP(started, VHOST_BLK_MAX_QUEUES) = {};
	struct vhost_blk_queue *q;
	unsigned int i;
	int ret;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		mutex_lock(&q->vq.mutex);
		ret = start_queue(blk, q);
		mutex_unlock(&q->vq.mutex);
		if (ret < 0)
			goto stop_started;
		if (ret)
			__set_bit(i, started);
	}
	/* The guest may have made chains available before. */
	for_each_set_bit(i, started, VHOST_BLK_MAX_QUEUES)
		vhost_poll_queue(&blk->queues[i].vq.poll);
	vhost_blk_resize_watch(blk);
	return 0;

stop_started:
	for_each_set_bit(i, started, VHOST_BLK_MAX_QUEUES)
		stop_taking(&blk->queues[i]);
	/* A kick may have come in between. */
	for_each_set_bit(i, started, VHOST_BLK_MAX_QUEUES)
		if (wait_until_idle(&blk->queues[i]))
			return -EINTR;
	return ret;
}

/**
 * vhost_blk_stop - let no queue take any more chains
 * @blk: the device, its mutex held or nobody else left to use it
 */
void vhost_blk_stop(struct vhost_blk *blk)
{
	unsigned int i;

	/* At the end of the device without the mutex, beside resize_work(). */
	WRITE_ONCE(blk->watched, false);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		stop_taking(&blk->queues[i]);
}

/**
 * vhost_blk_stop_queue - stop and drain one queue
 * @q: the queue, dev.mutex held
 *
 * Return: 0, or -EINTR where the caller is being killed.
 */
int vhost_blk_stop_queue(struct vhost_blk_queue *q)
{
	stop_taking(q);
	return wait_until_idle(q);
}

/**
 * vhost_blk_drain - wait until nothing is in flight
 * @blk: the device, stopped or paused, dev.mutex held
 *
 * Return: 0, or -EINTR where the caller is being killed.
 */
int vhost_blk_drain(struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		if (wait_until_idle(&blk->queues[i]))
			return -EINTR;
	return 0;
}

/**
 * vhost_blk_drain_uninterruptible - the same, whoever is being killed
 * @blk: the device, stopped
 *
 * A backend that hangs is no reason for the hung task detector to blame us.
 * When this returns nobody is left in vhost_blk_req_done() either, so the
 * queues may be freed once the worker has been flushed.
 */
void vhost_blk_drain_uninterruptible(struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		wait_event_idle(blk->queues[i].idle, is_idle(&blk->queues[i]));
	/* Pairs with rcu_read_lock() in vhost_blk_req_done(). */
	synchronize_rcu();
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		flush_work(&blk->queues[i].orphan_work);
}

/**
 * vhost_blk_resume - let paused queues take chains again, by the rules of now
 * @blk: the device, its mutex held
 */
void vhost_blk_resume(struct vhost_blk *blk)
{
	struct vhost_blk_queue *q;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		mutex_lock(&q->vq.mutex);
		q->paused = false;
		q->sync = vhost_blk_must_sync(blk);
		if (vhost_vq_get_backend(&q->vq))
			vhost_poll_queue(&q->vq.poll);
		mutex_unlock(&q->vq.mutex);
	}
}

/**
 * vhost_blk_pause - take no more chains and drain, without a stop
 * @blk: the device, its mutex held
 *
 * Return: 0, with vhost_blk_resume() owed, or -EINTR where the caller is being
 * killed.
 */
int vhost_blk_pause(struct vhost_blk *blk)
{
	struct vhost_blk_queue *q;
	unsigned int i;
	int ret;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		mutex_lock(&q->vq.mutex);
		q->paused = true;
		mutex_unlock(&q->vq.mutex);
	}
	ret = vhost_blk_drain(blk);
	if (ret)
		vhost_blk_resume(blk);
	return ret;
}

/**
 * vhost_blk_ack_features - what guest and VMM have agreed on holds from now on
 * @blk: the device, nothing in flight, its mutex held
 * @features: checked
 *
 * Return: 0, or -ENOMEM, with nothing changed that is seen outside.
 */
int vhost_blk_ack_features(struct vhost_blk *blk, u64 features)
{
	struct vhost_blk_queue *q;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES && !ret; i++) {
		q = &blk->queues[i];
		mutex_lock(&q->vq.mutex);
		if (vhost_vq_get_backend(&q->vq))
			ret = vhost_blk_track_set(q, features);
		mutex_unlock(&q->vq.mutex);
	}
	if (ret)
		return ret;
	blk->features = features;
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		mutex_lock(&q->vq.mutex);
		q->vq.acked_features = features;
		mutex_unlock(&q->vq.mutex);
	}
	return 0;
}

/**
 * vhost_blk_running - is any queue started?
 * @blk: the device, its mutex held
 */
bool vhost_blk_running(struct vhost_blk *blk)
{
	bool running = false;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &blk->queues[i].vq;

		mutex_lock(&vq->mutex);
		running |= !!vhost_vq_get_backend(vq);
		mutex_unlock(&vq->mutex);
	}
	return running;
}
