/* SPDX-License-Identifier: GPL-2.0 */
/* Device mapper, by its own ioctls: no dmsetup, no udev. */
#ifndef VHOST_TEST_DM_H
#define VHOST_TEST_DM_H

#include <stdint.h>

struct dm {
	int control;		/* -1: there is no device */
	char name[64];
	char path[32];
};

/* A device of one target. NULL, or what is missing */
const char *dm_create(struct dm *d, uint64_t sectors, const char *target, const char *params);
/* Another table in the place of the one it has */
const char *dm_replace(struct dm *d, uint64_t sectors, const char *target, const char *params);
/* Requests wait from the one until the other. */
const char *dm_suspend(struct dm *d);
const char *dm_resume(struct dm *d);
const char *dm_message(struct dm *d, const char *text);
/* Waits until the last user has gone. */
const char *dm_remove(struct dm *d);

#endif /* VHOST_TEST_DM_H */
