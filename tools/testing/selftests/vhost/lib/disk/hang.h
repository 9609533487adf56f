/* SPDX-License-Identifier: GPL-2.0 */
/* A backend that hangs, and works again, when told to */
#ifndef VHOST_TEST_HANG_H
#define VHOST_TEST_HANG_H

#include "backend.h"
#include "dm.h"

struct hang {
	struct backend disk;	/* the backend that is attached */
	struct backend below;	/* below a block device */
	struct dm dm;
	int frozen;		/* descriptor of the mount point of a file, else -1 */
	bool on;
};

/*
 * A block device by device mapper, or a file on a file system that can be
 * frozen.  Closes what it opened if it fails.
 */
const char *hang_open(struct hang *h, bool file);
const char *hang_on(struct hang *h);
const char *hang_off(struct hang *h);
void hang_close(struct hang *h);

#endif /* VHOST_TEST_HANG_H */
