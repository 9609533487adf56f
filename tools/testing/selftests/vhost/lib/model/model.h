/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device in a thread of this process.  VHOST_TEST_MODEL=1 uses it instead of
 * /dev/vhost-blk, so that the tests can be tested without a kernel driver; if a
 * bug is planted, a test must notice it.
 */
#ifndef VHOST_TEST_MODEL_H
#define VHOST_TEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum model_bug {
	BUG_NONE,
	BUG_SECTOR_ADVANCE,	/* the second segment of data goes to the wrong sector */
	BUG_OVERRUN,		/* one byte after the status is written */
	BUG_USED_LEN,		/* the used length does not count the status byte */
	BUG_STATUS,		/* IOERR for a successful request */
	BUG_TWICE,		/* a chain is completed twice */
	BUG_READ_ONLY,		/* a write to a read-only device is executed */
	BUG_RANGE,		/* the end of the device is not checked */
	BUG_LOST_CALL,		/* every 64th interrupt is not sent */
	BUG_ALWAYS_CALL,	/* the driver's suppression is ignored */
	BUG_LOST_KICK,		/* notifications are enabled without checking the ring again */
	BUG_NEVER_QUIET,	/* the device never suppresses kicks */
	BUG_NO_ERROR,		/* a broken ring is not reported */
	BUG_BASE,		/* GET_VRING_BASE returns one less */
	BUG_SERIAL,		/* GET_ID writes a NUL into the last byte */
	BUG_ZERO_SHORT,		/* the last sector of a range is not changed */
	BUG_ZERO_LONG,		/* the sector after a range is changed too */
	BUG_FIRST_RANGE,	/* only the first range is executed */
	BUG_RANGE_END,		/* a range past the end is cut off at the end */
	BUG_RANGE_EARLY,	/* ranges before an invalid one are executed */
	BUG_RANGE_FLAGS,	/* flags are ignored */
	BUG_RANGE_FEATURE,	/* executed although not negotiated */
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
