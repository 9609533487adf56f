/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that keeps a number of requests in flight, and counts its notifications */
#ifndef VHOST_TEST_TRAFFIC_H
#define VHOST_TEST_TRAFFIC_H

#include "request.h"

enum traffic_wait {
	WAIT_POLL,	/* poll the used ring, interrupts off */
	WAIT_CALL,	/* sleep until the interrupt for the next completion */
	WAIT_LATE,	/* sleep until three quarters are complete (EVENT_IDX) */
};

struct traffic {
	struct ring *ring;
	unsigned int depth;
	uint64_t total;
	enum traffic_wait wait;
	bool kick_each;		/* check for a kick after each request, not each batch */
	int patience_ms;	/* 0: 20 s; after that a notification counts as lost */
	/* inside */
	struct request **q;
	unsigned int *spare;	/* stack of requests that are not in flight */
	unsigned int nspare;
	uint64_t sent;
	uint64_t done;
	const char *why;
};

void traffic_prepare(struct traffic *t);
const char *traffic_run(struct traffic *t);
/* traffic_run() for pthread_create(), after traffic_prepare() */
void *traffic_thread(void *traffic);

/* The rules of notification, one each. Return: NULL if the device obeys it */
const char *check_call_each(struct ring *r, unsigned int n);
const char *check_call_none(struct ring *r, unsigned int n);
const char *check_call_once(struct ring *r, unsigned int n, unsigned int at);
const char *check_call_on_empty(struct ring *r);
const char *check_kick_wanted(struct ring *r);
const char *check_kick_spurious(struct ring *r, unsigned int n);

/*
 * The queue is broken: the error eventfd is signalled, nothing completes, stop
 * and restart repair it.
 */
const char *check_broken(struct ring *r);
const char *check_repaired(struct guest *g);

#endif /* VHOST_TEST_TRAFFIC_H */
