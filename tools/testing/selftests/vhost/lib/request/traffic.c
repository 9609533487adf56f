// SPDX-License-Identifier: GPL-2.0
/* Keep a queue busy. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "traffic.h"

/* The allocator is not thread-safe: call this for each thread before they run. */
void traffic_prepare(struct traffic *t)
{
	struct guest *g = t->ring->guest;
	uint64_t sectors = g->opts.backend->size / SECTOR;
	unsigned int i;

	t->q = calloc(t->depth, sizeof(*t->q));
	t->spare = calloc(t->depth, sizeof(*t->spare));
	for (i = 0; i < t->depth; i++) {
		uint64_t sector = (t->ring->index * 1024 + i) % sectors;

		t->q[i] = request_new(g, VIRTIO_BLK_T_IN, sector, SECTOR);
		t->q[i]->tag = i;
		request_cut_usual(t->q[i]);
		request_place(t->q[i], PLACE_ALIGNED, NULL);
		request_arm(t->q[i], i);
		t->spare[t->nspare++] = i;
	}
}

static void submit(struct traffic *t)
{
	struct ring *r = t->ring;
	bool any = false;

	while (t->nspare && t->sent < t->total) {
		struct request *q = t->q[t->spare[t->nspare - 1]];

		request_rearm(q);
		if (ring_add(r, q))
			break;
		t->nspare--;
		t->sent++;
		any = true;
		if (t->kick_each)
			ring_kick(r);
	}
	if (any && !t->kick_each)
		ring_kick(r);
}

static bool reap(struct traffic *t)
{
	struct request *q;
	bool any = false;

	while ((q = ring_take(t->ring))) {
		if (request_status(q) != VIRTIO_BLK_S_OK || q->used_len != SECTOR + 1)
			t->why = guest_say(t->ring->guest, "request %llu: status %u, used.len %u",
					   (unsigned long long)t->done, request_status(q),
					   q->used_len);
		t->spare[t->nspare++] = q->tag;
		t->done++;
		any = true;
	}
	if (t->ring->why[0])
		t->why = t->ring->why;
	return any;
}

/* Nothing completed: was the kick lost, or the interrupt? */
static const char *diagnose(struct traffic *t)
{
	struct ring *r = t->ring;
	const char *what = "request";

	if (ring_device_idx(r) != r->used_idx) {
		what = "interrupt";
	} else {
		ring_kick_now(r);
		usleep(500000);
		if (ring_device_idx(r) != r->used_idx)
			what = "kick";
	}
	return guest_say(r->guest, "queue %u: lost %s after %llu of %llu (%u in flight)",
			 r->index, what, (unsigned long long)t->done,
			 (unsigned long long)t->total, ring_inflight(r));
}

static void wait_call(struct traffic *t, unsigned int ahead)
{
	struct ring *r = t->ring;

	if (!ring_call_on(r, ahead) && !eventfd_wait(r->call, t->patience_ms))
		t->why = diagnose(t);
	ring_call_off(r);
	ring_calls(r);
}

static void wait_poll(struct traffic *t)
{
	int waited = 0;

	while (ring_device_idx(t->ring) == t->ring->used_idx) {
		usleep(100);
		if (++waited > t->patience_ms * 10) {
			t->why = diagnose(t);
			return;
		}
	}
}

/* Run t->total requests, t->depth at a time; each must complete with OK. */
const char *traffic_run(struct traffic *t)
{
	unsigned int i;

	t->patience_ms = t->patience_ms ? t->patience_ms : 20000;
	if (!t->q)
		traffic_prepare(t);
	ring_call_off(t->ring);
	while (!t->why && t->done < t->total) {
		submit(t);
		if (reap(t) || t->why)
			continue;
		if (t->wait == WAIT_POLL)
			wait_poll(t);
		else
			wait_call(t, t->wait == WAIT_LATE ? ring_inflight(t->ring) * 3 / 4 : 0);
	}
	for (i = 0; i < t->depth; i++)
		request_free(t->q[i]);
	free(t->q);
	free(t->spare);
	return t->why;
}

void *traffic_thread(void *traffic)
{
	traffic_run(traffic);
	return NULL;
}
