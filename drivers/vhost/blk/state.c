// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of a queue.  All transitions are in one table, and one function
 * makes them.  Documentation/virt/vhost-blk/states.rst draws them and says
 * what each ioctl does in each state.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>

#include "blk.h"

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
 * wait for too.  Each wait has its own grace, see vhost_blk_take_grace().
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

/**
 * vhost_blk_take_grace - may a request be done although an ioctl waits?
 * @blk: the device
 * @cost: in I/Os of at most VHOST_BLK_GRACE_STEP bytes
 *
 * Context: any.
 *
 * Return: true as long as the costs of one wait are at most VHOST_BLK_GRACE
 * altogether.
 */
bool vhost_blk_take_grace(struct vhost_blk *blk, u64 cost)
{
	int left = atomic_read(&blk->grace);

	do {
		if (cost > left)
			return false;
	} while (!atomic_try_cmpxchg(&blk->grace, &left, left - (int)cost));
	return true;
}
