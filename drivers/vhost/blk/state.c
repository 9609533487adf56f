// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of a queue, and the functions that change them or wake the worker:
 * to add a request to the list of done requests, from any context; to break a
 * queue and to end its stop, with the mutex of the queue held.  The comment of
 * each function gives its context.
 *
 * All transitions are in one table, and only vhost_blk_queue_event() makes
 * them.  Documentation/virt/vhost-blk/states.rst describes the states and what
 * each ioctl does in each of them.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "trace.h"

#define STOPPED		VHOST_BLK_QUEUE_STOPPED
#define RUNNING		VHOST_BLK_QUEUE_RUNNING
#define PAUSED		VHOST_BLK_QUEUE_PAUSED
#define DRAINING	VHOST_BLK_QUEUE_DRAINING
#define BROKEN		VHOST_BLK_QUEUE_BROKEN
#define DEAD		VHOST_BLK_QUEUE_DEAD
#define PARKED		VHOST_BLK_QUEUE_PARKED

/*
 * Next state, by current state and event.  Columns are in the order of enum
 * vhost_blk_event.
 */
static const u8 vblk_next[VHOST_BLK_QUEUE_PARKED + 1][VHOST_BLK_NR_EVENTS] = {
	/*             START    PAUSE    RESUME   STOP      BREAK    ABANDON  DRAINED  PARK */
	[STOPPED]  = { RUNNING, STOPPED, STOPPED, STOPPED,  STOPPED, STOPPED, STOPPED, STOPPED },
	[RUNNING]  = { RUNNING, PAUSED,  RUNNING, DRAINING, BROKEN,  DEAD,    RUNNING, PARKED },
	[PAUSED]   = { PAUSED,  PAUSED,  RUNNING, DRAINING, BROKEN,  DEAD,    PAUSED,  PARKED },
	[DRAINING] = { DRAINING, DRAINING, DRAINING, DRAINING, DRAINING, DEAD, STOPPED, DRAINING },
	[BROKEN]   = { BROKEN,  BROKEN,  BROKEN,  DRAINING, BROKEN,  DEAD,    BROKEN,  BROKEN },
	[DEAD]     = { DEAD,    DEAD,    DEAD,    DEAD,     DEAD,    DEAD,    STOPPED, DEAD },
	[PARKED]   = { PARKED,  PARKED,  PARKED,  DRAINING, BROKEN,  DEAD,    PARKED,  PARKED },
};

/**
 * vhost_blk_queue_at - get a queue by its index
 * @blk: the device
 * @index: index from userspace
 *
 * Return: the queue, or NULL if there is no such queue.
 */
struct vhost_blk_queue *vhost_blk_queue_at(struct vhost_blk *blk, u32 index)
{
	if (index >= VHOST_BLK_MAX_QUEUES)
		return NULL;
	return &blk->queues[array_index_nospec(index, VHOST_BLK_MAX_QUEUES)];
}

/**
 * vhost_blk_queue_event - change the state of a queue
 * @q: the queue
 * @event: the event
 *
 * The only writer of @q->state.  A change of the state is a full memory
 * barrier.
 *
 * Context: Any.  START and DRAINED require the mutex of the virtqueue, because
 * the private_data of the queue and its reference to the device change with
 * them.
 *
 * Return: true if the state changed.
 */
bool vhost_blk_queue_event(struct vhost_blk_queue *q, enum vhost_blk_event event)
{
	int state = atomic_read(&q->state);
	u8 next;

	do {
		next = vblk_next[state][event];
		if (next == state)
			return false;
	} while (!atomic_try_cmpxchg(&q->state, &state, next));
	return true;
}

/**
 * vhost_blk_set_deadline - set when long requests of a queue give up
 * @q: the queue
 * @timeout: time in jiffies from now, or 0 for no deadline
 *
 * Called with dev.mutex held, or without any other user of the device, when an
 * ioctl begins or ends to wait for the requests of @q.  The state of the queue
 * does not matter: a queue that breaks while it is paused has requests in
 * flight too.  Each wait has its own grace, see vhost_blk_should_abort_step().
 */
