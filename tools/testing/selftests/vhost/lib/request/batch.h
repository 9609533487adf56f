/* SPDX-License-Identifier: GPL-2.0 */
/* Many requests in flight at once, on all queues, each with sectors of its own. */
#ifndef VHOST_TEST_BATCH_H
#define VHOST_TEST_BATCH_H

#include "request.h"

struct batch_opts {
	unsigned int per_queue;		/* requests; 0: as many as fit */
	unsigned int max_sectors;	/* of one request, 0: 4 */
	unsigned int max_segs;		/* 0: 3, the usual cut */
	bool direct_only;		/* no indirect descriptors */
	bool writes_only;
	bool reads_only;
	bool ranges;			/* some discards and zeroes, if negotiated */
	unsigned int block;		/* sectors; sizes are multiples; 0: a logical block */
};

struct batch {
	struct guest *guest;
	struct request **q;
	unsigned int *ring;		/* queue index of each request */
	unsigned int n;
	uint64_t mark;
};

/* Build the requests, without making any available. */
void batch_build(struct batch *b, struct guest *g, const struct batch_opts *opts,
		 struct rng *rng);
const char *batch_submit(struct batch *b);
const char *batch_wait(struct batch *b, int ms);
const char *batch_check(struct batch *b);
void batch_free(struct batch *b);
/* Build, submit, wait for and check a batch. */
const char *batch_round(struct guest *g, const struct batch_opts *opts, struct rng *rng);

#endif /* VHOST_TEST_BATCH_H */
