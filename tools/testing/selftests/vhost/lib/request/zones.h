/* SPDX-License-Identifier: GPL-2.0 */
/* Zone reports and appends (5.2.6) */
#ifndef VHOST_TEST_ZONES_H
#define VHOST_TEST_ZONES_H

#include "request.h"

#define MAX_ZONES	64

struct zones {
	uint64_t n;
	struct blk_zone_desc zone[MAX_ZONES];
};

/* Run a report. The buffer is cut at one place, or, if that is NULL, not at all. */
const char *zones_report(struct ring *r, uint64_t sector, uint32_t len, const uint32_t *cut,
			 struct zones *z, uint8_t expect);
/*
 * The zone at @start must be in this state, with @written sectors before its
 * write pointer; -1: any.
 */
const char *zone_is(struct ring *r, uint64_t start, uint8_t state, int64_t written);
/* Append @len bytes, and wait. *@at: the sector that the device chose. */
const char *zone_append(struct ring *r, uint64_t start, uint32_t len, enum place how,
			struct rng *rng, uint8_t expect, uint64_t *at);
/* Make a request without data for the zone of @sector or for all; it is not added. */
struct request *zone_request(struct guest *g, uint32_t type, uint64_t sector);

#endif /* VHOST_TEST_ZONES_H */
