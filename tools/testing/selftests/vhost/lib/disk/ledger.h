/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ledger of the possible content of a disk after its power was cut: for each
 * slot of eight sectors, the generations of data that were written,
 * acknowledged, and stable.
 */
#ifndef VHOST_TEST_LEDGER_H
#define VHOST_TEST_LEDGER_H

#include "request.h"

#define SLOT_SECTORS	8
#define SLOT_BYTES	(SLOT_SECTORS * SECTOR)
#define SLOT_GENERATIONS	64

/* 0 <= stable <= acked <= sent; generation 0 is the initial content */
struct slot {
	uint8_t sent;
	uint8_t acked;
	uint8_t stable;
	bool busy;		/* the last one is in flight */
	uint64_t zeroed;	/* bit mask of the generations that are zeroes */
};

struct ledger {
	unsigned int n;
	struct slot *slot;
	uint8_t *snapshot;	/* value of acked when the flush in flight was sent */
	unsigned int lost;	/* sectors whose data is older than the acknowledged data */
	char why[200];
};

void ledger_init(struct ledger *l, uint64_t bytes);
void ledger_copy(struct ledger *l, const struct ledger *from);
void ledger_free(struct ledger *l);
/* The data of generation @gen of slot @i */
void ledger_data(unsigned int i, unsigned int gen, void *data);
/* Write generation 0 to all slots. */
const char *ledger_write(struct ledger *l, int fd);
int ledger_pick(struct ledger *l, struct rng *rng);
void ledger_snapshot(struct ledger *l);
void ledger_flushed(struct ledger *l);
void ledger_all_stable(struct ledger *l);
/*
 * After the cut: the generation of each sector must be from stable to sent.
 * Counts lost sectors.
 */
const char *ledger_check(struct ledger *l, int fd);

#endif /* VHOST_TEST_LEDGER_H */
