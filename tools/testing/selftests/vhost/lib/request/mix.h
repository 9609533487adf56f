/* SPDX-License-Identifier: GPL-2.0 */
/* Random requests of all kinds, good and bad, in all layouts, on all queues. */
#ifndef VHOST_TEST_MIX_H
#define VHOST_TEST_MIX_H

#include "request.h"

enum mix_kind {
	MIX_READ,
	MIX_WRITE,
	MIX_GET_ID,
	MIX_FLUSH,
	MIX_ZEROES,
	MIX_PAST_END,		/* a read that ends in IOERR */
	MIX_ODD,		/* of no whole sectors */
	MIX_UNKNOWN,		/* a type of nobody, with room for data */
	MIX_BROKEN,		/* a read of mix_opts.bad_sector */
	MIX_KINDS
};

#define MIX_ALL	((1U << MIX_KINDS) - 1)

struct mix_opts {
	unsigned int kinds;		/* bits, 0: all that are possible */
	unsigned int per_queue;		/* 0: 12 */
	unsigned int max_sectors;	/* 0: 24 */
	unsigned int max_segs;		/* 0: 8 */
	bool aligned;			/* no data that has to be bounced */
	uint64_t bad_sector;		/* eight that can't be read, 0: there are none */
	uint64_t area;			/* some lie there, one behind the other; 0: none */
	uint64_t area_len;
};

struct mix {
	struct guest *guest;
	unsigned int n;
	struct mix_one {
		struct request *q;
		unsigned int ring;
		uint8_t expect;
		bool writes;	/* data may be written, if only in part */
	} *one;
	uint64_t mark;
};

void mix_build(struct mix *m, struct guest *g, const struct mix_opts *o, struct rng *rng);
const char *mix_submit(struct mix *m);
const char *mix_wait(struct mix *m);
/* Outcomes, all of guest memory, and the dirty log where there is one */
const char *mix_check(struct mix *m);
void mix_free(struct mix *m);
/* All of it, with the backing compared */
const char *mix_round(struct guest *g, const struct mix_opts *o, struct rng *rng);

#endif /* VHOST_TEST_MIX_H */
