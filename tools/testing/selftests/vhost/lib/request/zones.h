/* SPDX-License-Identifier: GPL-2.0 */
/* Zone reports and appends (5.2.6). */
#ifndef VHOST_TEST_ZONES_H
#define VHOST_TEST_ZONES_H

#include "request.h"

#define MAX_ZONES	64

struct zones {
	uint64_t n;
	struct blk_zone_desc zone[MAX_ZONES];
};

/* How the buffer of a report is cut: NULL, or at one place */
const char *zones_report(struct ring *r, uint64_t sector, uint32_t len, const uint32_t *cut,
			 struct zones *z, uint8_t expect);
/* The zone at @start is in this state; its write pointer is @written sectors in, or any (-1). */
const char *zone_is(struct ring *r, uint64_t start, uint8_t state, int64_t written);
/* An append of @len bytes, at once; *@at is where it landed. */
const char *zone_append(struct ring *r, uint64_t start, uint32_t len, enum place how,
			struct rng *rng, uint8_t expect, uint64_t *at);
/* A request that moves no data, about the zone of @sector or all of them; not added yet */
struct request *zone_request(struct guest *g, uint32_t type, uint64_t sector);

#endif /* VHOST_TEST_ZONES_H */
