/* SPDX-License-Identifier: GPL-2.0 */
/* A backing that stops answering, and answers again, when it is told to. */
#ifndef VHOST_TEST_HANG_H
#define VHOST_TEST_HANG_H

#include "backend.h"
#include "dm.h"

struct hang {
	struct backend disk;	/* what is attached */
	struct backend below;	/* of a block device */
	struct dm dm;
	int frozen;		/* fd of the directory that is the file's mount, else -1 */
	bool on;
};

/*
 * A block device by device mapper, or a file on a file system that is frozen.  Nothing is
 * left open if there is no such thing.
 */
const char *hang_open(struct hang *h, bool file);
const char *hang_on(struct hang *h);
const char *hang_off(struct hang *h);
void hang_close(struct hang *h);

#endif /* VHOST_TEST_HANG_H */
