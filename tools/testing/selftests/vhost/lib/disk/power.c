// SPDX-License-Identifier: GPL-2.0
/* Disks whose power is cut */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "power.h"

#define FILE_SYSTEM_SIZE	(8U << 20)
#define LOG_SIZE		(64U << 20)

static const char *say(struct power *p, const char *what)
{
	snprintf(p->why, sizeof(p->why), "%s: %s", what, strerror(errno));
	return p->why;
}

static uint64_t disk_size(struct power *p)
{
	return p->opts.file ? FILE_SYSTEM_SIZE : POWER_BYTES;
}

static const char *open_blank(struct backend *b, uint64_t size, const struct nullb_attr *attr)
{
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = attr, .blank = true,
		.size = size,
	};

	return backend_open_as(b, &opts);
}

static const char *start_log(struct power *p)
{
	char params[400];

	snprintf(params, sizeof(params), "%s %s", p->below.path, p->log.path);
	return dm_create(&p->dm, disk_size(p) / SECTOR, "log-writes", params);
}

static const char *mount_it(struct power *p, const char *dev)
{
	snprintf(p->dir, sizeof(p->dir), "/tmp/vhost-test-power-XXXXXX");
	if (!mkdtemp(p->dir)) {
		p->dir[0] = '\0';
		return say(p, "mkdtemp");
	}
	/* no commit by a timer */
	if (!mount(dev, p->dir, "ext4", 0, "commit=300"))
		return NULL;
	rmdir(p->dir);
	p->dir[0] = '\0';
	return say(p, "mount");
}

static const char *umount_it(struct power *p)
{
	unsigned int tries;

	for (tries = 0; p->dir[0] && tries < 300; tries++) {
		if (!umount(p->dir)) {
			rmdir(p->dir);
			p->dir[0] = '\0';
		} else {
			/* the last user may be about to close the device */
			usleep(10000);
		}
	}
	return p->dir[0] ? say(p, "umount") : NULL;
}

static const char *make_fs(struct power *p)
{
	char command[256];

	if (system("command -v mkfs.ext4 >/dev/null 2>&1"))
		return "no mkfs.ext4";
	snprintf(command, sizeof(command),
		 "mkfs.ext4 -q -F -b 1024 -N 16 -J size=1 -O ^resize_inode -E lazy_itable_init=0 %s >&2",
		 p->dm.path);
	if (system(command))
		return "mkfs.ext4 fails";
	return mount_it(p, p->dm.path);
}

static int open_disk(struct power *p, const char *dev, int flags)
{
	char path[sizeof(p->dir) + 8];

	snprintf(path, sizeof(path), "%s/disk", p->dir);
	return open(p->opts.file ? path : dev, flags | O_CLOEXEC, 0600);
}

const char *power_open(struct power *p, const struct power_opts *opts)
{
	/* a timer completes requests, so that a cut finds some in flight */
	static const struct nullb_attr timer[] = {
		{ "irqmode", "2" }, { "completion_nsec", "50000" }, { NULL, NULL },
	};
	const char *why;

	memset(p, 0, sizeof(*p));
	p->opts = *opts;
	p->dm.control = -1;
	p->disk.fd = -1;
	p->disk.size = POWER_BYTES;
	backend_none(&p->after);
	p->log = p->after;
	why = open_blank(&p->below, disk_size(p), timer);
	if (!why)
		why = open_blank(&p->log, LOG_SIZE, NULL);
	if (!why)
		why = start_log(p);
	if (!why && opts->file)
		why = make_fs(p);
	if (why)
		return why;
	p->disk.fd = open_disk(p, p->dm.path, O_RDWR | (opts->file ? O_CREAT : 0) |
			       (opts->direct ? O_DIRECT : 0));
	if (p->disk.fd < 0)
		return say(p, "open");
	return opts->file && ftruncate(p->disk.fd, POWER_BYTES) ? say(p, "ftruncate") : NULL;
}

static void mark_name(char *name, size_t len, unsigned int n)
{
	if (n == POWER_END)
		snprintf(name, len, "end");
	else
		snprintf(name, len, "cut-%u", n);
}

static const char *put_mark(struct power *p, unsigned int n)
{
	char name[32], text[40];

	mark_name(name, sizeof(name), n);
	snprintf(text, sizeof(text), "mark %s", name);
	return dm_message(&p->dm, text);
}

const char *power_cut(struct power *p)
{
	return put_mark(p, p->cuts++);
}

const char *power_stop(struct power *p)
{
	const char *why = NULL;

	if (p->disk.fd >= 0 && fsync(p->disk.fd))
		why = say(p, "fsync");
	if (!why)
		why = put_mark(p, POWER_END);
	close(p->disk.fd);
	p->disk.fd = -1;
	if (!why)
		why = umount_it(p);
	if (!why)
		why = dm_remove(&p->dm);
	return why ? why : log_open(&p->replay, p->log.fd, LOG_SIZE, disk_size(p));
}

/* Write the image of the disk to a device that can be opened or mounted. */
static const char *write_image(struct power *p)
{
	const uint64_t part = 65536;
	const char *why = open_blank(&p->after, disk_size(p), NULL);
	uint8_t *buf = p->after.scratch;
	uint64_t pos;

	for (pos = 0; !why && pos < disk_size(p); pos += part) {
		memcpy(buf, p->replay.image + pos, part);
		/* the device is blank already */
		if (!buf[0] && !memcmp(buf, buf + 1, part - 1))
			continue;
		if (pwrite(p->after.fd, buf, part, pos) != (ssize_t)part)
			why = say(p, "pwrite");
	}
	return why;
}

static void forget(struct power *p)
{
	if (umount_it(p))
		fprintf(stderr, "# %s\n", p->why);
	backend_close(&p->after);
}

int power_after(struct power *p, unsigned int n)
{
	const char *why;
	char name[32];
	int fd = -1;

	forget(p);
	mark_name(name, sizeof(name), n);
	why = log_forward(&p->replay, name);
	if (!why)
		why = write_image(p);
	if (!why && p->opts.file)
		why = mount_it(p, p->after.path);
	if (!why)
		fd = open_disk(p, p->after.path, O_RDONLY | (p->opts.file ? 0 : O_DIRECT));
	if (fd < 0 && !why)
		why = say(p, "open");
	if (why && why != p->why)
		snprintf(p->why, sizeof(p->why), "%s", why);
	return fd;
}

void power_close(struct power *p)
{
	if (p->disk.fd >= 0)
		close(p->disk.fd);
	forget(p);
	if (p->dm.control >= 0 && dm_remove(&p->dm))
		fprintf(stderr, "# %s stays\n", p->dm.name);
	log_close(&p->replay);
	backend_close(&p->log);
	backend_close(&p->below);
}
