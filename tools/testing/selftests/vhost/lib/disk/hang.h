/* SPDX-License-Identifier: GPL-2.0 */
/* A backend that hangs, and works again, when told to */
#ifndef VHOST_TEST_HANG_H
#define VHOST_TEST_HANG_H

#include <sys/types.h>

#include "backend.h"
#include "dm.h"

struct hang {
	struct backend disk;	/* the backend that is attached */
	struct backend below;	/* below a block device */
	struct dm dm;
	struct dm top;		/* above @dm, if sectors are bad */
	int frozen;		/* descriptor of the mount point of a file, else -1 */
	bool on;
};

/*
 * A block device by device mapper, or a file on a file system that can be
 * frozen.  Closes what it opened if it fails.
 */
const char *hang_open(struct hang *h, bool file);
/* A block device with a write cache: the block layer drops flushes of other ones. */
const char *hang_open_cached(struct hang *h);
/* Likewise; its last BAD_SECTORS fail, also while it hangs. */
#define BAD_SECTORS	2048
const char *hang_open_bad(struct hang *h);
/* A block device whose blocks have 4096 bytes */
const char *hang_open_4096(struct hang *h);
const char *hang_on(struct hang *h);
const char *hang_off(struct hang *h);
/*
 * Map a page of the disk that cannot be read in while the disk hangs.  @pos was
 * not read before: a page of a block device whose buffers are in use is not
 * dropped.  Return: NULL if this fails
 */
void *hang_map_page(const struct hang *h, off_t pos);
void hang_close(struct hang *h);

#endif /* VHOST_TEST_HANG_H */
