/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log and its check: each page of guest memory that changed is
 * logged, and no page is logged that no request can have written.
 */
#ifndef VHOST_TEST_DIRTY_H
#define VHOST_TEST_DIRTY_H

#include "request.h"

#define LOG_PAGE	4096

struct dirty {
	uint8_t *map;		/* with a guard page at its end */
	uint8_t *bits;		/* the bitmap that the device uses */
	uint64_t len;		/* bytes of the bitmap */
	uint8_t *may;		/* pages that may be logged */
	uint8_t *before[MAX_REGIONS];
	bool stopped;		/* the queues are stopped: the log is complete */
	unsigned int changed;	/* number of pages that the last check found changed */
	unsigned int logged;
};

/* Call it after all regions were added: the next ring_set_addr() sets VHOST_VRING_F_LOG. */
void dirty_attach(struct guest *g, struct dirty *d);
void dirty_free(struct guest *g);
long dirty_set_base(struct guest *g);
/* Replace the bitmap; the device must be told. Return: the old one */
uint8_t *dirty_replace(struct guest *g);
void dirty_unmap(struct guest *g, uint8_t *bits);

/* Switch the log as a VMM does, in any state of the device. */
long dirty_switch(struct guest *g, bool on);

/* Remember the memory; from now on only pages of the used rings may be logged. */
void dirty_begin(struct guest *g);
void dirty_may(struct guest *g, uint64_t addr, uint64_t len);
/* Pages that this request may write: its status, and with @data its data */
void dirty_may_request(struct guest *g, const struct request *q, bool data);
void dirty_may_all(struct guest *g);
const char *dirty_check(struct guest *g);
unsigned int dirty_count(struct guest *g);

#endif /* VHOST_TEST_DIRTY_H */
