// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts, pauses, resumes and stops queues.
 *
 * Each operation that takes something away from a queue (stop, release, reset,
 * swap of the backend, a new memory table) first changes the state, so that the
 * worker takes no more chains, and then waits for the requests in flight.  The
 * states are in state.c.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "internal.h"
#include "stats.h"

/**
 * vhost_blk_queue_init - initialize a queue before vhost_dev_init()
 * @q: the queue, zeroed
 */
void vhost_blk_queue_init(struct vhost_blk_queue *q)
{
	q->vq.handle_kick = vhost_blk_handle_kick;
	init_llist_head(&q->to_submit);
	INIT_WORK(&q->submit_work, vhost_blk_submit_work);
	init_llist_head(&q->done);
	vhost_work_init(&q->done_work, vhost_blk_done_work);
	INIT_DELAYED_WORK(&q->dead_worker_work, vhost_blk_dead_worker_work);
	init_waitqueue_head(&q->idle);
	atomic_set(&q->state, VHOST_BLK_QUEUE_STOPPED);
}

/**
 * vhost_blk_queue_free - free the memory of a queue
 * @q: the queue, stopped, and not in use by any thread
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
	kvfree(q->locks);
	q->locks = NULL;
	q->nr_locks = 0;
	vhost_blk_free_tracking(q);
	vhost_blk_free_parked(q);
}

/*
 * Allocate one request per descriptor head, and the other memory of a queue.
 * The mutex of the queue is held.
 *
 * Return: 0 or -ENOMEM.
 */
static int vblk_alloc_requests(struct vhost_blk_queue *q)
{
	unsigned int i, num = q->vq.num;

	if (q->nr_reqs == num)
		return 0;
	if (!q->iov)
		q->iov = kvmalloc_array(VHOST_BLK_MAX_IOV, sizeof(*q->iov),
					VHOST_BLK_GFP);
	if (!q->bounce)
		q->bounce = vhost_blk_bounce_alloc();
	if (!q->iov || !q->bounce || vhost_blk_alloc_tracking(q))
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

/*
 * Forget used entries that the last stop could not write, because the used ring
 * was not mapped (IOTLB miss).
 */
static void vblk_drop_unflushed_used(struct vhost_blk_queue *q)
{
	unsigned int i;

	for (i = 0; q->nr_used && i < q->nr_reqs; i++)
		q->reqs[i].busy = false;
	q->nr_used = 0;
}

/*
 * With an IOMMU, 0 is a valid address; a queue that is not in use has only
 * zeroes.
 */
static bool vblk_has_addresses(const struct vhost_virtqueue *vq)
{
	if (vq->iotlb)
		return vq->desc || vq->avail || vq->used;
	return vq->desc && vq->avail && vq->used;
}

/*
 * Check whether each write must be stable when it completes (5.2.6.2).
 * dev.mutex is held.
 */
static bool vblk_writethrough(const struct vhost_blk *blk)
{
	if (blk->features & BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE))
		return !blk->writeback;
	return !(blk->features & BIT_ULL(VIRTIO_BLK_F_FLUSH));
}

/*
 * Start a stopped queue that has addresses.  dev.mutex and the mutex of the
 * queue are held.
 *
 * Return: 1 if the queue was started, 0 if it runs or has no addresses, or a
 * negative errno.
 */
static int vblk_start_locked(struct vhost_blk *blk, struct vhost_blk_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	int ret;

	switch (vhost_blk_queue_state(q)) {
	case VHOST_BLK_QUEUE_STOPPED:
		break;
	case VHOST_BLK_QUEUE_DRAINING:
	case VHOST_BLK_QUEUE_DEAD:
		/* An interrupted stop: requests are still in flight. */
		return -EBUSY;
	default:
		return 0;
	}
	if (!vblk_has_addresses(vq))
		return 0;
	if (!vhost_blk_vq_has_worker(vq) || vhost_blk_owner_exited(blk))
		return -EOWNERDEAD;
	if (vq->num > VHOST_BLK_MAX_QUEUE_SIZE)
		return -EINVAL;
	if (!vhost_vq_access_ok(vq))
		return -EFAULT;
	vblk_drop_unflushed_used(q);
	ret = vhost_blk_prepare_parking(q) ?: vblk_alloc_requests(q) ?:
	      vhost_blk_rmw_alloc(q, blk->be) ?:
	      vhost_blk_counters_alloc(q);
	if (ret)
		return ret;
	vhost_blk_set_tracking(q, blk->features);

	/* The last reference may have been dropped because the owner exited. */
	if (!refcount_inc_not_zero(&blk->refs))
		return -EOWNERDEAD;
	vhost_vq_set_backend(vq, blk);
	/*
	 * vhost_vq_init_access() writes used_flags to the ring.  With EVENT_IDX
	 * it is not written again, so it must be 0 (2.7.10).
	 */
	vq->used_flags = 0;
	/*
	 * Some releases of the core keep old mappings of rings that have moved.
	 */
	memset(vq->meta_iotlb, 0, sizeof(vq->meta_iotlb));
	ret = vhost_vq_init_access(vq);
	if (ret) {
		vhost_vq_set_backend(vq, NULL);
		vhost_blk_put(blk);
		return ret;
	}
	WRITE_ONCE(q->break_reason, VHOST_BLK_BREAK_NONE);
	WRITE_ONCE(q->break_error, 0);
	vhost_blk_forget_failure(q);
	vhost_blk_set_deadline(q, 0);
	q->throttled = false;
	q->idle_since = 0;
	q->poll_ns = 0;
	q->writethrough = vblk_writethrough(blk);
	q->op_mask = vhost_blk_op_mask(blk->features);
	vhost_blk_queue_event(q, VHOST_BLK_EVENT_START);
	return 1;
}