void vhost_blk_set_deadline(struct vhost_blk_queue *q, unsigned long timeout)
{
	atomic_set(&to_vhost_blk(q)->grace, VHOST_BLK_GRACE);
	WRITE_ONCE(q->deadline, timeout ? (jiffies + timeout) ?: 1 : 0);
}

/**
 * vhost_blk_should_abort - check whether a long request should give up
 * @q: the queue of the request
 *
 * A guest decides how long its discards, zeroes, secure erases and resets of
 * all zones take.  They are executed in steps.  If an ioctl has waited longer
 * than its timeout, or if the queue is dead, the remaining steps are not done
 * and the request ends in an error.
 *
 * Context: Any.
 *
 * Return: true if the request should give up.
 */
bool vhost_blk_should_abort(const struct vhost_blk_queue *q)
{
	unsigned long at = READ_ONCE(q->deadline);

	return (at && time_after_eq(jiffies, at)) || vhost_blk_dead(q);
}

/*
 * Take @cost I/Os, of at most VHOST_BLK_GRACE_STEP bytes each, from the grace
 * of the current wait.
 *
 * Return: true if that many were left.
 */
static bool vblk_take_grace(struct vhost_blk *blk, u64 cost)
{
	int left = atomic_read(&blk->grace);

	do {
		if (cost > left)
			return false;
	} while (!atomic_try_cmpxchg(&blk->grace, &left, left - (int)cost));
	return true;
}

/*
 * Cost of the rest of a request in units of vblk_take_grace().  A discard gets
 * no grace, since it is a hint and need not finish; a secure erase gets none,
 * since the time that it takes is not known.
 */
static u64 vblk_grace_cost(const struct vhost_blk_io *io)
{
	u64 cost = io->fua ? VHOST_BLK_GRACE_FLUSH : 0;
	unsigned int i;

	if (!vhost_blk_op_has_ranges(io->op))
		return 1;
	if (io->op != VHOST_BLK_OP_WRITE_ZEROES)
		return U64_MAX;
	for (i = 0; i < io->nr_ranges; i++)
		cost += DIV_ROUND_UP_ULL(io->ranges[i].len,
					 VHOST_BLK_GRACE_STEP);
	return cost;
}

/* Let a request finish, if the grace is enough for the rest of it. */
static bool vblk_grant_grace(const struct vhost_blk_req *req)
{
	return vblk_take_grace(to_vhost_blk(req->q), vblk_grace_cost(&req->io));
}

/**
 * vhost_blk_should_abort_step - check whether to give up before the next step
 * @req: request without data; called by one thread at a time
 *
 * Like vhost_blk_should_abort(), but a small request may finish while the grace
 * of the device lasts, unless its queue is dead.
 *
 * Context: Any.
 *
 * Return: true if the request should give up.
 */
bool vhost_blk_should_abort_step(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;

	if (!vhost_blk_should_abort(q))
		return false;
	if (vhost_blk_dead(q))
		return true;
	if (!req->io.spared)
		req->io.spared = vblk_grant_grace(req);
	return !req->io.spared;
}

/**
 * vhost_blk_break - break a queue: take no more chains from it
 * @q: the queue, its mutex held
 * @reason: a chain that cannot be completed, or guest memory that cannot be
 *	written
 * @error: negative errno that belongs to @reason, or 0
 *
 * Requests in flight still complete.  The VMM is notified through the error
 * eventfd of the queue, and reads the reason with VHOST_BLK_GET_VRING_INFO.  It
 * has to stop and start the queue.  Other queues are not affected.
 */
void vhost_blk_break(struct vhost_blk_queue *q,
		     enum vhost_blk_break_reason reason, int error)
{
	trace_vhost_blk_break(q, reason, error);
	if (q->break_reason == VHOST_BLK_BREAK_NONE) {
		WRITE_ONCE(q->break_reason, reason);
		WRITE_ONCE(q->break_error, error);
	}
	vhost_blk_queue_event(q, VHOST_BLK_EVENT_BREAK);
	vq_err(&q->vq, "queue broken\n");
}

/* Resets and frees devices, see release.c */
struct workqueue_struct *vhost_blk_release_wq;

/**
 * vhost_blk_put - drop a reference to a device
 * @blk: the device.  The caller must not use it afterwards, unless the release
 *	of the device waits for the caller.
 *
 * Context: Any.
 */
