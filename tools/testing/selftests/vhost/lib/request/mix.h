/* SPDX-License-Identifier: GPL-2.0 */
/* Random requests of all kinds, valid and invalid, in all layouts, on all queues */
#ifndef VHOST_TEST_MIX_H
#define VHOST_TEST_MIX_H

#include "request.h"

enum mix_kind {
	MIX_READ,
	MIX_WRITE,
	MIX_GET_ID,
	MIX_FLUSH,
	MIX_ZEROES,
	MIX_PAST_END,		/* a read that must get IOERR */
	MIX_ODD,		/* data that is not whole sectors */
	MIX_UNKNOWN,		/* an unknown type, with room for data */
	MIX_BROKEN,		/* a read of mix_opts.bad_sector */
	MIX_KINDS
};

#define MIX_ALL	((1U << MIX_KINDS) - 1)

struct mix_opts {
	unsigned int kinds;		/* bits; 0: all that are possible */
	unsigned int per_queue;		/* 0: 12 */
	unsigned int max_sectors;	/* 0: 24 */
	unsigned int max_segs;		/* 0: 8 */
	bool aligned;			/* no data that must be bounced */
	uint64_t bad_sector;		/* eight unreadable sectors; 0: none */
	uint64_t area;			/* place some requests there, in a row; 0: none */
	uint64_t area_len;
};

struct mix {
	struct guest *guest;
	unsigned int n;
	struct mix_one {
		struct request *q;
		unsigned int ring;
		uint8_t expect;
		bool writes;	/* data may be written, at least in part */
	} *one;
	uint64_t mark;
};

void mix_build(struct mix *m, struct guest *g, const struct mix_opts *o, struct rng *rng);
const char *mix_submit(struct mix *m);
const char *mix_wait(struct mix *m);
/* Check the statuses, all of guest memory and, if there is one, the dirty log. */
const char *mix_check(struct mix *m);
void mix_free(struct mix *m);
/* Build, run and check a mix, and compare the backend. */
const char *mix_round(struct guest *g, const struct mix_opts *o, struct rng *rng);

#endif /* VHOST_TEST_MIX_H */
