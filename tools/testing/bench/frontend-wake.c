// SPDX-License-Identifier: GPL-2.0
/*
 * No disk: each lane has a second thread, which it wakes through an eventfd and which
 * wakes the lane through another one.  A batch costs two wake-ups and nothing else.  That
 * is the limit for any device whose worker and driver sleep.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "load.h"

struct wake {
	int kick;
	int call;
	uint64_t added;
	uint64_t pushed;
	uint64_t answered;		/* by the second thread */
	uint64_t taken;
	struct slot **sent;		/* ring of load->depth slots */
	pthread_t thread;
};

/* The second thread.  The count of a kick is the number of requests. */
static void *answer(void *arg)
{
	struct wake *w = arg;
	uint64_t n, one = 1;

	while (read(w->kick, &n, sizeof(n)) == sizeof(n)) {
		__atomic_add_fetch(&w->answered, n, __ATOMIC_RELEASE);
		if (write(w->call, &one, sizeof(one)) != sizeof(one))
			break;
	}
	return NULL;
}

static const char *prepare(struct lane *l, struct slot *s)
{
	struct wake *w = l->priv;

	(void)s;
	if (w)
		return NULL;
	w = calloc(1, sizeof(*w));
	w->kick = eventfd(0, EFD_CLOEXEC);
	w->call = eventfd(0, EFD_CLOEXEC);
	w->sent = calloc(l->load->depth, sizeof(*w->sent));
	l->priv = w;
	if (w->kick < 0 || w->call < 0 || pthread_create(&w->thread, NULL, answer, w))
		return "cannot create an eventfd or a thread";
	return NULL;
}

static void add(struct lane *l, struct slot *s, bool is_write)
{
	struct wake *w = l->priv;

	(void)is_write;
	w->sent[w->added++ % l->load->depth] = s;
}

static void put(struct lane *l, uint64_t n)
{
	struct wake *w = l->priv;

	if (write(w->kick, &n, sizeof(n)) != sizeof(n))
		l->why = "cannot write to the eventfd";
}

static void push(struct lane *l)
{
	struct wake *w = l->priv;

	put(l, w->added - w->pushed);
	w->pushed = w->added;
	l->count.kicks++;
}

static struct slot *take(struct lane *l)
{
	struct wake *w = l->priv;

	if (w->taken == __atomic_load_n(&w->answered, __ATOMIC_ACQUIRE))
		return NULL;
	return w->sent[w->taken++ % l->load->depth];
}

static void wait(struct lane *l)
{
	struct wake *w = l->priv;
	uint64_t n;

	if (read(w->call, &n, sizeof(n)) != sizeof(n))
		l->why = "cannot read from the eventfd";
	l->count.calls += n;
	l->count.waits++;
}

static bool ok(const struct lane *l, const struct slot *s)
{
	(void)l;
	(void)s;
	return true;
}

static const char *totals(const struct lane *l)
{
	const struct wake *w = l->priv;

	if (w->added != l->count.done || w->taken != w->added || w->answered != w->added)
		return "the numbers of requests sent, answered and counted differ";
	return NULL;
}

const struct engine wake_engine = {
	.name = "wake",
	.open = backing_open,	/* for the size of the device */
	.close = backing_close,
	.prepare = prepare,
	.add = add,
	.push = push,
	.take = take,
	.wait = wait,
	.ok = ok,
	.totals = totals,
};
