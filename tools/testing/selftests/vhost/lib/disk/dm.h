/* SPDX-License-Identifier: GPL-2.0 */
/* Device mapper, used by its ioctls: neither dmsetup nor udev is needed. */
#ifndef VHOST_TEST_DM_H
#define VHOST_TEST_DM_H

#include <stdint.h>

struct dm {
	int control;		/* -1: there is no device */
	char name[64];
	char path[32];
};

/* Create a device with one target. Return: NULL, or what is missing */
const char *dm_create(struct dm *d, uint64_t sectors, const char *target, const char *params);
/* Likewise, but its last @bad sectors fail. */
const char *dm_create_bad(struct dm *d, uint64_t sectors, uint64_t bad, const char *target,
			  const char *params);
/* Replace the table of a device. */
const char *dm_replace(struct dm *d, uint64_t sectors, const char *target, const char *params);
/* Between dm_suspend() and dm_resume() requests wait. */
const char *dm_suspend(struct dm *d);
const char *dm_resume(struct dm *d);
const char *dm_message(struct dm *d, const char *text);
/* Remove the device, once its last user has closed it. */
const char *dm_remove(struct dm *d);

#endif /* VHOST_TEST_DM_H */
