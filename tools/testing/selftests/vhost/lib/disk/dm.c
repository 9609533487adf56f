// SPDX-License-Identifier: GPL-2.0
/* Device mapper */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/dm-ioctl.h>

#include "dm.h"

#define CONTROL	"/dev/mapper/control"

/* Data of an ioctl after its header, for one target, and a second one, or one message */
struct call {
	struct dm_ioctl h;
	struct dm_target_spec spec;
	char text[512];
	struct dm_target_spec bad;
	char none[8];
};

static int call(struct dm *d, unsigned long cmd, struct call *c)
{
	c->h.version[0] = DM_VERSION_MAJOR;
	c->h.data_size = sizeof(*c);
	c->h.data_start = offsetof(struct call, spec);
	snprintf(c->h.name, sizeof(c->h.name), "%s", d->name);
	return ioctl(d->control, cmd, c) ? -errno : 0;
}

/* Load a table; the last @bad sectors fail. */
static int load(struct dm *d, uint64_t sectors, uint64_t bad, const char *target,
		const char *params)
{
	struct call c = {
		.h.target_count = bad ? 2 : 1,
		.spec = { .length = sectors - bad, .next = sizeof(c.spec) + sizeof(c.text) },
		.bad = { .sector_start = sectors - bad, .length = bad, .target_type = "error" },
	};

	snprintf(c.spec.target_type, sizeof(c.spec.target_type), "%s", target);
	snprintf(c.text, sizeof(c.text), "%s", params);
	return call(d, DM_TABLE_LOAD, &c);
}

/*
 * The loaded table becomes the active one.  A file system on the device is not
 * synced before: its delayed writes go to the new table.
 */
static int resume(struct dm *d)
{
	struct call c = { .h.flags = DM_SKIP_LOCKFS_FLAG };

	return call(d, DM_DEV_SUSPEND, &c);
}

const char *dm_create(struct dm *d, uint64_t sectors, const char *target, const char *params)
{
	return dm_create_bad(d, sectors, 0, target, params);
}

const char *dm_create_bad(struct dm *d, uint64_t sectors, uint64_t bad, const char *target,
			  const char *params)
{
	static unsigned int count;
	struct call c = { .h.flags = 0 };

	snprintf(d->name, sizeof(d->name), "vhost-test-%d-%u", getpid(), count++);
	d->control = open(CONTROL, O_RDWR | O_CLOEXEC);
	if (d->control < 0)
		return "no device mapper";
	if (call(d, DM_DEV_CREATE, &c)) {
		close(d->control);
		d->control = -1;
		return "device mapper can't create a device";
	}
	snprintf(d->path, sizeof(d->path), "/dev/dm-%u", minor(c.h.dev));
	if (load(d, sectors, bad, target, params)) {
		dm_remove(d);
		return "device mapper lacks this target";
	}
	return resume(d) ? "a device of device mapper can't be resumed" : NULL;
}

const char *dm_replace(struct dm *d, uint64_t sectors, const char *target, const char *params)
{
	if (load(d, sectors, 0, target, params))
		return "a table of device mapper can't be loaded";
	return resume(d) ? "a device of device mapper can't be resumed" : NULL;
}

const char *dm_suspend(struct dm *d)
{
	struct call c = { .h.flags = DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG };

	return call(d, DM_DEV_SUSPEND, &c) ? "a device of device mapper can't be suspended" :
					     NULL;
}

const char *dm_resume(struct dm *d)
{
	return resume(d) ? "a device of device mapper can't be resumed" : NULL;
}

const char *dm_message(struct dm *d, const char *text)
{
	struct call c = { .h.flags = 0 };
	struct dm_target_msg *m = (struct dm_target_msg *)&c.spec;

	m->sector = 0;
	snprintf(m->message, sizeof(c.text), "%s", text);
	return call(d, DM_TARGET_MSG, &c) ? "device mapper refuses the message" : NULL;
}

const char *dm_remove(struct dm *d)
{
	unsigned int tries;
	int ret = -EBUSY;

	/* the last user may still be about to close the device */
	for (tries = 0; ret == -EBUSY && tries < 300; tries++) {
		struct call c = { .h.flags = 0 };

		ret = call(d, DM_DEV_REMOVE, &c);
		if (ret)
			usleep(10000);
	}
	close(d->control);
	d->control = -1;
	return ret ? "a device of device mapper can't be removed" : NULL;
}
