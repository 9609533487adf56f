// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of a queue, and what any context may do to one: break it, put a
 * request on its list of done requests, wake its worker, end its stop.
 *
 * All transitions are in one table, and one function makes them.
 * Documentation/virt/vhost-blk/states.rst draws them and says what each ioctl
 * does in each state.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
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

/* In the order of enum vhost_blk_event, so that it reads as a table. */
static const u8 vblk_next[VHOST_BLK_NR_QUEUE_STATES][VHOST_BLK_NR_EVENTS] = {
	/*              START    PAUSE    RESUME   STOP      BREAK     ABANDON  DRAINED */
	[STOPPED]  = {  RUNNING, STOPPED, STOPPED, STOPPED,  STOPPED,  STOPPED, STOPPED },
	[RUNNING]  = {  RUNNING, PAUSED,  RUNNING, DRAINING, BROKEN,   DEAD,    RUNNING },
	[PAUSED]   = {  PAUSED,  PAUSED,  RUNNING, DRAINING, BROKEN,   DEAD,    PAUSED },
	[DRAINING] = { DRAINING, DRAINING, DRAINING, DRAINING, DRAINING, DEAD,  STOPPED },
	[BROKEN]   = {  BROKEN,  BROKEN,  BROKEN,  DRAINING, BROKEN,   DEAD,    BROKEN },
	[DEAD]     = {  DEAD,    DEAD,    DEAD,    DEAD,     DEAD,     DEAD,    STOPPED },
};

/**
 * vhost_blk_queue_event - change the state of a queue
 * @q: the queue
 * @event: what happened
 *
 * The only writer of @q->state.  It is a full barrier if the state changes.
 *
 * Context: any.  START and DRAINED are sent with the mutex of the virtqueue
 * held, so only they need to agree on what a started queue owns.
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
 * vhost_blk_set_deadline - an ioctl begins or ends to wait for requests
 * @q: the queue that it waits for, dev.mutex held
 * @patience: in jiffies, or 0 if the wait is over
 *
 * Whatever the state: a queue that is broken while it is paused has requests to
 * wait for too.  Each wait has its own grace, see
 * vhost_blk_should_abort_step().
 */
void vhost_blk_set_deadline(struct vhost_blk_queue *q, unsigned long patience)
{
	atomic_set(&to_vhost_blk(q)->grace, VHOST_BLK_GRACE);
	WRITE_ONCE(q->deadline, patience ? (jiffies + patience) ?: 1 : 0);
}

/**
 * vhost_blk_should_abort - should a request give up what is left of it?
 * @q: the queue of the request
 *
 * A request of ranges, or one to reset all zones, may take as long as the guest
 * likes.  It is done in steps; when an ioctl has waited for it for long enough,
 * or its queue is dead, the rest is not done and the request ends in an error.
 *
 * Context: any.
 */
bool vhost_blk_should_abort(const struct vhost_blk_queue *q)
{
	unsigned long at = READ_ONCE(q->deadline);

	return (at && time_after_eq(jiffies, at)) || vhost_blk_dead(q);
}

/* @cost: in I/Os of at most VHOST_BLK_GRACE_STEP bytes, for one wait of an ioctl */
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
 * What is left of a discard is not missed, and how long a secure erase takes
 * isn't known.
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

static bool vblk_spare(const struct vhost_blk_req *req)
{
	return vblk_take_grace(to_vhost_blk(req->q), vblk_grace_cost(&req->io));
}

/**
 * vhost_blk_should_abort_step - should a request without data give up its rest?
 * @req: the request; called by one thread at a time
 *
 * As vhost_blk_should_abort(), but small requests are done to the end, as long as
 * they are few and their queue isn't dead.
 *
 * Context: any.
 */
bool vhost_blk_should_abort_step(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;

	if (!vhost_blk_should_abort(q))
		return false;
	if (vhost_blk_dead(q))
		return true;
	if (!req->io.spared)
		req->io.spared = vblk_spare(req);
	return !req->io.spared;
}

/**
 * vhost_blk_break - take no more chains from a queue
 * @q: the queue, its mutex held
 * @reason: a chain that can't be answered, or memory of the guest's that can't
 *	be written
 * @error: the errno that goes with it, or 0
 *
 * Requests in flight complete.  No chains are taken until the VMM stops and
 * starts the queue; it is told by the queue's error eventfd, and reads the
 * reason by VHOST_BLK_GET_VRING_INFO.  Other queues are not affected.
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

struct workqueue_struct *vhost_blk_release_wq;

/**
 * vhost_blk_put - drop a reference to a device
 * @blk: the device; not to be touched afterwards, but by a caller that the
 *	device's end waits for
 *
 * Context: any.
 */
void vhost_blk_put(struct vhost_blk *blk)
{
	/* The address is not followed: @blk may be freed by then. */
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
 * vhost_blk_queue_drained - end a stop if nothing is in flight any more
 * @q: the queue, its mutex held; the caller does nothing but unlock afterwards
 *
 * This may drop the last reference to the device.  The device is freed by a
 * work that waits for the worker, so for the caller, to be through.
 */
void vhost_blk_queue_drained(struct vhost_blk_queue *q)
{
	if (q->inflight || !vhost_blk_queue_event(q, VHOST_BLK_EVENT_DRAINED))
		return;
	vhost_vq_set_backend(&q->vq, NULL);
	wake_up_all(&q->idle);
	vhost_blk_put(to_vhost_blk(q));
}

/*
 * It may wait for the lock of a page that the owner holds by a file system of its
 * own, so it must not be in the way of other devices.
 */
void vhost_blk_queue_dead_worker(struct vhost_blk_queue *q, unsigned long delay)
{
	queue_delayed_work(to_vhost_blk(q)->submit_wq, &q->dead_worker_work, delay);
}

/**
 * vhost_blk_wake_worker - have the worker look at a queue, kicked or not
 * @q: the queue, not stopped or about to be
 *
 * Context: any.  Without a worker, since it was killed, a workqueue does what
 * can be done without the owner's memory.
 */
void vhost_blk_wake_worker(struct vhost_blk_queue *q)
{
	if (!vhost_vq_work_queue(&q->vq, &q->done_work))
		vhost_blk_queue_dead_worker(q, 0);
}

/**
 * vhost_blk_req_done - the I/O of a request is done
 * @req: the request; not to be touched afterwards
 * @error: 0 or a negative errno
 *
 * Context: any.  Called exactly once for each time that the request was
 * submitted.
 */
void vhost_blk_req_done(struct vhost_blk_req *req, int error)
{
	struct vhost_blk_queue *q = req->q;

	trace_vhost_blk_done(q, req->head, error);
	req->error = error;
	/*
	 * The worker may be about to look at the list already.  What frees the
	 * queue waits for a grace period first, so @q stays until the end.
	 */
	rcu_read_lock();
	if (llist_add(&req->done_node, &q->done) && !READ_ONCE(q->batching))
		vhost_blk_wake_worker(q);
	rcu_read_unlock();
}

/**
 * vhost_blk_batch_begin - the worker will look at what is done
 * @q: the queue, its mutex held
 *
 * Until vhost_blk_batch_end() nobody needs to wake it.
 */
void vhost_blk_batch_begin(struct vhost_blk_queue *q)
{
	WRITE_ONCE(q->batching, true);
}

void vhost_blk_batch_end(struct vhost_blk_queue *q)
{
	WRITE_ONCE(q->batching, false);
	/* Pairs with llist_add() in vhost_blk_req_done(). */
	smp_mb();
	if (!llist_empty(&q->done))
		vhost_blk_wake_worker(q);
}
