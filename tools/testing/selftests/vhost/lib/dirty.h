/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log, and its proof: every page of guest memory that changed is
 * logged, and none is that no request could have written.
 */
#ifndef VHOST_TEST_DIRTY_H
#define VHOST_TEST_DIRTY_H

#include "request.h"

#define LOG_PAGE	4096

struct dirty {
	uint8_t *map;		/* with a guard page at its end */
	uint8_t *bits;		/* what the device is told of */
	uint64_t len;		/* of bits, in bytes */
	uint8_t *may;		/* pages that may be logged */
	uint8_t *before[MAX_REGIONS];
	bool stopped;		/* the queues are: the log is complete */
	unsigned int changed;	/* pages, by the last check */
	unsigned int logged;
};

/* After all regions were added: VHOST_VRING_F_LOG is set from the next ring_set_addr() on. */
void dirty_attach(struct guest *g, struct dirty *d);
void dirty_free(struct guest *g);
long dirty_set_base(struct guest *g);
/* A log in place of this one, which the device has to be told of; the old bits. */
uint8_t *dirty_replace(struct guest *g);
void dirty_unmap(struct guest *g, uint8_t *bits);

/* Switch the log as a VMM does, whatever the device is doing. */
long dirty_switch(struct guest *g, bool on);

/* Memory is as it is, and nothing may be logged but the used rings. */
void dirty_begin(struct guest *g);
void dirty_may(struct guest *g, uint64_t addr, uint64_t len);
/* What this request may write: its status, and @data too */
void dirty_may_request(struct guest *g, const struct request *q, bool data);
void dirty_may_all(struct guest *g);
const char *dirty_check(struct guest *g);
unsigned int dirty_count(struct guest *g);

#endif /* VHOST_TEST_DIRTY_H */