/* Return: as vblk_start_locked(), or -EINTR if the caller is being killed. */
static int vblk_lock_and_start(struct vhost_blk *blk, struct vhost_blk_queue *q)
{
	int ret;

	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	ret = vblk_start_locked(blk, q);
	mutex_unlock(&q->vq.mutex);
	return ret;
}

/*
 * Begin to stop a queue.  The worker finishes the stop after the work that it
 * is doing, so the caller needs neither the mutex of the queue nor the owner's
 * memory.
 */
static void vblk_begin_stop(struct vhost_blk_queue *q)
{
	vhost_blk_set_deadline(q, VHOST_BLK_STOP_TIMEOUT);
	if (vhost_blk_queue_event(q, VHOST_BLK_EVENT_STOP))
		vhost_blk_wake_worker(q);
}

/*
 * Wait until a queue has stopped.  Return: 0, or -EINTR if the caller is being
 * killed; then the queue is dead until its last request has ended.
 */
static int vblk_wait_stopped(struct vhost_blk_queue *q)
{
	if (!wait_event_killable(q->idle, vhost_blk_stopped(q)))
		return 0;
	/*
	 * The VMM has not seen the queue stop, and its memory may be reused.
	 * So drop the completions of the requests that are still in flight.
	 */
	if (vhost_blk_queue_event(q, VHOST_BLK_EVENT_ABANDON))
		vhost_blk_wake_worker(q);
	return -EINTR;
}

/**
 * vhost_blk_stop_queue - stop a queue and wait for its requests
 * @q: the queue, dev.mutex held
 *
 * Return: 0, or -EINTR if the caller is being killed; then the queue is dead
 * until its last request has ended.
 */
int vhost_blk_stop_queue(struct vhost_blk_queue *q)
{
	vblk_begin_stop(q);
	return vblk_wait_stopped(q);
}

/**
 * vhost_blk_begin_stop - stop all queues, and do not wait for their requests
 * @blk: the device, its mutex held, or its file closed
 */
void vhost_blk_begin_stop(struct vhost_blk *blk)
{
	unsigned int i;

	WRITE_ONCE(blk->capacity_polled, false);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		vblk_begin_stop(&blk->queues[i]);
}

/**
 * vhost_blk_stop - stop all queues and wait for their requests
 * @blk: the device, its mutex held, or its file closed
 *
 * Return: 0, or -EINTR if the caller is being killed; then each queue that has
 * not stopped is dead until its last request has ended.
 */
int vhost_blk_stop(struct vhost_blk *blk)
{
	unsigned int i;
	int ret = 0;

	vhost_blk_begin_stop(blk);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		ret = vblk_wait_stopped(&blk->queues[i]) ?: ret;
	return ret;
}

/**
 * vhost_blk_abandon - let all requests end without a completion
 * @blk: the device, whose owner exits, has exited or cannot see completions
 *
 * Does not sleep and takes no locks.
 */
void vhost_blk_abandon(struct vhost_blk *blk)
{
	unsigned int i;

	WRITE_ONCE(blk->capacity_polled, false);
	/*
	 * Without dev.mutex: as soon as a queue has stopped, an ioctl may free
	 * its worker.  Pairs with synchronize_rcu() in
	 * vblk_attach_vring_worker().
	 */
	rcu_read_lock();
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		if (vhost_blk_queue_event(&blk->queues[i], VHOST_BLK_EVENT_ABANDON))
			vhost_blk_wake_worker(&blk->queues[i]);
	rcu_read_unlock();
}

