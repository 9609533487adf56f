// SPDX-License-Identifier: GPL-2.0
/* The rules of notification and of a broken ring, one function each */
#include <unistd.h>

#include "traffic.h"

#define QUIET_MS	50	/* time to wait for events that must not happen */

static const char *one(struct ring *r)
{
	return request_simple(r, VIRTIO_BLK_T_IN, 1, SECTOR, VIRTIO_BLK_S_OK);
}

/* After a start the first completion is always signalled: complete one. */
static const char *settle(struct ring *r)
{
	const char *why = one(r);

	usleep(QUIET_MS * 1000);
	ring_calls(r);
	return why;
}

static const char *count(struct ring *r, uint64_t calls, uint64_t want, const char *when)
{
	if (calls == want)
		return NULL;
	return guest_say(r->guest, "queue %u: %llu interrupts %s, must be %llu", r->index,
			 (unsigned long long)calls, when, (unsigned long long)want);
}

/* Single requests, each with an interrupt */
const char *check_call_each(struct ring *r, unsigned int n)
{
	const char *why = settle(r);
	uint64_t calls = 0;
	unsigned int i;

	for (i = 0; !why && i < n; i++) {
		ring_call_on(r, 0);
		why = one(r);
		if (!why && !eventfd_wait(r->call, 5000))
			why = guest_say(r->guest, "queue %u: no interrupt", r->index);
		calls += ring_calls(r);
	}
	usleep(QUIET_MS * 1000);
	calls += ring_calls(r);
	return why ? why : count(r, calls, n, "for single requests");
}

/* Interrupts off: no interrupt is sent. */
const char *check_call_none(struct ring *r, unsigned int n)
{
	const char *why = settle(r);
	unsigned int i;

	for (i = 0; !why && i < n; i++) {
		ring_call_off(r);
		why = one(r);
	}
	usleep(QUIET_MS * 1000);
	return why ? why : count(r, ring_calls(r), 0, "although interrupts are off");
}

/* EVENT_IDX: of @n requests only the one after @at others causes an interrupt. */
const char *check_call_once(struct ring *r, unsigned int n, unsigned int at)
{
	const char *why = settle(r);
	unsigned int i;

	ring_call_on(r, at);
	for (i = 0; !why && i < n; i++) {
		why = one(r);
		if (why || i + 1 == n || (i != at && i + 1 != at))
			continue;
		usleep(QUIET_MS * 1000);
		why = count(r, ring_calls(r), i == at, i == at ? "at used_event" :
			    "before used_event");
	}
	usleep(QUIET_MS * 1000);
	return why ? why : count(r, ring_calls(r), at + 1 == n, "after used_event");
}

/*
 * NOTIFY_ON_EMPTY: an interrupt when the available ring becomes empty, even if
 * interrupts are off
 */
const char *check_call_on_empty(struct ring *r)
{
	const char *why = settle(r);

	ring_no_interrupt(r, true);
	if (!why)
		why = one(r);
	if (!why && !eventfd_wait(r->call, 5000))
		why = guest_say(r->guest, "queue %u: empty, but no interrupt", r->index);
	ring_calls(r);
	ring_no_interrupt(r, false);
	return why;
}

/* An idle device must ask for a kick. */
const char *check_kick_wanted(struct ring *r)
{
	const char *why = settle(r);
	bool wants;

	r->avail_idx++;
	wants = ring_wants_kick(r);
	r->avail_idx--;
	r->kicked_idx = r->avail_idx;
	if (!why && !wants)
		why = guest_say(r->guest, "queue %u: idle, but suppresses kicks", r->index);
	return why;
}

/* Kicks without a request have no effect. */
const char *check_kick_spurious(struct ring *r, unsigned int n)
{
	const char *why = settle(r);
	unsigned int i;

	for (i = 0; i < n; i++)
		ring_kick_now(r);
	if (!why)
		why = ring_idle(r, QUIET_MS);
	if (!why)
		why = count(r, ring_calls(r), 0, "for nothing");
	return why ? why : one(r);
}

/* The available chain breaks the queue. */
const char *check_broken(struct ring *r)
{
	uint16_t base;

	if (!eventfd_wait(r->err, 10000))
		return guest_say(r->guest, "queue %u: the error eventfd was not signalled",
				 r->index);
	eventfd_drain(r->err);
	ring_kick_now(r);
	if (ring_idle(r, QUIET_MS))
		return guest_say(r->guest, "queue %u: broken, but a request completed", r->index);
	if (ring_stop(r, &base))
		return guest_say(r->guest, "queue %u: a broken queue can't be stopped",
				 r->index);
	return NULL;
}

/* Stop the device, repair all rings, and start it: everything works again. */
const char *check_repaired(struct guest *g)
{
	unsigned int i;

	if (guest_set_running(g, 0))
		return "SET_RUNNING 0 fails on a broken queue";
	for (i = 0; i < g->nrings; i++) {
		ring_reset(&g->ring[i], 0);
		eventfd_drain(g->ring[i].err);
	}
	g->stage = STAGE_MEMORY;
	return guest_prove(g);
}
