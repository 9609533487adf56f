// SPDX-License-Identifier: GPL-2.0
/* Keeps one queue busy, as the driver in a guest does. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "load.h"

static bool stop;

void lanes_go(void)
{
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
}

/* The lanes send no more requests; each ends when all its requests have completed. */
void lanes_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
}

const char *lane_init(struct lane *l, struct device *dev, unsigned int index)
{
	const struct load *load = dev->load;
	const char *why = NULL;
	unsigned int i;

	l->dev = dev;
	l->load = load;
	l->engine = dev->engine;
	l->index = index;
	l->ring_index = dev->engine->first_queue + index;
	pattern_init(l);
	if (!l->blocks)
		return "the device is too small for this queue depth";
	l->slot = calloc(load->depth, sizeof(*l->slot));
	l->spare = calloc(load->depth, sizeof(*l->spare));
	for (i = 0; !why && i < load->depth; i++) {
		l->slot[i].nr = i;
		why = l->engine->prepare(l, &l->slot[i]);
		l->spare[l->nspare++] = &l->slot[i];
	}
	return why;
}

static bool may_send(const struct lane *l)
{
	return l->nspare && l->sent < l->quota && !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* Use CPU time, as a guest does between requests. */
static void think(const struct load *load)
{
	uint64_t end;

	if (!load->think_ns)
		return;
	end = clock_ns(CLOCK_MONOTONIC) + load->think_ns;
	while (clock_ns(CLOCK_MONOTONIC) < end)
		;
}

static void submit(struct lane *l)
{
	uint64_t now;

	if (!may_send(l))
		return;
	now = clock_now();
	do {
		struct slot *s = l->spare[--l->nspare];

		pattern_aim(l, s);
		if (l->load->verify && l->load->write)
			pattern_fill(l, s);
		s->begin = now;
		think(l->load);
		l->engine->add(l, s, l->load->write);
		l->sent++;
		if (l->load->single)
			l->engine->push(l);
	} while (may_send(l));
	if (!l->load->single)
		l->engine->push(l);
}

static void judge(struct lane *l, struct slot *s)
{
	if (!l->engine->ok(l, s))
		l->why = "a request failed";
	else if (l->load->verify && !l->load->write && !pattern_check(l, s))
		l->why = "wrong data was read";
}

static bool reap(struct lane *l)
{
	struct slot *s = l->engine->take(l);
	uint64_t now, before = l->count.done - l->got;

	if (!s)
		return false;
	now = clock_now();
	do {
		judge(l, s);
		histogram_add(&l->latency, now - s->begin, 1);
		l->spare[l->nspare++] = s;
		l->got++;
	} while ((s = l->engine->take(l)));
	/* Only this thread writes it; the main thread reads it at any time. */
	__atomic_store_n(&l->count.done, before + l->got, __ATOMIC_RELAXED);
	return true;
}

/* Run l->quota requests, or until lanes_stop(). */
void lane_run(struct lane *l)
{
	l->sent = 0;
	l->got = 0;
	histogram_clear(&l->latency);
	while (!l->why) {
		submit(l);
		if (l->got == l->sent && !may_send(l))
			break;
		if (!reap(l) && !l->load->spin)
			l->engine->wait(l);
	}
}