/**
 * vhost_blk_start_queue - start one queue
 * @blk: the device, with a backend, its mutex held
 * @q: one of its queues
 *
 * Return: 0, also if the queue has no addresses or runs already; or a negative
 * errno, see VHOST_BLK_SET_VRING_RUNNING.
 */
int vhost_blk_start_queue(struct vhost_blk *blk, struct vhost_blk_queue *q)
{
	int ret = vblk_lock_and_start(blk, q);

	/* The guest may have made chains available before. */
	if (ret > 0)
		vhost_poll_queue(&q->vq.poll);
	return min(ret, 0);
}

/**
 * vhost_blk_start - start every stopped queue that has addresses
 * @blk: the device, with a backend, its mutex held
 *
 * Return: 0, or a negative errno, see VHOST_BLK_SET_RUNNING.  On error the
 * queues that this call has started are stopped again.
 */
int vhost_blk_start(struct vhost_blk *blk)
{
	DECLARE_BITMAP(started, VHOST_BLK_MAX_QUEUES) = {};
	unsigned int i;
	int ret;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		ret = vblk_lock_and_start(blk, &blk->queues[i]);
		if (ret < 0)
			goto stop_started;
		if (ret)
			__set_bit(i, started);
	}
	for_each_set_bit(i, started, VHOST_BLK_MAX_QUEUES)
		vhost_poll_queue(&blk->queues[i].vq.poll);
	return 0;

stop_started:
	/* Started queues may have taken chains already, so wait for them. */
	for_each_set_bit(i, started, VHOST_BLK_MAX_QUEUES)
		ret = vhost_blk_stop_queue(&blk->queues[i]) ?: ret;
	return ret;
}

/**
 * vhost_blk_abandon_if_owner_exited - undo a start if the owner has exited
 * @blk: the device, some of its queues just started, its mutex held
 *
 * A process that shares the owner's memory may start a queue just after the
 * owner has exited.  Pairs with the barrier in vblk_owner_exit_work(), which
 * abandons all queues that it finds started; those that it missed are abandoned
 * here.
 */
void vhost_blk_abandon_if_owner_exited(struct vhost_blk *blk)
{
	if (vhost_blk_owner_exited(blk))
		vhost_blk_abandon(blk);
}

/**
 * vhost_blk_resume - let paused queues take chains again
 * @blk: the device, its mutex held
 *
 * The queues use the cache mode that is set now.
 */
void vhost_blk_resume(struct vhost_blk *blk)
{
	struct vhost_blk_queue *q;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		vhost_blk_set_deadline(q, 0);
		if (vhost_blk_queue_state(q) != VHOST_BLK_QUEUE_PAUSED)
			continue;
		/* Read by the worker, in state RUNNING only */
		WRITE_ONCE(q->writethrough, vblk_writethrough(blk));
		if (vhost_blk_queue_event(q, VHOST_BLK_EVENT_RESUME))
			vhost_poll_queue(&q->vq.poll);
	}
}

static bool vblk_idle(const struct vhost_blk_queue *q)
{
	return !READ_ONCE(q->inflight);
}

/*
 * Wait until the worker has released the mutex of the queue, after which it
 * sees the current state.  Return: 0, or -EINTR if the caller is being killed.
 */
static int vblk_sync_with_worker(struct vhost_blk_queue *q)
{
	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	mutex_unlock(&q->vq.mutex);
	return 0;
}

/*
 * Wait until no request is in flight and the worker has completed all of them.
 * Return: 0, or -EINTR if the caller is being killed.
 */
static int vblk_wait_idle(struct vhost_blk_queue *q)
{
	if (vhost_blk_stopped(q))
		return 0;
	if (vblk_sync_with_worker(q) || wait_event_killable(q->idle, vblk_idle(q)))
		return -EINTR;
	return vblk_sync_with_worker(q);
}

/**
 * vhost_blk_pause - stop taking chains and wait for requests in flight
 * @blk: the device, its mutex held
 *
 * Return: 0, then the caller must call vhost_blk_resume(); or -EINTR if the
 * caller is being killed, with the queues resumed.
 */
int vhost_blk_pause(struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		vhost_blk_set_deadline(&blk->queues[i], VHOST_BLK_PAUSE_TIMEOUT);
		vhost_blk_queue_event(&blk->queues[i], VHOST_BLK_EVENT_PAUSE);
	}
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		if (vblk_wait_idle(&blk->queues[i])) {
			vhost_blk_resume(blk);
			return -EINTR;
		}
	}
	return 0;
}

/**
 * vhost_blk_running - check whether any queue is not stopped
 * @blk: the device; without its mutex the result may be outdated
 *
 * Return: true if a queue is not stopped.
 */
bool vhost_blk_running(const struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		if (!vhost_blk_stopped(&blk->queues[i]))
			return true;
	return false;
}
