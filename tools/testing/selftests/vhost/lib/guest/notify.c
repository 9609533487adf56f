// SPDX-License-Identifier: GPL-2.0
/* Notifications and their suppression (virtio 1.3, 2.7.7 and 2.7.10). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"

/* Read the count of an eventfd, which resets it. */
uint64_t eventfd_drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	return n;
}

bool eventfd_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static __virtio16 *used_event(struct ring *r)
{
	return &r->avail->ring[r->num];
}

static uint16_t avail_event(struct ring *r)
{
	return load16((__virtio16 *)&r->used->ring[r->num]);
}

/* Does the device ask for a kick for the chains added since the last decision? */
bool ring_wants_kick(struct ring *r)
{
	uint16_t old = r->kicked_idx;
	uint16_t new = r->avail_idx;

	/*
	 * avail->idx before the device's request; pairs with the barrier in its
	 * enable_notify
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r->kicked_idx = new;
	if (guest_has(r->guest, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(avail_event(r), new, old);
	return !(load16(&r->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void ring_kick_now(struct ring *r)
{
	uint64_t one = 1;

	if (write(r->kick, &one, sizeof(one)) != sizeof(one)) {
		perror("# kick");
		abort();
	}
	r->kicked_idx = r->avail_idx;
	r->stats.kicks++;
}

/* Kick if the device asks for it. */
void ring_kick(struct ring *r)
{
	if (ring_wants_kick(r))
		ring_kick_now(r);
	else
		r->stats.kicks_saved++;
}

uint64_t ring_calls(struct ring *r)
{
	uint64_t n = eventfd_drain(r->call);

	r->stats.calls += n;
	return n;
}

void ring_no_interrupt(struct ring *r, bool off)
{
	store16(&r->avail->flags, off ? VRING_AVAIL_F_NO_INTERRUPT : 0);
}

void ring_set_used_event(struct ring *r, uint16_t idx)
{
	store16(used_event(r), idx);
}

/*
 * Ask for an interrupt when @ahead more chains after the next one are used.
 * Return: true if they are used already, so that no interrupt may come
 */
bool ring_call_on(struct ring *r, uint16_t ahead)
{
	if (guest_has(r->guest, VIRTIO_RING_F_EVENT_IDX))
		ring_set_used_event(r, r->used_idx + ahead);
	else
		ring_no_interrupt(r, false);
	/* the request before used->idx; pairs with the barrier of the device's notify */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(ring_device_idx(r) - r->used_idx) > ahead;
}

void ring_call_off(struct ring *r)
{
	if (guest_has(r->guest, VIRTIO_RING_F_EVENT_IDX))
		ring_set_used_event(r, r->used_idx + 0x8000);
	else
		ring_no_interrupt(r, true);
}