void vhost_blk_put(struct vhost_blk *blk)
{
	/* Only an address, which is not dereferenced: @blk may be freed. */
	refcount_t *refs = &blk->refs;

	if (refcount_dec_and_test(refs)) {
		queue_work(vhost_blk_release_wq, &blk->release_work);
		return;
	}
	/* Pairs with set_current_state() in wait_var_event(). */
	smp_mb();
	wake_up_var(refs);
}

/**
 * vhost_blk_queue_drained - set a queue to stopped if nothing is in flight
 * @q: the queue, its mutex held, in state DRAINING or DEAD to have an effect.
 *	The caller may only unlock the mutex afterwards.
 *
 * This may drop the last reference to the device.  The work that frees the
 * device waits for the worker, and so for the caller.
 */
void vhost_blk_queue_drained(struct vhost_blk_queue *q)
{
	bool dead = vhost_blk_dead(q);

	if (q->inflight || !vhost_blk_queue_event(q, VHOST_BLK_EVENT_DRAINED))
		return;
	/* Nothing that the guest has sent before counts any more. */
	if (dead)
		WRITE_ONCE(q->parked.nr, 0);
	vhost_vq_set_backend(&q->vq, NULL);
	wake_up_all(&q->idle);
	vhost_blk_put(to_vhost_blk(q));
}

/**
 * vhost_blk_queue_dead_worker - schedule completion without a worker
 * @q: the queue, whose worker has been killed
 * @delay: delay in jiffies
 *
 * The work may wait for the lock of a page, which the owner may hold through a
 * file system that it serves.  It runs in a workqueue of the device, so that it
 * does not delay other devices.
 *
 * Context: Any.
 */
void vhost_blk_queue_dead_worker(struct vhost_blk_queue *q, unsigned long delay)
{
	queue_delayed_work(to_vhost_blk(q)->submit_wq, &q->dead_worker_work, delay);
}

/**
 * vhost_blk_wake_worker - make the worker check a queue for completions
 * @q: the queue; not stopped, or about to leave that state
 *
 * If the worker has been killed, a workqueue does the part of its work that
 * does not need the owner's memory.
 *
 * Context: Any.
 */
void vhost_blk_wake_worker(struct vhost_blk_queue *q)
{
	if (!vhost_vq_work_queue(&q->vq, &q->done_work))
		vhost_blk_queue_dead_worker(q, 0);
}

/**
 * vhost_blk_req_done - report that the I/O of a request is done
 * @req: the request; must not be used by the caller afterwards
 * @error: 0 or a negative errno
 *
 * Must be called exactly once each time that the request is submitted.
 *
 * Context: Any.
 */
void vhost_blk_req_done(struct vhost_blk_req *req, int error)
{
	struct vhost_blk_queue *q = req->q;

	trace_vhost_blk_done(q, req->head, error);
	req->error = error;
	if (unlikely(req->locked))
		req->be->ops->unlock(req);
	/*
	 * The worker may see the request as soon as it is on the list.  The
	 * queue is freed only after a grace period, so @q stays valid here.
	 */
	rcu_read_lock();
	if (llist_add(&req->done_node, &q->done) && !READ_ONCE(q->batching))
		vhost_blk_wake_worker(q);
	rcu_read_unlock();
}

/**
 * vhost_blk_batch_begin - do not wake the worker for completions
 * @q: the queue, its mutex held
 *
 * The worker is going to check the list of done requests.  Completions need not
 * wake it until vhost_blk_batch_end().
 */
void vhost_blk_batch_begin(struct vhost_blk_queue *q)
{
	WRITE_ONCE(q->batching, true);
}

/**
 * vhost_blk_batch_end - wake the worker for completions again
 * @q: the queue, its mutex held
 *
 * Wakes the worker if requests are done already.
 */
void vhost_blk_batch_end(struct vhost_blk_queue *q)
{
	WRITE_ONCE(q->batching, false);
	/* Pairs with llist_add() in vhost_blk_req_done(). */
	smp_mb();
	if (!llist_empty(&q->done))
		vhost_blk_wake_worker(q);
}
