/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk whose content after a loss of power is known: a block device on
 * dm-log-writes, or a file on an ext4 on that.  A cut is only a mark in the
 * log, and the disk continues to work.  Its content at the cut is found later
 * by a replay of the log on another disk.
 */
#ifndef VHOST_TEST_POWER_H
#define VHOST_TEST_POWER_H

#include "dm.h"
#include "ledger.h"
#include "logwrites.h"

#define POWER_BYTES	(1024U * 1024)	/* of the disk under test */
#define POWER_END	UINT32_MAX	/* position after all writes, instead of a cut */

struct power_opts {
	bool file;
	bool direct;
};

struct power {
	struct power_opts opts;
	struct backend below;	/* the disk that is written */
	struct backend log;
	struct backend after;	/* the disk after a cut */
	struct dm dm;
	struct log_replay replay;
	struct backend disk;	/* the disk under test: only fd and size are set */
	char dir[64];		/* mount point of the file system, or "" */
	unsigned int cuts;
	char why[160];
};

/* Return: NULL, or the reason why there is no such disk here */
const char *power_open(struct power *p, const struct power_opts *opts);
const char *power_cut(struct power *p);
/* End the log. p->disk.fd must not be in use any more. */
const char *power_stop(struct power *p);
/*
 * Return: a descriptor of the disk after cut number @n, to be closed by the
 * caller; -1: see p->why.  @n must be larger than in the last call.
 */
int power_after(struct power *p, unsigned int n);
void power_close(struct power *p);

#endif /* VHOST_TEST_POWER_H */
