/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device in a thread of this process.  VHOST_TEST_MODEL=1 puts it in the
 * place of /dev/vhost-blk, so that the tests can be tested without a kernel
 * driver; with a bug planted, that they notice it.
 */
#ifndef VHOST_TEST_MODEL_H
#define VHOST_TEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum model_bug {
	BUG_NONE,
	BUG_SECTOR_ADVANCE,	/* the second segment of data goes to the wrong sector */
	BUG_OVERRUN,		/* one byte more is written behind the status */
	BUG_USED_LEN,		/* used.len without the status byte */
	BUG_STATUS,		/* IOERR, though all went well */
	BUG_TWICE,		/* a chain is completed twice */
	BUG_READ_ONLY,		/* a write to a read-only device is done */
	BUG_RANGE,		/* the end of the device is not checked */
	BUG_LOST_CALL,		/* every 64th interrupt is forgotten */
	BUG_ALWAYS_CALL,	/* the driver's suppression is not looked at */
	BUG_LOST_KICK,		/* notifications are enabled without a second look */
	BUG_NEVER_QUIET,	/* the device always wants kicks */
	BUG_NO_ERROR,		/* a broken ring is not reported */
	BUG_BASE,		/* GET_VRING_BASE says one too few */
	BUG_SERIAL,		/* GET_ID writes a NUL into the last byte */
	BUG_ZERO_SHORT,		/* the last sector of a range is left as it was */
	BUG_ZERO_LONG,		/* one sector behind a range is changed too */
	BUG_FIRST_RANGE,	/* the ranges behind the first are forgotten */
	BUG_RANGE_END,		/* a range past the end is cut off there */
	BUG_RANGE_EARLY,	/* what stands before a bad range is done */
	BUG_RANGE_FLAGS,	/* flags are not looked at */
	BUG_RANGE_FEATURE,	/* done, though not negotiated */
	BUG_COUNT
};

struct model;

bool model_wanted(void);
void model_want(bool on, enum model_bug bug);
const char *model_bug_name(enum model_bug bug);
struct model *model_new(void);
void model_free(struct model *m);
long model_ioctl(struct model *m, unsigned long cmd, void *arg);

#endif /* VHOST_TEST_MODEL_H */
