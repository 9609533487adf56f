// SPDX-License-Identifier: GPL-2.0
/* null_blk devices, which the tests create by configfs */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/blkzoned.h>

#include "backend.h"

#define NULLB_DIR	"/sys/kernel/config/nullb"

/* Write to a file of sysfs, configfs or a control group. */
int put_attr(const char *dir, const char *name, const char *value)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int get_index(const char *dir)
{
	char path[256], text[16] = "";
	int fd, nr = -1;

	snprintf(path, sizeof(path), "%s/index", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) > 0)
		nr = atoi(text);
	close(fd);
	return nr;
}

int nullb_put(struct backend *b, const char *name, const char *value)
{
	return put_attr(b->nullb, name, value);
}

/* Path of the device node, while the device is powered */
const char *nullb_path(struct backend *b)
{
	/* named after the directory, or, in older kernels, by its index */
	snprintf(b->path, sizeof(b->path), "/dev/%s", strrchr(b->nullb, '/') + 1);
	if (!access(b->path, F_OK))
		return NULL;
	snprintf(b->path, sizeof(b->path), "/dev/nullb%d", get_index(b->nullb));
	return access(b->path, F_OK) ? "null_blk has not created a device node" : NULL;
}

static const char *configure(struct backend *b, const struct nullb_attr *attr)
{
	for (; attr && attr->name; attr++) {
		if (put_attr(b->nullb, attr->name, attr->value)) {
			snprintf(b->why, sizeof(b->why), "this null_blk has no %s=%s",
				 attr->name, attr->value);
			return b->why;
		}
	}
	return NULL;
}

const char *nullb_create(struct backend *b, uint64_t bytes, unsigned int delay_ns,
			 const struct nullb_attr *extra)
{
	static unsigned int count;
	char size[16], delay[16];
	const struct nullb_attr usual[] = {
		{ "memory_backed", "1" }, { "blocksize", "512" }, { "size", size },
		{ "irqmode", delay_ns ? "2" : "0" }, { "completion_nsec", delay },
		{ "submit_queues", "1" }, { "hw_queue_depth", "128" }, { NULL, NULL },
	};
	static const struct nullb_attr power[] = { { "power", "1" }, { NULL, NULL } };
	const char *why;

	snprintf(b->nullb, sizeof(b->nullb), NULLB_DIR "/vhost-test-%d-%u", getpid(), count++);
	if (mkdir(b->nullb, 0755)) {
		b->nullb[0] = '\0';
		return "no null_blk (CONFIG_BLK_DEV_NULL_BLK, configfs mounted)";
	}
	snprintf(size, sizeof(size), "%u", (unsigned int)(bytes >> 20));
	snprintf(delay, sizeof(delay), "%u", delay_ns ? delay_ns : 10000);
	why = configure(b, usual);
	if (!why)
		why = configure(b, extra);
	if (!why)
		why = configure(b, power);
	if (!why)
		why = nullb_path(b);
	if (why)
		nullb_remove(b);
	return why;
}

void nullb_remove(struct backend *b)
{
	put_attr(b->nullb, "power", "0");
	rmdir(b->nullb);
	b->nullb[0] = '\0';
}

int zones_reset(struct backend *b)
{
	struct blk_zone_range range;
	struct {
		struct blk_zone_report r;
		struct blk_zone zone[64];
	} report = { .r.nr_zones = 64 };
	unsigned int i;

	/* a device without zones is not an error */
	if (ioctl(b->check_fd, BLKREPORTZONE, &report))
		return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -1;
	for (i = 0; i < report.r.nr_zones; i++)
		if (report.zone[i].type != BLK_ZONE_TYPE_CONVENTIONAL)
			break;
	if (i == report.r.nr_zones)
		return 0;
	b->writable = report.zone[i].start << 9;
	range.sector = report.zone[i].start;
	range.nr_sectors = (b->size >> 9) - range.sector;
	return ioctl(b->check_fd, BLKRESETZONE, &range);
}

long long backend_sysfs(struct backend *b, const char *attr)
{
	char path[256], text[32] = "";
	struct stat st;
	int fd;

	if (stat(b->path, &st) || !S_ISBLK(st.st_mode))
		return -1;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(st.st_rdev),
		 minor(st.st_rdev), attr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return text[0] ? atoll(text) : -1;
}
