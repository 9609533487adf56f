/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk that knows what it holds after a loss of power: a block device on
 * dm-log-writes, or a file on an ext4 on that.  A cut is a mark in the log, so
 * the disk goes on; what it would hold after the cut is looked at later, on
 * another one, by replaying the log.
 */
#ifndef VHOST_TEST_POWER_H
#define VHOST_TEST_POWER_H

#include "dm.h"
#include "ledger.h"
#include "logwrites.h"

#define POWER_BYTES	(1024U * 1024)	/* of the disk under test */
#define POWER_END	UINT32_MAX	/* "after the last cut": all that was ever written */

struct power_opts {
	bool file;
	bool direct;
};

struct power {
	struct power_opts opts;
	struct backend below;	/* what the writes go to */
	struct backend log;
	struct backend after;	/* what a cut leaves */
	struct dm dm;
	struct log_replay replay;
	struct backend disk;	/* what is tested: only fd and size are set */
	char dir[64];		/* where the file system is mounted, "" : it isn't */
	unsigned int cuts;
	char why[160];
};

/* NULL, or why there is no such disk here */
const char *power_open(struct power *p, const struct power_opts *opts);
const char *power_cut(struct power *p);
/* Nobody uses p->disk.fd any more: end the log. */
const char *power_stop(struct power *p);
/*
 * Then: an fd of the disk as it is after cut number @n, which is later than that
 * of the last call; to be closed. -1: see p->why
 */
int power_after(struct power *p, unsigned int n);
void power_close(struct power *p);

#endif /* VHOST_TEST_POWER_H */
