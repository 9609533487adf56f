// SPDX-License-Identifier: GPL-2.0-only
/*
 * Between stage 1 and the answer, where CPUs are few: letting the guest go on.
 *
 * A worker that shares its CPU with the vCPU which kicks it is scheduled at once,
 * in the middle of what the guest wants to submit.  Where the disk is faster than
 * the guest that one request is done in no time, its answer interrupts the guest,
 * and the guest never comes to have two requests in flight: a kick and an interrupt
 * for each.  If the worker lets the others go first, and answers then, the guest
 * submits all it has without a kick and is interrupted once.
 *
 * That is worse than useless where the guest has nothing more to submit, or where
 * whoever wants the CPU isn't the guest.  Nobody tells, so it is tried for a phase of
 * some turns, and kept up only while requests come faster than they do without.  A
 * worker that has its CPU to itself does nothing of the kind.
 */
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>

#include "blk.h"

/* The turns of a phase; then it is known how that way of serving does. */
#define TURNS		16
/* Phases between two trials of the other way */
#define MAX_BACKOFF	64
/* So many times in a row for nothing: that is known without the rest of a phase. */
#define MAX_MISSES	4
/* A guest whose requests come more slowly hasn't got a CPU too few. */
#define SLOWEST_NS	NSEC_PER_MSEC

static void next_phase(struct vhost_blk_pace *p, u64 now)
{
	p->began = now;
	p->turns = 0;
	p->taken = 0;
	p->misses = 0;
}

/* It was worse, or as bad: back, and for longer than the last time. */
static void give_up(struct vhost_blk_pace *p, u64 now)
{
	p->gives_way = false;
	p->backoff = clamp(2 * p->backoff, 1, MAX_BACKOFF);
	p->phases = p->backoff;
	next_phase(p, now);
}

/**
 * vhost_blk_pace_turn - a turn begins
 * @p: what is known of the queue's guest
 * @now: in nanoseconds of ktime
 */
void vhost_blk_pace_turn(struct vhost_blk_pace *p, u64 now)
{
	u64 each;

	if (!p->began)
		next_phase(p, now);
	if (p->turns++ < TURNS)
		return;
	each = div_u64(now - p->began, max(p->taken, 1U));
	if (p->gives_way && each >= p->each_ns) {
		give_up(p, now);
		return;
	}
	if (p->gives_way)
		p->backoff = 0;
	else
		p->each_ns = min_t(u64, each, SLOWEST_NS);
	if (p->phases) {
		p->phases--;
	} else {
		/* Is the other way better, or better by now? */
		p->gives_way = !p->gives_way;
		p->phases = p->gives_way ? MAX_BACKOFF : 0;
	}
	next_phase(p, now);
}

/**
 * vhost_blk_pace_outcome - way was given
 * @p: what is known of the queue's guest
 * @now: in nanoseconds of ktime
 * @away: nanoseconds that the others have had
 * @gained: requests that came meanwhile
 */
void vhost_blk_pace_outcome(struct vhost_blk_pace *p, u64 now, u64 away,
			    unsigned int gained)
{
	p->misses = gained ? 0 : p->misses + 1;
	/* Whoever has the CPU for so long isn't the guest that was in a hurry. */
	if (p->misses == MAX_MISSES || away > 2 * (gained + 1) * p->each_ns)
		give_up(p, now);
}

/**
 * vhost_blk_turn_begins - the worker comes to a queue
 * @q: the queue, its mutex held
 */
void vhost_blk_turn_begins(struct vhost_blk_queue *q)
{
	struct vhost_blk_pace *p = &q->pace;

	p->contended = !single_task_running();
	p->alone = p->contended ? 0 : p->alone + 1;
	/* Most workers have a CPU to themselves, and no need for a clock. */
	if (p->alone > TURNS)
		p->began = 0;
	else
		vhost_blk_pace_turn(p, ktime_get_ns());
}

/**
 * vhost_blk_turn_ends - and has done with it for now
 * @q: the queue, its mutex held
 * @taken: requests
 */
void vhost_blk_turn_ends(struct vhost_blk_queue *q, unsigned int taken)
{
	q->pace.taken += taken;
}

/**
 * vhost_blk_give_way - let others have the CPU before some requests are answered
 * @q: the queue, its mutex held, notifications off, nothing plugged
 *
 * A disk that hasn't done anything yet gives the guest its time anyway.  The mutex is
 * held meanwhile, as it is by a worker that is preempted.
 *
 * Return: true where they have had it; then vhost_blk_gave_way() is to be told.
 */
bool vhost_blk_give_way(struct vhost_blk_queue *q)
{
	struct vhost_blk_pace *p = &q->pace;
	unsigned long switches;

	if (!p->contended || !p->gives_way || llist_empty(&q->done))
		return false;
	/* Once in a turn */
	p->contended = false;
	switches = current->nivcsw;
	p->left = ktime_get_ns();
	/*
	 * Nothing is waited for, so this isn't what yield() is infamous for:
	 * whatever the scheduler makes of it, the answer goes out next.
	 */
	yield();
	return current->nivcsw != switches;
}

/**
 * vhost_blk_gave_way - what it was good for
 * @q: the queue, its mutex held
 * @gained: requests that have been found on the ring since
 */
void vhost_blk_gave_way(struct vhost_blk_queue *q, unsigned int gained)
{
	u64 now = ktime_get_ns();

	vhost_blk_pace_outcome(&q->pace, now, now - q->pace.left, gained);
}
