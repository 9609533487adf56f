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
		/* Before the state, so that vhost_blk_must_hurry() sees no old one. */
		WRITE_ONCE(q->since, jiffies);
	} while (!atomic_try_cmpxchg(&q->state, &state, next));
	return true;
}

/**
 * vhost_blk_must_hurry - should a request give up what is left of it?
 * @q: the queue of the request
 *
 * A request of ranges may take as long as the guest likes.  It is done in
 * steps; when a stop has waited for it for a second, or another ioctl for five,
 * or its queue is dead, the rest is not done and the request ends in an error.
 * A pause is longer because a guest that asks for what it was offered should
 * not see an error when its memory changes or its migration begins.
 *
 * Context: any.
 */
bool vhost_blk_must_hurry(const struct vhost_blk_queue *q)
{
	switch (vhost_blk_queue_state(q)) {
	case DEAD:
		return true;
	case PAUSED:
		return time_after(jiffies, READ_ONCE(q->since) + 5 * HZ);
	case DRAINING:
		return time_after(jiffies, READ_ONCE(q->since) + HZ);
	default:
		return false;
	}
}
